//! What members sign: EIP-712 structs in the domain of their ring (`name "Ring", version "1"`).
//!
//! A [`Domain`] names chain and ring. Each of its methods encodes one struct as EIP-712 says and returns it as [`TypedData`], whose
//! digest is signed: [`Domain::outputs`] for a vote, [`Domain::log_node`] for a node of a log, [`Domain::ring_node`] for an
//! endorsement, [`Domain::members`] for a change of the membership, [`Domain::held`] for a replica's receipt. What an
//! avatar signs is encoded here too, and reached through
//! [`CompoundAction::digest`](crate::flush::CompoundAction::digest).
//!
//! The contracts compute the same digests; tests on both sides compare with the same bytes. So a type string, the order
//! of its fields and the encoding of arrays (each hashed on its own) never change without a change of the contract. The
//! encoding is written by hand: six structs of words need no general encoder, and `protocol` imports no library of the
//! chain.

use crate::{cids::keccak256, gate::Computation, Address, Digest};

/// The types as EIP-712 encodes them. They must be those of `contracts/src`; a test compares digests of both sides.
const DOMAIN_TYPE: &[u8] =
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const OUTPUTS_TYPE: &[u8] =
    b"Outputs(address gate,bytes32 inputs,uint256 epoch,uint96[] pins,bytes32[] cids)";
const MEMBERS_TYPE: &[u8] =
    b"Members(bytes32 membersHash,uint256 epoch,address[] enter,address[] exit,uint256 deadline)";
const RING_NODE_TYPE: &[u8] =
    b"RingNode(bytes32 prev,bytes32 cid,uint256 epoch,address[] members,bytes32[] prevHeads,bytes32[] heads)";
const LOG_NODE_TYPE: &[u8] = b"LogNode(uint64 seq,bytes32 prev,bytes32 content)";
const COMPOUND_ACTION_TYPE: &[u8] =
    b"CompoundAction(address avatar,bytes32 prevHead,bytes32 newHead,uint256 nonce,uint256 deadline,address to,uint256 value,uint256 gas,bytes data)";
const HELD_TYPE: &[u8] = b"Held(address ring,address avatar,bytes32 head)";

/// The chain and the ring that a signature is for. A signature of another domain is not valid here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domain {
    /// Chain id.
    pub chain_id: u64,
    /// The ring's contract.
    pub ring: Address,
    separator: Digest,
}

/// A struct as EIP-712 signs it: `0x1901 ‖ domain separator ‖ struct hash`. What is signed is the keccak-256 of these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypedData {
    separator: Digest,
    structure: Digest,
}

impl TypedData {
    /// The bytes that are hashed.
    pub fn bytes(&self) -> [u8; 66] {
        let mut bytes = [0; 66];
        bytes[0] = 0x19;
        bytes[1] = 0x01;
        bytes[2..34].copy_from_slice(&self.separator.0);
        bytes[34..].copy_from_slice(&self.structure.0);
        bytes
    }

    /// What is signed.
    pub fn digest(&self) -> Digest {
        keccak256(&self.bytes())
    }
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

    fn addresses(self, addresses: &[Address]) -> Self {
        addresses
            .iter()
            .fold(self, |words, address| words.address(*address))
    }

    fn hash(self) -> Digest {
        keccak256(&self.0)
    }
}

