//! What this member has counted since it was started: votes, gates by outcome, registrations by outcome, divergences,
//! and how long gates took.
//!
//! The core counts; `metrics.rs` shows it. Every series is there from the start, with 0, so that whoever watches can
//! tell "never" from "not measured". Counters only rise, and begin again at 0 with the process, as Prometheus expects.
//! The names are an interface: alert rules and the dashboard in `docs/operate` use them, and a test compares.

use crate::execute::Opinions;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use std::time::Duration;

/// The label of an outcome.
const OUTCOME: &str = "outcome";
/// Upper bounds of the buckets of durations, in seconds: from a result on a chain of one's own to one that took an hour.
const SECONDS: [f64; 12] = [
    0.1, 0.3, 1.0, 3.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
];

/// Labels of a series.
type Labels = [(&'static str, &'static str); 1];

/// How a gate ended for this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateOutcome {
    /// Its outputs are on chain.
    Resolved,
    /// The ring has agreed that the program failed.
    Failed,
    /// This member does not compute it; the reason is in its log and in `rings gate show`.
    Declined,
    /// This machine could not compute it now, and tries again.
    Fault,
}

/// How an attempt to register a result ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmissionOutcome {
    /// The transaction is in a block.
    Mined,
    /// Another member was first, so nothing was sent.
    Foreseen,
    /// The contract refused it.
    Reverted,
    /// It could not be sent: no ether, or the chain cannot be reached.
    Failed,
}

impl GateOutcome {
    const ALL: [Self; 4] = [Self::Resolved, Self::Failed, Self::Declined, Self::Fault];

    fn labels(self) -> Labels {
        let name = match self {
            Self::Resolved => "resolved",
            Self::Failed => "failed",
            Self::Declined => "declined",
            Self::Fault => "fault",
        };
        [(OUTCOME, name)]
    }
}

impl SubmissionOutcome {
    const ALL: [Self; 4] = [Self::Mined, Self::Foreseen, Self::Reverted, Self::Failed];

    fn labels(self) -> Labels {
        let name = match self {
            Self::Mined => "mined",
            Self::Foreseen => "foreseen",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
        };
        [(OUTCOME, name)]
    }
}

/// Numbers that only rise, since the start of this process.
#[derive(Debug)]
pub struct Counters {
    votes: Counter,
    resolved: Counter,
    diverged: Counter,
    ring_nodes: Counter,
    listed: Counter,
    gates: Family<Labels, Counter>,
    submissions: Family<Labels, Counter>,
    opinions: Family<Labels, Counter>,
    durations: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        let counters = Self {
            votes: Counter::default(),
            resolved: Counter::default(),
            diverged: Counter::default(),
            ring_nodes: Counter::default(),
            listed: Counter::default(),
            gates: Family::default(),
            submissions: Family::default(),
            opinions: Family::default(),
            durations: Histogram::new(SECONDS),
        };
        for outcome in GateOutcome::ALL {
            drop(counters.gates.get_or_create(&outcome.labels()));
        }
        for outcome in SubmissionOutcome::ALL {
            drop(counters.submissions.get_or_create(&outcome.labels()));
        }
        counters.asked(Opinions::default());
        counters
    }
}

impl Counters {
    /// Counts votes that were signed and are on disk.
    pub fn voted(&self, count: usize) {
        self.votes.inc_by(count as u64);
    }

    /// A gate has ended for this member.
    pub fn gate(&self, outcome: GateOutcome) {
        if matches!(outcome, GateOutcome::Resolved | GateOutcome::Failed) {
            self.resolved.inc();
        }
        self.gates.get_or_create(&outcome.labels()).inc();
    }

    /// A gate got its result; `duration` is the time since it was ready.
    pub fn took(&self, duration: Duration) {
        self.durations.observe(duration.as_secs_f64());
    }

    /// An attempt to register a result has ended.
    pub fn submission(&self, outcome: SubmissionOutcome) {
        self.submissions.get_or_create(&outcome.labels()).inc();
    }

