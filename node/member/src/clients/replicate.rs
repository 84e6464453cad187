//! `ReplicateRing`: a client ring is handed over to this member's ring.
//!
//! The avatar sends the ring's replica key, wrapped to this member, and an action that calls `registerRing`. The action
//! is relayed like any other, with one difference: the ring is not registered yet, so the check that its logs are kept
//! here is replaced by the check that the action does register it. The log nodes may follow later. The key is wrapped
//! again for each other member and goes to them through the own log ([`KeyShare`]), so that any of them can check the
//! ring's nodes. Nothing is written down for somebody who is not a member of the client ring. A read key in the place
//! of a replica key is refused, because a replica must not be able to read.
//!
//! A ring that changes its key hands the new one over with log nodes that are sealed with it (`AppendToRing`). That a member
//! of the ring has signed such a node shows that it is a key of the ring.

use super::{
    intake::Ancestry,
    keeper::Clients,
    refusal::{of_action, of_chain, of_state},
};
use rand::RngCore;
use rings_api::{
    client_rings::{MessageView, ReplicateParams},
    ApiError, HexBytes,
};
use rings_protocol::{
    flush::{call_of, CompoundAction, KeyShare, Signed},
    private::{unwrap, Keyring, ReplicaKey, WrappedKey, Wraps},
    Address, Digest,
};

/// The signature of `IRing.registerRing`, whose hash gives its selector.
const REGISTER: &str = "registerRing(address,address)";

impl Clients {
    /// Takes the replica key of a ring, and the action that registers the ring with this member's.
    pub(super) async fn take_ring(
        &self,
        request: ReplicateParams,
    ) -> Result<MessageView, ApiError> {
        let ring = request.ring;
        if request.replica_ring != self.parts.domain.ring {
            let ring = request.replica_ring;
            return Err(ApiError::NotFollowed { ring });
        }
        let action = CompoundAction::from_abi(&request.mtx.0);
        let avatar = action.map_err(|error| of_action(&error))?.avatar;
        let signed = Signed::read(
            &self.domain(ring),
            avatar,
            &request.mtx.0,
            &request.mtx_sig.0,
        );
        let signed = signed.map_err(|error| of_action(&error))?;
        self.check_ring(ring).await?;
        self.check_registration(ring, &signed)?;
        let wrapped = request.replica_key.0;
        let key = self.unwrapped(ring, &wrapped)?;
        // Only a member of the ring makes this member write anything down.
        self.member(ring, avatar).await?;
        if let Some(key) = &key {
            self.take_over(ring, &wrapped, key).await?;
        }
        self.keep(ring, None, Some(signed.msg_hash())).await?;
        self.take_action(ring, &signed, &request.log_nodes, Ancestry::Later)
            .await
    }

    /// Takes a replica key that was made since the ring was handed over, if the avatar has sealed one of these nodes with it.
    /// Otherwise nothing is taken: the nodes are refused if they need it.
    pub(super) async fn take_new_key(
        &self,
        (ring, avatar): (Address, Address),
        wrapped: &[u8],
        nodes: &[HexBytes],
    ) -> Result<(), ApiError> {
        let Some(key) = self.unwrapped(ring, wrapped)? else {
            return Ok(());
        };
        self.member(ring, avatar).await?;
        let mut keys = Keyring::new(self.domain(ring));
        keys.add_replica(key.1.clone());
        let is_sealed = |node: &HexBytes| {
            let node = keys.open(&node.0);
            node.is_ok_and(|node| node.author() == avatar)
        };
        let is_used = tokio::task::block_in_place(|| nodes.iter().any(is_sealed));
        match is_used {
            true => self.take_over(ring, wrapped, &key).await,
            false => Ok(()),
        }
    }

    /// Keeps a key that is not held yet, and hands it to the other members.
    async fn take_over(
        &self,
        ring: Address,
        wrapped: &[u8],
        (epoch, key): &(u64, ReplicaKey),
    ) -> Result<(), ApiError> {
        // Several avatars may hand the same key over at once.
        let _turn = self.locks.wait((ring, ring)).await;
        if self.opener(ring)?.has_key(key.name()) {
            return Ok(());
        }
        let shared = self.share(ring, *epoch, key).await?;
        self.keep(ring, Some(wrapped), None).await?;
        self.note_shared(ring, shared)
    }

    /// Whether an action hands its ring over to this member's ring. It is relayed although the ring is not kept yet.
    pub(super) async fn hands_over(
        &self,
        ring: Address,
        signed: &Signed,
    ) -> Result<bool, ApiError> {
        match self.check_registration(ring, signed) {
            Ok(()) => match self.check_ring(ring).await {
                Ok(()) => Ok(true),
                Err(ApiError::NotFollowed { .. }) => Ok(false),
                Err(error) => Err(error),
            },
            Err(_) => Ok(false),
        }
    }

    /// Only rings of the engine are known to tell the truth about their members.
    async fn check_ring(&self, ring: Address) -> Result<(), ApiError> {
        let is_ring = self.parts.chain.is_ring(self.parts.engine, ring).await;
        match is_ring.map_err(of_chain)? {
            true => Ok(()),
            false => Err(ApiError::NotFollowed { ring }),
        }
    }

