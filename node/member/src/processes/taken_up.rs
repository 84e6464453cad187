//! When open runs are looked for on the disk: not at each step, for there may be thousands that have no room in memory.

/// Open runs are looked for again when one in so many of those in memory has gone, so that looking costs little for each.
const SHARE_GONE: usize = 8;

/// What was found when open runs were looked for.
pub(super) struct TakenUp {
    /// How often runs had come to be open.
    pub opened: u64,
    /// The runs in memory then, if there were more than these.
    pub full: Option<usize>,
}

impl TakenUp {
    /// Whether there may be others now, when so many runs are in memory.
    pub fn is_old(&self, opened: u64, runs: usize) -> bool {
        let has_room = |then: usize| {
            let gone = then.saturating_sub(runs);
            runs == 0 || gone >= (then / SHARE_GONE).max(1)
        };
        self.opened != opened || self.full.is_some_and(has_room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_runs_are_looked_for_once_for_each_share_of_those_in_memory() {
        let all = TakenUp {
            opened: 1,
            full: None,
        };
        assert!(!all.is_old(1, 40) && !all.is_old(1, 0));
        assert!(all.is_old(2, 40), "others have come");
        // Ten thousand that end one after the other, of which 512 have room.
        let (mut left, mut runs, mut looks) = (10_000_usize, 0_usize, 0);
        let mut taken: Option<TakenUp> = None;
        while left + runs > 0 {
            if taken.as_ref().is_none_or(|taken| taken.is_old(1, runs)) {
                looks += 1;
                let more = left.min(512 - runs);
                (left, runs) = (left - more, runs + more);
                let full = (left > 0).then_some(runs);
                taken = Some(TakenUp { opened: 1, full });
            }
            assert!(runs > 0, "some are left, and nobody looks for them");
            runs -= 1;
        }
        assert!(looks < 200, "{looks} looks");
    }
}
