//! What members sign: EIP-712 structs in the domain of their ring (`name "Ring", version "1"`).

use crate::{cids::keccak256, Address, Digest};

const DOMAIN_TYPE: &[u8] =
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const OUTPUTS_TYPE: &[u8] = b"Outputs(address gate,uint256 epoch,uint96[] pins,bytes32[] cids)";
const LOG_NODE_TYPE: &[u8] = b"LogNode(uint64 seq,bytes32 prev,bytes32 content)";

/// The chain and the ring that a signature is for: one of another domain says nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domain {
    /// Chain id.
    pub chain_id: u64,
    /// The ring's contract.
    pub ring: Address,
    separator: Digest,
}

/// Collects 32-byte words and hashes them.
#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn word(mut self, word: [u8; 32]) -> Self {
        self.0.extend_from_slice(&word);
        self
    }

    fn number(self, number: u128) -> Self {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&number.to_be_bytes());
        self.word(word)
    }

    fn address(self, address: Address) -> Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        self.word(word)
    }

    fn hash(self) -> Digest {
        keccak256(&self.0)
    }
}

impl Domain {
    /// The domain of a ring on a chain.
    pub fn new(chain_id: u64, ring: Address) -> Self {
        let separator = Words::default()
            .word(keccak256(DOMAIN_TYPE).0)
            .word(keccak256(b"Ring").0)
            .word(keccak256(b"1").0)
            .number(chain_id.into())
            .address(ring)
            .hash();
        Self {
            chain_id,
            ring,
            separator,
        }
    }

    /// The domain separator.
    pub fn separator(&self) -> Digest {
        self.separator
    }

    /// `keccak256(0x1901 ‖ separator ‖ struct hash)`: what is signed.
    fn digest(&self, struct_hash: Digest) -> Digest {
        let mut bytes = [0; 66];
        bytes[0] = 0x19;
        bytes[1] = 0x01;
        bytes[2..34].copy_from_slice(&self.separator.0);
        bytes[34..].copy_from_slice(&struct_hash.0);
        keccak256(&bytes)
    }

    /// The digest that a member signs to vote for the outputs of a gate in an epoch.
    ///
    /// `pins` and `cids` (digests of data) go together; each array is hashed on its own, so that no
    /// element can move from one into the other.
    pub fn outputs(&self, gate: Address, epoch: u64, pins: &[u128], cids: &[Digest]) -> Digest {
        let pins = pins
            .iter()
            .fold(Words::default(), |words, pin| words.number(*pin))
            .hash();
        let cids = cids
            .iter()
            .fold(Words::default(), |words, cid| words.word(cid.0))
            .hash();
        let outputs = Words::default()
            .word(keccak256(OUTPUTS_TYPE).0)
            .address(gate)
            .number(epoch.into())
            .word(pins.0)
            .word(cids.0)
            .hash();
        self.digest(outputs)
    }

    /// The digest that the author of a log node signs: its position, its predecessor and its content.
    pub fn log_node(&self, seq: u64, prev: Digest, content: Digest) -> Digest {
        let node = Words::default()
            .word(keccak256(LOG_NODE_TYPE).0)
            .number(seq.into())
            .word(prev.0)
            .word(content.0)
            .hash();
        self.digest(node)
    }
}

/// The digest of `Outputs` in the domain of a ring: see [`Domain::outputs`].
pub fn outputs_digest(
    chain_id: u64,
    ring: Address,
    gate: Address,
    epoch: u64,
    pins: &[u128],
    cids: &[Digest],
) -> Digest {
    Domain::new(chain_id, ring).outputs(gate, epoch, pins, cids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;
    use proptest::prelude::*;

    const GATE: Address = Address([0x22; 20]);

    fn domain() -> Domain {
        Domain::new(31337, Address([0x11; 20]))
    }

    #[test]
    fn every_field_counts() {
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let base = domain().outputs(GATE, 1, &[0, 1], &[a, b]);
        let others = [
            Domain::new(1, Address([0x11; 20])).outputs(GATE, 1, &[0, 1], &[a, b]),
            Domain::new(31337, Address([0x12; 20])).outputs(GATE, 1, &[0, 1], &[a, b]),
            domain().outputs(Address([0x23; 20]), 1, &[0, 1], &[a, b]),
            domain().outputs(GATE, 2, &[0, 1], &[a, b]),
            domain().outputs(GATE, 1, &[1, 0], &[a, b]),
            domain().outputs(GATE, 1, &[0, 1], &[b, a]),
        ];
        assert!(others.iter().all(|other| *other != base));
        assert_ne!(domain().log_node(0, a, b), domain().log_node(1, a, b));
        assert_ne!(domain().log_node(0, a, b), domain().log_node(0, b, a));
    }

    /// The same bytes are given to the contract in `contracts/test/Fork.t.sol`, which removes their author for them.
    #[test]
    fn the_contract_takes_these_nodes_for_a_fork() {
        let key = SecretKey::from_bytes(&[0x46; 32]).unwrap();
        let domain = Domain::new(31337, Address([0x11; 20]));
        for (content, signature) in [
            (0x33, "0x7280a901044d9559dd07f6b7111529f7b3229bb948c282d8710751b11724f0f55ad2a4c50ea6a38f732751abb24780dd4fafa1e7e2b9422533c7754e80dfd7171c"),
            (0x44, "0xdd6dc64cb60564107dcca7532ed42ec26cdbb4ba55c6ef2a678c0f2575608a800217d9221880df5c1995b1299dd2d938a8137df7160188e4d28fb51f8ef7cbec1b"),
        ] {
            let node = domain.log_node(7, Digest([0x22; 32]), Digest([content; 32]));
            let signed = key.sign(&node).unwrap().to_bytes();
            assert_eq!(format!("0x{}", hex::encode(signed)), signature);
        }
    }

    proptest! {
        /// `abi.encodePacked(pins, cids)` would collide here.
        #[test]
        fn elements_do_not_move_between_arrays(words in proptest::collection::vec(0u64..4, 1..6), cut in 0usize..6) {
            let cut = cut.min(words.len());
            let split = |at: usize| {
                let pins: Vec<u128> = words[..at].iter().map(|w| u128::from(*w)).collect();
                let cids: Vec<Digest> = words[at..].iter().map(|w| Digest(Words::default().number((*w).into()).0.try_into().unwrap())).collect();
                domain().outputs(GATE, 1, &pins, &cids)
            };
            for other in (0..=words.len()).filter(|at| *at != cut) {
                prop_assert_ne!(split(cut), split(other));
            }
        }
    }
}