    /// Writes down a wrapped key and the time of the newest block, or which action registers the ring.
    async fn keep(
        &self,
        ring: Address,
        key: Option<&[u8]>,
        registered_by: Option<Digest>,
    ) -> Result<(), ApiError> {
        let key = match key {
            Some(key) => {
                let head = self.parts.chain.head().await.map_err(of_chain)?;
                Some((hex::encode(key), head.timestamp))
            }
            None => None,
        };
        let key = key.as_ref().map(|(key, since)| (key.as_str(), *since));
        let keep = || self.state.keep(ring, key, registered_by);
        match tokio::task::block_in_place(keep).map_err(of_state)? {
            true => Ok(()),
            false => Err(ApiError::InvalidParams {
                reason: "this ring has handed over too many replica keys".into(),
            }),
        }
    }

    /// Hands a replica key to the other members, wrapped to each of them, through the own log. Returns who they are.
    pub(super) async fn share(
        &self,
        ring: Address,
        epoch: u64,
        key: &ReplicaKey,
    ) -> Result<Vec<Address>, ApiError> {
        let mut keys = Keyring::new(self.domain(ring));
        let (key, keeper) = (WrappedKey::Replica(key.clone()), self.parts.domain.ring);
        let mut wraps = Vec::new();
        for member in self.parts.ring.snapshot().members {
            let contact = self.parts.chain.contact(keeper, member).await;
            let contact = contact.map_err(of_chain)?.filter(|_| member != self.me);
            let Some(contact) = contact else { continue };
            keys.approve(member);
            let wrapped = keys.wrap(epoch, &key, &contact.public_key, |bytes| {
                rand::rngs::OsRng.fill_bytes(bytes);
            });
            let failed = |error| ApiError::internal("a replica key cannot be wrapped", error);
            wraps.push(wrapped.map_err(failed)?);
        }
        let shared = wraps.iter().map(|(member, _)| *member).collect();
        let wraps = Wraps::new(wraps);
        self.say(KeyShare { ring, wraps }.to_message()).await?;
        Ok(shared)
    }

    /// Takes a replica key that another member has wrapped for this one.
    pub(super) async fn take_key(&self, author: Address, share: &KeyShare) -> Result<(), ApiError> {
        let Some(wrapped) = share.wraps.of(self.me) else {
            return Ok(());
        };
        match self.unwrapped(share.ring, wrapped) {
            Ok(Some((_, key))) => {
                if !self.opener(share.ring)?.has_key(key.name()) {
                    self.keep(share.ring, Some(wrapped), None).await?;
                }
                self.note_holders(author, share, &key)
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(ring = %share.ring, %error, "a shared replica key cannot be used");
                Ok(())
            }
        }
    }

    /// Notes who else has the newest key of a ring, if it is that one which was shared.
    fn note_holders(
        &self,
        author: Address,
        share: &KeyShare,
        key: &ReplicaKey,
    ) -> Result<(), ApiError> {
        let keeping = self.state.keeping(share.ring).map_err(of_state)?;
        let newest = keeping.unwrap_or_default().keys.pop().unwrap_or_default();
        let newest = hex::decode(newest).unwrap_or_default();
        let is_newest = match self.unwrapped(share.ring, &newest) {
            Ok(Some((_, newest))) => newest.name() == key.name(),
            _ => false,
        };
        if !is_newest {
            return Ok(());
        }
        let members = self.parts.ring.snapshot().members.into_iter();
        let has_it = |member: &Address| *member == author || share.wraps.of(*member).is_some();
        self.note_shared(
            share.ring,
            members.filter(has_it).filter(|member| *member != self.me),
        )
    }

    /// Whether the action calls `registerRing(ring, avatar)` of this member's ring.
    fn check_registration(&self, ring: Address, signed: &Signed) -> Result<(), ApiError> {
        let action = signed.action();
        let expected = call_of(REGISTER, &[ring, action.avatar]);
        match action.to == self.parts.domain.ring && action.data == expected {
            true => Ok(()),
            false => Err(ApiError::InvalidParams {
                reason: format!(
                    "mtx must call registerRing({ring}, {}) of ring {}",
                    action.avatar, self.parts.domain.ring
                ),
            }),
        }
    }

    /// The replica key in a wrapping for this member, and its epoch; nothing where there is none. A read key is refused: this
    /// member must not have one.
    pub(super) fn unwrapped(
        &self,
        ring: Address,
        wrapped: &[u8],
    ) -> Result<Option<(u64, ReplicaKey)>, ApiError> {
        if wrapped.is_empty() {
            return Ok(None);
        }
        let refused = |reason: String| Err(ApiError::InvalidParams { reason });
        let Some(secret) = self.parts.key.secret() else {
            return refused("replica_key: the key of this member is in a signer, which unwraps nothing; ask another member to keep a private ring".into());
        };
        match unwrap(&self.domain(ring), secret, wrapped) {
            Ok((epoch, WrappedKey::Replica(key))) => Ok(Some((epoch, key))),
            Ok((_, WrappedKey::Read(_))) => refused(
                "replica_key is a read key; make a new one, for this member could read with it"
                    .into(),
            ),
            Err(error) => refused(format!("replica_key: {error}")),
        }
    }
}
