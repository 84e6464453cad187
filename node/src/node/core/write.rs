//! The end of a round: everything that it brought goes to disk in one transaction, and then out.

use super::{Core, CoreError};
use crate::node::state::Entry;
use bytes::Bytes;
use rings_protocol::{
    journal::{batch, prepare, Draft, Prepared},
    log::{LogNode, MAX_REFS},
    message::Vote,
};
use rings_store::{Block, ErrorClass, StoreError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a round is put off when the store takes nothing: a full disk, a Kubo that is being restarted.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Core {
    /// Stores blocks, then results, indexes and heads in one transaction, then publishes the own node and counts
    /// the votes.
    pub(super) async fn write(&mut self) -> Result<(), CoreError> {
        let drafts = self.next_batch();
        let prepared = match drafts.is_empty() {
            true => None,
            false => Some(self.prepare(&drafts)?),
        };
        let entries = std::mem::take(&mut self.entries);
        if let Err(error) = self.store_blocks(prepared.as_ref(), &entries).await {
            return self.postpone(drafts, entries, error);
        }
        let diverged = std::mem::take(&mut self.diverged);
        tokio::task::block_in_place(|| -> Result<(), CoreError> {
            self.parts.state.append(prepared.as_ref(), &entries)?;
            if !diverged.is_empty() {
                self.parts.state.diverged(&diverged)?;
            }
            Ok(())
        })?;
        self.fresh.clear();
        if let Some(prepared) = prepared {
            self.speak(prepared).await?;
        }
        for Entry { node, votes } in entries {
            self.count(node.author(), votes)?;
        }
        Ok(())
    }

    /// The store does not take blocks now: nothing of the round was signed for others to see, and all of it is done
    /// again in a moment. A store that will never take them stops the member.
    fn postpone(
        &mut self,
        drafts: Vec<Draft>,
        entries: Vec<Entry>,
        error: StoreError,
    ) -> Result<(), CoreError> {
        if error.class() != ErrorClass::Transient {
            return Err(error.into());
        }
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the store takes nothing now; it is tried again"
        );
        for draft in drafts.into_iter().rev() {
            self.drafts.push_front(draft);
        }
        self.entries = entries;
        self.postponed = Some(Instant::now() + STORE_PAUSE);
        Ok(())
    }

    fn next_batch(&mut self) -> Vec<Draft> {
        let drafts = self.drafts.make_contiguous();
        let size = batch(drafts);
        self.drafts.drain(..size).collect()
    }

    fn prepare(&self, drafts: &[Draft]) -> Result<Prepared, CoreError> {
        let journal = self.parts.state.journal(self.me)?;
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .map(|since| since.as_secs());
        Ok(prepare(
            &journal,
            drafts,
            self.refs(),
            time,
            &self.parts.domain,
            &self.parts.key,
        )?)
    }

    /// The heads of the other members' logs, sorted by their bytes as a node wants them.
    fn refs(&self) -> Vec<cid::Cid> {
        let others = self
            .replicas
            .iter()
            .filter(|(author, _)| **author != self.me);
        let tips = others.filter_map(|(_, replica)| replica.tip());
        let mut refs: Vec<_> = tips
            .map(|tip| rings_protocol::cids::node_cid(tip.digest))
            .collect();
        refs.sort_by_key(cid::Cid::to_bytes);
        refs.truncate(MAX_REFS);
        refs
    }

    async fn store_blocks(
        &self,
        prepared: Option<&Prepared>,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let own = prepared
            .and_then(|prepared| prepared.to_store())
            .map(|(node, _)| node);
        let nodes = own
            .into_iter()
            .chain(entries.iter().map(|entry| &entry.node));
        let blocks = nodes.map(block).collect::<Result<Vec<_>, _>>()?;
        if !blocks.is_empty() {
            self.parts.store.put(blocks).await?;
        }
        Ok(())
    }

    async fn speak(&mut self, prepared: Prepared) -> Result<(), CoreError> {
        for refusal in &prepared.refused {
            tracing::error!(
                gate = %refusal.gate, signed = %refusal.signed, refused = %refusal.refused,
                "this member signed another result for this gate before, and does not sign this one"
            );
            self.parts.member.refused(refusal.gate);
        }
        let Some((node, votes)) = prepared.committed() else {
            return Ok(());
        };
        self.replicas.entry(self.me).or_default().advance(&node);
        self.parts.shared.wrote(&votes);
        if let Err(error) = self
            .parts
            .network
            .publish(Bytes::copy_from_slice(node.bytes()))
            .await
        {
            // Members that connect later compare heads and fetch it.
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "nobody is there to hear a log node now"
            );
        }
        self.count(self.me, votes)
    }

    /// Votes on gates that are open count; those that come after the result are compared with it.
    fn count(
        &mut self,
        member: rings_protocol::Address,
        votes: Vec<Vote>,
    ) -> Result<(), CoreError> {
        for vote in votes {
            match self.parts.state.registered(vote.gate)? {
                Some(registered) => {
                    let agreed = registered.outputs().map(|outputs| outputs.result());
                    if agreed.is_some_and(|result| result != vote.outputs.result()) {
                        self.effects
                            .push_back(rings_protocol::member::Effect::Diverged {
                                gate: vote.gate,
                                member,
                            });
                    }
                }
                None => {
                    let effects = self.parts.member.vote(member, vote, self.now());
                    self.effects.extend(effects);
                }
            }
        }
        Ok(())
    }
}

fn block(node: &LogNode) -> Result<Block, rings_store::StoreError> {
    Block::new(node.cid(), Bytes::copy_from_slice(node.bytes()))
}
