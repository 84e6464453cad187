//! Values on the command line that have a unit, a bound or a form of their own.
//!
//! Each function is a parser for clap: it gives the value, or says in words what was expected. So a value that has been
//! read is valid, and the commands do not check again. A time without a unit is in seconds and a size without one in
//! bytes; ether and gwei are decimal numbers.

use cid::Cid;
use std::{str::FromStr, time::Duration};

/// Fewest bytes of memory of a run: one page of WebAssembly.
const LEAST_MEMORY: u64 = 65_536;
/// Most bytes of memory of a run: all that a program can address.
const MOST_MEMORY: u64 = 4 << 30;
/// Last second that a clock of 64 bits can show, which counts nanoseconds since 1970.
const LAST_SECOND: u64 = u64::MAX / 1_000_000_000;
/// Longest time that a command waits.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest entry delay that the engine accepts, in seconds: ten years.
const LONGEST_DELAY: u64 = 3650 * 24 * 3600;

/// What `--time` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockTime {
    /// The time of this machine when the command begins.
    Now,
    /// Seconds since 1970.
    Unix(u64),
}

impl FromStr for ClockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let wrong = || "expected now, or a number of seconds since 1970 such as 1767225600".into();
        match text.parse().map_err(|_| wrong()) {
            Ok(second) if second > LAST_SECOND => Err(format!(
                "a program's clock ends at second {LAST_SECOND}, in the year 2554"
            )),
            second => second.map(Self::Unix),
        }
    }
}

/// A number of bytes, with or without a unit.
///
/// # Errors
/// In words, when it is none.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a number of bytes such as 1048576 or 1MiB, got {text:?}");
    let (number, unit) = split(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Bytes of memory of a run.
///
/// # Errors
/// In words, when it is no number of bytes, or out of bounds.
pub fn memory(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        less if less < LEAST_MEMORY => Err(format!(
            "a program has at least one page of memory, which is {LEAST_MEMORY} bytes"
        )),
        more if more > MOST_MEMORY => Err(format!(
            "a program can have at most 4GiB of memory, which is {MOST_MEMORY} bytes"
        )),
        bytes => Ok(bytes),
    }
}

/// Bytes of stack of a run.
///
/// # Errors
/// In words, when it is no number of bytes, or out of bounds.
pub fn stack(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        more if more > rings_compute::MAX_STACK => Err(format!(
            "a program can have at most {}MiB of stack, which is {} bytes",
            rings_compute::MAX_STACK >> 20,
            rings_compute::MAX_STACK
        )),
        0 => Err("a program needs some stack".into()),
        bytes => Ok(bytes),
    }
}

/// A time to wait: seconds unless it has another unit.
///
/// # Errors
/// In words, when it is not a time, or is zero.
pub fn wait(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the time must not be 0; give at least 1ms".into()),
        long if long > LONGEST_WAIT => Err("the longest time is 365d".into()),
        time => Ok(time),
    }
}

