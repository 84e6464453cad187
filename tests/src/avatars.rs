//! A ring of people without a node and without ether: keys, logs, and requests to the replicas that keep them.

use crate::{
    ring::Ring,
    wait::{block_on, until, LONG},
};
use rings_api::{
    client_rings::{MessageStatus, MessageView},
    ClientError,
};
use rings_chain::{create_ring, Chain, ForkRule, RingTerms, Submitter};
use rings_client::{
    register_ring, Action, AvatarState, Call, CompoundAction, Digest, Domain, Log, LogMessage,
    Secrecy, SecretKey, Signature, NO_DEADLINE,
};
use rings_member::keystore;
use rings_protocol::{cids::keccak256, Address};
use serde_json::Value;

/// An avatar: a key, and its log.
#[derive(Debug, Clone)]
pub struct Avatar {
    /// Its key. Its account has no ether.
    pub key: SecretKey,
    /// What it has said.
    pub log: Log,
}

/// A client ring.
#[derive(Debug)]
pub struct ClientRing {
    /// Its contract.
    pub address: Address,
    /// Its members.
    pub avatars: Vec<Avatar>,
    chain: Chain,
}

impl ClientRing {
    /// Makes a self-kept ring of so many avatars on the engine of `replicas`, paid for by the account of `rings run` there.
    /// Nothing keeps it yet.
    pub fn new(replicas: &Ring, avatars: u8, secrecy: impl Fn(&Domain) -> Secrecy) -> Self {
        let (json, chain) = (replicas.json(), replicas.chain());
        let keys: Vec<_> = (0..avatars)
            .map(|n| SecretKey::from_bytes(&[0x50 + n; 32]).unwrap())
            .collect();
        let members: Vec<_> = keys.iter().map(SecretKey::address).collect();
        let terms = RingTerms {
            keeper: None,
            entry_delay: 0,
            fork_rule: ForkRule::Freeze,
        };
        let payer = keystore::load(&replicas.dir().join("client.key"), None).unwrap();
        let address = block_on(async {
            let journal = replicas.file("payer.redb");
            let submitter = Submitter::open(journal, chain.clone(), payer)
                .await
                .unwrap();
            let (engine, purpose) = (json.address("/engine"), keccak256(&[avatars]));
            let made = create_ring(&chain, &submitter, engine, (&members, &terms), purpose);
            let made = made.await.unwrap();
            submitter.shutdown().await;
            made
        });
        let domain = Domain::new(chain.id(), address);
        let avatars = keys.into_iter().map(|key| Avatar {
            key,
            log: Log::new(domain, secrecy(&domain)),
        });
        Self {
            address,
            avatars: avatars.collect(),
            chain,
        }
    }

    /// The same, whose log nodes everybody can read, kept by `replicas`: its first avatar has registered it.
    pub fn kept(replicas: &Ring, avatars: u8) -> Self {
        let mut ring = Self::new(replicas, avatars, |_| Secrecy::Open);
        ring.say(0, "we are here");
        ring.hand_over(replicas, &[]);
        ring
    }

    /// Its first avatar registers it with `replicas`, through the first member, for which `replica_key` is wrapped.
    pub fn hand_over(&self, replicas: &Ring, replica_key: &[u8]) {
        let ring = self;
        let (keeper, avatar) = (
            replicas.json().address("/ring"),
            ring.avatars[0].key.address(),
        );
        let call = register_ring(keeper, ring.address, avatar);
        let (action, signature) = ring.sign(0, call);
        let nodes = ring.avatars[0].log.since(Digest::ZERO);
        let request = Call::replicate(
            (ring.address, keeper),
            replica_key,
            (&action, &signature),
            &nodes,
        );
        let message = ask(replicas, 0, &request).unwrap();
        let name = message["msg_hash"].as_str().unwrap().parse().unwrap();
        let message = ended(replicas, 0, name);
        assert_eq!(message.status, MessageStatus::Relayed, "{message:?}");
    }

    /// An avatar as the chain has it.
    pub fn state(&self, avatar: usize) -> AvatarState {
        let account = self.avatars[avatar].key.address();
        let state = block_on(self.chain.avatar(self.address, account)).unwrap();
        AvatarState {
            head: state.head,
            nonce: state.nonce,
        }
    }

    /// An avatar says something: a node of its log, which nobody else has.
    pub fn say(&mut self, avatar: usize, text: &str) {
        let Avatar { key, log } = &mut self.avatars[avatar];
        log.append(key, vec![line(text)], &[], None).unwrap();
    }

    /// An avatar signs an action that moves its head to the end of its log.
    pub fn sign(&self, avatar: usize, call: Action) -> (CompoundAction, Signature) {
        let Avatar { key, log } = &self.avatars[avatar];
        call.sign(key, log, self.state(avatar), NO_DEADLINE)
            .unwrap()
    }

    /// The request that brings an action, with all nodes behind the head on chain.
    pub fn flush(&self, avatar: usize, (action, signature): &(CompoundAction, Signature)) -> Call {
        let nodes = self.avatars[avatar].log.since(action.prev_head);
        Call::flush(self.address, action, signature, &nodes)
    }
}

/// A line of text as a message.
pub fn line(text: &str) -> LogMessage {
    LogMessage {
        domain: "chat".into(),
        payload: text.as_bytes().to_vec().into(),
        status: "new".into(),
        kind: "message".into(),
    }
}

/// Asks a replica.
///
/// # Errors
/// As the replica's.
pub fn ask(replicas: &Ring, index: usize, request: &Call) -> Result<Value, ClientError> {
    block_on(
        replicas
            .client(index)
            .call(request.method, request.params.clone()),
    )
}

/// The code of the replica's refusal, and its data.
///
/// # Panics
/// When it does not refuse.
pub fn refusal(replicas: &Ring, index: usize, request: &Call) -> (i64, String) {
    match ask(replicas, index, request) {
        Err(ClientError::Rpc { code, data, .. }) => (code, data),
        other => panic!("not refused: {other:?}"),
    }
}

/// What became of an action, once it has come to its end at a replica.
pub fn ended(replicas: &Ring, index: usize, name: Digest) -> MessageView {
    let client = replicas.client(index);
    until("the action has come to its end", LONG, || {
        let message = block_on(client.message(name)).ok()??;
        (message.status != MessageStatus::Received).then_some(message)
    })
}
