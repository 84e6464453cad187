//! A member that answers for client rings as the tests ask it to.

use super::super::{client_rings::*, views::LogPage, ApiError, ClientRings, HexBytes, Uint96};
use async_trait::async_trait;
use cid::Cid;
use rings_protocol::{cids, Address, Digest};

/// A member that refuses what it is asked for in the way that the first byte of the avatar says.
pub(super) struct FakeClientRings;

pub(super) const GOOD: Address = Address([0x77; 20]);
pub(super) const NAME: Digest = Digest([9; 32]);
pub(super) const FEE: u128 = 123_456_789_000_000_000;

pub(super) fn relayed() -> MessageView {
    MessageView {
        status: MessageStatus::Relayed,
        msg_hash: NAME,
        tx: Some(Digest([8; 32])),
        txfee: Some(Uint96(FEE)),
        reason: None,
    }
}

fn refusal(avatar: Address) -> Option<ApiError> {
    let (ring, member) = (Address([0x11; 20]), avatar);
    let reason = "NotMember(account = 0x01)".to_owned();
    Some(match avatar.0[0] {
        1 => ApiError::LogIncomplete {
            missing: vec![cid("one"), cid("two")],
        },
        2 => ApiError::NotFollowed { ring },
        3 => ApiError::WrongSignature { reason },
        4 => ApiError::NotAMember { ring, member },
        5 => ApiError::StaleHead {
            head: Digest([5; 32]),
        },
        6 => ApiError::Reverted { reason },
        7 => ApiError::Busy { milliseconds: 17 },
        _ => return None,
    })
}

#[async_trait]
impl ClientRings for FakeClientRings {
    async fn flush(&self, request: FlushParams) -> Result<MessageView, ApiError> {
        assert_eq!(request.mtx, HexBytes(vec![1, 2]));
        assert_eq!(request.log_nodes, [HexBytes(vec![3]), HexBytes(vec![])]);
        refusal(request.avatar).map_or(Ok(relayed()), Err)
    }

    async fn append(&self, request: AppendParams) -> Result<HeldView, ApiError> {
        assert_eq!((request.replicas, request.wait), (Some(2), Some(50)));
        refusal(request.avatar).map_or_else(|| Ok(held()), Err)
    }

    async fn replicate(&self, request: ReplicateParams) -> Result<MessageView, ApiError> {
        assert_eq!(request.replica_ring, GOOD);
        Ok(MessageView {
            status: MessageStatus::Failed,
            tx: None,
            txfee: None,
            reason: Some("expired".into()),
            ..relayed()
        })
    }

    async fn message(&self, msg_hash: Digest) -> Result<Option<MessageView>, ApiError> {
        Ok((msg_hash == NAME).then(relayed))
    }

    async fn rings(&self, which: ClientRingsParams) -> Result<ClientRingsView, ApiError> {
        Ok(rings(which.from))
    }

    async fn log(
        &self,
        (ring, _): (Address, Address),
        _: Option<u64>,
        _: u32,
    ) -> Result<LogPage, ApiError> {
        Err(ApiError::NotFollowed { ring })
    }
}

/// One ring, behind which there are others.
pub(super) fn rings(from: Option<Address>) -> ClientRingsView {
    ClientRingsView {
        rings: vec![ClientRingView {
            rotate: false,
            forks: vec![],
            ring: GOOD,
            bytes: 12,
            heads: vec![ClientHeadView {
                avatar: Address([3; 20]),
                seq: 4,
                head: Digest([5; 32]),
                since: 6,
            }],
        }],
        next: from.is_none().then_some(GOOD),
    }
}

pub(super) fn held() -> HeldView {
    HeldView {
        status: HeldStatus::Held,
        head: Digest([4; 32]),
        held: vec![HeldBy {
            replica: GOOD,
            signature: HexBytes(vec![6; 65]),
        }],
    }
}

fn cid(text: &str) -> Cid {
    cids::data_cid(cids::sha256(text.as_bytes()))
}