/// Seconds until an entry into a ring counts.
///
/// # Errors
/// In words, when it is no time, or out of bounds.
pub fn delay(text: &str) -> Result<u64, String> {
    match duration(text)? {
        part if part.subsec_nanos() != 0 => Err("an entry delay is a number of seconds".into()),
        long if long.as_secs() > LONGEST_DELAY => Err(format!(
            "the longest entry delay is 3650d, which is {LONGEST_DELAY} seconds"
        )),
        time => Ok(time.as_secs()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time such as 90, 90s, 5m, 2h or 500ms, got {text:?}");
    let (number, unit) = split(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = number.checked_mul(milliseconds).ok_or_else(wrong)?;
    Ok(Duration::from_millis(milliseconds))
}

/// Digits, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number, unit.trim_start())
}

/// A time as it is shown: in seconds, or below one in milliseconds.
pub fn shown(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

/// A CID, also in the forms `ipfs://CID` and `/ipfs/CID`.
///
/// # Errors
/// In words, when it is none.
pub fn cid(text: &str) -> Result<Cid, String> {
    let bare = ["ipfs://", "/ipfs/"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    let bare = bare.unwrap_or(text).trim_end_matches('/');
    bare.parse()
        .map_err(|error| format!("{text:?} is not a CID: {error}"))
}

/// Wei in a decimal number of ether.
///
/// # Errors
/// In words, when it is none.
pub fn ether(text: &str) -> Result<u128, String> {
    decimal::<18>(text, "ether such as 0.05")
}

/// Wei in a decimal number of gwei.
///
/// # Errors
/// In words, when it is none.
pub fn gwei(text: &str) -> Result<u128, String> {
    decimal::<9>(text, "gwei such as 500")
}

/// A decimal number, in units of which 10 to the power of `DIGITS` are one.
fn decimal<const DIGITS: usize>(text: &str, of: &str) -> Result<u128, String> {
    let wrong = || format!("expected a number of {of}, got {text:?}");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let good = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > DIGITS || !good(whole) || !good(part) {
        return Err(wrong());
    }
    format!("{whole}{part:0<DIGITS$}")
        .parse()
        .map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_set_by_now_or_by_a_number() {
        assert_eq!("now".parse(), Ok(ClockTime::Now));
        assert_eq!("1767225600".parse(), Ok(ClockTime::Unix(1_767_225_600)));
        assert_eq!("18446744073".parse(), Ok(ClockTime::Unix(LAST_SECOND)));
        let late = "18446744074".parse::<ClockTime>().unwrap_err();
        assert!(late.contains("18446744073"), "{late}");
        for wrong in ["", "-1", "1.5", "Now", "today"] {
            assert!(wrong.parse::<ClockTime>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_have_units() {
        for (text, number) in [
            ("1", 1),
            ("1GiB", 1 << 30),
            ("1 GiB", 1 << 30),
            ("64k", 65_536),
            ("2MB", 2_000_000),
            ("3B", 3),
        ] {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for wrong in ["", "GiB", "1XB", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(memory("4GiB"), Ok(4 << 30));
        assert!(memory("5GiB").unwrap_err().contains("4GiB"));
        assert!(memory("1").unwrap_err().contains("65536"));
        assert_eq!(stack("16MiB"), Ok(16 << 20));
        assert!(stack("17MiB").unwrap_err().contains("16MiB"));
        assert!(stack("0").is_err());
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(wait(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(wait("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "0ms", "", "m", "-1", "1y", "366d", "1.5h"] {
            assert!(wait(wrong).is_err(), "{wrong}");
        }
        assert_eq!(delay("1d"), Ok(86_400));
        assert_eq!(delay("0"), Ok(0));
        assert!(delay("3651d").unwrap_err().contains("3650d"));
        assert!(delay("18446744073709551615").is_err());
        assert_eq!(shown(Duration::from_secs(60)), "60 s");
        assert_eq!(shown(Duration::from_millis(1500)), "1500 ms");
    }

    #[test]
    fn a_cid_may_be_a_link() {
        let plain = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
        for form in [
            plain.to_owned(),
            format!("ipfs://{plain}"),
            format!("/ipfs/{plain}/"),
        ] {
            assert_eq!(cid(&form).unwrap().to_string(), plain, "{form}");
        }
        assert!(cid("ipfs://nonsense").is_err());
    }

    #[test]
    fn ether_is_read_exactly() {
        assert_eq!(ether("0.05"), Ok(50_000_000_000_000_000));
        assert_eq!(ether("3"), Ok(3_000_000_000_000_000_000));
        assert_eq!(ether("1.000000000000000001"), Ok(1_000_000_000_000_000_001));
        for wrong in [
            "",
            ".5",
            "-1",
            "1e3",
            "1.0000000000000000001",
            "x",
            "9".repeat(40).as_str(),
        ] {
            assert!(ether(wrong).is_err(), "{wrong}");
        }
    }
}
