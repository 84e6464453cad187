//! What client rings cost: holding a log node, flushing one, and many at once, beside one durable write and one HTTP round trip.

use super::{
    bounds::Bounds,
    figures::{median, milliseconds, Row},
    stage::Stage,
};
use crate::exit::{Context, ExitError, ExitStatus};
use futures::{stream, TryStreamExt};
use rings_api::{
    client_rings::{AppendParams, FlushParams, MessageStatus, ReplicateParams},
    Client, HexBytes,
};
use rings_client::{
    register_ring, Action, AvatarState, Digest, Domain, Log, Said, Secrecy, SecretKey, NO_DEADLINE,
};
use rings_protocol::{cids::keccak256, Address};
use std::time::{Duration, Instant};

/// Avatars of the ring.
const AVATARS: usize = 100;
/// Nodes that are appended one after the other.
const APPENDS: usize = 60;
/// Actions that are flushed one after the other.
const FLUSHES: usize = 20;
/// Nodes of each avatar when all append at once.
const EACH: usize = 10;
/// Requests that wait for an answer at one time.
pub(super) const IN_FLIGHT: usize = 32;
/// Nodes that are flushed at once.
const MANY: usize = 1_000;
/// Round trips that are measured.
const ROUND_TRIPS: usize = 100;
/// How long an action may take to be on chain.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Milliseconds for all members to sign.
const WAIT: u64 = 5_000;

/// An avatar with its log.
pub(super) struct Writer {
    pub(super) key: SecretKey,
    pub(super) log: Log,
    /// The newest node that the member holds.
    pub(super) known: Digest,
}

/// A client ring, and the member that is asked.
pub(super) struct ClientRing {
    pub(super) ring: Address,
    pub(super) client: Client,
    members: u32,
    pub(super) writers: Vec<Writer>,
}

/// Measures, and gives the rows.
///
/// # Errors
/// When a member or the chain refuses something.
pub(super) async fn measure(stage: &Stage, bounds: &Bounds) -> Result<Vec<Row>, ExitError> {
    let mut clients = ClientRing::new(stage).await?;
    clients.basics(stage, bounds).await
}

impl ClientRing {
    /// Holding a node, flushing one, and many at once.
    ///
    /// # Errors
    /// As [`measure`].
    pub(super) async fn basics(
        &mut self,
        stage: &Stage,
        bounds: &Bounds,
    ) -> Result<Vec<Row>, ExitError> {
        let clients = self;
        let trip = clients.round_trip().await?;
        let bound = milliseconds(trip) + milliseconds(bounds.write);
        let append = clients.appends(1).await?;
        let by_all = clients.appends(clients.members).await?;
        let rate = clients.appends_of_all().await?;
        let (flush, relayed) = clients.flushes(stage).await?;
        let many = clients.many(stage).await?;
        let in_bounds = |time| milliseconds(time) / bound;
        let bounds = "in bounds (durable write + round trip)";
        Ok(vec![
            Row::time("HTTP round trip to a member", trip, None),
            Row::time("AppendToRing of one log node, median", append, Some(15.0)),
            Row::number(
                format!("the same {bounds}"),
                in_bounds(append),
                "times",
                Some(3.0),
            ),
            Row::time("the same, signed for by all members", by_all, None),
            Row::at_least(
                format!("AppendToRing of {AVATARS} avatars, {IN_FLIGHT} in flight"),
                rate,
                "a second",
                1_000.0,
            ),
            Row::time("FlushToRing to the answer, median", flush, Some(15.0)),
            Row::number(
                format!("the same {bounds}"),
                in_bounds(flush),
                "times",
                Some(3.0),
            ),
            Row::time("the same, until it is relayed", relayed, Some(100.0)),
            Row::time(
                format!("{MANY} log nodes in one FlushToRing"),
                many,
                Some(300.0),
            ),
        ])
    }
}

impl Writer {
    pub(super) fn say(&mut self, text: &str) -> Result<(), ExitError> {
        let line = vec![Said::line(text).to_message()];
        let said = self.log.append(&self.key, line, &[], None);
        said.context(ExitStatus::Internal, "a log node cannot be made")
            .map(drop)
    }

    /// The nodes that the member does not hold yet.
    fn fresh(&self) -> Vec<HexBytes> {
        let nodes = self.log.since(self.known);
        nodes
            .iter()
            .map(|node| HexBytes(node.bytes().to_vec()))
            .collect()
    }

    pub(super) fn append(&self, ring: Address, replicas: u32) -> AppendParams {
        AppendParams {
            avatar: self.key.address(),
            ring,
            log_nodes: self.fresh(),
            replicas: Some(replicas),
            wait: Some(WAIT).filter(|_| replicas > 1),
            replica_key: None,
        }
    }
}

