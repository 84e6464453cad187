//! Times as people read them.

use std::fmt::{self, Display};

const SECONDS_OF_DAY: u64 = 24 * 3600;
/// Days of 400 years, after which the calendar repeats.
const DAYS_OF_ERA: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;

/// Seconds since 1970, shown as date and time in UTC, such as `2026-01-01 00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When(pub u64);

impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / SECONDS_OF_DAY);
        let second = self.0 % SECONDS_OF_DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Hour and minute of a time in seconds since 1970, in UTC.
pub fn time_of_day(seconds: u64) -> String {
    let minutes = seconds % SECONDS_OF_DAY / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Year, month and day of the Gregorian calendar. Years begin in March here, so that a leap day is a year's last day
/// (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (86_399, "1970-01-01 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (951_868_800, "2000-03-01 00:00:00Z"),
            (1_767_225_600, "2026-01-01 00:00:00Z"),
            (1_234_567_890, "2009-02-13 23:31:30Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(When(seconds).to_string(), text);
            assert_eq!(time_of_day(seconds), text[11..16]);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = date(0);
        for days in 1..73_000 {
            let (year, month, day) = before;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match (day < length, month < 12) {
                (true, _) => (year, month, day + 1),
                (false, true) => (year, month + 1, 1),
                (false, false) => (year + 1, 1, 1),
            };
            before = date(days);
            assert_eq!(before, expected);
        }
    }
}
