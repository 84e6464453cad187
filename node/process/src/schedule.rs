//! Schedules: intervals and cron, in the time of blocks, so that all members find the same times due.

use crate::bounds::{MAX_CAUGHT_UP, MIN_INTERVAL_SECONDS};
use chrono::{DateTime, Utc};
use croner::{
    parser::{CronParser, Seconds},
    Cron,
};

/// When something is due.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// At each multiple of so many seconds since 1970.
    Every(u64),
    /// At the times of a cron pattern of five fields, in UTC.
    Cron(Box<Cron>),
}

/// Why something is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The interval is too short.
    #[error("an interval of {0} seconds; the shortest is {MIN_INTERVAL_SECONDS}")]
    Interval(u64),
    /// Not a cron pattern.
    #[error("{pattern:?} is no cron pattern ({why}); write minute, hour, day, month and weekday, such as \"0 9 * * 1\" for each Monday at nine (UTC)")]
    Cron {
        /// What was written.
        pattern: String,
        /// What the parser says.
        why: String,
    },
}

/// Times that are due, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The times, in seconds since 1970.
    pub times: Vec<u64>,
    /// Older ones that were left out, because there were more than [`MAX_CAUGHT_UP`].
    pub left_out: u64,
}

impl Schedule {
    /// An interval.
    ///
    /// # Errors
    /// [`ScheduleError::Interval`] when it is too short.
    pub fn every(seconds: u64) -> Result<Self, ScheduleError> {
        match seconds < MIN_INTERVAL_SECONDS {
            true => Err(ScheduleError::Interval(seconds)),
            false => Ok(Self::Every(seconds)),
        }
    }

    /// A cron pattern.
    ///
    /// # Errors
    /// [`ScheduleError::Cron`] when it is none.
    pub fn cron(pattern: &str) -> Result<Self, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|error| ScheduleError::Cron {
            pattern: pattern.to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self::Cron(Box::new(cron)))
    }

    /// The first time after `time`, if there is one.
    pub fn next(&self, time: u64) -> Option<u64> {
        match self {
            Self::Every(seconds) => time
                .checked_div(*seconds)?
                .checked_add(1)?
                .checked_mul(*seconds),
            Self::Cron(cron) => {
                let time = DateTime::<Utc>::from_timestamp(i64::try_from(time).ok()?, 0)?;
                let next = cron.find_next_occurrence(&time, false).ok()?;
                u64::try_from(next.timestamp()).ok()
            }
        }
    }

    /// What is due by the time `now` of a block, when everything up to `after` was taken up before.
    pub fn due(&self, after: u64, now: u64) -> Due {
        let mut due = Due::default();
        let mut from = after;
        // Each multiple of the interval that is too old is counted and not gone through.
        if let Self::Every(seconds) = self {
            let all = (now / seconds).saturating_sub(after / seconds);
            due.left_out = all.saturating_sub(MAX_CAUGHT_UP as u64);
            from = after.saturating_add(due.left_out.saturating_mul(*seconds));
        }
        while let Some(next) = self.next(from).filter(|next| *next <= now) {
            if due.times.len() == MAX_CAUGHT_UP {
                due.times.remove(0);
                due.left_out += 1;
            }
            due.times.push(next);
            from = next;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_interval_is_counted_from_1970_and_not_from_when_it_was_seen() {
        let minute = Schedule::every(60).unwrap();
        assert_eq!(minute.due(59, 60).times, [60]);
        assert_eq!(minute.due(60, 119).times, [0; 0]);
        assert_eq!(minute.due(61, 200).times, [120, 180]);
        let late = minute.due(0, 60 * (MAX_CAUGHT_UP as u64 + 5));
        assert_eq!(
            (late.times.len(), late.left_out, late.times[0]),
            (MAX_CAUGHT_UP, 5, 360)
        );
        assert!(Schedule::every(0).is_err());
    }

    #[test]
    fn cron_is_of_five_fields_in_utc() {
        // 2023-11-14 22:13:20 is a Tuesday.
        let tuesday = 1_700_000_000;
        let monday_at_nine = Schedule::cron("0 9 * * 1").unwrap();
        assert_eq!(monday_at_nine.next(tuesday), Some(1_700_470_800));
        assert_eq!(
            monday_at_nine.next(1_700_470_800),
            Some(1_700_470_800 + 7 * 86_400)
        );
        for wrong in ["", "0 9 * *", "0 0 9 * * 1", "61 * * * *", "every day"] {
            let told = Schedule::cron(wrong).unwrap_err().to_string();
            assert!(told.contains("is no cron pattern"), "{told}");
        }
        let never = Schedule::cron("0 0 30 2 *");
        assert!(never.map_or(true, |never| never.next(tuesday).is_none()));
    }

    proptest! {
        /// However the time of blocks goes on, the same times are due, each once.
        #[test]
        fn how_often_one_looks_changes_nothing(steps in prop::collection::vec(1u64..200, 1..20), seconds in 1u64..90) {
            let schedule = Schedule::every(seconds).unwrap();
            let mut now = 1_700_000_000;
            let start = now;
            let mut found = Vec::new();
            for step in steps {
                found.extend(schedule.due(now, now + step).times);
                now += step;
            }
            let all = schedule.due(start, now);
            prop_assume!(all.left_out == 0);
            prop_assert_eq!(found, all.times);
        }
    }
}
