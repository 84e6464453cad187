//! Compares the results of two engines for the same task.
//!
//! A member can have a sample of its runs computed on a second engine (`second.rs`). The first run's outcome and the
//! hashes of what it wrote are a [`Witnessed`], which a [`HashedOutput`] makes on the way. [`compare`] holds the two
//! against each other and gives an [`Opinion`]: they agree; they differ, and then one engine is wrong and the member
//! must not vote; or they cannot be compared, as when a program ran out of fuel, which the engines count differently.

use crate::{
    outcome::{Outcome, Reason},
    streams::OutputSink,
};
use async_trait::async_trait;
use bytes::Bytes;
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{fmt, io};

/// Fuel of the second engine for each unit that the first one has used. The second engine pays for a whole block of
/// instructions when it enters the block, also for those that are jumped over, which in Go's programs are most. The limit
/// is only there to stop runs that would never end.
const FUEL_FACTOR: u64 = 1024;
/// Fuel of the second engine besides: it also pays for translating functions.
const FUEL_BASE: u64 = 1_000_000_000;

/// A run's outcome with the hashes of what it wrote: everything that the second engine has to agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// How it ended.
    pub outcome: Outcome,
    /// sha2-256 of its standard output.
    pub output: Digest,
    /// sha2-256 of the next state, if it has one.
    pub state: Option<Digest>,
}

impl Witnessed {
    /// With the hash of the next state.
    #[must_use]
    pub fn with_state(self, state: HashedOutput<'_>) -> Self {
        Self {
            state: Some(state.digest()),
            ..self
        }
    }
}

/// The second engine's answer to a result of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// The same.
    Agrees,
    /// Another result: one of the two engines is wrong, and this member must not vote.
    Differs {
        /// What the first engine says.
        first: String,
        /// What the second engine says.
        second: String,
    },
    /// Nothing: this run cannot be compared between the engines.
    Silent {
        /// Why.
        why: &'static str,
    },
}

impl fmt::Display for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees => f.write_str("the second engine agrees"),
            Self::Differs { first, second } => write!(
                f,
                "the engines differ: wasmtime says {first}, wasmi says {second}; report this program"
            ),
            Self::Silent { why } => write!(f, "the second engine says nothing: {why}"),
        }
    }
}

/// How much fuel the second engine gets.
///
/// # Errors
/// Why asking it makes no sense.
pub(crate) fn second_fuel(first: &Outcome) -> Result<u64, &'static str> {
    match reason(first) {
        Some(Reason::Fuel) => Err(NO_FUEL),
        Some(Reason::Input) => Err("the module is not a program of the profile"),
        _ => Ok(first
            .fuel
            .saturating_mul(FUEL_FACTOR)
            .saturating_add(FUEL_BASE)),
    }
}

const NO_FUEL: &str = "the program ran out of fuel, which the engines count differently";
/// Compares two results of one task.
pub(crate) fn compare(first: &Witnessed, second: &Witnessed) -> Opinion {
    for outcome in [&first.outcome, &second.outcome] {
        if reason(outcome) == Some(Reason::Fuel) {
            return Opinion::Silent { why: NO_FUEL };
        }
    }
    // Of a run that failed, the output is no part of the result.
    let same = first.outcome.result == second.outcome.result
        && first.outcome.memory == second.outcome.memory
        && first.outcome.output == second.outcome.output
        && (first.outcome.result.is_err()
            || (first.output, first.state) == (second.output, second.state));
    if same {
        return Opinion::Agrees;
    }
    Opinion::Differs {
        first: describe(first),
        second: describe(second),
    }
}

fn reason(outcome: &Outcome) -> Option<Reason> {
    outcome.result.as_ref().err().map(|failure| failure.reason)
}

/// A result in words, for the message that names what differs.
fn describe(witnessed: &Witnessed) -> String {
    let Outcome {
        result,
        memory,
        output,
        ..
    } = &witnessed.outcome;
    let digest = witnessed.output;
    match result {
        Ok(()) => format!("{output} bytes of output {digest}, {memory} bytes of memory"),
        Err(failure) => format!(
            "{} after {output} bytes of output, {memory} bytes of memory, standard error {:?}",
            failure.reason,
            String::from_utf8_lossy(&failure.stderr)
        ),
    }
}

/// Hashes output on its way to another sink.
pub struct HashedOutput<'a> {
    next: &'a mut dyn OutputSink,
    hash: Sha256,
}

impl<'a> HashedOutput<'a> {
    /// Passes everything on to `next`.
    pub fn new(next: &'a mut dyn OutputSink) -> Self {
        Self {
            next,
            hash: Sha256::new(),
        }
    }

    /// The run's result with the hash of all that it wrote.
    pub fn witness(self, outcome: Outcome) -> Witnessed {
        Witnessed {
            outcome,
            output: self.digest(),
            state: None,
        }
    }

    fn digest(self) -> Digest {
        Digest(self.hash.finalize().into())
    }
}

#[async_trait]
impl OutputSink for HashedOutput<'_> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.hash.update(&bytes);
        self.next.write(bytes).await
    }

    async fn discard(&mut self) {
        self.next.discard().await;
    }
}

/// Discards output.
pub(crate) struct Nowhere;

#[async_trait]
impl OutputSink for Nowhere {
    async fn write(&mut self, _: Bytes) -> Result<(), io::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Failure, Notes};

    fn witnessed(reason: Option<Reason>, output: u8) -> Witnessed {
        Witnessed {
            outcome: Outcome {
                result: reason.map_or(Ok(()), |reason| {
                    Err(Failure {
                        reason,
                        stderr: vec![],
                    })
                }),
                fuel: 10,
                memory: 65536,
                output: 1,
                notes: Notes::default(),
            },
            output: Digest([output; 32]),
            state: None,
        }
    }

    #[test]
    fn other_fuel_is_no_difference_and_other_output_is() {
        let first = witnessed(None, 1);
        let mut second = first.clone();
        second.outcome.fuel = 99;
        assert_eq!(compare(&first, &second), Opinion::Agrees);
        let mut moved = first.clone();
        moved.state = Some(Digest([1; 32]));
        assert!(matches!(compare(&first, &moved), Opinion::Differs { .. }));
        let other = compare(&first, &witnessed(None, 2));
        assert!(matches!(other, Opinion::Differs { .. }), "{other}");
        let mut larger = first.clone();
        larger.outcome.memory += 65536;
        assert!(matches!(compare(&first, &larger), Opinion::Differs { .. }));
    }

    #[test]
    fn another_failure_is_a_difference_and_partial_output_is_not() {
        let (exit, other) = (Reason::Exit { code: 1 }, Reason::Exit { code: 2 });
        assert_eq!(
            compare(&witnessed(Some(exit), 1), &witnessed(Some(exit), 2)),
            Opinion::Agrees
        );
        for second in [None, Some(other)] {
            let opinion = compare(&witnessed(Some(exit), 1), &witnessed(second, 1));
            assert!(matches!(opinion, Opinion::Differs { .. }), "{opinion}");
        }
    }

    #[test]
    fn fuel_is_not_compared() {
        let (ended, other) = (witnessed(Some(Reason::Fuel), 1), witnessed(None, 2));
        assert!(matches!(compare(&ended, &other), Opinion::Silent { .. }));
        assert!(matches!(compare(&other, &ended), Opinion::Silent { .. }));
        assert!(second_fuel(&ended.outcome).is_err());
        assert!(second_fuel(&witnessed(None, 1).outcome).is_ok());
    }
}
