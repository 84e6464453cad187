//! A compound action, its bytes in the contracts' ABI, and its signature.
//!
//! `mtx` is `abi.encode(CompoundAction)`: the word 32, then nine words, the last of which is 288 and says where `data`
//! begins, then the length of `data` and its bytes, filled up with zeros to whole words. [`CompoundAction::from_abi`]
//! accepts exactly what [`CompoundAction::to_abi`] writes, so an action has one encoding.
//!
//! The avatar signs [`CompoundAction::digest`], the EIP-712 struct in the domain of its own ring. This digest is also
//! the action's name, `msg_hash`. A replica turns `mtx` and signature into a [`Signed`] action, which exists only when
//! the signature is the avatar's and the gas is within [`MAX_ACTION_GAS`]. [`Signed::calldata`] is then the call of
//! `IRing.flush`. The call itself may fail on chain or do anything that the avatar's account may do: a replica looks at
//! the bound of gas, not at the meaning.

use super::uint::Uint;
use crate::{
    cids::keccak256,
    crypto::{CryptoError, SecretKey, Signature},
    eip712::Domain,
    Address, Digest,
};

/// Most bytes of an encoded action.
pub const MAX_ACTION_BYTES: usize = 64 * 1024;
/// Most gas that an action may want for its call. A transaction may have 16,777,216 (EIP-7825).
pub const MAX_ACTION_GAS: u64 = 4_000_000;
/// The signature of `IRing.flush`, whose hash gives its selector.
pub const FLUSH_SIGNATURE: &str =
    "flush((address,bytes32,bytes32,uint256,uint256,address,uint256,uint256,bytes),bytes32,bytes32,uint8)";

const WORD: usize = 32;
/// Words of the struct before its data: eight values, and where `data` begins.
const HEAD_WORDS: usize = 9;
/// Where `data` begins in the struct.
const DATA_AT: u64 = (HEAD_WORDS * WORD) as u64;

/// A call from an avatar's account together with the new head of the avatar's log: `CompoundAction` of the ring's ABI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompoundAction {
    /// Who acts.
    pub avatar: Address,
    /// The head of its log that the contract has; zero before the first.
    pub prev_head: Digest,
    /// The head that its log moves on to.
    pub new_head: Digest,
    /// The avatar's nonce in this ring.
    pub nonce: Uint,
    /// The last second, since 1970, in which it counts.
    pub deadline: Uint,
    /// What the account calls; zero for nothing.
    pub to: Address,
    /// Wei that the account pays.
    pub value: Uint,
    /// The least gas that the call must get.
    pub gas: Uint,
    /// What it calls with.
    pub data: Vec<u8>,
}

/// An action whose signature was checked: it is by its avatar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    action: CompoundAction,
    signature: Signature,
    msg_hash: Digest,
}

/// Why an action is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Not the ABI encoding of an action.
    #[error("mtx is not abi.encode(CompoundAction) with at most {MAX_ACTION_BYTES} bytes")]
    Form,
    /// It asks for more gas than is paid for.
    #[error("the action asks for {gas} gas; at most {MAX_ACTION_GAS} is relayed")]
    Gas {
        /// What it asks for.
        gas: Uint,
    },
    /// It is another avatar's.
    #[error("the action is by {found}, not by {avatar}")]
    Avatar {
        /// Who was said to act.
        avatar: Address,
        /// Who acts.
        found: Address,
    },
    /// The signature is malformed, or another account's.
    #[error("the signature is not by {avatar}")]
    Signature {
        /// Who acts.
        avatar: Address,
    },
}

impl CompoundAction {
    /// What the contract stores this action as: `keccak256` of the EIP-712 struct in the ring's domain, which the avatar
    /// signs. It is the action's name too: `msg_hash`.
    pub fn digest(&self, domain: &Domain) -> Digest {
        let head = self.head(Digest(keccak256(&self.data).0));
        domain.compound_action(&head)
    }

    /// `abi.encode(CompoundAction)`: `mtx`.
    pub fn to_abi(&self) -> Vec<u8> {
        let mut bytes = Uint::from(WORD as u64).0.to_vec();
        bytes.extend(self.body());
        bytes
    }

