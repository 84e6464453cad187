//! A slow second look at blocks that were read already.
//!
//! An endpoint may consist of several machines, of which one is behind: asked for the events of a range that it has not
//! reached, it answers with too few events, and without an error. Ranges near the head are therefore read again after
//! seconds and after minutes, and all other blocks from time to time. A reader that spares requests reads its range near
//! the head again together with the next one. A block that was read by its hash and may contain events, by its filter, is
//! read again after seconds too: an endpoint may have kept some of them back.

use super::places::Places;
use crate::raw_event::RawEvent;
use std::time::Duration;
use tokio::time::Instant;

/// When the blocks of a range are looked at again after they were read.
const LOOKS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(40),
    Duration::from_secs(320),
    Duration::from_secs(600),
];
/// When blocks that were read by their hash, and may contain events, are looked at again.
/// What was kept back for some seconds is found as many seconds later.
const SOON: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(9),
    Duration::from_secs(28),
];
/// Blocks that are read within this time are looked at together.
const TOGETHER: Duration = Duration::from_secs(2);
/// Every machine of an endpoint should have the blocks that are this far behind the head.
const SETTLED: u64 = 256;
/// The most blocks of the range before that are read again together with the next one.
const AGAIN: u64 = 64;
/// How long they wait for a next one, in pauses between quick polls.
const UNSURE: u32 = 60;
/// The most blocks that are read again at once.
const MAX_BLOCKS: u64 = 10_000;

/// Blocks that may contain events, and were read by their hash.
#[derive(Debug)]
struct Asked {
    from: u64,
    to: u64,
    /// When the first of them was read.
    at: Instant,
    /// How often they were looked at again.
    looks: usize,
}

impl Asked {
    /// When to look again.
    fn due(&self) -> Instant {
        self.at + SOON[self.looks.min(SOON.len() - 1)]
    }
}

/// What to look at again, and when.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The lowest block that is looked at again; `None` before anything was read.
    from: Option<u64>,
    look: usize,
    due: Instant,
    /// The first block of the newest range that is to be read again together with the next one, and when it is read again
    /// if no next one comes.
    unsure: Option<(u64, Instant)>,
    /// Blocks that were read by their hash a moment ago. There are no more than fit into the longest time, [`TOGETHER`] for each.
    asked: Vec<Asked>,
    /// How long an unsure range waits for the next one.
    patience: Duration,
    /// Where events were found.
    known: Places,
}

/// How blocks were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// One by one, by their hash: the endpoint cannot have answered with too few events.
    ByHash,
    /// In a range.
    InRange,
    /// In a range that is read again together with the next one.
    InUnsureRange,
}

impl Sweep {
    /// Nothing was read yet. `poll` is the pause between quick polls.
    pub(super) fn new(poll: Duration) -> Self {
        let look = LOOKS.len() - 1;
        Self {
            from: None,
            look,
            due: Instant::now() + LOOKS[look],
            unsure: None,
            asked: Vec::new(),
            patience: poll * UNSURE,
            known: Places::default(),
        }
    }

    /// Blocks from `from` to `to` were read.
    pub(super) fn read(
        &mut self,
        (from, to): (u64, u64),
        head: u64,
        manner: Manner,
        events: &[RawEvent],
        now: Instant,
    ) {
        self.known.extend(events);
        self.from = Some(self.from.map_or(from, |lowest| lowest.min(from)));
        match manner {
            Manner::ByHash => {}
            Manner::InRange if to.saturating_add(SETTLED) > head => {
                self.look = 0;
                self.due = self.due.min(now + LOOKS[0]);
            }
            Manner::InRange => {}
            Manner::InUnsureRange => {
                self.unsure = Some((from.max(to.saturating_sub(AGAIN)), now + self.patience));
            }
        }
    }

