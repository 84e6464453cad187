//! A transaction between the journal and a block.
//!
//! A [`Flight`] is the record of the journal with what only this run knows: who waits, when it was sent, whether a pool
//! has taken it, what is to be done next and when. [`Acceptance`] decides what a refusal means: a transaction that no
//! pool ever had can be given up and its nonce used again, one that may be in some pool cannot.

use super::{
    record::{FlightRecord, Variant},
    request::Waiter,
};
use std::time::Duration;
use tokio::time::Instant;

/// The wait before an unclear or unsent transaction is tried again, times the number of tries.
const RETRY: Duration = Duration::from_millis(50);
/// The number of tries after which that wait grows no more.
const MOST_TRIES: u32 = 40;

/// Whether a pool has taken one of a nonce's transactions, so that it may be mined at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acceptance {
    /// No pool has taken one.
    Never,
    /// It is not known: an earlier run may have sent one.
    Perhaps,
    /// A pool has taken one.
    Taken,
}

/// A nonce in flight.
pub(super) struct Flight {
    /// What the journal holds of it.
    pub record: FlightRecord,
    /// The callers that are to be told.
    pub waiters: Vec<Waiter>,
    /// When it was taken up.
    pub since: Instant,
    /// When its newest transaction was sent last.
    pub sent: Option<Instant>,
    /// The chain's height when its newest transaction was sent first.
    pub height: Option<u64>,
    /// When to send it again.
    pub retry_at: Option<Instant>,
    /// Whether to send it with other fees then.
    pub refee: Option<Refee>,
    /// How often it was to be tried again since a pool last took it.
    pub tries: u32,
    /// Whether a pool has ever taken it.
    pub acceptance: Acceptance,
    /// Whether its receipt is being looked for.
    pub checking: bool,
    /// Whether this run has still to look up its outcome on the chain. Until then the outcome in the journal is told to
    /// nobody, because the block may have been reorganised away in the meantime.
    pub unverified: bool,
    /// Whether it was sent again because the pool's count of the account did not include it.
    pub nudged: bool,
    /// How often it was replaced by one with higher fees for that reason.
    pub replaced: u32,
    /// Since when its nonce has been used by none of its transactions.
    pub lost_since: Option<Instant>,
}

/// With which fees a transaction is signed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refee {
    /// Higher ones: it offers too little.
    Higher,
    /// The current fees, if they are lower: the account cannot pay what the transaction offers.
    Current,
}

impl Flight {
    pub(super) fn new(record: FlightRecord) -> Self {
        Self {
            record,
            waiters: Vec::new(),
            since: Instant::now(),
            sent: None,
            height: None,
            retry_at: None,
            refee: None,
            tries: 0,
            acceptance: Acceptance::Never,
            checking: false,
            unverified: false,
            nudged: false,
            replaced: 0,
            lost_since: None,
        }
    }

    /// From the journal of an earlier run, which may have sent it.
    pub(super) fn resumed(record: FlightRecord) -> Self {
        Self {
            acceptance: Acceptance::Perhaps,
            unverified: !record.is_pending(),
            retry_at: record.is_pending().then(Instant::now),
            ..Self::new(record)
        }
    }

    /// Plans the next try.
    pub(super) fn retry(&mut self) {
        self.tries += 1;
        self.retry_at = Some(Instant::now() + RETRY * self.tries.min(MOST_TRIES));
    }

    /// Whether an earlier transaction of this nonce offers more than the newest: then a pool that calls the newest one
    /// underpriced has the earlier one.
    pub(super) fn has_dearer_variant(&self) -> bool {
        let most = |variant: &Variant| variant.fees.most();
        let newest = self.record.variants.last().map(most);
        self.record.variants.iter().map(most).max() > newest
    }

    /// Whether its nonce can be used again: it only has a filler that no pool has taken.
    pub(super) fn is_void(&self) -> bool {
        self.record.purpose.is_none()
            && self.record.is_pending()
            && self.acceptance == Acceptance::Never
    }
}