    /// Reads `mtx`.
    ///
    /// # Errors
    /// [`ActionError::Form`] for anything but what [`CompoundAction::to_abi`] writes.
    pub fn from_abi(bytes: &[u8]) -> Result<Self, ActionError> {
        let action = Self::read(bytes).ok_or(ActionError::Form)?;
        match action.to_abi() == bytes {
            true => Ok(action),
            false => Err(ActionError::Form),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_ACTION_BYTES {
            return None;
        }
        // One word says where the struct begins.
        let word = |at: usize| -> Option<[u8; WORD]> {
            let from = at.checked_add(1)?.checked_mul(WORD)?;
            bytes.get(from..from.checked_add(WORD)?)?.try_into().ok()
        };
        let length = Uint(word(HEAD_WORDS)?).saturating_u64();
        let from = (HEAD_WORDS + 2) * WORD;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        Some(Self {
            avatar: account(word(0)?)?,
            prev_head: Digest(word(1)?),
            new_head: Digest(word(2)?),
            nonce: Uint(word(3)?),
            deadline: Uint(word(4)?),
            to: account(word(5)?)?,
            value: Uint(word(6)?),
            gas: Uint(word(7)?),
            data: bytes.get(from..to)?.to_vec(),
        })
    }

    /// The eight values of the struct and a last word.
    fn head(&self, last: Digest) -> [[u8; WORD]; HEAD_WORDS] {
        [
            address_word(self.avatar),
            self.prev_head.0,
            self.new_head.0,
            self.nonce.0,
            self.deadline.0,
            address_word(self.to),
            self.value.0,
            self.gas.0,
            last.0,
        ]
    }

    /// The struct without the word that says where it begins.
    fn body(&self) -> Vec<u8> {
        let mut bytes = self.head(Digest(Uint::from(DATA_AT).0)).concat();
        bytes.extend(Uint::from(self.data.len() as u64).0);
        bytes.extend(&self.data);
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes
    }

    /// Signs the action for a ring.
    ///
    /// # Errors
    /// [`CryptoError::Sign`], which does not happen with a valid key.
    pub fn sign(&self, domain: &Domain, key: &SecretKey) -> Result<Signature, CryptoError> {
        key.sign(&self.digest(domain))
    }

    /// The call of `IRing.flush` with this signature.
    pub fn calldata(&self, signature: &Signature) -> Vec<u8> {
        let mut bytes = keccak256(FLUSH_SIGNATURE.as_bytes()).0[..4].to_vec();
        // The struct stands behind four words: where it is, r, s and v.
        bytes.extend(Uint::from(4 * WORD as u64).0);
        bytes.extend(signature.r);
        bytes.extend(signature.s);
        bytes.extend(Uint::from(u64::from(signature.v)).0);
        bytes.extend(self.body());
        bytes
    }

    /// Whether a transaction's input carries this action: as the call of `flush` itself, or inside another call.
    pub fn is_in(&self, input: &[u8]) -> bool {
        let body = self.body();
        input.windows(body.len()).any(|part| part == body)
    }
}

impl Signed {
    /// Reads an action and checks that `avatar` signed it for this ring, and that it asks for no more gas than is paid for.
    ///
    /// # Errors
    /// [`ActionError`].
    pub fn read(
        domain: &Domain,
        avatar: Address,
        mtx: &[u8],
        mtx_sig: &[u8],
    ) -> Result<Self, ActionError> {
        let action = CompoundAction::from_abi(mtx)?;
        let found = action.avatar;
        if found != avatar {
            return Err(ActionError::Avatar { avatar, found });
        }
        // The digest names chain and ring, so an action for another ring has another signer here.
        let msg_hash = action.digest(domain);
        let wrong = |_| ActionError::Signature { avatar };
        let signature = Signature::from_slice(mtx_sig).map_err(wrong)?;
        let signer = signature.recover(&msg_hash).map_err(wrong)?;
        if signer.address() != avatar {
            return Err(ActionError::Signature { avatar });
        }
        let gas = action.gas;
        match gas <= Uint::from(MAX_ACTION_GAS) {
            true => Ok(Self {
                action,
                signature,
                msg_hash,
            }),
            false => Err(ActionError::Gas { gas }),
        }
    }

    /// What was signed.
    pub fn action(&self) -> &CompoundAction {
        &self.action
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The action's name: what was signed, hashed.
    pub fn msg_hash(&self) -> Digest {
        self.msg_hash
    }

    /// The call that brings it to the ring.
    pub fn calldata(&self) -> Vec<u8> {
        self.action.calldata(&self.signature)
    }
}

/// The call of a function that takes accounts only: `signature` is such as `registerRing(address,address)`.
pub fn call_of(signature: &str, accounts: &[Address]) -> Vec<u8> {
    let selector = &keccak256(signature.as_bytes()).0[..4];
    let words = accounts.iter().map(|account| address_word(*account));
    let words: Vec<_> = words.collect();
    [selector, &words.concat()].concat()
}

fn address_word(address: Address) -> [u8; WORD] {
    let mut word = [0; WORD];
    word[12..].copy_from_slice(&address.0);
    word
}

/// The account in a word, whose other bytes are zero.
fn account(word: [u8; WORD]) -> Option<Address> {
    let (zeros, bytes) = word.split_at(12);
    let address = Address(bytes.try_into().ok()?);
    zeros.iter().all(|byte| *byte == 0).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain() -> Domain {
        Domain::new(31337, Address([0x11; 20]))
    }

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[0x46; 32]).unwrap()
    }

