//! `rings log append`, `rings flush` and `rings replicate`.
//!
//! Each opens the avatar ([`Avatar`]), signs here, and sends what it signed to the first member that answers; no key
//! leaves this machine. A log node is in the file before it is sent, since another one for the same position would be a
//! fork. What a replica says is checked as far as it can be: the signatures of replicas that hold a log, by key; what
//! became of an action, by waiting until the replica has seen it on the chain.

use super::{
    deliver::{deliver, is_incomplete, is_replaced, is_unknown, wrapped},
    place::Avatar,
    rotate::{go_on_sealed, refresh},
    words::{self, Words},
};
use crate::{
    args::{AppendArgs, AvatarArgs, FlushArgs, LeaveArgs, ReplicateArgs},
    exit::{Context, ExitError, ExitStatus},
    out::{count, Out},
};
use rings_api::{
    client_rings::{FlushParams, HeldView, MessageStatus, MessageView, ReplicateParams},
    Client, HexBytes,
};
use rings_client::{
    leave_ring, register_ring, unregister_ring, Action, CompoundAction, Digest, LogMessage,
    Signature, NO_DEADLINE,
};
use rings_member::clock;
use std::{
    io::Read,
    time::{Duration, Instant},
};

/// Between two looks at an action that is on its way.
const LOOK: Duration = Duration::from_millis(100);
/// How long it is waited for a member that knows the ring and its key: they come through the other members' logs.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// `rings log append`: a node with one message, durable here and then at replicas.
///
/// # Errors
/// Status 2 when it cannot be written here, 5 when no replica takes it.
pub async fn append(args: AppendArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = opened(&args.avatar).await?;
    refresh(&mut avatar, out).await?;
    let message = LogMessage {
        domain: args.domain,
        payload: text(args.text)?.into_bytes().into(),
        status: "new".into(),
        kind: args.kind,
    };
    avatar
        .log
        .append(&avatar.key, vec![message], (&[], clock::known_seconds()))?;
    let wait = u64::try_from(args.wait.as_millis()).unwrap_or(u64::MAX);
    let held = bring(&mut avatar, (args.replicas, wait), Some(out)).await?;
    let mut words = Words::open(words::path(avatar.log.path()))?;
    let by = words.take(&avatar.home, avatar.address(), &held)?;
    if held.head != avatar.log.log().head() {
        return Err(ExitError::unavailable(format!(
            "the replica holds this log up to {}, which is not its head here",
            held.head
        )));
    }
    let ahead = avatar.log.log().since(avatar.on_chain.head).len() as u64;
    if args.flush_each > 0 && ahead >= args.flush_each {
        // It goes on without this command: the members relay it.
        let (_, message) = send(&mut avatar, Action::default(), Some(out)).await?;
        out.note(format_args!(
            "{} of the log on the way to the chain: {}",
            count(ahead, "node"),
            message.msg_hash
        ));
    }
    if args.avatar.json {
        return out.json(&held);
    }
    for replica in by {
        out.note(format_args!("held by {replica}"));
    }
    out.line(held.head)
}

/// The message itself, or what comes on standard input.
fn text(text: String) -> Result<String, ExitError> {
    if text != "-" {
        return Ok(text);
    }
    let mut read = String::new();
    let what = "cannot read the message from standard input";
    std::io::stdin()
        .read_to_string(&mut read)
        .context(ExitStatus::Usage, what)?;
    Ok(read)
}

/// Why no member took the log.
enum NotHeld {
    /// It ends with a node under a key that was replaced.
    Replaced,
    /// Anything else.
    Failed(ExitError),
}

/// Has the log held by the first member that knows the ring. If it is refused because it ends with a node under a key that was
/// replaced, it goes on under the new one, which is told; without `out` it is only refused.
///
/// # Errors
/// Status 5 when no member takes it.
pub(super) async fn bring(
    avatar: &mut Avatar,
    how: (u32, u64),
    out: Option<Out>,
) -> Result<HeldView, ExitError> {
    let held = match (bring_as_it_is(avatar, how).await, out) {
        (Err(NotHeld::Replaced), Some(out)) => {
            go_on_sealed(avatar, out).await?;
            bring_as_it_is(avatar, how).await
        }
        (held, _) => held,
    };
    held.map_err(|why| match why {
        NotHeld::Replaced => ExitError::unavailable(
            "the ring has a new key since this log's last node was written; write another one and it goes out with it: nothing is lost",
        ),
        NotHeld::Failed(error) => error,
    })
}

