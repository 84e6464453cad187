//! `rings avatar restore`: an avatar's log and those of its ring, back from whichever members serve them honestly.
//!
//! Every member is asked for its signed word on each log. The logs come from whoever says it has most; every node is checked
//! here. Then words, heads on chain and what members had signed before are compared (`rings_client::judge`), and who leaves
//! something out or serves another history is named.

use super::{
    fetch::range,
    place::{Avatar, Home},
    words::{self, check, Words},
};
use crate::{
    args::AvatarRestoreArgs,
    exit::{ExitError, ExitStatus},
    out::{count, Out},
};
use futures::future::join_all;
use rings_api::{
    client_rings::{AppendParams, ClientRingsParams},
    Client,
};
use rings_client::{
    in_order, judge, Claim, ClientKeys, Digest, Evidence, Finding, LogCopies, LogNode,
};
use rings_protocol::Address;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::timeout;

/// Time for a member to say what it holds.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// Most authors of one ring: more than it can have members, for some have left.
const MOST_AUTHORS: usize = 1024;

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AvatarRestoredView {
    ring: Address,
    logs: Vec<LogView>,
    /// Members that did not answer.
    silent: Vec<String>,
    /// Who leaves something out, or serves another history, and what nobody serves.
    findings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogView {
    avatar: Address,
    nodes: u64,
    head: Digest,
    head_on_chain: Digest,
}

/// One message, as an application gets it.
#[derive(Debug, Serialize)]
struct Replayed<'a> {
    avatar: Address,
    seq: u64,
    time: Option<u64>,
    domain: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    status: &'a str,
    payload: String,
}

/// A member, and what it says.
struct Answering<'a> {
    client: &'a Client,
    account: Address,
    /// Where logs end with it: position and node.
    heads: BTreeMap<Address, (u64, Digest)>,
    /// What it has signed for.
    claims: Vec<Claim>,
}

/// `rings avatar restore`
///
/// # Errors
/// Status 2 when a file cannot be used, or the avatar's log is there; 5 when no member answers; 1 when something is lost.
pub async fn restore(args: AvatarRestoreArgs, out: Out) -> Result<(), ExitError> {
    let mut avatar = Avatar::open(&args.avatar).await?;
    let step = out.step("asking the members that keep the logs");
    let (replicas, silent) = ask_all(&avatar.home).await;
    if replicas.is_empty() {
        return Err(ExitError::unavailable(
            "no member that keeps the logs answers; try again later, or take a newer recovery line",
        ));
    }
    let on_chain = authors(&avatar.home, &replicas).await?;
    let replicas = sworn(&avatar.home, replicas, on_chain.keys().copied()).await;
    drop(step);
    let step = out.step("getting the logs");
    let domain = avatar.home.domain;
    let mut logs = LogCopies::new(domain, avatar.home.secrecy.clone());
    let (mut nodes, mut broken) = (Vec::new(), Vec::new());
    // A log may begin to be readable by a key that stands in another one.
    loop {
        broken.clear();
        let keys = avatar.home.secrecy.keys().map(ClientKeys::count);
        for author in on_chain.keys() {
            get_log(&mut logs, &replicas, *author, (&mut nodes, &mut broken)).await;
        }
        if avatar.home.secrecy.keys().map(ClientKeys::count) == keys {
            break;
        }
    }
    drop(step);
    let mut known: Vec<_> = on_chain
        .iter()
        .map(|(author, head)| Evidence::OnChain {
            author: *author,
            head: *head,
        })
        .collect();
    let words = args.words.unwrap_or_else(|| words::path(avatar.log.path()));
    known.extend(Words::open(words)?.known(&avatar.home.keeper_domain(), domain.ring));
    let claims: Vec<_> = replicas
        .iter()
        .flat_map(|replica| replica.claims.clone())
        .collect();
    let findings = judge(&logs, &claims, &known);
    let own = nodes
        .iter()
        .filter(|node: &&LogNode| node.author() == avatar.address());
    let own: Vec<_> = own.map(|node| node.bytes().to_vec()).collect();
    // A fresh key has nothing that could be restored. It reads with the line, and may write once it is let in.
    match own.is_empty() && !on_chain.contains_key(&avatar.address()) {
        true => out.note(format_args!(
            "{} is not in this ring and has written nothing: it reads what the line opens, and can write once the ring lets it in",
            avatar.address()
        )),
        false => avatar.log.restore(&own)?,
    }
    avatar.home.membership().await?;
    avatar.home.remember_keys()?;
    let view = AvatarRestoredView {
        ring: domain.ring,
        logs: on_chain
            .iter()
            .map(|(author, head)| LogView {
                avatar: *author,
                nodes: logs.next_seq(*author),
                head: logs.head(*author),
                head_on_chain: *head,
            })
            .collect(),
        silent,
        findings: findings
            .iter()
            .map(ToString::to_string)
            .chain(broken)
            .collect(),
    };
    show(&view, (args.messages, args.avatar.json), out)?;
    if args.messages {
        replay(&logs, nodes, out)?;
    }
    match findings
        .iter()
        .any(|finding| matches!(finding, Finding::Lost { .. }))
    {
        true => Err(ExitError::said(ExitStatus::Internal)),
        false => Ok(()),
    }
}