    /// A block that may contain events was read by its hash.
    pub(super) fn asked(&mut self, number: u64, now: Instant) {
        let newest = self.asked.iter_mut().max_by_key(|asked| asked.at);
        match newest.filter(|asked| asked.looks == 0 && now < asked.at + TOGETHER) {
            Some(asked) => {
                asked.from = asked.from.min(number);
                asked.to = asked.to.max(number);
            }
            None => self.asked.push(Asked {
                from: number,
                to: number,
                at: now,
                looks: 0,
            }),
        }
    }

    /// Blocks that were read by their hash and are to be looked at again now.
    pub(super) fn begin_soon(&mut self, now: Instant) -> Option<(u64, u64)> {
        let at = self.asked.iter().position(|asked| asked.due() <= now)?;
        let asked = self.asked.get_mut(at)?;
        let blocks = (asked.from.max(self.from.unwrap_or(0)), asked.to);
        asked.looks += 1;
        if asked.looks == SOON.len() {
            self.asked.swap_remove(at);
        }
        Some(blocks)
    }

    /// The first block to read again together with those from `from` on.
    pub(super) fn again(&self, from: u64) -> u64 {
        let again = self.unsure.map(|(first, _)| first);
        let again = again.filter(|first| first + AGAIN >= from);
        // Below the lowest block that is looked at again, the known places are forgotten.
        let lowest = self.from.unwrap_or(0);
        again.map_or(from, |first| first.max(lowest).min(from))
    }

    /// The first block below `below` with an event that had been missed.
    pub(super) fn missed(&self, below: u64, events: &[RawEvent]) -> Option<u64> {
        let places = events.iter().map(RawEvent::place);
        let missed = places.filter(|place| place.number < below && !self.known.contains(place));
        missed.map(|place| place.number).min()
    }

    /// Blocks of the range before are not read again.
    pub(super) fn give_up_unsure(&mut self) {
        self.unsure = None;
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        let soon = self.asked.iter().map(Asked::due).min();
        let unsure = self.unsure.map(|(_, due)| due);
        let due = soon.into_iter().chain(unsure).min();
        due.map_or(self.due, |due| due.min(self.due))
    }

    /// The first block to look at up to the position, when no range has come that was to be read together with it.
    pub(super) fn begin_unsure(&mut self, now: Instant) -> Option<u64> {
        let (first, _) = self.unsure.filter(|(_, due)| now >= *due)?;
        self.unsure = None;
        Some(first.max(self.from.unwrap_or(0)))
    }

    /// The blocks to look at, when it is time for it. `sure` is the highest block that every machine should have.
    pub(super) fn begin(&mut self, sure: u64, now: Instant) -> Option<(u64, u64)> {
        if now < self.due {
            return None;
        }
        self.plan(now);
        let from = self.from?.max(sure.saturating_sub(MAX_BLOCKS));
        (from <= sure).then_some((from, sure))
    }

    /// The first block with an event that had been missed. If there is none, blocks that were looked at often enough
    /// are not looked at again.
    pub(super) fn end(&mut self, to: u64, events: &[RawEvent]) -> Option<u64> {
        let first = self.missed(u64::MAX, events);
        if first.is_none() && self.look == LOOKS.len() - 1 {
            self.from = Some(to + 1);
            self.known.forget_up_to(to);
        }
        first
    }

    /// Everything after `block` will be read again.
    pub(super) fn rewind(&mut self, block: Option<u64>) {
        self.known.forget_after(block);
        let next = block.map_or(0, |block| block + 1);
        self.from = self.from.map(|from| from.min(next));
        self.unsure = self.unsure.filter(|(first, _)| *first < next);
        self.asked.retain(|asked| asked.from < next);
    }

