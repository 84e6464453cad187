//! How a member that starts finds its chain, its state and its ring, at an endpoint that may say odd things.
//!
//! Each look asks for the chain, whose id must be that of the state database, and for the ring, in which the member must be. What
//! a look shows may be wrong: an endpoint can be behind, a reorganisation can take the member's entry away and give it back,
//! and the keeper may enter it a moment later. So [`find`] looks again, and [`Waiting`] says when what it saw is certain.

use super::{
    config::NodeConfig,
    error::MemberError,
    state::{Identity, MemberState, StateError},
    waiting::{Outlook, Waiting},
};
use rings_chain::{Chain, ChainError, RingState};
use rings_protocol::Address;
use std::path::Path;

/// What was found.
pub(super) struct Found {
    pub(super) chain: Chain,
    /// The state database, if a member ran in this directory before.
    pub(super) state: Option<MemberState>,
    /// The ring, with the member in it.
    pub(super) ring: RingState,
}

/// Looks until chain, ring and the state database `state`, if that is there, are found.
///
/// # Errors
/// What is certain to keep the member from starting.
pub(super) async fn find(
    config: &NodeConfig,
    me: Address,
    state: &Path,
    waiting: &Waiting,
) -> Result<Found, MemberError> {
    let mut patience = waiting.for_chain();
    let mut connected = None;
    loop {
        match look(config, me, state, &mut connected).await {
            Ok(found) => return Ok(found),
            Err(error) => {
                let outlook = outlook(&error);
                patience.after(error, outlook).await?;
            }
        }
    }
}

/// A connection, and the state that belongs to its chain.
type Connected = (Chain, Option<MemberState>);

async fn look(
    config: &NodeConfig,
    me: Address,
    state: &Path,
    connected: &mut Option<Connected>,
) -> Result<Found, MemberError> {
    let (chain, state) = match connected.take() {
        Some(connected) => connected,
        None => connect(config, me, state).await?,
    };
    match ring_of(config, me, &chain).await {
        Ok(ring) => Ok(Found { chain, state, ring }),
        // The first id that an endpoint named was wrong, or this one is: only another connection can tell.
        Err(error @ MemberError::Chain(ChainError::WrongChain { .. })) => Err(error),
        Err(error) => {
            *connected = Some((chain, state));
            Err(error)
        }
    }
}

async fn connect(config: &NodeConfig, me: Address, state: &Path) -> Result<Connected, MemberError> {
    let chain = Chain::connect_to(&config.chain.rpc, config.chain.agree).await?;
    let identity = Identity {
        chain_id: chain.id(),
        ring: config.ring.address,
        member: me,
    };
    // An empty file does not count: no member ran in this directory before.
    let has_memory = std::fs::metadata(state).is_ok_and(|file| file.len() > 0);
    let state = has_memory.then(|| open(state, &identity)).transpose()?;
    Ok((chain, state))
}

/// Opens the state database, or makes it.
pub(super) fn open(path: &Path, identity: &Identity) -> Result<MemberState, StateError> {
    tokio::task::block_in_place(|| MemberState::open(path, identity))
}

/// The ring, if the member is in it. Without this check a member that was removed while it was down would follow the ring and be
/// refused everywhere.
async fn ring_of(
    config: &NodeConfig,
    me: Address,
    chain: &Chain,
) -> Result<RingState, MemberError> {
    let address = config.ring.address;
    let ring = chain.find_ring(address, config.chain.start_block).await?;
    if ring.members.contains(&me) {
        return Ok(ring);
    }
    let error = MemberError::NotAMember {
        account: me,
        ring: address,
    };
    chain.doubt(&error.to_string()).await;
    Err(error)
}

/// What another look may change.
fn outlook(error: &MemberError) -> Outlook {
    match error {
        MemberError::Chain(error) => Outlook::of_chain(error),
        MemberError::NotAMember { .. } => Outlook::Doubtful,
        MemberError::State(StateError::Foreign { found, wanted, .. })
            if is_of_other_chain(found, wanted) =>
        {
            Outlook::Doubtful
        }
        _ => Outlook::Certain,
    }
}

/// Whether two identities differ in the chain alone, so that the endpoint may have named a wrong one.
fn is_of_other_chain(found: &str, wanted: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (found.parse::<Identity>(), wanted.parse::<Identity>()) else {
        return false;
    };
    (found.ring, found.member) == (wanted.ring, wanted.member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(found: (u64, u8), wanted: (u64, u8)) -> MemberError {
        let identity = |(chain_id, member)| Identity {
            chain_id,
            ring: Address([1; 20]),
            member: Address([member; 20]),
        };
        MemberError::State(StateError::Foreign {
            path: "state.redb".into(),
            found: identity(found).to_string(),
            wanted: identity(wanted).to_string(),
        })
    }

    #[test]
    fn what_an_endpoint_says_is_doubtful_and_what_is_here_is_certain() {
        let not_there = ChainError::NotAContract {
            address: Address::ZERO,
            what: "ring",
        };
        let reverted = ChainError::Reverted {
            reason: "execution reverted".into(),
        };
        let not_a_member = MemberError::NotAMember {
            account: Address::ZERO,
            ring: Address::ZERO,
        };
        for error in [not_there.into(), reverted.into(), not_a_member] {
            assert_eq!(outlook(&error), Outlook::Doubtful, "{error}");
        }
        assert_eq!(outlook(&foreign((1, 2), (5, 2))), Outlook::Doubtful);
        assert_eq!(outlook(&foreign((1, 2), (1, 3))), Outlook::Certain);
        let full = MemberError::State(StateError::DiskFull);
        assert_eq!(outlook(&full), Outlook::Certain);
    }
}