    /// The second engine was asked about runs.
    pub fn asked(&self, opinions: Opinions) {
        for (name, count) in [("agreed", opinions.agreed), ("silent", opinions.silent)] {
            let labels = [(OUTCOME, name)];
            self.opinions.get_or_create(&labels).inc_by(count);
        }
    }

    /// A member has voted for another result than the one on chain, or for two.
    pub fn diverged(&self) {
        self.diverged.inc();
    }

    /// A ring node was seen on chain; it lists `entries` entries.
    pub fn listed(&self, entries: u64) {
        self.ring_nodes.inc();
        self.listed.inc_by(entries);
    }

    /// Puts all of it among the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let single = [
            ("votes", "Votes signed", &self.votes),
            (
                "gates_resolved",
                "Gates of this ring that were resolved",
                &self.resolved,
            ),
            (
                "divergences",
                "Votes of members for another result than the one on chain",
                &self.diverged,
            ),
            (
                "ring_nodes",
                "Ring nodes that were seen on chain",
                &self.ring_nodes,
            ),
            (
                "entries_listed",
                "Results and decisions that those ring nodes list",
                &self.listed,
            ),
        ];
        for (name, help, counter) in single {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "gates",
            "Gates by how they ended for this member",
            self.gates.clone(),
        );
        registry.register(
            "submissions",
            "Attempts to register a result, by how they ended",
            self.submissions.clone(),
        );
        registry.register(
            "second_opinions",
            "Runs that were repeated on the second engine, by what it said",
            self.opinions.clone(),
        );
        registry.register(
            "gate_duration_seconds",
            "Time from a gate that is ready to its result on chain",
            self.durations.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn text(counters: &Counters) -> String {
        let mut registry = Registry::with_prefix("rings");
        counters.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn every_series_is_there_before_anything_has_happened() {
        let text = text(&Counters::default());
        for line in [
            "rings_votes_total 0",
            "rings_gates_resolved_total 0",
            "rings_divergences_total 0",
            "rings_ring_nodes_total 0",
            "rings_entries_listed_total 0",
            "rings_gates_total{outcome=\"resolved\"} 0",
            "rings_gates_total{outcome=\"failed\"} 0",
            "rings_gates_total{outcome=\"declined\"} 0",
            "rings_gates_total{outcome=\"fault\"} 0",
            "rings_submissions_total{outcome=\"mined\"} 0",
            "rings_submissions_total{outcome=\"foreseen\"} 0",
            "rings_submissions_total{outcome=\"reverted\"} 0",
            "rings_submissions_total{outcome=\"failed\"} 0",
            "rings_second_opinions_total{outcome=\"agreed\"} 0",
            "rings_second_opinions_total{outcome=\"silent\"} 0",
            "rings_gate_duration_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_counted_is_shown() {
        let counters = Counters::default();
        counters.voted(3);
        counters.gate(GateOutcome::Failed);
        counters.gate(GateOutcome::Declined);
        counters.submission(SubmissionOutcome::Mined);
        counters.diverged();
        counters.listed(7);
        counters.took(Duration::from_millis(2500));
        counters.asked(Opinions {
            agreed: 2,
            silent: 0,
        });
        let text = text(&counters);
        for line in [
            "rings_votes_total 3",
            "rings_gates_resolved_total 1",
            "rings_gates_total{outcome=\"failed\"} 1",
            "rings_gates_total{outcome=\"declined\"} 1",
            "rings_submissions_total{outcome=\"mined\"} 1",
            "rings_divergences_total 1",
            "rings_second_opinions_total{outcome=\"agreed\"} 2",
            "rings_ring_nodes_total 1",
            "rings_entries_listed_total 7",
            "rings_gate_duration_seconds_bucket{le=\"1.0\"} 0",
            "rings_gate_duration_seconds_bucket{le=\"3.0\"} 1",
            "rings_gate_duration_seconds_sum 2.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
