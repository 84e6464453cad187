//! Who can change the membership of a ring, and how fast: as the command line gives it, and as it is shown.
//!
//! [`TermsArgs`] are the options of commands that make a ring (`up`, `deploy`). [`KeepingView`] is what `status`, `ring
//! show` and `verify` show of an existing one, read from the chain: kept or self-kept, the delay, the fork rule, and
//! pending entries. It is shown wherever a result is shown as verified, because a result is worth as much as the list
//! of members.

use super::{args::values::delay, exit::ExitError};
use clap::{Args, ValueEnum};
use rings_chain::{ForkRule, Keeping, RingState, RingTerms};
use rings_member::clock;
use rings_protocol::Address;
use serde::Serialize;
use std::fmt::{self, Display};

/// Seconds until an entry counts in a ring that `rings deploy` makes, unless told otherwise: one day, in which members
/// can see it and leave.
pub const DEPLOY_ENTRY_DELAY: u64 = 24 * 3600;

/// Options of commands that make a ring.
#[derive(Debug, Clone, Args)]
pub struct TermsArgs {
    /// Account that may let members in and out [default: the account that pays; of `up`: that of the client in DIR]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "self_kept")]
    keeper: Option<Address>,
    /// No keeper: only two thirds of the members together change the membership
    #[arg(long)]
    self_kept: bool,
    /// Time until what the keeper does counts: seconds, or such as 12h, at most 3650d; it never changes [default: 0 for `up`, 86400 for `deploy`]
    #[arg(long, value_name = "TIME", value_parser = delay)]
    entry_delay: Option<u64>,
    /// What a proven fork does to its author: it is a member no longer, or its log stands still
    #[arg(long, value_name = "RULE", default_value = "remove")]
    fork_rule: Rule,
}

/// `--fork-rule`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    Remove,
    Freeze,
}

impl TermsArgs {
    /// The terms, with the keeper and the delay (in seconds) that hold where none is given.
    pub fn terms(&self, keeper: Address, entry_delay: u64) -> RingTerms {
        RingTerms {
            keeper: (!self.self_kept).then(|| self.keeper.unwrap_or(keeper)),
            entry_delay: self.entry_delay.unwrap_or(entry_delay),
            fork_rule: match self.fork_rule {
                Rule::Remove => ForkRule::Remove,
                Rule::Freeze => ForkRule::Freeze,
            },
        }
    }

    /// The defaults, for a throw-away ring.
    pub fn none() -> Self {
        Self {
            keeper: None,
            self_kept: false,
            entry_delay: None,
            fork_rule: Rule::Remove,
        }
    }

    /// Whether something else than the defaults is asked for.
    ///
    /// # Errors
    /// One line, status 2, if it is: a ring that exists keeps its terms.
    pub fn refuse_for_ring_there(&self, root: impl Display) -> Result<(), ExitError> {
        let asks = self.keeper.is_some()
            || self.self_kept
            || self.entry_delay.is_some()
            || self.fork_rule != Rule::Remove;
        match asks {
            false => Ok(()),
            true => Err(ExitError::usage(format!(
                "the ring in {root} has its terms already (`rings ring show`); leave --keeper, --self-kept, --entry-delay and --fork-rule out, or start another with --dir"
            ))),
        }
    }
}

/// Who can change the membership; also the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeepingView {
    /// `null` where two thirds of the members do it themselves.
    pub keeper: Option<Address>,
    /// Seconds.
    pub entry_delay: u64,
    pub fork_rule: ForkRule,
    /// Signatures needed now, and the number of members that they are counted from.
    pub quorum: u64,
    pub counted: u64,
    pub pending: Vec<PendingView>,
}

/// An entry that does not count yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingView {
    pub member: Address,
    /// Unix seconds from which on anybody can make it count.
    pub settles_at: u64,
}

impl KeepingView {
    /// Read from the chain's state of the ring.
    pub fn of(state: &RingState) -> Self {
        let Keeping {
            keeper,
            entry_delay,
            fork_rule,
            pending,
        } = &state.keeping;
        let pending = pending.iter().map(|entry| PendingView {
            member: entry.member,
            settles_at: entry.settles_at,
        });
        Self {
            keeper: *keeper,
            entry_delay: *entry_delay,
            fork_rule: *fork_rule,
            quorum: state.quorum,
            counted: state.counted,
            pending: pending.collect(),
        }
    }

    /// The announced entries, each with the time until it counts.
    fn settles(&self, now: u64) -> String {
        let mut text = String::new();
        for entry in &self.pending {
            let when = match entry.settles_at.saturating_sub(now) {
                0 => "counts as soon as anybody settles it".to_owned(),
                seconds => format!("counts in {seconds} s"),
            };
            text.push_str(&format!("\npending {}  {when}", entry.member));
        }
        text
    }
}

/// One line, and one for each pending entry.
impl Display for KeepingView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keeper {
            Some(keeper) => write!(
                f,
                "kept by {keeper}: an entry counts after {} s; two thirds of the members can change everything",
                self.entry_delay
            )?,
            None => f.write_str(
                "self-kept: only two thirds of the members change the membership",
            )?,
        }
        match self.fork_rule {
            ForkRule::Remove => f.write_str("; a proven fork removes its author")?,
            ForkRule::Freeze => f.write_str("; a proven fork freezes its author's log")?,
        }
        f.write_str(&self.settles(clock::seconds()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        terms: TermsArgs,
    }

    fn terms(line: &[&str]) -> Option<RingTerms> {
        let line = Line::try_parse_from([&["x"], line].concat()).ok()?;
        Some(line.terms.terms(Address([1; 20]), 7))
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let default = RingTerms {
            keeper: Some(Address([1; 20])),
            entry_delay: 7,
            fork_rule: ForkRule::Remove,
        };
        assert_eq!(terms(&[]), Some(default));
        let own = terms(&["--self-kept", "--fork-rule", "freeze", "--entry-delay", "9"]).unwrap();
        assert_eq!((own.keeper, own.entry_delay), (None, 9));
        assert_eq!(own.fork_rule, ForkRule::Freeze);
        let other = Address([2; 20]).to_string();
        assert_eq!(
            terms(&["--keeper", &other]).unwrap().keeper,
            Some(Address([2; 20]))
        );
        assert_eq!(terms(&["--keeper", &other, "--self-kept"]), None);
        assert_eq!(terms(&["--fork-rule", "ignore"]), None);
    }

    #[test]
    fn a_line_says_who_can_change_the_membership() {
        let mut view = KeepingView {
            keeper: Some(Address([1; 20])),
            entry_delay: 60,
            fork_rule: ForkRule::Remove,
            quorum: 4,
            counted: 5,
            pending: vec![PendingView {
                member: Address([3; 20]),
                settles_at: 0,
            }],
        };
        let text = view.to_string();
        let keeper = format!("kept by {}: an entry counts after 60 s", Address([1; 20]));
        assert!(text.starts_with(&keeper), "{text}");
        assert!(
            text.contains(&format!("\npending {}", Address([3; 20]))),
            "{text}"
        );
        view.keeper = None;
        assert!(view.to_string().starts_with("self-kept"), "{view}");
    }
}
