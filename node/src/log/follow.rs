//! `rings log follow`: a member's new nodes as they come.
//!
//! The next nodes are asked for, oldest first, so that a long absence costs pages and no memory, and again when a member tells
//! that the log has grown. While no member tells, they are asked for again and again. Each node must link to the one shown
//! before it. A member that does not answer is waited for.
//!
//! If a member gives other nodes than the chain of links allows, the command ends and says whether the author has
//! written another history or the member gives something else; another member is asked when one does not answer.

use super::{
    node_text::{written, NodeText},
    reading::{holders, open_entry, page},
};
use crate::{
    args::FollowArgs,
    avatar::secrecy,
    exit::{ExitError, ExitStatus},
    out::Out,
    place::Place,
    process::Pauses,
    ringdir::RingDir,
    signals::Signals,
};
use ipld_core::ipld::Ipld;
use rings_api::{
    notices::{SubscribeParams, Topic},
    views::LogEntry,
    Client, Notices,
};
use rings_client::{Said, Secrecy};
use rings_protocol::{
    eip712::Domain,
    log::{Links, LogNode},
    Address, Digest,
};
use std::time::{Duration, Instant};

/// Longest pause between two looks while no member tells of new nodes.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// Longest pause while one does, and between two attempts to have one tell.
const SELDOM: Duration = Duration::from_secs(10);
/// Most nodes that one look brings.
const NODES_AT_ONCE: u32 = 16;

/// `rings log follow`
///
/// # Errors
/// Status 2 when the account is not a member, 1 when its author has written another history. Ctrl-C ends it without an
/// error.
pub async fn follow(args: FollowArgs, out: Out) -> Result<(), ExitError> {
    let mut signals = Signals::new()?;
    let following = async {
        let place = Place::of(&args.place).await?;
        Follower::new(&args, &place, out).await?.all().await
    };
    tokio::select! {
        ended = following => ended,
        () = signals.next() => Ok(()),
    }
}

/// How far a log was shown, and whom to ask next.
struct Follower<'a> {
    place: &'a Place,
    members: Vec<&'a Client>,
    domain: Domain,
    /// Who can read the log.
    secrecy: Secrecy,
    author: Address,
    json: bool,
    /// It is the log of an avatar.
    is_client: bool,
    out: Out,
    /// The position of the next node.
    next: u64,
    /// The digest of the node before it, if that was seen.
    before: Option<Digest>,
    /// How many nodes the next look asks for.
    limit: u32,
    /// What a member tells of this log.
    notices: Option<Notices>,
    /// When a member is asked to tell.
    listen_due: Instant,
}

impl<'a> Follower<'a> {
    async fn new(args: &FollowArgs, place: &'a Place, out: Out) -> Result<Self, ExitError> {
        let (author, ring) = (args.author, args.client.unwrap_or(place.file.ring));
        let domain = Domain::new(place.file.chain_id, ring);
        let root = place
            .dir
            .as_ref()
            .map(RingDir::root)
            .filter(|_| args.client.is_some());
        let secrecy = secrecy(root, &domain)?;
        let members = holders(place, author).await?;
        let newest = page(&members, ring, author, None, 1).await?;
        let newest = newest.nodes.first();
        let is_client = args.client.is_some();
        let newest = newest.map(|entry| match is_client {
            true => opened(&secrecy, &domain, author, &entry.bytes.0),
            false => open_entry(entry, &domain, author),
        });
        let newest = newest.transpose()?;
        let end = newest.as_ref().map_or(0, |node| node.seq() + 1);
        let next = args.from.unwrap_or(end);
        let before = newest.filter(|_| next == end).map(|node| node.digest());
        out.note(format_args!(
            "following the log of {author} from node {next} on; Ctrl-C ends it"
        ));
        Ok(Self {
            place,
            members,
            domain,
            secrecy,
            author,
            json: args.json,
            is_client,
            out,
            next,
            before,
            limit: 1,
            notices: None,
            listen_due: Instant::now(),
        })
    }