    fn plan(&mut self, now: Instant) {
        self.look = (self.look + 1).min(LOOKS.len() - 1);
        self.due = now + LOOKS[self.look];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const POLL: Duration = Duration::from_millis(250);

    fn event(block: u64) -> RawEvent {
        let event = json!({
            "address": "0x0101010101010101010101010101010101010101", "topics": [], "data": "0x",
            "blockNumber": format!("{block:#x}"), "blockHash": format!("0x{block:064x}"),
            "transactionHash": format!("0x{block:064x}"), "logIndex": "0x0",
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn what_was_missed_is_found_by_the_second_look() {
        let mut sweep = Sweep::new(POLL);
        let mut now = Instant::now();
        sweep.read((10, 20), 30, Manner::InRange, &[event(12)], now);
        assert_eq!(sweep.begin(20, now), None);
        now += LOOKS[0];
        assert_eq!(sweep.begin(20, now), Some((10, 20)));
        assert_eq!(sweep.end(20, &[event(12)]), None);
        now += LOOKS[1];
        assert_eq!(sweep.begin(20, now), Some((10, 20)));
        assert_eq!(sweep.end(20, &[event(12), event(15)]), Some(15));
        // It is read again, and known from then on.
        sweep.rewind(Some(14));
        sweep.read((15, 20), 400, Manner::InRange, &[event(15)], now);
        for _ in 2..LOOKS.len() - 1 {
            now += LOOKS[LOOKS.len() - 1];
            assert_eq!(sweep.begin(20, now), Some((10, 20)));
            assert_eq!(sweep.end(20, &[event(12), event(15)]), None);
        }
        now += LOOKS[LOOKS.len() - 1];
        assert_eq!(sweep.begin(20, now), None);
    }

    #[test]
    fn blocks_that_were_named_by_their_hash_are_looked_at_rarely() {
        let mut sweep = Sweep::new(POLL);
        let mut now = Instant::now();
        sweep.read((10, 20), 20, Manner::ByHash, &[], now);
        now += LOOKS[2];
        assert_eq!(sweep.begin(20, now), None);
        now += LOOKS[LOOKS.len() - 1];
        assert_eq!(sweep.begin(20, now), Some((10, 20)));
    }

    #[test]
    fn blocks_that_may_contain_events_are_looked_at_soon() {
        let mut sweep = Sweep::new(POLL);
        let start = Instant::now();
        sweep.read((10, 30), 30, Manner::ByHash, &[], start);
        sweep.asked(12, start);
        sweep.asked(15, start + TOGETHER / 2);
        sweep.asked(20, start + TOGETHER);
        assert_eq!(sweep.due(), start + SOON[0]);
        assert_eq!(sweep.begin_soon(start), None);
        let mut now = start;
        for pause in SOON {
            now = start + pause;
            assert_eq!(sweep.begin_soon(now), Some((12, 15)));
            assert_eq!(sweep.begin_soon(now), None);
            now += TOGETHER;
            assert_eq!(sweep.begin_soon(now), Some((20, 20)));
        }
        assert_eq!(sweep.begin_soon(now + SOON[SOON.len() - 1]), None);
        assert_eq!(sweep.missed(u64::MAX, &[event(15)]), Some(15));
        // What is read again is looked at again by that.
        sweep.asked(15, now);
        sweep.rewind(Some(14));
        assert_eq!(sweep.begin_soon(now + SOON[0]), None);
    }

    #[test]
    fn a_range_near_the_head_is_read_again_with_the_next_one() {
        let mut sweep = Sweep::new(POLL);
        let mut now = Instant::now();
        sweep.read((10, 18), 19, Manner::InUnsureRange, &[event(12)], now);
        now += LOOKS[2];
        assert_eq!(sweep.begin(7, now), None, "no look of its own");
        assert_eq!(sweep.again(20), 10);
        assert_eq!(sweep.again(10 + AGAIN + 1), 10 + AGAIN + 1);
        assert_eq!(sweep.missed(20, &[event(12), event(21)]), None);
        assert_eq!(sweep.missed(20, &[event(12), event(14)]), Some(14));
        assert_eq!(sweep.begin_unsure(now), Some(10), "no next range came");
        sweep.read((10, 18), 19, Manner::InUnsureRange, &[event(12)], now);
        // The head is read by its hash, and the range before it waits for the next one.
        sweep.read((19, 19), 19, Manner::ByHash, &[], now);
        assert_eq!(sweep.again(20), 10);
        assert_eq!(sweep.begin_unsure(now), None);
        assert_eq!(sweep.begin_unsure(now + UNSURE * POLL), Some(10));
    }
}
