//! The keys of a private client ring, changed when somebody who has them has left the ring, or the ring that keeps it.
//!
//! What is written next must be sealed with a key that nobody has who has left. So the chain is asked who is a member
//! ([`Home::membership`]) before something is written, and if that has changed, the logs are read: another member may have made a
//! new key already. If none has, one is made here ([`renew`]): it stands in the own log, wrapped for each member who has
//! written, and its first node brings its replica key to the members that keep the ring (`deliver.rs`).
//!
//! How far the logs were read for keys is in a file beside them.

use super::{
    deliver::deliver,
    fetch::range,
    place::{Avatar, Home},
};
use crate::{
    args::{LineArgs, RotateArgs},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    ringdir::replace,
};
use futures::future::join_all;
use rand::RngCore;
use rings_api::{client_rings::ClientRingsParams, Client};
use rings_client::{ClientKeys, Digest, NewKey};
use rings_member::clock;
use rings_protocol::{private::node_key, Address};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};
use tokio::time::timeout;

/// Time for a member to say what it holds.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How often the logs are gone through for keys that stand in each other's logs: more seldom than keys are made.
pub(super) const PASSES: usize = 64;

/// Who may have keys, as the chain has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Membership {
    /// The members of the client ring.
    pub(super) members: Vec<Address>,
    /// Those of the ring that keeps it.
    pub(super) keepers: Vec<Address>,
    /// The epoch of the client ring.
    pub(super) ring_epoch: u64,
    /// The sum of both epochs.
    pub(super) epoch: u64,
}

/// Up to where the logs were read for keys.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ReadKeys {
    /// The epoch at which it was last looked who has left.
    epoch: u64,
    /// The next node of each log.
    next: BTreeMap<Address, u64>,
}

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RotatedView {
    ring: Address,
    epoch: u64,
    /// The name of the key.
    key: Digest,
    /// Members for whom it could not be wrapped.
    left_out: BTreeSet<Address>,
}

impl Home {
    /// Who may have keys now. The keys learn what the chain has reached.
    ///
    /// # Errors
    /// Status 5 when the chain cannot be asked.
    pub(super) async fn membership(&self) -> Result<Membership, ExitError> {
        let rings = tokio::try_join!(
            self.chain.ring_state(self.domain.ring),
            self.chain.ring_state(self.keeper)
        );
        let (ring, keeper) = rings?;
        let membership = Membership {
            ring_epoch: ring.epoch,
            epoch: ring.epoch.saturating_add(keeper.epoch),
            members: ring.members,
            keepers: keeper.members,
        };
        if let Some(keys) = self.secrecy.keys() {
            keys.reached(membership.epoch, &membership.members);
        }
        Ok(membership)
    }

    fn read_keys(&self) -> PathBuf {
        self.files.join(format!("{}.keys", self.domain.ring))
    }
}

/// Because of whom the key is to be changed. `asked` says that a replica asks for it; it counts for the key of the recovery line,
/// of which nobody else knows who has it.
pub(super) fn why(keys: &ClientKeys, now: &Membership, asked: bool) -> Option<String> {
    let left = keys.left(&now.members, &now.keepers);
    let names: Vec<_> = left.iter().map(ToString::to_string).collect();
    match names.is_empty() {
        false => Some(format!("{} has left and had the key", names.join(", "))),
        true if asked && !keys.is_rotated() => {
            Some("a member of the ring that keeps this one has left and had the replica key".into())
        }
        true => None,
    }
}

/// Sees to it, before something is written, that it is sealed with a key that nobody has who has left.
///
/// # Errors
/// Status 5 when chain or members cannot be asked, 1 when something cannot be written here.
pub(super) async fn refresh(avatar: &mut Avatar, out: Out) -> Result<(), ExitError> {
    let Some(keys) = avatar.home.secrecy.keys().cloned() else {
        return Ok(());
    };
    let now = avatar.home.membership().await?;
    let path = avatar.home.read_keys();
    let read = std::fs::read(&path).unwrap_or_default();
    // A file that cannot be read is as good as none: the logs are read from their beginnings.
    let read: ReadKeys = serde_json::from_slice(&read).unwrap_or_default();
    let is_same = read.epoch == now.epoch;
    let from = if is_same { read.next } else { BTreeMap::new() };
    let Some((next, asked)) = learn(&avatar.home, from).await? else {
        return Ok(());
    };
    if let Some(why) = why(&keys, &now, asked).filter(|_| !is_same) {
        out.note(format_args!("{why}; changing the key"));
        let made = renew(avatar, &now, &[]).await?;
        say_left_out(&made, out);
    }
    avatar.home.remember_keys()?;
    let read = ReadKeys {
        epoch: now.epoch,
        next,
    };
    let read = serde_json::to_vec(&read);
    let read = read.context(ExitStatus::Internal, "cannot note how far logs were read")?;
    replace(&path, &read)
}

/// Reads the logs from these places on for keys. Says up to where, and whether a member asks for another key; nothing if no member
/// has logs of this ring yet.
async fn learn(
    home: &Home,
    mut next: BTreeMap<Address, u64>,
) -> Result<Option<(BTreeMap<Address, u64>, bool)>, ExitError> {
    let Some(keys) = home.secrecy.keys() else {
        return Ok(None);
    };
    let which = ClientRingsParams {
        ring: Some(home.domain.ring),
        from: None,
    };
    // All of them are asked: one that has left itself does not say so, and one may be behind.
    let asked = home.clients.iter().map(|client| async {
        timeout(ASK_LIMIT, client.client_rings(&which))
            .await
            .ok()?
            .ok()
    });
    let answers: Vec<_> = join_all(asked).await;
    let answers: Vec<_> = answers
        .into_iter()
        .zip(&home.clients)
        .filter_map(|(answer, client)| Some((client, answer?.rings.into_iter().next()?)))
        .collect();
    let wanted = answers.iter().any(|(_, ring)| ring.rotate);
    for (client, ring) in &answers {
        for _ in 0..PASSES {
            let before = keys.count();
            for head in &ring.heads {
                let place = next.entry(head.avatar).or_default();
                read_log(home, client, (head.avatar, head.seq), place).await;
            }
            if keys.count() == before {
                break;
            }
        }
    }
    Ok((!answers.is_empty()).then_some((next, wanted)))
}

