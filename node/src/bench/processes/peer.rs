//! Another engine for durable workflows, beside the chain of ten tasks. Its program measures itself, for only it knows when its
//! chain begins and ends.

use crate::exit::{Context, ExitError, ExitStatus};
use std::{path::Path, time::Duration};
use tokio::process::Command;

/// Longest time for the program.
const PATIENCE: Duration = Duration::from_secs(300);

/// The time of a chain of ten steps: what the program prints last, in milliseconds.
///
/// # Errors
/// When it cannot be run, fails, or prints something else.
pub async fn measure(program: &Path) -> Result<Duration, ExitError> {
    let failed = || format!("{} does not tell its time", program.display());
    let run = Command::new(program).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, run).await;
    let output = output.context(ExitStatus::Unavailable, failed())?;
    let output = output.context(ExitStatus::Unavailable, failed())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let time = time(&text).filter(|_| output.status.success());
    time.ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        ExitError::unavailable(format!(
            "{}: it ended with {}; its last line has to be a number of milliseconds; it said: {last}",
            failed(),
            output.status
        ))
    })
}

fn time(text: &str) -> Option<Duration> {
    let last = text.lines().last()?.trim();
    let milliseconds: f64 = last.parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1_000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_a_number_of_milliseconds() {
        assert_eq!(time("warm\n12.5\n"), Some(Duration::from_micros(12_500)));
        for wrong in ["", "12.5 ms", "12.5\nover", "-1", "NaN"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