    fn action(data: &[u8]) -> CompoundAction {
        CompoundAction {
            avatar: key().address(),
            prev_head: Digest([1; 32]),
            new_head: Digest([2; 32]),
            nonce: 3u64.into(),
            deadline: Uint::MAX,
            to: Address([4; 20]),
            value: 5u64.into(),
            gas: 60_000u64.into(),
            data: data.to_vec(),
        }
    }

    fn signed(action: &CompoundAction) -> Result<Signed, ActionError> {
        let signature = action.sign(&domain(), &key()).unwrap();
        Signed::read(
            &domain(),
            key().address(),
            &action.to_abi(),
            &signature.to_bytes(),
        )
    }

    #[test]
    fn an_avatar_signs_for_one_ring_and_one_action() {
        let good = action(b"hello");
        let read = signed(&good).unwrap();
        assert_eq!(
            (read.action(), read.msg_hash()),
            (&good, good.digest(&domain()))
        );
        let signature = good.sign(&domain(), &key()).unwrap().to_bytes();
        let refused = |domain: &Domain, action: &CompoundAction| {
            Signed::read(domain, key().address(), &action.to_abi(), &signature).unwrap_err()
        };
        let avatar = key().address();
        let elsewhere = Domain::new(31337, Address([0x12; 20]));
        assert_eq!(
            refused(&elsewhere, &good),
            ActionError::Signature { avatar }
        );
        let others = [
            CompoundAction {
                prev_head: Digest([9; 32]),
                ..good.clone()
            },
            CompoundAction {
                new_head: Digest([9; 32]),
                ..good.clone()
            },
            CompoundAction {
                nonce: 4u64.into(),
                ..good.clone()
            },
            CompoundAction {
                deadline: 4u64.into(),
                ..good.clone()
            },
            CompoundAction {
                to: Address([9; 20]),
                ..good.clone()
            },
            CompoundAction {
                value: 4u64.into(),
                ..good.clone()
            },
            CompoundAction {
                gas: 4u64.into(),
                ..good.clone()
            },
            CompoundAction {
                data: b"other".to_vec(),
                ..good.clone()
            },
        ];
        for other in others {
            assert_eq!(
                refused(&domain(), &other),
                ActionError::Signature { avatar }
            );
        }
        let stranger = Address([9; 20]);
        let by_another = Signed::read(&domain(), stranger, &good.to_abi(), &signature);
        let found = avatar;
        assert_eq!(
            by_another,
            Err(ActionError::Avatar {
                avatar: stranger,
                found
            })
        );
    }

    #[test]
    fn more_gas_than_is_paid_for_is_refused() {
        let most = CompoundAction {
            gas: MAX_ACTION_GAS.into(),
            ..action(b"")
        };
        assert!(signed(&most).is_ok());
        let more = CompoundAction {
            gas: (MAX_ACTION_GAS + 1).into(),
            ..most.clone()
        };
        assert!(matches!(signed(&more), Err(ActionError::Gas { .. })));
        let endless = CompoundAction {
            gas: Uint::MAX,
            ..most
        };
        assert!(matches!(signed(&endless), Err(ActionError::Gas { .. })));
    }

    #[test]
    fn a_transaction_carries_the_action_that_it_calls_with() {
        let this = action(b"hello");
        let calldata = signed(&this).unwrap().calldata();
        assert!(this.is_in(&calldata));
        assert!(this.is_in(&[b"another contract", &calldata[..]].concat()));
        assert!(!action(b"hullo").is_in(&calldata));
        assert!(!this.is_in(&[]));
    }

    proptest! {
        #[test]
        fn an_action_has_one_encoding(data in proptest::collection::vec(any::<u8>(), 0..100), at in any::<usize>(), bit in 0u8..8) {
            let this = action(&data);
            let bytes = this.to_abi();
            prop_assert_eq!(CompoundAction::from_abi(&bytes), Ok(this.clone()));
            let mut other = bytes.clone();
            let at = at % other.len();
            other[at] ^= 1 << bit;
            if let Ok(changed) = CompoundAction::from_abi(&other) {
                prop_assert_ne!(changed.digest(&domain()), this.digest(&domain()));
            }
            prop_assert!(CompoundAction::from_abi(&bytes[..bytes.len() - 1]).is_err());
            prop_assert!(CompoundAction::from_abi(&[&bytes[..], &[0]].concat()).is_err());
            prop_assert!(CompoundAction::from_abi(&[&bytes[..], &[0; 32]].concat()).is_err());
        }
    }
}
