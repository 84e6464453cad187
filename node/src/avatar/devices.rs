//! A person's devices, each of which is an avatar: added, removed and replaced, with the signatures of two thirds of the ring.
//!
//! What somebody wants ([`Wish`]) is signed and said in the log ([`wished`]); others approve it by the same message with their own
//! signatures. Whoever finds that two thirds have signed brings the change to the chain. In the same node the avatar says which
//! others are of the same person: the two are shown as one name when the new device says the same of the old one.

use super::{
    act::{bring, follow, send},
    fetch::range,
    place::Avatar,
    rotate::{refresh, Membership, PASSES},
};
use crate::{
    args::{AddDeviceArgs, ApproveArgs, AvatarArgs, DeviceArgs, RecoverArgs},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
};
use rings_api::client_rings::ClientRingsParams;
use rings_client::{
    in_order, Changes, ClientKeys, Digest, Domain, LogCopies, LogMessage, LogNode, MembersChange,
    OpenChange, People, Said, SecretKey,
};
use rings_member::clock;
use rings_protocol::Address;
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// How long a change may be approved, in seconds.
const OPEN_FOR: u64 = 30 * 24 * 3600;

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A further device of one's own.
    Add(Address),
    /// Somebody else.
    Invite(Address),
    /// One of the devices goes.
    Remove(Address),
    /// One is lost, and another takes its place.
    Recover {
        /// The lost one.
        lost: Address,
        /// The fresh one.
        fresh: Address,
    },
    /// Another avatar of the ring is of the same person; the members stay.
    Also(Address),
}

/// What is printed of a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeView {
    change: Digest,
    by: Address,
    enter: Vec<Address>,
    exit: Vec<Address>,
    signed: Vec<Address>,
    needed: usize,
}

/// The ring as its logs show it.
struct Picture {
    now: Membership,
    people: People,
    changes: Changes,
    heads: Vec<Digest>,
}

/// The body of the node that says what somebody wants.
///
/// # Errors
/// Status 2 when that is not possible.
pub(super) fn wished(
    wish: Wish,
    (domain, key): (&Domain, &SecretKey),
    now: &Membership,
    people: &People,
) -> Result<Vec<LogMessage>, ExitError> {
    let me = key.address();
    let mut also: BTreeSet<_> = people.named_by(me).collect();
    let (mut enter, mut exit) = (Vec::new(), Vec::new());
    match wish {
        Wish::Add(device) => {
            also.insert(device);
            enter.push(device);
        }
        Wish::Invite(other) => enter.push(other),
        Wish::Remove(device) => {
            also.remove(&device);
            exit.push(device);
        }
        Wish::Recover { lost, fresh } => {
            also.remove(&lost);
            also.insert(fresh);
            (enter, exit) = (vec![fresh], vec![lost]);
        }
        Wish::Also(device) => drop(also.insert(device)),
    }
    check(now, &enter, &exit)?;
    let mut messages = Vec::with_capacity(2);
    if !(enter.is_empty() && exit.is_empty()) {
        let change = MembersChange {
            epoch: now.ring_epoch,
            enter,
            exit,
            deadline: clock::seconds().saturating_add(OPEN_FOR),
        };
        messages.push(signed(&change, (domain, key), now)?);
    }
    if !matches!(wish, Wish::Invite(_)) {
        let name = people.said_name(me).map(str::to_owned);
        let name = name.unwrap_or_else(|| people.name(me));
        messages.push(Said::name(&name, also).to_message());
    }
    Ok(messages)
}

fn check(now: &Membership, enter: &[Address], exit: &[Address]) -> Result<(), ExitError> {
    if let Some(member) = enter.iter().find(|one| now.members.contains(one)) {
        return Err(ExitError::usage(format!(
            "{member} is a member of the ring already; to say that it is of the same person: rings avatar also"
        )));
    }
    match exit.iter().find(|one| !now.members.contains(one)) {
        Some(stranger) => Err(ExitError::usage(format!(
            "{stranger} is not a member of the ring; check the address"
        ))),
        None => Ok(()),
    }
}

/// The message with which an avatar agrees to a change.
///
/// # Errors
/// Status 1, which does not happen with a valid key.
pub(super) fn signed(
    change: &MembersChange,
    (domain, key): (&Domain, &SecretKey),
    now: &Membership,
) -> Result<LogMessage, ExitError> {
    let message = change.sign(domain, &now.members, key);
    message.context(ExitStatus::Internal, "the change cannot be signed")
}

