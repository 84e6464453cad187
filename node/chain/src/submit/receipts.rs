//! Follows the transactions that were sent: receipts, heads, and blocks that were reorganised away.
//!
//! At each new head the receipts of the lowest nonces are asked for. A receipt settles a nonce and tells its callers.
//! When a head is not the child of the one before, mined transactions are looked for again, and those that are gone are
//! sent again. A transaction that is deep enough is final, and only its outcome is kept, in the journal.
//!
//! A caller is told as soon as its transaction is in a block, and not again if that block is reorganised away: the
//! submitter sends the transaction again by itself, and the watcher tells the member about the chain's events. Outcomes
//! may be lost in a crash, because the chain has them.

use super::{
    done::Done,
    journal::Change,
    outcome::find,
    record::{Outcome, Progress},
    request::answer,
    writer::Writer,
};
use crate::{convert::digest, error::ChainError, header::Header, types::BlockRef};
use ethers_core::types::H256;
use tokio::time::Instant;

/// Receipts that are asked for at each new head. An account's transactions are mined in order, so these
/// are the lowest nonces; when there are more, the account's nonce says which.
const CHECKED_AT_ONCE: usize = 4;
/// Blocks behind the head at which a transaction is final.
const FINAL_DEPTH: u64 = 64;

impl Writer {
    /// Looks for the receipt of a nonce.
    pub(super) fn check(&mut self, nonce: u64) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if std::mem::replace(&mut flight.checking, true) {
            return;
        }
        let (chain, account) = (self.chain.clone(), self.account);
        let message = flight.record.message.clone();
        let hashes: Vec<_> = flight.record.variants.iter().map(|v| v.hash).collect();
        self.start(async move {
            let result = find(&chain, account, &message, &hashes).await;
            Done::Checked { nonce, result }
        });
    }

    /// The chain has answered for a nonce: a receipt settles it; without one, a nonce that was settled has lost its
    /// block, and one that was not may have been used by another program.
    pub(super) async fn on_checked(
        &mut self,
        nonce: u64,
        result: Result<Option<Outcome>, ChainError>,
    ) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        flight.checking = false;
        match result {
            Ok(Some(outcome)) => self.settle(nonce, outcome),
            Ok(None) if flight.record.is_pending() => self.on_missing(nonce).await,
            Ok(None) => self.unsettle(nonce),
            Err(error) => {
                // The outcome is only in the journal, and its callers must not wait for ever.
                if flight.unverified {
                    answer(std::mem::take(&mut flight.waiters), Err(error.clone()));
                }
                tracing::debug!(nonce, %error, "no receipt could be asked for");
            }
        }
    }

    /// A receipt was found. The callers are told at once; the journal follows with the next `flush`, because the chain
    /// has the outcome too.
    fn settle(&mut self, nonce: u64, outcome: Outcome) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        self.stands = self.head.as_ref().map(Header::block) == Some(outcome.block);
        answer(std::mem::take(&mut flight.waiters), Ok((&outcome).into()));
        flight.record.state = Progress::Mined(outcome);
        flight.retry_at = None;
        flight.lost_since = None;
        flight.unverified = false;
        self.mined = self.mined.max(nonce + 1);
        self.dirty.insert(nonce);
        self.chain.has_mined();
    }

    /// A block was reorganised away, and its transaction with it: sends it again.
    fn unsettle(&mut self, nonce: u64) {
        tracing::warn!(
            nonce,
            "a transaction was reorganised away; sending it again"
        );
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.record.state = Progress::Pending;
            flight.unverified = false;
            flight.since = Instant::now();
            flight.height = None;
            self.mined = self.mined.min(nonce);
            self.dirty.insert(nonce);
            self.broadcast(nonce);
        }
    }

    /// A new head brings fees, and is a reason to look for receipts.
    pub(super) fn on_head(&mut self, head: Result<Header, ChainError>) {
        let head = match head {
            Ok(head) => head,
            Err(error) => {
                tracing::debug!(%error, "no new head");
                return;
            }
        };
        self.market.renew(&head);
        self.compare(&head);
        self.head = Some(head);
        self.look();
        self.finalise();
    }

    /// Asks for the newest head.
    pub(super) fn ask_head(&mut self) {
        let chain = self.chain.clone();
        self.head_asked = Instant::now();
        self.start(async move { Done::Headed(chain.latest().await) });
    }

    /// Asks for the receipts that a new block may have brought.
    pub(super) fn look(&mut self) {
        let lowest: Vec<_> = self.pending().take(CHECKED_AT_ONCE + 1).collect();
        for nonce in lowest.iter().take(CHECKED_AT_ONCE) {
            self.check(*nonce);
        }
        if lowest.len() > CHECKED_AT_ONCE {
            self.count();
        }
        let unverified = self.flights.iter().filter(|(_, flight)| flight.unverified);
        let unverified = unverified.map(|(nonce, _)| *nonce);
        let unverified: Vec<_> = unverified.take(CHECKED_AT_ONCE).collect();
        for nonce in unverified {
            self.check(nonce);
        }
    }

    /// Asks how many of the account's transactions are mined.
    pub(super) fn count(&mut self) {
        if std::mem::replace(&mut self.counting, true) {
            return;
        }
        self.count_asked = Instant::now();
        let (chain, account) = (self.chain.clone(), self.account);
        self.start(async move { Done::Counted(chain.nonce(account).await) });
    }

    /// A head that is the child of the one before has the same blocks behind it. Otherwise the chain may have been
    /// reorganised, and it is asked whether the newest block with a transaction of ours is still there.
    fn compare(&mut self, head: &Header) {
        let follows = self.head.as_ref().is_some_and(|b| follows(head, b));
        self.jumps += u64::from(!follows);
        let Some(block) = self.newest_settled() else {
            return;
        };
        let is_it = |hash: H256| digest(hash) == block.hash;
        self.stands = (self.stands && follows) || is_it(head.hash) || is_it(head.parent_hash);
        if !self.stands {
            self.ask_whether_it_stands();
        }
    }

    /// Whether a transaction counts as mined, and its block may not be behind the head. It is looked at until that is
    /// known: a transaction that is wrongly taken for mined holds up all later ones.
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.stands && self.newest_settled().is_some()
    }

    /// The block of the highest nonce that is mined, and not final. Those of lower nonces are behind it.
    fn newest_settled(&self) -> Option<BlockRef> {
        let mut newest = self.flights.values().rev();
        newest.find_map(|flight| match &flight.record.state {
            Progress::Mined(outcome) => Some(outcome.block),
            Progress::Pending | Progress::Final(_) => None,
        })
    }

    /// Asks for that block, unless that is being asked already.
    pub(super) fn ask_whether_it_stands(&mut self) {
        let Some(block) = self.newest_settled() else {
            return;
        };
        if std::mem::replace(&mut self.comparing, true) {
            return;
        }
        let (chain, jumps) = (self.chain.clone(), self.jumps);
        self.start(async move {
            let now = chain.header(block.number).await;
            let stands = now.map(|header| header.is_some_and(|h| h.block() == block));
            Done::Compared {
                block,
                jumps,
                stands,
            }
        });
    }

    /// The chain says whether a block is still there. The answer counts unless the chain has changed meanwhile.
    pub(super) fn on_compared(
        &mut self,
        block: BlockRef,
        jumps: u64,
        stands: Result<bool, ChainError>,
    ) {
        self.comparing = false;
        match stands {
            Ok(true) if jumps != self.jumps => self.ask_whether_it_stands(),
            Ok(true) => self.stands |= self.newest_settled() == Some(block),
            Ok(false) => self.check_settled_from(0),
            Err(error) => {
                tracing::debug!(%error, "whether the chain was reorganised could not be asked; asking again");
            }
        }
    }

    /// Looks again for the receipts of transactions that were mined, from a nonce on.
    pub(super) fn check_settled_from(&mut self, lowest: u64) {
        let flights = self.flights.range(lowest..);
        let settled: Vec<_> = flights
            .filter(|(_, flight)| matches!(flight.record.state, Progress::Mined(_)))
            .map(|(nonce, _)| *nonce)
            .collect();
        for nonce in settled {
            self.check(nonce);
        }
    }

    /// Marks what is deep enough as final, once it is known to be behind the head.
    fn finalise(&mut self) {
        if !self.stands {
            return;
        }
        let Some(depth) = self.height().checked_sub(FINAL_DEPTH) else {
            return;
        };
        for (nonce, flight) in &mut self.flights {
            let deep =
                matches!(&flight.record.state, Progress::Mined(o) if o.block.number <= depth);
            if deep && !flight.unverified {
                flight.record.finalise();
                self.dirty.insert(*nonce);
            }
        }
    }

    /// Writes new outcomes to the journal.
    pub(super) async fn flush(&mut self) {
        if self.dirty.is_empty() {
            return;
        }
        let changes = self.dirty.iter().filter_map(|nonce| {
            let record = self.flights.get(nonce)?.record.clone();
            Some(Change::Put(*nonce, Box::new(record)))
        });
        match self.journal.commit(changes.collect()).await {
            Ok(()) => {
                for nonce in std::mem::take(&mut self.dirty) {
                    self.forget_final(nonce);
                }
            }
            Err(error) => {
                tracing::error!(%error, "outcomes cannot be written to the journal; trying again")
            }
        }
    }

    /// Drops final records from memory: they are on disk.
    fn forget_final(&mut self, nonce: u64) {
        let flight = self.flights.get(&nonce);
        if !flight.is_some_and(|flight| flight.record.is_final()) {
            return;
        }
        if let Some(purpose) = self.flights.remove(&nonce).and_then(|f| f.record.purpose) {
            self.purposes.remove(&purpose);
        }
    }
}

/// Whether `head` is the block `before` or its child.
fn follows(head: &Header, before: &Header) -> bool {
    head.parent_hash == before.hash || head.hash == before.hash
}