impl ClientRing {
    /// Makes a ring and registers it with the one of the stage.
    pub(super) async fn new(stage: &Stage) -> Result<Self, ExitError> {
        let keys = (1..=AVATARS).map(|n| {
            let seed = keccak256(&n.to_be_bytes());
            SecretKey::from_bytes(&seed.0).context(ExitStatus::Internal, "a key cannot be made")
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        let members: Vec<_> = keys.iter().map(SecretKey::address).collect();
        let ring = stage.client_ring(&members).await?;
        let domain = Domain::new(stage.chain().id(), ring);
        let writers = keys.into_iter().map(|key| Writer {
            key,
            log: Log::new(domain, Secrecy::Open),
            known: Digest::ZERO,
        });
        let mut made = Self {
            ring,
            client: stage.member()?.clone(),
            members: u32::try_from(stage.pids().len()).unwrap_or(u32::MAX),
            writers: writers.collect(),
        };
        made.register(stage).await?;
        Ok(made)
    }

    async fn register(&mut self, stage: &Stage) -> Result<(), ExitError> {
        self.writers[0].say("here we are")?;
        let keeper = stage.ring();
        let call = register_ring(keeper, self.ring, self.writers[0].key.address());
        let signed = self.signed(0, call, stage).await?;
        let request = ReplicateParams {
            ring: self.ring,
            replica_ring: keeper,
            replica_key: HexBytes(Vec::new()),
            mtx: signed.mtx,
            mtx_sig: signed.mtx_sig,
            log_nodes: signed.log_nodes,
        };
        let name = self.client.replicate(&request).await?.msg_hash;
        self.relayed(name).await?;
        self.writers[0].known = self.writers[0].log.head();
        Ok(())
    }

    /// An action of an avatar, signed, as it is flushed.
    pub(super) async fn signed(
        &self,
        writer: usize,
        call: Action,
        stage: &Stage,
    ) -> Result<FlushParams, ExitError> {
        let writer = &self.writers[writer];
        let avatar = writer.key.address();
        let state = stage.chain().avatar(self.ring, avatar).await?;
        let on_chain = AvatarState {
            head: state.head,
            nonce: state.nonce,
        };
        let signed = call.sign(&writer.key, &writer.log, on_chain, NO_DEADLINE);
        let (action, signature) =
            signed.context(ExitStatus::Internal, "an action cannot be signed")?;
        Ok(FlushParams {
            avatar,
            ring: self.ring,
            mtx: HexBytes(action.to_abi()),
            mtx_sig: HexBytes(signature.to_bytes().to_vec()),
            log_nodes: writer.fresh(),
        })
    }

    pub(super) async fn relayed(&self, name: Digest) -> Result<(), ExitError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let message = self.client.message(name).await?;
            match message.map(|message| message.status) {
                Some(MessageStatus::Relayed) => return Ok(()),
                Some(MessageStatus::Failed) => {
                    return Err(ExitError::unavailable(
                        "an action failed; the members' logs say why",
                    ));
                }
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
        Err(ExitError::unavailable(
            "no action was relayed in a minute; the members' logs may say why",
        ))
    }

    /// A request that reads one record.
    async fn round_trip(&self) -> Result<Duration, ExitError> {
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let began = Instant::now();
            self.client.message(Digest::ZERO).await?;
            times.push(began.elapsed());
        }
        Ok(median(&times))
    }

    /// One node after the other, each signed for by so many members.
    async fn appends(&mut self, replicas: u32) -> Result<Duration, ExitError> {
        let mut times = Vec::with_capacity(APPENDS);
        for n in 0..APPENDS {
            self.writers[1].say(&format!("line {n}"))?;
            let request = self.writers[1].append(self.ring, replicas);
            let began = Instant::now();
            let held = self.client.append(&request).await?;
            times.push(began.elapsed());
            self.writers[1].known = held.head;
        }
        Ok(median(&times))
    }

    /// All avatars at once; how many appends there are in a second.
    async fn appends_of_all(&mut self) -> Result<f64, ExitError> {
        let (ring, client) = (self.ring, self.client.clone());
        let began = Instant::now();
        let appended = stream::iter(self.writers.iter_mut().map(Ok::<_, ExitError>));
        appended
            .try_for_each_concurrent(IN_FLIGHT, |writer| {
                let client = client.clone();
                async move {
                    for n in 0..EACH {
                        writer.say(&format!("line {n} of many"))?;
                        let held = client.append(&writer.append(ring, 1)).await?;
                        writer.known = held.head;
                    }
                    Ok(())
                }
            })
            .await?;
        Ok((AVATARS * EACH) as f64 / began.elapsed().as_secs_f64())
    }

    /// Actions one after the other: to the answer, and until each is on chain.
    async fn flushes(&mut self, stage: &Stage) -> Result<(Duration, Duration), ExitError> {
        let (mut answers, mut relayed) = (Vec::new(), Vec::new());
        for n in 0..FLUSHES {
            let at = 2 + n;
            self.writers[at].say("to the chain")?;
            let request = self.signed(at, Action::default(), stage).await?;
            let began = Instant::now();
            let message = self.client.flush(&request).await?;
            answers.push(began.elapsed());
            self.relayed(message.msg_hash).await?;
            relayed.push(began.elapsed());
            self.writers[at].known = self.writers[at].log.head();
        }
        Ok((median(&answers), median(&relayed)))
    }

    /// Many nodes with one action.
    async fn many(&mut self, stage: &Stage) -> Result<Duration, ExitError> {
        let at = 2 + FLUSHES;
        for n in 0..MANY {
            self.writers[at].say(&format!("one of many: {n}"))?;
        }
        let request = self.signed(at, Action::default(), stage).await?;
        let began = Instant::now();
        let message = self.client.flush(&request).await?;
        let elapsed = began.elapsed();
        self.relayed(message.msg_hash).await?;
        Ok(elapsed)
    }
}
