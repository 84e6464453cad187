//! The one place that writes to the terminal: results on standard output, all else on standard error.

use super::failure::{Failure, Status};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// How often a moving sign moves.
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
    pub fn line(&self, line: impl Display) -> Result<(), Failure> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// A value as JSON on one line of standard output.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::internal("the answer cannot be written").because(error))?;
        self.line(text)
    }

    /// Bytes of the result, on standard output.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::said(Status::Done),
            _ => Failure::internal("cannot write to standard output").because(error),
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
        // Standard error may be closed. There is nobody left to tell then, and the work goes on.
        drop(writeln!(io::stderr().lock(), "{line}"));
    }

    /// The line of a failure, and its causes if verbose.
    pub fn failure(&self, failure: &Failure) {
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

    /// Something that takes a while: a moving sign on a terminal, a line elsewhere.
    pub fn step(&self, what: impl Display) -> Step {
        if self.quiet {
            return Step::hidden();
        }
        if !self.terminal {
            self.warn(&what);
            return Step::hidden();
        }
        let bar = ProgressBar::new_spinner().with_message(what.to_string());
        bar.enable_steady_tick(TICK);
        Step { bar }
    }

    /// The same, with a bar that fills up to `bytes` on a terminal.
    pub fn transfer(&self, what: impl Display, bytes: u64) -> Step {
        let step = self.step(what);
        if self.terminal && !self.quiet {
            step.bar.set_length(bytes);
            let template = "{spinner} {msg} {bar:30} {bytes}/{total_bytes}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                step.bar.set_style(style);
            }
        }
        step
    }
}

/// Something under way. The sign goes when this is dropped.
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

    /// So many bytes more are done.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
