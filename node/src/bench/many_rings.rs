//! What a replica needs for many client rings that say nothing: memory and processor time of the members.

use super::{
    idle::{self, Idle},
    stage::Stage,
};
use crate::exit::{Context, ExitError, ExitStatus};
use futures::{stream, TryStreamExt};
use rings_api::{
    client_rings::{AppendParams, ClientRingsParams},
    Client, HexBytes,
};
use rings_chain::Call;
use rings_client::{
    register_ring, AvatarState, Digest, Domain, Log, Said, Secrecy, SecretKey, NO_DEADLINE,
};
use rings_protocol::{cids::keccak256, flush::Signed, Address};
use std::time::{Duration, Instant};

/// Rings that are made at one time.
const AT_ONCE: usize = 32;
/// How long the members may take to hold the logs of all of them.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Makes so many rings of one avatar, each with one log node, and watches the members.
///
/// # Errors
/// When the chain or a member refuses.
pub(super) async fn idle_rings(stage: &Stage, count: u64) -> Result<Idle, ExitError> {
    let made = stream::iter((0..count).map(Ok::<_, ExitError>));
    made.try_for_each_concurrent(AT_ONCE, |n| one(stage, n))
        .await?;
    let client = stage.last_member()?;
    let deadline = Instant::now() + PATIENCE;
    while kept(client).await? < count {
        if Instant::now() >= deadline {
            return Err(ExitError::unavailable(
                "the members do not keep all rings in time; their logs may say why",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
    idle::watch(&stage.pids()).await
}

/// A ring that is kept, with one node.
async fn one(stage: &Stage, n: u64) -> Result<(), ExitError> {
    let seed = |what: &[u8]| keccak256(&[what, &n.to_be_bytes()].concat());
    let key = SecretKey::from_bytes(&seed(b"idle").0);
    let key = key.context(ExitStatus::Internal, "a key cannot be made")?;
    let me = key.address();
    let ring = stage.client_ring_for(&[me], seed(b"ring")).await?;
    let domain = Domain::new(stage.chain().id(), ring);
    let mut log = Log::new(domain, Secrecy::Open);
    let said = log.append(&key, vec![Said::line("idle").to_message()], &[], None);
    said.context(ExitStatus::Internal, "a log node cannot be made")?;
    let call = register_ring(stage.ring(), ring, me);
    let signed = call.sign(&key, &log, AvatarState::default(), NO_DEADLINE);
    let (action, signature) = signed.context(ExitStatus::Internal, "an action cannot be signed")?;
    let (mtx, signature) = (action.to_abi(), signature.to_bytes());
    let signed = Signed::read(&domain, me, &mtx, &signature);
    let signed = signed.context(ExitStatus::Internal, "an action cannot be read")?;
    // Anybody may bring it to the chain. The members have enough to do with the logs.
    let call = Call::contract(ring, signed.calldata());
    stage.send(seed(b"registered"), call).await?;
    let request = append(&log, (ring, me));
    stage.member()?.append(&request).await.map(drop)?;
    Ok(())
}

fn append(log: &Log, (ring, avatar): (Address, Address)) -> AppendParams {
    let nodes = log.since(Digest::ZERO);
    let nodes = nodes.iter().map(|node| HexBytes(node.bytes().to_vec()));
    AppendParams {
        avatar,
        ring,
        log_nodes: nodes.collect(),
        replicas: None,
        wait: None,
        replica_key: None,
    }
}

/// How many rings a member keeps.
async fn kept(client: &Client) -> Result<u64, ExitError> {
    let (mut count, mut from) = (0, None);
    loop {
        let which = ClientRingsParams { ring: None, from };
        let page = client.client_rings(&which).await?;
        count += page.rings.len() as u64;
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(count),
        }
    }
}
