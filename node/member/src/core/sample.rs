//! Which gates this member looks at more closely than it must.
//!
//! Two things are done for a sample of the gates: the second engine computes them too, and gates that had their result
//! before this member computed them are computed all the same. The sample depends on a secret of this process: otherwise
//! somebody could make a gate that nobody looks at, by trying salts until no member's sample holds its address.

use rings_protocol::{cids::sha256, Address};

/// What a gate is looked at for. Each has a sample of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Whether two engines come to the same.
    SecondOpinion,
    /// Whether the result that two thirds registered is right.
    Afterwards,
}

/// Draws the sample. Other processes draw others, so that together the members see more gates than one of them.
pub(super) struct Sampler {
    secret: [u8; 32],
}

impl Sampler {
    /// A sample that nobody else knows.
    pub(super) fn random() -> Self {
        Self {
            secret: rand::random(),
        }
    }

    /// Whether `gate` is among the `percent` of a hundred gates that are looked at. The answer is always the same.
    pub(super) fn takes(&self, reason: Reason, gate: Address, percent: u8) -> bool {
        let draw = sha256(&[&self.secret[..], &[reason as u8], gate.as_ref()].concat());
        u16::from_be_bytes([draw.0[0], draw.0[1]]) % 100 < u16::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_its_size_and_nobody_elses() {
        let gates = (0..2000_u32).map(|n| {
            let mut gate = [0; 20];
            gate[..4].copy_from_slice(&n.to_be_bytes());
            Address(gate)
        });
        let of = |sampler: &Sampler, reason, percent| {
            let gates = gates.clone();
            let taken = gates.filter(|gate| sampler.takes(reason, *gate, percent));
            taken.collect::<Vec<_>>()
        };
        let (one, other) = (Sampler::random(), Sampler::random());
        assert!(of(&one, Reason::Afterwards, 0).is_empty());
        assert_eq!(of(&one, Reason::Afterwards, 100).len(), gates.len());
        let some = of(&one, Reason::Afterwards, 5);
        assert!((50..200).contains(&some.len()), "{}", some.len());
        assert_eq!(some, of(&one, Reason::Afterwards, 5));
        assert_ne!(some, of(&one, Reason::SecondOpinion, 5));
        assert_ne!(some, of(&other, Reason::Afterwards, 5));
    }
}