/// If no member knows the ring yet, they are asked again: its key comes to them through the log of the member that it was handed to.
async fn bring_as_it_is(avatar: &Avatar, how: (u32, u64)) -> Result<HeldView, NotHeld> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        let mut last = None;
        let replicas = avatar.home.replicas().await;
        for client in replicas.map_err(NotHeld::Failed)? {
            match deliver(client, avatar, (avatar.on_chain.head, &[]), how).await {
                Ok(held) => return Ok(held),
                Err(error) if is_replaced(&error) => return Err(NotHeld::Replaced),
                Err(error) if is_unknown(&error) => last = Some(error),
                Err(error) => return Err(NotHeld::Failed(error.into())),
            }
        }
        match last {
            Some(error) if Instant::now() >= deadline => {
                return Err(NotHeld::Failed(error.into()));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// `rings flush`
///
/// # Errors
/// Status 5 when a replica or the contract refuses.
pub async fn flush(args: FlushArgs, out: Out) -> Result<(), ExitError> {
    let call = Action {
        to: args.to.unwrap_or_default(),
        value: args.value.into(),
        gas: args.gas,
        data: args.data.map(|data| data.0).unwrap_or_default(),
    };
    let avatar = opened(&args.avatar).await?;
    run(avatar, call, (&args.avatar, args.timeout), out).await
}

/// `rings avatar leave`
///
/// # Errors
/// As [`flush`].
pub async fn leave(args: LeaveArgs, out: Out) -> Result<(), ExitError> {
    let avatar = opened(&args.avatar).await?;
    let call = leave_ring(avatar.ring);
    run(avatar, call, (&args.avatar, args.timeout), out).await
}

async fn run(
    mut avatar: Avatar,
    call: Action,
    how: (&AvatarArgs, Duration),
    out: Out,
) -> Result<(), ExitError> {
    let (client, message) = send(&mut avatar, call, Some(out)).await?;
    follow(how, &client, message, out).await
}

/// Signs an action and brings it to the first member that knows the ring, with the nodes behind it.
///
/// # Errors
/// As [`flush`].
pub(super) async fn send(
    avatar: &mut Avatar,
    call: Action,
    out: Option<Out>,
) -> Result<(Client, MessageView), ExitError> {
    begin(avatar)?;
    // A log that is longer than one request is held first.
    bring(avatar, (1, 0), out).await?;
    let (action, signature) = sign(avatar, call)?;
    let request = FlushParams {
        avatar: action.avatar,
        ring: avatar.ring,
        mtx: HexBytes(action.to_abi()),
        mtx_sig: HexBytes(signature.to_bytes().to_vec()),
        log_nodes: Vec::new(),
    };
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        let mut last = None;
        for client in avatar.home.replicas().await? {
            match client.flush(&request).await {
                Ok(message) => return Ok((client.clone(), message)),
                // Another one has it, and this one is about to.
                Err(error) if is_unknown(&error) || is_incomplete(&error) => {
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match last {
            Some(error) if Instant::now() >= deadline => return Err(error.into()),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// `rings replicate`
///
/// # Errors
/// As [`flush`].
pub async fn replicate(args: ReplicateArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = opened(&args.avatar).await?;
    let (keeper, ring, me) = (avatar.home.keeper, avatar.ring, avatar.address());
    if args.end {
        let call = unregister_ring(keeper, ring, me);
        return run(avatar, call, (&args.avatar, args.timeout), out).await;
    }
    let (action, signature) = sign(&mut avatar, register_ring(keeper, ring, me))?;
    let replicas = avatar.home.replicas().await?;
    // Somebody answers, or it has failed.
    let client = replicas[0].clone();
    let request = ReplicateParams {
        ring,
        replica_ring: keeper,
        replica_key: HexBytes(wrapped(&avatar.home, &client).await?),
        mtx: HexBytes(action.to_abi()),
        mtx_sig: HexBytes(signature.to_bytes().to_vec()),
        log_nodes: nodes(&avatar, Digest::ZERO),
    };
    let message = client.replicate(&request).await?;
    follow((&args.avatar, args.timeout), &client, message, out).await
}

async fn opened(args: &AvatarArgs) -> Result<Avatar, ExitError> {
    let avatar = Avatar::open(args).await?;
    avatar.acts()?;
    Ok(avatar)
}

/// An action moves the head of a log, which needs a node for that: an empty one gets its first.
fn begin(avatar: &mut Avatar) -> Result<(), ExitError> {
    match avatar.log.log().nodes().is_empty() {
        true => avatar.log.append_nothing(&avatar.key),
        false => Ok(()),
    }
}

/// Signs an action that moves the head to the end of the log.
fn sign(avatar: &mut Avatar, call: Action) -> Result<(CompoundAction, Signature), ExitError> {
    begin(avatar)?;
    let signed = call.sign(&avatar.key, avatar.log.log(), avatar.on_chain, NO_DEADLINE);
    signed.map_err(|error| ExitError::internal("the action cannot be signed").because(error))
}

/// The nodes after a head, newest first.
fn nodes(avatar: &Avatar, head: Digest) -> Vec<HexBytes> {
    let nodes = avatar.log.log().since(head);
    nodes
        .iter()
        .map(|node| HexBytes(node.bytes().to_vec()))
        .collect()
}

/// Waits until the action has ended, and tells how.
///
/// # Errors
/// Status 5 when it fails, or is not on chain in time.
pub(super) async fn follow(
    (args, patience): (&AvatarArgs, Duration),
    client: &Client,
    mut message: MessageView,
    out: Out,
) -> Result<(), ExitError> {
    let step = out.step("waiting for the transaction");
    let deadline = Instant::now() + patience;
    while message.status == MessageStatus::Received {
        if Instant::now() >= deadline {
            let what = format!(
                "{} was received, and is not on chain within {} s; it goes on without this command",
                message.msg_hash,
                patience.as_secs()
            );
            return Err(ExitError::unavailable(what));
        }
        tokio::time::sleep(LOOK).await;
        message = client.message(message.msg_hash).await?.unwrap_or(message);
    }
    drop(step);
    if args.json {
        out.json(&message)?;
    }
    match (message.status, message.tx) {
        (MessageStatus::Relayed, Some(tx)) if !args.json => out.line(tx),
        (MessageStatus::Relayed, _) => Ok(()),
        _ => Err(ExitError::unavailable(format!(
            "the action failed: {}",
            message.reason.unwrap_or_default()
        ))),
    }
}