/// `keccak256(abi.encodePacked(address[] members))` over the members in ascending order, as `IRing.membersHash()`
/// returns it. Elements of a packed array are padded to 32 bytes. The order given here does not matter.
pub fn members_hash(members: &[Address]) -> Digest {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    Words::default().addresses(&sorted).hash()
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

    fn typed(&self, structure: Digest) -> TypedData {
        TypedData {
            separator: self.separator,
            structure,
        }
    }

    /// What a member signs to vote for the outputs of a computation in an epoch.
    ///
    /// `pins` and `cids` (digests of data) go together; each array is hashed on its own, so that no
    /// element can move from one into the other.
    pub fn outputs(
        &self,
        computation: Computation,
        epoch: u64,
        pins: &[u128],
        cids: &[Digest],
    ) -> TypedData {
        let pins = pins
            .iter()
            .fold(Words::default(), |words, pin| words.number(*pin));
        let cids = cids
            .iter()
            .fold(Words::default(), |words, cid| words.word(cid.0));
        let outputs = Words::default()
            .word(keccak256(OUTPUTS_TYPE).0)
            .address(computation.gate)
            .word(computation.inputs.0)
            .number(epoch.into())
            .word(pins.hash().0)
            .word(cids.hash().0)
            .hash();
        self.typed(outputs)
    }

    /// What a member signs to change the membership (`IRing.changeMembers`).
    ///
    /// `now` are the members as the contract has them: see [`members_hash`]. `enter` and `exit` are in the order of the
    /// call, and `deadline` is in seconds since 1970.
    pub fn members(
        &self,
        now: &[Address],
        epoch: u64,
        enter: &[Address],
        exit: &[Address],
        deadline: u64,
    ) -> TypedData {
        let change = Words::default()
            .word(keccak256(MEMBERS_TYPE).0)
            .word(members_hash(now).0)
            .number(epoch.into())
            .word(Words::default().addresses(enter).hash().0)
            .word(Words::default().addresses(exit).hash().0)
            .number(deadline.into())
            .hash();
        self.typed(change)
    }

    /// What a member signs to endorse a ring node (`IRing.registerRingNode`).
    ///
    /// `prev` is the ring node before, zero for none. Each of `moves` is a member, the head of its log that the contract
    /// has now (zero for none), and the head that it gets; they are in ascending order of the members.
    pub fn ring_node(
        &self,
        prev: Digest,
        cid: Digest,
        epoch: u64,
        moves: &[(Address, Digest, Digest)],
    ) -> TypedData {
        let members: Vec<_> = moves.iter().map(|(member, _, _)| *member).collect();
        let words = |pick: fn(&(Address, Digest, Digest)) -> Digest| {
            let each = moves.iter();
            each.fold(Words::default(), |words, one| words.word(pick(one).0))
                .hash()
        };
        let node = Words::default()
            .word(keccak256(RING_NODE_TYPE).0)
            .word(prev.0)
            .word(cid.0)
            .number(epoch.into())
            .word(Words::default().addresses(&members).hash().0)
            .word(words(|(_, before, _)| *before).0)
            .word(words(|(_, _, after)| *after).0)
            .hash();
        self.typed(node)
    }

    /// The digest that an avatar signs to act (`IRing.flush`). `fields` are the struct's values in their order, the last
    /// being the hash of its data: see [`CompoundAction::digest`](crate::flush::CompoundAction::digest).
    pub(crate) fn compound_action(&self, fields: &[[u8; 32]; 9]) -> Digest {
        let typed = Words::default().word(keccak256(COMPOUND_ACTION_TYPE).0);
        let words = fields.iter().fold(typed, |words, word| words.word(*word));
        self.typed(words.hash()).digest()
    }

    /// What a replica signs to say that it holds an avatar's log, in the client ring `ring`, up to `head`. This
    /// domain is that of the ring that the replica is a member of.
    pub fn held(&self, ring: Address, avatar: Address, head: Digest) -> TypedData {
        let held = Words::default()
            .word(keccak256(HELD_TYPE).0)
            .address(ring)
            .address(avatar)
            .word(head.0)
            .hash();
        self.typed(held)
    }

    /// What the author of a log node signs: its position, its predecessor and its content.
    pub fn log_node(&self, seq: u64, prev: Digest, content: Digest) -> TypedData {
        let node = Words::default()
            .word(keccak256(LOG_NODE_TYPE).0)
            .number(seq.into())
            .word(prev.0)
            .word(content.0)
            .hash();
        self.typed(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{SecretKey, Signer},
        gate::FAILURE_PIN,
    };
    use proptest::prelude::*;

    fn computation(gate: u8, inputs: u8) -> Computation {
        Computation {
            gate: Address([gate; 20]),
            inputs: Digest([inputs; 32]),
        }
    }

    fn domain() -> Domain {
        Domain::new(31337, Address([0x11; 20]))
    }

    #[test]
    fn every_field_counts() {
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let (this, pins) = (computation(0x22, 5), [0, 1]);
        let base = domain().outputs(this, 1, &pins, &[a, b]);
        let others = [
            Domain::new(1, Address([0x11; 20])).outputs(this, 1, &pins, &[a, b]),
            Domain::new(31337, Address([0x12; 20])).outputs(this, 1, &pins, &[a, b]),
            domain().outputs(computation(0x23, 5), 1, &pins, &[a, b]),
            domain().outputs(computation(0x22, 6), 1, &pins, &[a, b]),
            domain().outputs(this, 2, &pins, &[a, b]),
            domain().outputs(this, 1, &[1, 0], &[a, b]),
            domain().outputs(this, 1, &pins, &[b, a]),
        ];
        assert!(others.iter().all(|other| *other != base));
        assert_ne!(domain().log_node(0, a, b), domain().log_node(1, a, b));
        assert_ne!(domain().log_node(0, a, b), domain().log_node(0, b, a));
    }

    #[test]
    fn every_field_of_a_membership_change_counts() {
        let (a, b, c) = (Address([1; 20]), Address([2; 20]), Address([3; 20]));
        let base = domain().members(&[a, b], 1, &[c], &[a], 9);
        let others = [
            Domain::new(1, Address([0x11; 20])).members(&[a, b], 1, &[c], &[a], 9),
            domain().members(&[a, c], 1, &[c], &[a], 9),
            domain().members(&[a, b], 2, &[c], &[a], 9),
            domain().members(&[a, b], 1, &[], &[a], 9),
            domain().members(&[a, b], 1, &[a], &[c], 9),
            domain().members(&[a, b], 1, &[c, a], &[], 9),
            domain().members(&[a, b], 1, &[c], &[a], 10),
        ];
        assert!(others.iter().all(|other| *other != base));
        assert_eq!(domain().members(&[b, a], 1, &[c], &[a], 9), base);
    }

    /// The formula written out again by hand, so that a change of the helpers above is noticed.
    #[test]
    fn members_are_hashed_sorted_and_padded() {
        let packed = [[0; 12].as_slice(), &[1; 20], &[0; 12], &[2; 20]].concat();
        let members = [Address([2; 20]), Address([1; 20])];
        assert_eq!(members_hash(&members), keccak256(&packed));
        assert_eq!(members_hash(&[]), keccak256(&[]));
    }

    /// The signatures that `cast wallet sign --data` of Foundry makes of the same typed data.
    #[test]
    fn another_implementation_of_eip_712_signs_the_same() {
        let key = SecretKey::from_bytes(&[0x46; 32]).unwrap();
        let members = [Address([2; 20]), Address([1; 20])];
        let enter = [Address([3; 20]), Address([4; 20])];
        for (data, signature) in [
            (
                domain().outputs(
                    computation(0x22, 0x55),
                    7,
                    &[0, FAILURE_PIN],
                    &[Digest([0x33; 32]), Digest([0x44; 32])],
                ),
                "0x0bbc1863ced25b9bd9088631fd71f2e012d3cdc1bbfc42adf8c701a072f5747910dac5c18121adcbf32336ac2af8efc71f7e5c1f46052b7b988e587161e6a2ae1b",
            ),
            (
                domain().ring_node(
                    Digest([1; 32]),
                    Digest([2; 32]),
                    7,
                    &[
                        (Address([3; 20]), Digest::ZERO, Digest([6; 32])),
                        (Address([4; 20]), Digest([5; 32]), Digest([7; 32])),
                    ],
                ),
                "0xb8092b298ee135ad8f6011071003e2aa449a2a64f1a5f47eaca53c9f4c8af4f11d8a5b1a76a2a70b08667dc30865d21d56b34fc234be07811eb4860545770aba1c",
            ),
            (
                domain().members(&members, 7, &enter, &[Address([1; 20])], 1_800_000_000),
                "0x246e975a108a02e3d735bba2076f5a42a2f5a071aaaf3e0b2ec8481787ef0d3f67445804fda674e84ac99f9426d68b1c087a970bfb96ad80db70ad44c24607dd1c",
            ),
        ] {
            let signed = key.sign_hashed(&data.bytes()).unwrap().to_bytes();
            assert_eq!(format!("0x{}", hex::encode(signed)), signature);
        }
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
            let signed = key.sign(&node.digest()).unwrap().to_bytes();
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
                domain().outputs(computation(1, 2), 1, &pins, &cids)
            };
            for other in (0..=words.len()).filter(|at| *at != cut) {
                prop_assert_ne!(split(cut), split(other));
            }
        }
    }
}