/// The members that answer, with the heads that they name, and the URLs of those that do not.
async fn ask_all(home: &Home) -> (Vec<Answering<'_>>, Vec<String>) {
    let which = ClientRingsParams {
        ring: Some(home.domain.ring),
        from: None,
    };
    let asked = home.clients.iter().map(|client| async {
        let both = async { tokio::try_join!(client.status(), client.client_rings(&which)) };
        let (status, view) = timeout(ASK_LIMIT, both).await.ok()?.ok()?;
        let heads = view.rings.into_iter().flat_map(|ring| ring.heads);
        Some(Answering {
            client,
            account: status.member,
            heads: heads
                .map(|head| (head.avatar, (head.seq, head.head)))
                .collect(),
            claims: Vec::new(),
        })
    });
    let (mut replicas, mut silent) = (Vec::new(), Vec::new());
    for (answer, client) in join_all(asked).await.into_iter().zip(&home.clients) {
        match answer {
            Some(replica) => replicas.push(replica),
            None => silent.push(client.url()),
        }
    }
    (replicas, silent)
}

/// Whose logs there are: those of the members, and of whoever had a head on chain. With their heads on chain.
async fn authors(
    home: &Home,
    replicas: &[Answering<'_>],
) -> Result<BTreeMap<Address, Digest>, ExitError> {
    let ring = home.domain.ring;
    let members: BTreeSet<_> = home
        .chain
        .ring_state(ring)
        .await?
        .members
        .into_iter()
        .collect();
    let named = replicas
        .iter()
        .flat_map(|replica| replica.heads.keys().copied());
    let all: BTreeSet<_> = members
        .iter()
        .copied()
        .chain(named.take(MOST_AUTHORS))
        .collect();
    let mut authors = BTreeMap::new();
    for author in all {
        let head = home.chain.avatar(ring, author).await?.head;
        if members.contains(&author) || !head.is_zero() {
            authors.insert(author, head);
        }
    }
    Ok(authors)
}

/// Has each member sign what it holds of each log.
async fn sworn<'a>(
    home: &Home,
    replicas: Vec<Answering<'a>>,
    authors: impl Iterator<Item = Address> + Clone,
) -> Vec<Answering<'a>> {
    let asked = replicas.into_iter().map(|mut replica| {
        let authors = authors.clone();
        async move {
            for author in authors {
                replica.claims.push(Claim {
                    replica: replica.account,
                    author,
                    head: word(home, replica.client, author).await,
                });
            }
            replica
        }
    });
    join_all(asked).await
}

/// The head of a log that a member signs to hold; nothing if it signs none.
async fn word(home: &Home, client: &Client, author: Address) -> Option<Digest> {
    let request = AppendParams {
        avatar: author,
        ring: home.domain.ring,
        log_nodes: Vec::new(),
        replicas: None,
        wait: None,
        replica_key: None,
    };
    let answer = timeout(ASK_LIMIT, client.append(&request)).await.ok()?;
    let held = answer.ok()?;
    let by = check(home, author, &held).ok()?;
    (!by.is_empty()).then_some(held.head)
}

/// Gets one log from whoever says that it has most of it, and goes on with the next if that is not so.
async fn get_log(
    logs: &mut LogCopies,
    replicas: &[Answering<'_>],
    author: Address,
    (nodes, broken): (&mut Vec<LogNode>, &mut Vec<String>),
) {
    let ring = logs.domain().ring;
    let mut holders: Vec<_> = replicas
        .iter()
        .filter_map(|replica| Some((replica.heads.get(&author)?.0, replica)))
        .collect();
    holders.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
    for (seq, replica) in holders {
        while logs.next_seq(author) <= seq {
            let first = logs.next_seq(author);
            let page = range(replica.client, (ring, author), (first, seq)).await;
            let failed = |what: &str| {
                format!(
                    "replica {} does not give the log of {author} from node {first} on, of which it names the head: {what}",
                    replica.account
                )
            };
            match page {
                Err(error) => {
                    broken.push(failed(&error.to_string()));
                    break;
                }
                Ok(page) if page.is_empty() => {
                    broken.push(failed("it leaves it out"));
                    break;
                }
                Ok(page) => {
                    let added = page.iter().try_for_each(|bytes| {
                        nodes.push(logs.add(author, bytes)?);
                        Ok::<_, rings_client::LogCopyError>(())
                    });
                    if let Err(error) = added {
                        broken.push(failed(&error.to_string()));
                        break;
                    }
                }
            }
        }
    }
}

fn show(
    view: &AvatarRestoredView,
    (messages, json): (bool, bool),
    out: Out,
) -> Result<(), ExitError> {
    for url in &view.silent {
        out.note(format_args!("the member at {url} does not answer"));
    }
    for finding in &view.findings {
        out.warn(finding);
    }
    if messages {
        return Ok(());
    }
    if json {
        return out.json(view);
    }
    for log in &view.logs {
        let nodes = usize::try_from(log.nodes).unwrap_or(usize::MAX);
        out.line(format_args!(
            "{}  {}, head {}",
            log.avatar,
            count(nodes, "node"),
            log.head
        ))?;
    }
    Ok(())
}

/// The messages of all logs, in order.
fn replay(logs: &LogCopies, nodes: Vec<LogNode>, out: Out) -> Result<(), ExitError> {
    for node in in_order(nodes) {
        // A message that is sealed with a key of another epoch cannot be shown.
        let Ok(messages) = logs.messages(&node) else {
            out.warn(format_args!(
                "node {} of {} is sealed with a key that is not in the recovery line",
                node.seq(),
                node.author()
            ));
            continue;
        };
        for message in messages {
            out.json(&Replayed {
                avatar: node.author(),
                seq: node.seq(),
                time: node.content().time,
                domain: &message.domain,
                kind: &message.kind,
                status: &message.status,
                payload: hex::encode(&message.payload),
            })?;
        }
    }
    Ok(())
}