/// A change in words.
pub(super) fn described(people: &People, name: Digest, open: &OpenChange, needed: usize) -> String {
    let who = |accounts: &[Address]| {
        let names = accounts
            .iter()
            .map(|account| format!("{} ({account})", people.name(*account)));
        names.collect::<Vec<_>>().join(", ")
    };
    let parts = [
        ("let in", &open.change.enter),
        ("put out", &open.change.exit),
    ];
    let parts = parts.iter().filter(|(_, accounts)| !accounts.is_empty());
    let parts: Vec<_> = parts
        .map(|(what, accounts)| format!("{what} {}", who(accounts)))
        .collect();
    let short: String = name.to_string().chars().take(10).collect();
    format!(
        "{} asks to {}; {} of {needed} have signed change {short}",
        people.name(open.by),
        parts.join(" and "),
        open.signed.len()
    )
}

impl Picture {
    /// Reads the logs at the first member that gives them.
    async fn of(avatar: &mut Avatar) -> Result<Self, ExitError> {
        let now = avatar.home.membership().await?;
        let (me, domain) = (avatar.address(), avatar.home.domain);
        let mut copies = LogCopies::new(domain, avatar.home.secrecy.clone());
        let mut nodes = Vec::new();
        for node in avatar.log.log().nodes() {
            nodes.extend(copies.add(me, node.bytes()).ok());
        }
        let which = ClientRingsParams {
            ring: Some(domain.ring),
            from: None,
        };
        for client in avatar.home.replicas().await? {
            let Ok(answer) = client.client_rings(&which).await else {
                continue;
            };
            let heads = answer.rings.into_iter().flat_map(|ring| ring.heads);
            let heads: Vec<_> = heads.map(|head| (head.avatar, head.seq)).collect();
            if heads.is_empty() {
                continue;
            }
            read_all(client, &mut copies, &heads, &mut nodes).await;
            break;
        }
        avatar.home.remember_keys()?;
        let mut people = People::default();
        let mut changes = Changes::new(domain, now.members.clone(), now.ring_epoch);
        for node in in_order(nodes) {
            for message in copies.messages(&node).unwrap_or_default() {
                if let Some(said) = Said::from_message(&message) {
                    people.hear(node.author(), &said);
                }
                changes.hear(node.author(), &message);
            }
        }
        Ok(Self {
            now,
            people,
            changes,
            heads: copies.heads_beside(me),
        })
    }

    fn view(&self, name: Digest, open: &OpenChange) -> ChangeView {
        ChangeView {
            change: name,
            by: open.by,
            enter: open.change.enter.clone(),
            exit: open.change.exit.clone(),
            signed: open.signed.keys().copied().collect(),
            needed: self.changes.needed(),
        }
    }
}

/// Reads logs as far as they can be opened. Keys may stand in other logs than what they open.
async fn read_all(
    client: &rings_api::Client,
    copies: &mut LogCopies,
    heads: &[(Address, u64)],
    nodes: &mut Vec<LogNode>,
) {
    let ring = copies.domain().ring;
    for _ in 0..PASSES {
        let keys = copies.secrecy().keys().map(ClientKeys::count);
        for (author, end) in heads {
            while copies.next_seq(*author) <= *end {
                let first = copies.next_seq(*author);
                let page = range(client, (ring, *author), (first, *end)).await;
                for bytes in page.unwrap_or_default() {
                    let Ok(node) = copies.add(*author, &bytes) else {
                        break;
                    };
                    nodes.push(node);
                }
                if copies.next_seq(*author) == first {
                    break;
                }
            }
        }
        if copies.secrecy().keys().map(ClientKeys::count) == keys {
            break;
        }
    }
}

/// `rings avatar add`
///
/// # Errors
/// Status 2 when it is a member, 5 when chain or members refuse.
pub(super) async fn add(args: AddDeviceArgs, out: Out) -> Result<(), ExitError> {
    let (is_other, args) = (args.other, args.device);
    let wish = match is_other {
        true => Wish::Invite(args.device),
        false => Wish::Add(args.device),
    };
    wish_for(wish, (&args.avatar, args.timeout), out).await
}

/// `rings avatar remove`
///
/// # Errors
/// As [`add`].
pub(super) async fn remove(args: DeviceArgs, out: Out) -> Result<(), ExitError> {
    wish_for(Wish::Remove(args.device), (&args.avatar, args.timeout), out).await
}

/// `rings avatar also`
///
/// # Errors
/// As [`add`].
pub(super) async fn also(args: DeviceArgs, out: Out) -> Result<(), ExitError> {
    wish_for(Wish::Also(args.device), (&args.avatar, args.timeout), out).await
}

/// `rings avatar recover`
///
/// # Errors
/// As [`add`].
pub(super) async fn recover(args: RecoverArgs, out: Out) -> Result<(), ExitError> {
    let wish = Wish::Recover {
        lost: args.lost,
        fresh: args.fresh,
    };
    wish_for(wish, (&args.avatar, args.timeout), out).await
}

