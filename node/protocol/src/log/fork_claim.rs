//! A fork without any content: what a contract needs to see, and what an outsider can check.
//!
//! An author signs position, predecessor and the digest of the content. So two such structs with their signatures prove
//! that it signed two nodes for one position, and show nothing of what the nodes say: in a private ring too.
//!
//! A [`ForkClaim`] is made from a [`ForkProof`] ([`ForkClaim::of`]), travels as canonical DAG-CBOR, and is checked by
//! [`ForkClaim::verify`] as `IRing.proveFork` checks it: this ring and chain, two different structs, one signer.
//! Whether the signer is a member is left to the contract.

use super::{fork::ForkProof, node::SignedNode};
use crate::{
    cbor::{CborError, Reader, Writer},
    crypto::Signature,
    eip712::Domain,
    Address, Digest,
};

const VERSION: u64 = 1;

/// Two nodes that one author signed for one position, without their contents: what `IRing.proveFork` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkClaim {
    /// The chain's id.
    pub chain: u64,
    /// The ring.
    pub ring: Address,
    /// The position.
    pub seq: u64,
    /// What was signed for it.
    pub signed: [SignedNode; 2],
}

/// Why a claim proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkClaimError {
    /// Not the canonical encoding.
    #[error("not the proof of a fork in DAG-CBOR")]
    Form(#[source] CborError),
    /// Another version.
    #[error("a proof of version {version}; this program reads version {VERSION}")]
    Version {
        /// The version that it names.
        version: u64,
    },
    /// It is for another ring or chain.
    #[error("the proof is for ring {ring} on chain {chain}")]
    Elsewhere {
        /// Its ring.
        ring: Address,
        /// Its chain.
        chain: u64,
    },
    /// A signature is malformed.
    #[error("a signature in the proof of a fork at position {seq} is malformed")]
    Signature {
        /// The position.
        seq: u64,
    },
    /// The signatures are by two accounts.
    #[error("the two nodes are by {one} and {other}; a fork is made by one author")]
    Authors {
        /// The author of one.
        one: Address,
        /// The author of the other.
        other: Address,
    },
    /// One node, signed twice.
    #[error("both signatures are for the same node, so they do not prove a fork")]
    SameNode,
}

impl From<CborError> for ForkClaimError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

impl ForkClaim {
    /// What a proof shows without the contents.
    pub fn of(proof: &ForkProof, domain: &Domain) -> Self {
        Self {
            chain: domain.chain_id,
            ring: domain.ring,
            seq: proof.seq(),
            signed: proof.signed(),
        }
    }

    /// Checks it as the contract does, and returns who forked.
    ///
    /// # Errors
    /// [`ForkClaimError`] when the contract would refuse it.
    pub fn verify(&self, domain: &Domain) -> Result<Address, ForkClaimError> {
        let (ring, chain) = (self.ring, self.chain);
        if (ring, chain) != (domain.ring, domain.chain_id) {
            return Err(ForkClaimError::Elsewhere { ring, chain });
        }
        let [one, other] = self.signed;
        if (one.prev, one.content) == (other.prev, other.content) {
            return Err(ForkClaimError::SameNode);
        }
        let author = |signed: SignedNode| {
            let digest = domain
                .log_node(self.seq, signed.prev, signed.content)
                .digest();
            let key = signed.signature.recover(&digest);
            let seq = self.seq;
            key.map(|key| key.address())
                .map_err(|_| ForkClaimError::Signature { seq })
        };
        match (author(one)?, author(other)?) {
            (one, other) if one == other => Ok(one),
            (one, other) => Err(ForkClaimError::Authors { one, other }),
        }
    }

    /// Its bytes: `[version, chain, ring, seq, [prev, content, signature], [prev, content, signature]]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(320);
        writer.list(6).uint(VERSION).uint(self.chain);
        writer.bytes(&self.ring.0).uint(self.seq);
        for signed in &self.signed {
            let node = writer
                .list(3)
                .bytes(&signed.prev.0)
                .bytes(&signed.content.0);
            node.bytes(&signed.signature.to_bytes());
        }
        writer.finish()
    }

    /// Reads a claim. It is not verified yet.
    ///
    /// # Errors
    /// [`ForkClaimError`] for anything but the canonical bytes of a claim.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ForkClaimError> {
        let mut reader = Reader::new(bytes);
        reader.tuple(6)?;
        match reader.uint()? {
            VERSION => {}
            version => return Err(ForkClaimError::Version { version }),
        }
        let (chain, ring, seq) = (reader.uint()?, Address(reader.fixed()?), reader.uint()?);
        let signed = [
            read_signed(&mut reader, seq)?,
            read_signed(&mut reader, seq)?,
        ];
        reader.end()?;
        Ok(Self {
            chain,
            ring,
            seq,
            signed,
        })
    }
}

fn read_signed(reader: &mut Reader<'_>, seq: u64) -> Result<SignedNode, ForkClaimError> {
    reader.tuple(3)?;
    let (prev, content): (Digest, Digest) = (reader.digest()?, reader.digest()?);
    let bytes: [u8; 65] = reader.fixed()?;
    let signature = Signature::from_slice(&bytes).ok();
    // A `v` of 0 or 1 would be a second encoding.
    let signature = signature.filter(|signature| signature.to_bytes() == bytes);
    Ok(SignedNode {
        prev,
        content,
        signature: signature.ok_or(ForkClaimError::Signature { seq })?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::{domain, key, log};
    use super::*;

    fn claim() -> ForkClaim {
        let (one, other) = (log(&key(1), 3, "secret one"), log(&key(1), 3, "secret two"));
        let proof = ForkProof::new(one[2].clone(), other[2].clone()).unwrap();
        ForkClaim::of(&proof, &domain())
    }

    #[test]
    fn it_names_the_author_and_shows_no_content() {
        let bytes = claim().to_bytes();
        let claim = ForkClaim::from_bytes(&bytes).unwrap();
        assert_eq!(claim.verify(&domain()), Ok(key(1).address()));
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn nothing_else_is_believed() {
        let good = claim();
        let [one, other] = good.signed;
        let same = ForkClaim {
            signed: [one, one],
            ..good
        };
        assert_eq!(same.verify(&domain()), Err(ForkClaimError::SameNode));
        let elsewhere = Domain::new(1, domain().ring);
        assert!(matches!(
            good.verify(&elsewhere),
            Err(ForkClaimError::Elsewhere { .. })
        ));
        let moved = ForkClaim { seq: 3, ..good };
        assert!(moved.verify(&domain()).is_err());
        let stranger = log(&key(2), 3, "z")[2].signed();
        let mixed = ForkClaim {
            signed: [one, stranger],
            ..good
        };
        assert!(matches!(
            mixed.verify(&domain()),
            Err(ForkClaimError::Authors { .. })
        ));
        let crossed = SignedNode {
            signature: other.signature,
            ..one
        };
        let crossed = ForkClaim {
            signed: [crossed, other],
            ..good
        };
        assert!(crossed.verify(&domain()).is_err());
    }
}
