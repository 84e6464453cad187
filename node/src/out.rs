//! The only place that writes to the terminal: results to standard output, everything else to standard error.
//!
//! Names of files and programs, standard error and log lines may come from untrusted sources. So in every line that is
//! written here, control characters are escaped. The bytes of a result and JSON are for programs and are not changed.
//!
//! An [`Out`] is copied to whoever has something to tell. `--quiet` leaves out progress and never a result or a
//! failure. A reader of standard output that has gone (`| head`) ends the program without an error. On a terminal a
//! [`Step`] is a spinner, elsewhere a line; `interrupted.rs` clears it when a signal ends the program.

use super::{
    exit::{ExitError, ExitStatus},
    interrupted::clear_in_the_end,
};
use indicatif::{ProgressBar, ProgressStyle};
use rings_compute::escape_for_terminal;
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// What may be written, and how.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    quiet: bool,
    verbose: bool,
    terminal: bool,
}

impl Out {
    /// Progress is written unless `quiet`; causes of errors if `verbose`.
    pub fn new(quiet: bool, verbose: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self {
            quiet,
            verbose,
            terminal,
        }
    }

    /// A line of the result, on standard output.
    ///
    /// # Errors
    /// When it cannot be written. A reader that has gone ends the program quietly.
    pub fn line(&self, line: impl Display) -> Result<(), ExitError> {
        let line = escape_for_terminal(line.to_string());
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// A value as JSON on one line of standard output.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn json(&self, value: &impl serde::Serialize) -> Result<(), ExitError> {
        let text = serde_json::to_string(value)
            .map_err(|error| ExitError::internal("the answer cannot be written").because(error))?;
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Bytes of the result, on standard output.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), ExitError> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ExitError::said(ExitStatus::Done),
            _ => ExitError::internal("cannot write to standard output").because(error),
        })
    }

    /// A line about what happens, on standard error, unless quiet.
    pub fn note(&self, line: impl Display) {
        if !self.quiet {
            self.warn(line);
        }
    }

    /// A line that must be seen, on standard error.
    pub fn warn(&self, line: impl Display) {
        // If standard error is closed, the line is lost and the work goes on.
        let line = escape_for_terminal(line.to_string());
        drop(writeln!(io::stderr().lock(), "{line}"));
    }

    /// The line of a failure, and its causes if verbose.
    pub fn failure(&self, failure: &ExitError) {
        let Some(line) = failure.line() else {
            return;
        };
        self.warn(line);
        if self.verbose {
            for cause in failure.causes() {
                self.warn(format_args!("  caused by: {cause}"));
            }
        }
    }

    /// Something that takes a while: a spinner on a terminal, a line elsewhere.
    pub fn step(&self, what: impl Display) -> Step {
        if self.quiet {
            return Step::hidden();
        }
        if !self.terminal {
            self.warn(&what);
            return Step::hidden();
        }
        let bar = ProgressBar::new_spinner().with_message(escape_for_terminal(what.to_string()));
        // A line that is wider than the terminal could not be cleared.
        set_style(&bar, "{spinner} {wide_msg}");
        clear_in_the_end(&bar);
        bar.enable_steady_tick(TICK);
        Step { bar }
    }

    /// As [`Out::step`], with a bar that fills up to `bytes` on a terminal.
    pub fn transfer(&self, what: impl Display, bytes: u64) -> Step {
        let step = self.step(what);
        if self.terminal && !self.quiet {
            step.bar.set_length(bytes);
            set_style(
                &step.bar,
                "{spinner} {wide_msg} {bar:20} {bytes}/{total_bytes}",
            );
        }
        step
    }
}

fn set_style(bar: &ProgressBar, template: &str) {
    // The templates are those above, and are valid.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// A number and the noun that belongs to it, which forms its plural with an s.
pub fn count<N: TryInto<u64>>(number: N, noun: &str) -> String {
    // More than a number of this size holds is not shown as one thing.
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Something in progress. The spinner disappears when this is dropped.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
}

impl Step {
    fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// Records that `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(count(0u64, "member"), "0 members");
        assert_eq!(count(1usize, "member"), "1 member");
        assert_eq!(count(5u64, "member"), "5 members");
    }

    #[test]
    fn the_styles_are_valid() {
        for template in [
            "{spinner} {wide_msg}",
            "{spinner} {wide_msg} {bar:20} {bytes}/{total_bytes}",
        ] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
