//! What an avatar's account does, and where its log stands then.
//!
//! An [`Action`] is the call alone. Joined with the avatar's log and with its state on chain ([`AvatarState`]) it
//! becomes a `CompoundAction`, which moves the head from where the contract has it to the end of the log. The avatar
//! signs it with the key that signs the log.

use crate::log::Log;
use rings_protocol::{
    crypto::{CryptoError, SecretKey, Signature},
    flush::{call_of, CompoundAction, Uint},
    Address, Digest,
};

/// The signature of `IRing.registerRing`, whose hash gives its selector.
const REGISTER: &str = "registerRing(address,address)";
/// That of `IRing.unregisterRing`.
const UNREGISTER: &str = "unregisterRing(address,address)";
/// That of `IMembership.leave`.
const LEAVE: &str = "leave()";
/// An action that counts for ever, until it is carried out or the log's head has moved otherwise.
pub const NO_DEADLINE: Uint = Uint::MAX;

/// An avatar as its ring's contract has it: `logNodeHeads` and `nonceOf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AvatarState {
    /// The head of its log; zero before the first action.
    pub head: Digest,
    /// The nonce of its next action.
    pub nonce: u64,
}

/// A call that the avatar's account makes, or none: then only the log's head moves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Action {
    /// What it calls; zero for nothing.
    pub to: Address,
    /// Wei that it pays, from its own balance.
    pub value: Uint,
    /// The least gas that the call must get.
    pub gas: u64,
    /// What it calls with.
    pub data: Vec<u8>,
}

/// That `keeper` is to keep the logs of `client`, of which `avatar` is a member.
pub fn register_ring(keeper: Address, client: Address, avatar: Address) -> Action {
    Action {
        to: keeper,
        data: call_of(REGISTER, &[client, avatar]),
        ..Action::default()
    }
}

/// That `keeper` is to keep them no longer: it frees the space.
pub fn unregister_ring(keeper: Address, client: Address, avatar: Address) -> Action {
    Action {
        to: keeper,
        data: call_of(UNREGISTER, &[client, avatar]),
        ..Action::default()
    }
}

/// That the avatar leaves its ring.
pub fn leave_ring(client: Address) -> Action {
    Action {
        to: client,
        data: call_of(LEAVE, &[]),
        ..Action::default()
    }
}

impl Action {
    /// The action of the avatar whose log it is, which moves the head on chain to the end of the log.
    pub fn of(
        self,
        avatar: Address,
        log: &Log,
        on_chain: AvatarState,
        deadline: Uint,
    ) -> CompoundAction {
        CompoundAction {
            avatar,
            prev_head: on_chain.head,
            new_head: log.head(),
            nonce: on_chain.nonce.into(),
            deadline,
            to: self.to,
            value: self.value,
            gas: self.gas.into(),
            data: self.data,
        }
    }

    /// As [`Action::of`], signed.
    ///
    /// # Errors
    /// [`CryptoError::Sign`], which does not happen with a valid key.
    pub fn sign(
        self,
        key: &SecretKey,
        log: &Log,
        on_chain: AvatarState,
        deadline: Uint,
    ) -> Result<(CompoundAction, Signature), CryptoError> {
        let action = self.of(key.address(), log, on_chain, deadline);
        let signature = action.sign(log.domain(), key)?;
        Ok((action, signature))
    }
}
