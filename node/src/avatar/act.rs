//! `rings log append`, `rings flush` and `rings replicate`.
//!
//! Each opens the avatar ([`Avatar`]), signs here, and sends what it signed to the first member that answers; no key
//! leaves this machine. A log node is in the file before it is sent, since another one for the same position would be a
//! fork. What a replica says is checked as far as it can be: the signatures of replicas that hold a log, by key; what
//! became of an action, by waiting until the replica has seen it on the chain.

use super::place::Avatar;
use crate::{
    args::{AppendArgs, AvatarArgs, FlushArgs, ReplicateArgs},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
};
use rings_api::{
    client_rings::{
        AppendParams, FlushParams, HeldView, MessageStatus, MessageView, ReplicateParams,
    },
    Client, HexBytes,
};
use rings_client::{
    held_by, register_ring, Action, CompoundAction, Digest, Domain, LogMessage, Signature,
    NO_DEADLINE,
};
use std::{
    io::Read,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Between two looks at an action that is on its way.
const LOOK: Duration = Duration::from_millis(100);

/// `rings log append`: a node with one message, durable here and then at a replica.
///
/// # Errors
/// Status 2 when it cannot be written here, 5 when no replica takes it.
pub async fn append(args: AppendArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = Avatar::open(&args.avatar).await?;
    avatar.acts()?;
    let message = LogMessage {
        domain: args.domain,
        payload: text(args.text)?.into_bytes().into(),
        status: "new".into(),
        kind: args.kind,
    };
    avatar.log.append(&avatar.key, vec![message], now())?;
    let request = AppendParams {
        avatar: avatar.key.address(),
        ring: avatar.ring,
        log_nodes: nodes(&avatar, avatar.on_chain.head),
        replicas: None,
        wait: None,
    };
    let held = avatar.replica().await?.append(&request).await?;
    check(&avatar, &held)?;
    if args.avatar.json {
        return out.json(&held);
    }
    for by in &held.held {
        out.note(format_args!("held by {}", by.replica));
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

/// Whether each replica that is named has signed that it holds this log.
fn check(avatar: &Avatar, held: &HeldView) -> Result<(), ExitError> {
    let domain = Domain::new(avatar.chain.id(), avatar.place.file.ring);
    let log = (avatar.ring, avatar.key.address(), held.head);
    for by in &held.held {
        let checked = held_by(&domain, by.replica, log, &by.signature.0);
        checked.map_err(|error| ExitError::unavailable(error.to_string()).because(error))?;
    }
    match held.head == avatar.log.log().head() {
        true => Ok(()),
        false => Err(ExitError::unavailable(format!(
            "the replica holds this log up to {}, which is not its head here",
            held.head
        ))),
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
    let mut avatar = opened(&args.avatar).await?;
    let (action, signature) = sign(&mut avatar, call)?;
    let request = FlushParams {
        avatar: action.avatar,
        ring: avatar.ring,
        mtx: HexBytes(action.to_abi()),
        mtx_sig: HexBytes(signature.to_bytes().to_vec()),
        log_nodes: nodes(&avatar, action.prev_head),
    };
    let client = avatar.replica().await?;
    let message = client.flush(&request).await?;
    follow((&args.avatar, args.timeout), &client, message, out).await
}

/// `rings replicate`
///
/// # Errors
/// As [`flush`].
pub async fn replicate(args: ReplicateArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = opened(&args.avatar).await?;
    let keeper = avatar.place.file.ring;
    let call = register_ring(keeper, avatar.ring, avatar.key.address());
    let (action, signature) = sign(&mut avatar, call)?;
    let request = ReplicateParams {
        ring: avatar.ring,
        replica_ring: keeper,
        replica_key: HexBytes(Vec::new()),
        mtx: HexBytes(action.to_abi()),
        mtx_sig: HexBytes(signature.to_bytes().to_vec()),
        log_nodes: nodes(&avatar, Digest::ZERO),
    };
    let client = avatar.replica().await?;
    let message = client.replicate(&request).await?;
    follow((&args.avatar, args.timeout), &client, message, out).await
}

async fn opened(args: &AvatarArgs) -> Result<Avatar, ExitError> {
    let avatar = Avatar::open(args).await?;
    avatar.acts()?;
    Ok(avatar)
}

/// Signs an action that moves the head to the end of the log. A log needs a node for that: an empty one gets its first.
fn sign(avatar: &mut Avatar, call: Action) -> Result<(CompoundAction, Signature), ExitError> {
    if avatar.log.log().nodes().is_empty() {
        avatar.log.append(&avatar.key, Vec::new(), now())?;
    }
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
async fn follow(
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

/// Seconds since 1970, for people.
fn now() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    since.map(|since| since.as_secs())
}