async fn wish_for(wish: Wish, how: (&AvatarArgs, Duration), out: Out) -> Result<(), ExitError> {
    let mut avatar = Avatar::open(how.0).await?;
    avatar.acts()?;
    let mut picture = Picture::of(&mut avatar).await?;
    let of = (&avatar.home.domain, &avatar.key);
    let messages = wished(wish, of, &picture.now, &picture.people)?;
    say(&mut avatar, messages.clone(), &picture.heads, out).await?;
    let me = avatar.address();
    let names = messages.iter().filter_map(|message| {
        picture.changes.hear(me, message);
        let (change, _) = MembersChange::from_message(message)?;
        Some(change.digest(&avatar.home.domain, &picture.now.members))
    });
    match names.last() {
        Some(name) => settle(avatar, &picture, name, how, out).await,
        None if how.0.json => out.json(&avatar.log.log().head()),
        None => out.line(avatar.log.log().head()),
    }
}

/// `rings avatar approve`
///
/// # Errors
/// Status 2 when there is no such change, 5 when chain or members refuse.
pub(super) async fn approve(args: ApproveArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = Avatar::open(&args.avatar).await?;
    avatar.acts()?;
    let mut picture = Picture::of(&mut avatar).await?;
    let Some(wanted) = &args.change else {
        return list(&picture, args.avatar.json, out);
    };
    let name = find(&picture.changes, wanted)?;
    let me = avatar.address();
    let open = picture
        .changes
        .get(name)
        .filter(|open| !open.signed.contains_key(&me));
    if let Some(change) = open.map(|open| open.change.clone()) {
        let message = signed(&change, (&avatar.home.domain, &avatar.key), &picture.now)?;
        say(&mut avatar, vec![message.clone()], &picture.heads, out).await?;
        picture.changes.hear(me, &message);
    }
    settle(avatar, &picture, name, (&args.avatar, args.timeout), out).await
}

/// The change whose name begins so.
///
/// # Errors
/// Status 2 when there is none, or several.
pub(super) fn find(changes: &Changes, wanted: &str) -> Result<Digest, ExitError> {
    let names = changes.open().map(|(name, _)| name);
    let mut found = names.filter(|name| name.to_string().starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(ExitError::usage(format!(
            "no open change begins with {wanted}; rings avatar approve without a name lists them"
        ))),
        (Some(_), Some(_)) => Err(ExitError::usage(format!(
            "several changes begin with {wanted}; give more of the name"
        ))),
    }
}

fn list(picture: &Picture, json: bool, out: Out) -> Result<(), ExitError> {
    let needed = picture.changes.needed();
    let open: Vec<_> = picture.changes.open().collect();
    if json {
        let views: Vec<_> = open
            .iter()
            .map(|(name, open)| picture.view(*name, open))
            .collect();
        return out.json(&views);
    }
    for (name, open) in open {
        out.line(format_args!(
            "{name}  {}",
            described(&picture.people, name, open, needed)
        ))?;
    }
    Ok(())
}

/// Writes a node and has it held.
async fn say(
    avatar: &mut Avatar,
    messages: Vec<LogMessage>,
    refs: &[Digest],
    out: Out,
) -> Result<(), ExitError> {
    refresh(avatar, out).await?;
    avatar
        .log
        .append(&avatar.key, messages, (refs, clock::known_seconds()))?;
    bring(avatar, (1, 0), Some(out)).await.map(drop)
}

/// Brings a change to the chain if enough have signed it; otherwise says what is missing.
async fn settle(
    mut avatar: Avatar,
    picture: &Picture,
    name: Digest,
    how: (&AvatarArgs, Duration),
    out: Out,
) -> Result<(), ExitError> {
    let Some(open) = picture.changes.get(name) else {
        return Err(ExitError::internal(
            "the change is not among those that are open",
        ));
    };
    let Some(call) = picture.changes.ready(name) else {
        out.note(described(
            &picture.people,
            name,
            open,
            picture.changes.needed(),
        ));
        out.note(format_args!(
            "other avatars of the ring sign it with: rings avatar approve {name}"
        ));
        return match how.0.json {
            true => out.json(&picture.view(name, open)),
            false => out.line(name),
        };
    };
    let has_left = !open.change.exit.is_empty();
    let (client, message) = send(&mut avatar, call, Some(out)).await?;
    follow(how, &client, message, out).await?;
    // Who has been put out has the key.
    if has_left && !open.change.exit.contains(&avatar.address()) {
        avatar.refresh().await?;
        let before = avatar.log.log().head();
        refresh(&mut avatar, out).await?;
        if avatar.log.log().head() != before {
            bring(&mut avatar, (1, 0), Some(out)).await?;
        }
    }
    Ok(())
}
