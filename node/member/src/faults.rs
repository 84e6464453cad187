//! Faults that a test can make a member commit. The program that users run has no way to turn one on.

use rings_process::missing::given_up;
use rings_protocol::{assembly::Choice, Digest};

/// Which faults a member commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    wrong_vote: bool,
    wrong_choice: bool,
}

impl Faults {
    /// An honest member.
    pub fn none() -> Self {
        Self::default()
    }

    /// A member that votes for another result than its program gave.
    pub fn wrong_vote() -> Self {
        Self {
            wrong_vote: true,
            ..Self::default()
        }
    }

    /// A member that wants the ring to decide for documents that nobody has.
    pub fn wrong_choice() -> Self {
        Self {
            wrong_choice: true,
            ..Self::default()
        }
    }

    /// What this member will choose.
    pub(super) fn distort_choices(&self, choices: &[Choice]) -> Vec<Choice> {
        let distort = |choice: &Choice| {
            let mut choice = *choice;
            // That nothing has come is a document which everybody makes.
            if self.wrong_choice && choice.choice != given_up() {
                choice.choice.0[0] ^= 0xff;
            }
            choice
        };
        choices.iter().map(distort).collect()
    }

    /// The outputs that this member will vote for.
    pub(super) fn distort(&self, mut outputs: Vec<(u128, Digest)>) -> Vec<(u128, Digest)> {
        if self.wrong_vote {
            for (_, digest) in &mut outputs {
                digest.0[0] ^= 0xff;
            }
        }
        outputs
    }
}