    /// Looks until it is interrupted. A member that does not answer is said once, and waited for.
    async fn all(mut self) -> Result<(), ExitError> {
        let mut pauses = Pauses::new(LONGEST_LOOK);
        let mut told = false;
        loop {
            match self.look().await {
                Ok(0) => self.wait(&mut pauses).await,
                Ok(_) => {
                    (pauses, told) = (Pauses::new(LONGEST_LOOK), false);
                }
                Err(failure) if failure.status() == ExitStatus::Unavailable => {
                    if !told {
                        self.out.failure(&failure);
                        self.out.note("waiting until a member answers again");
                        told = true;
                    }
                    pauses.next().await;
                    self.ask_others().await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits until a member tells that the log has grown, or for a while.
    async fn wait(&mut self, pauses: &mut Pauses) {
        let Some(notices) = &mut self.notices else {
            // The next look finds what came before the member tells.
            match Instant::now() >= self.listen_due {
                true => self.listen().await,
                false => pauses.next().await,
            }
            return;
        };
        tokio::select! {
            told = notices.next() => if told.is_err() {
                self.notices = None;
            },
            () = tokio::time::sleep(SELDOM) => {}
        }
    }

    /// Asks the first member that can to tell of this log.
    async fn listen(&mut self) {
        let what = SubscribeParams {
            ring: Some(self.domain.ring),
            member: Some(self.author),
            ..SubscribeParams::all(Topic::Heads)
        };
        self.listen_due = Instant::now() + SELDOM;
        for member in &self.members {
            if let Ok(notices) = member.subscribe(&what).await {
                self.notices = Some(notices);
                return;
            }
        }
    }

    /// Another member may answer where this one does not.
    async fn ask_others(&mut self) {
        if let Ok(members) = holders(self.place, self.author).await {
            self.members = members;
        }
    }

    /// Shows what is new, at most `limit` nodes, and returns how many there were. While nothing comes, one node is asked
    /// for.
    async fn look(&mut self) -> Result<usize, ExitError> {
        let newest = self.next.saturating_add(u64::from(self.limit) - 1);
        let (ring, author) = (self.domain.ring, self.author);
        let page = page(&self.members, ring, author, Some(newest), self.limit).await?;
        let fresh = page.nodes.iter().rev();
        let fresh: Vec<_> = fresh.filter(|entry| entry.seq >= self.next).collect();
        for entry in &fresh {
            let node = self.open(entry)?;
            self.show(&node)?;
        }
        self.limit = match fresh.len() as u32 >= self.limit {
            true => (2 * self.limit).min(NODES_AT_ONCE),
            false => 1,
        };
        Ok(fresh.len())
    }

    /// A node as a member shows it: an avatar's is opened here, for no member can read it.
    fn open(&self, entry: &LogEntry) -> Result<LogNode, ExitError> {
        match self.is_client {
            true => opened(&self.secrecy, &self.domain, self.author, &entry.bytes.0),
            false => open_entry(entry, &self.domain, self.author),
        }
    }

    /// What an avatar's node says, as text.
    fn said(&self, node: &LogNode) -> String {
        let mut text = format!("{}  {}  {}", node.seq(), written(node), node.author());
        for message in self.secrecy.messages(node).unwrap_or_default() {
            let line = match Said::from_message(&message) {
                Some(Said::Line(line)) => line,
                _ => format!(
                    "{} {}: {} bytes",
                    message.domain,
                    message.kind,
                    message.payload.len()
                ),
            };
            text.push_str("\n    ");
            text.extend(line.chars().filter(|c| !c.is_control()));
        }
        text
    }

    /// Shows the next node. That it follows the one before is checked here, since different members may give the two.
    fn show(&mut self, node: &LogNode) -> Result<(), ExitError> {
        let links = Links::of(node);
        if node.seq() != self.next {
            return Err(ExitError::unavailable(format!(
                "a member gives node {} of the log of {} in place of node {}",
                node.seq(),
                self.author,
                self.next
            )));
        }
        if self.before.is_some() && links.prev != self.before {
            return Err(ExitError::internal(format!(
                "FORKED: node {} of the log of {} does not follow the node that was shown before it; see `rings ring show`",
                node.seq(),
                self.author
            )));
        }
        match self.json {
            true => self.out.bytes(&dag_json(node)?)?,
            false if self.is_client => self.out.line(self.said(node))?,
            false => self.out.line(NodeText(node))?,
        }
        (self.next, self.before) = (node.seq() + 1, Some(node.digest()));
        Ok(())
    }
}

/// A node of this avatar's log, sealed or not. Its signature is checked.
fn opened(
    secrecy: &Secrecy,
    domain: &Domain,
    author: Address,
    bytes: &[u8],
) -> Result<LogNode, ExitError> {
    let node = secrecy.open(domain, bytes).map_err(|error| {
        let what = format!("what a member gives as a node of the log of {author} cannot be read; its ring may be private, and its recovery line not be here");
        ExitError::unavailable(what).because(error)
    })?;
    match node.author() == author {
        true => Ok(node),
        false => Err(ExitError::unavailable(format!(
            "a member gives a node of {} for one of the log of {author}; ask another member",
            node.author()
        ))),
    }
}

/// A node as a line of DAG-JSON.
fn dag_json(node: &LogNode) -> Result<Vec<u8>, ExitError> {
    let shown = || ExitError::internal("a log node cannot be shown as DAG-JSON");
    let tree: Ipld =
        serde_ipld_dagcbor::from_slice(node.bytes()).map_err(|error| shown().because(error))?;
    let mut line = serde_ipld_dagjson::to_vec(&tree).map_err(|error| shown().because(error))?;
    line.push(b'\n');
    Ok(line)
}