/// Reads one log for keys, as far as it can be opened. Its signatures are checked; how it is linked is of no importance here.
async fn read_log(home: &Home, client: &Client, (author, end): (Address, u64), next: &mut u64) {
    while *next <= end {
        let page = range(client, (home.domain.ring, author), (*next, end)).await;
        let page = page.unwrap_or_default();
        let before = *next;
        for bytes in page {
            match home.secrecy.open(&home.domain, &bytes) {
                Ok(node) if node.author() == author && node.seq() == *next => {
                    home.secrecy.hear(&node);
                    *next += 1;
                }
                _ => return,
            }
        }
        if *next == before {
            return;
        }
    }
}

/// Makes a new key: a node that announces it, sealed with the one before, and the first node that is sealed with it.
///
/// # Errors
/// Status 5 when the chain cannot be asked, 1 when the log cannot be written.
pub(super) async fn renew(
    avatar: &mut Avatar,
    now: &Membership,
    refs: &[Digest],
) -> Result<NewKey, ExitError> {
    let Some(keys) = avatar.home.secrecy.keys().cloned() else {
        return Err(ExitError::usage(
            "everybody can read this ring; there is no key that could be changed",
        ));
    };
    let mut replicas = Vec::with_capacity(now.keepers.len());
    for keeper in &now.keepers {
        let contact = avatar
            .home
            .chain
            .contact(avatar.home.keeper, *keeper)
            .await?;
        replicas.extend(contact.map(|contact| contact.public_key));
    }
    let random = |bytes: &mut [u8; 32]| rand::rngs::OsRng.fill_bytes(bytes);
    let made = keys.rotate(now.epoch, (&now.members, &replicas), random);
    let made = made.context(ExitStatus::Internal, "the key cannot be changed")?;
    let (log, key) = (&mut avatar.log, &avatar.key);
    log.append(key, made.messages.clone(), (refs, clock::known_seconds()))?;
    log.append_nothing(key)?;
    avatar.home.remember_keys()?;
    Ok(made)
}

/// A log that members refuse, because it ends with a node under a key that was replaced, goes on with an empty node under the new
/// one. What is signed already is not signed again: two nodes for one position would be a fork.
///
/// # Errors
/// Status 5 when the new key is not known here, or chain and members cannot be asked.
pub(super) async fn go_on_sealed(avatar: &mut Avatar, out: Out) -> Result<(), ExitError> {
    refresh(avatar, out).await?;
    let keys = avatar.home.secrecy.keys();
    let current = keys.and_then(|keys| Some(keys.current()?.key.replica_key().name()));
    let newest = avatar.log.log().nodes().last();
    let sealed = newest.and_then(|node| node_key(node.bytes()).ok());
    if sealed == current {
        return Err(ExitError::unavailable(
            "the ring has a new key, which was not wrapped for this avatar; ask somebody of the ring for its present recovery line (`rings ring line`) and give it with --line. What is written stays in the log here and goes out then",
        ));
    }
    avatar.log.append_nothing(&avatar.key)?;
    out.note("the ring has a new key since this was written; the log goes on under it, and nothing is lost");
    Ok(())
}

/// Says to whom the new recovery line is to be given.
pub(super) fn say_left_out(made: &NewKey, out: Out) {
    for member in &made.left_out {
        out.note(left_out(*member));
    }
}

/// What is said of a member for whom a key could not be wrapped.
pub(super) fn left_out(member: Address) -> String {
    format!("{member} has written nothing yet, so the new key could not be wrapped for it: if it is to read, give it the new recovery line (rings ring line)")
}

/// `rings ring rotate`
///
/// # Errors
/// Status 2 when the ring has no key, 5 when chain or members cannot be asked.
pub async fn rotate(args: RotateArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = Avatar::open(&args.avatar).await?;
    avatar.acts()?;
    let now = avatar.home.membership().await?;
    learn(&avatar.home, BTreeMap::new()).await?;
    let made = renew(&mut avatar, &now, &[]).await?;
    let mut held = None;
    for client in avatar.home.replicas().await? {
        let sent = deliver(client, &avatar, (avatar.on_chain.head, &[]), (1, 0)).await;
        held = Some(sent);
        if matches!(held, Some(Ok(_))) {
            break;
        }
    }
    match held {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(error.into()),
        None => return Err(ExitError::unavailable(
            "no member that keeps the logs answers; the new key goes out with what is written next",
        )),
    }
    say_left_out(&made, out);
    let view = RotatedView {
        ring: avatar.ring,
        epoch: made.epoch,
        key: made.name,
        left_out: made.left_out,
    };
    match args.avatar.json {
        true => out.json(&view),
        false => out.line(view.key),
    }
}

/// `rings ring line`
///
/// # Errors
/// Status 2 when there is no such line here.
pub fn show_line(args: &LineArgs, out: Out) -> Result<(), ExitError> {
    super::line::print(args.dir.dir().root(), args.ring, out)
}
