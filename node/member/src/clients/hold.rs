//! What other members ask about client rings: where logs end, their nodes, and to hold new ones.

use super::{
    keeper::Clients,
    known::ClientFact,
    refusal::{of_chain, of_state},
};
use rings_api::{ApiError, HexBytes};
use rings_network::PeerId;
use rings_protocol::{
    cids::node_cid,
    crypto::Signer,
    flush::{HeldLogs, Plan},
    wire::{ClientHead, MAX_ANSWER_BYTES, MAX_HEADS, MAX_NODES},
    Address, Digest,
};
use serde_bytes::ByteBuf;

/// Nodes that are read from the store at once.
const READ_AT_ONCE: usize = 64;

/// Who sends nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Their author.
    Avatar,
    /// Another member, which has taken them in.
    Member,
}

impl Clients {
    /// The heads that are held here, behind a ring and an author.
    pub fn client_heads(&self, behind: (Address, Address)) -> Result<Vec<ClientHead>, ApiError> {
        let heads = self.state.heads_behind(behind, MAX_HEADS);
        let heads = heads.map_err(of_state)?.into_iter();
        let heads = heads.map(|head| (head.ring, head.author, head.tip.seq, head.tip.digest));
        Ok(heads.collect())
    }

    /// The nodes of an avatar that are held here, ascending from a sequence number, as many as fit into an answer.
    pub async fn client_nodes(
        &self,
        place: (Address, Address),
        from: u64,
    ) -> Result<Vec<ByteBuf>, ApiError> {
        let digests = self.state.client_nodes(place, from, MAX_NODES);
        let cids: Vec<_> = digests
            .map_err(of_state)?
            .into_iter()
            .map(node_cid)
            .collect();
        let (mut room, mut nodes) = (MAX_ANSWER_BYTES, Vec::new());
        for cids in cids.chunks(READ_AT_ONCE) {
            let unreadable = |error| ApiError::internal("log nodes cannot be read", error);
            let blocks = self.parts.store.get_many(cids).await.map_err(unreadable)?;
            for block in blocks {
                // What comes behind a hole is of no use.
                let Some(block) = block.filter(|_| room > 0) else {
                    return Ok(nodes);
                };
                room = room.saturating_sub(block.data().len());
                nodes.push(ByteBuf::from(block.data().to_vec()));
            }
        }
        Ok(nodes)
    }

    /// Holds an avatar's log up to a node, and signs that it does. What is missing is fetched from the member that asks.
    pub async fn hold(
        &self,
        from: PeerId,
        (ring, avatar, head): (Address, Address, Digest),
        nodes: Vec<ByteBuf>,
    ) -> Result<Vec<u8>, ApiError> {
        self.keeps_now(ring).await?;
        if !self.has((ring, avatar), head)? {
            let nodes: Vec<_> = nodes
                .into_iter()
                .map(|node| HexBytes(node.into_vec()))
                .collect();
            match self
                .take_nodes((ring, avatar), &nodes, Sender::Member)
                .await
            {
                Ok(_) | Err(ApiError::LogIncomplete { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.has((ring, avatar), head)? {
            self.catch_up(from, Some(ring)).await?;
        }
        match self.has((ring, avatar), head)? {
            true => self.word((ring, avatar), head),
            false => Err(ApiError::LogIncomplete {
                missing: vec![node_cid(head)],
            }),
        }
    }

    fn has(&self, (ring, avatar): (Address, Address), head: Digest) -> Result<bool, ApiError> {
        let place = self.state.held(ring).place_of(head).map_err(of_state)?;
        Ok(place.is_some_and(|(author, _)| author == avatar))
    }

    /// The signature of this member that it holds an avatar's log up to a node.
    pub(super) fn word(
        &self,
        (ring, avatar): (Address, Address),
        head: Digest,
    ) -> Result<Vec<u8>, ApiError> {
        let held = self.parts.domain.held(ring, avatar, head);
        let unsigned = |error| ApiError::internal("the answer cannot be signed", error);
        let signature = self
            .parts
            .key
            .sign_hashed(&held.bytes())
            .map_err(unsigned)?;
        Ok(signature.to_bytes().to_vec())
    }

    /// Takes nodes of an avatar's log in, and those of others that it refers to. They are durable when this returns.
    pub(super) async fn take_nodes(
        &self,
        (ring, avatar): (Address, Address),
        nodes: &[HexBytes],
        sender: Sender,
    ) -> Result<Plan, ApiError> {
        let nodes = self.open(ring, nodes)?;
        super::nodes::check_authors(avatar, &nodes)?;
        let _turn = self.locks.wait((ring, avatar)).await;
        self.member_now(ring, avatar).await?;
        let plan = self.plan(ring, avatar, nodes).await?;
        if sender == Sender::Avatar {
            self.check_seal((ring, avatar), &plan).await?;
        }
        self.has_space(ring, &plan)?;
        self.store_blocks(&plan).await?;
        self.index(ring, &plan, None)?;
        Ok(plan)
    }

    /// As [`Clients::keeps`], as the chain said a moment ago.
    pub(super) async fn keeps_now(&self, ring: Address) -> Result<(), ApiError> {
        if self.known.is_true(ClientFact::Kept(ring)) {
            return Ok(());
        }
        self.keeps(ring).await?;
        self.known.learn(ClientFact::Kept(ring));
        Ok(())
    }

    async fn member_now(&self, ring: Address, avatar: Address) -> Result<(), ApiError> {
        let fact = ClientFact::Member(ring, avatar);
        if !self.known.is_true(fact) {
            self.member(ring, avatar).await?;
            self.known.learn(fact);
        }
        Ok(())
    }

    /// Whether an account is, or was, a member of a client ring.
    pub(super) async fn is_author(&self, ring: Address, author: Address) -> Result<bool, ApiError> {
        let fact = ClientFact::Author(ring, author);
        if self.known.is_true(fact) {
            return Ok(true);
        }
        let on_chain = self.parts.chain.avatar(ring, author).await;
        let on_chain = on_chain.map_err(of_chain)?;
        let is_author = on_chain.is_member || !on_chain.head.is_zero();
        if is_author {
            self.known.learn(fact);
        }
        Ok(is_author)
    }
}
