//! Faults that a test can make a member commit. The program that users run has no way to turn one on.

use rings_protocol::Digest;

/// Which faults a member commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    wrong_vote: bool,
}

impl Faults {
    /// An honest member.
    pub fn none() -> Self {
        Self::default()
    }

    /// A member that votes for another result than its program gave.
    pub fn wrong_vote() -> Self {
        Self { wrong_vote: true }
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
