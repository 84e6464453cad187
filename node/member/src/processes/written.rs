//! What the runs in memory give to be written and told.

use crate::state::{Ended, Finished, RunKey};
use cid::Cid;
use rings_process::{event::Event, words::Stage};
use rings_protocol::Digest;
use std::collections::BTreeMap;

/// What a run's own events depend on besides its executions.
pub(super) struct Cause {
    pub depth: u64,
    pub instances: BTreeMap<String, Digest>,
}

/// What is to be written.
pub(super) struct Written {
    pub ended: Vec<(Cid, Ended)>,
    pub finished: Vec<Finished>,
    /// Events that tasks have emitted.
    pub emitted: Vec<Event>,
}

/// An execution that this member had asked, and that has ended.
pub(super) struct Told {
    pub execution: Cid,
    pub run: RunKey,
    pub request: Digest,
    pub stage: Stage,
}
