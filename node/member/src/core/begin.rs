//! Beginning other members' logs at their heads on chain, where the configuration says so.
//!
//! Of a log of which nothing is held, the head that the chain names is asked for, and the few nodes on the way back to which
//! later ones may link ([`Beginning`]). What is fetched is named by its digest, so it does not matter who gives it. Then the
//! log is held from that head on as any other; nodes before it are fetched when somebody asks for them (`api/older.rs`). A log
//! of which the chain names no head begins with its first node.

use super::{
    input::{report, Input},
    onchain_head::{find, NotBegun},
    Core, CoreError,
};
use rings_protocol::{
    log::{Beginning, Replica},
    Address,
};
use std::sync::Arc;

impl Core {
    /// Whether a log is to be begun at its head on chain, and is not yet: then that head is being looked for.
    pub(super) fn is_to_begin(&mut self, author: Address) -> bool {
        let beginnings = &mut self.beginnings;
        let is_new = beginnings.wanted && author != self.me;
        if !is_new || beginnings.from_start.contains(&author) || self.next_seq(author) > 0 {
            return false;
        }
        if self.beginnings.looking.insert(author) {
            self.look_for_head(author);
        }
        true
    }

    fn look_for_head(&self, author: Address) {
        let (chain, blocks) = (self.parts.chain.clone(), Arc::clone(&self.parts.blocks));
        let (form, outbox) = (self.parts.keys.form(), self.parts.outbox.clone());
        tokio::spawn(async move {
            let found = find(&chain, &blocks, &form, author).await;
            let input = Input::Beginning {
                author,
                found: found.map(|found| found.map(Box::new)),
            };
            report(&outbox, input).await;
        });
    }

    /// A head was found, or the chain names none, or it could not be found now.
    pub(super) fn on_beginning(
        &mut self,
        author: Address,
        found: Result<Option<Box<Beginning>>, NotBegun>,
    ) -> Result<(), CoreError> {
        self.beginnings.looking.remove(&author);
        match found {
            Ok(Some(beginning)) if self.next_seq(author) == 0 => self.begin(*beginning)?,
            // A node came by gossip meanwhile, the first of a new log.
            Ok(Some(_)) => {}
            Ok(None) => {
                self.beginnings.from_start.insert(author);
            }
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(member = %author, error = cause, "its log is not begun now; it is tried again");
                return Ok(());
            }
        }
        self.ask_nodes(author);
        Ok(())
    }

    fn begin(&mut self, beginning: Beginning) -> Result<(), CoreError> {
        let (author, seq) = (beginning.author(), beginning.head().seq());
        // On disk first: after a crash, nodes would otherwise seem to link to nothing.
        let begun = tokio::task::block_in_place(|| self.parts.state.begin_log(&beginning))?;
        if !begun {
            return Ok(());
        }
        tracing::info!(member = %author, seq, "its log is held from its head on chain on");
        self.beginnings.held_from.insert(author, seq);
        let replica = Replica::new(beginning.before());
        self.replicas.insert(author, replica);
        self.receive_other(beginning.head().clone())
    }
}
