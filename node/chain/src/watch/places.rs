//! Where events were found.

use crate::raw_event::{EventPlace, RawEvent};
use std::collections::BTreeSet;

/// The places of the events of the newest blocks.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeSet<EventPlace>);

impl Places {
    pub(super) fn extend(&mut self, events: &[RawEvent]) {
        self.0.extend(events.iter().map(RawEvent::place));
    }

    pub(super) fn contains(&self, place: &EventPlace) -> bool {
        self.0.contains(place)
    }

    /// Forgets the places in blocks up to this one.
    pub(super) fn forget_up_to(&mut self, block: u64) {
        self.0.retain(|place| place.number > block);
    }

    /// Forgets the places in later blocks than this one, or in all blocks if it is `None`.
    pub(super) fn forget_after(&mut self, block: Option<u64>) {
        self.0.retain(|place| Some(place.number) <= block);
    }
}
