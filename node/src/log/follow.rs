//! `rings log follow`: a member's new nodes as they come.
//!
//! The next nodes are asked for again and again, oldest first, so that a long absence costs pages and no memory. Each
//! node must link to the one shown before it. A member that does not answer is waited for.
//!
//! If a member gives other nodes than the chain of links allows, the command ends and says whether the author has
//! written another history or the member gives something else; another member is asked when one does not answer.

use super::{
    node_text::NodeText,
    reading::{domain, holders, open_entry, page},
};
use crate::{
    args::FollowArgs,
    exit::{ExitError, ExitStatus},
    out::Out,
    place::Place,
    process::Pauses,
    signals::Signals,
};
use ipld_core::ipld::Ipld;
use rings_api::Client;
use rings_protocol::{
    eip712::Domain,
    log::{Links, LogNode},
    Address, Digest,
};
use std::time::Duration;

/// Longest pause between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
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
    author: Address,
    json: bool,
    out: Out,
    /// The position of the next node.
    next: u64,
    /// The digest of the node before it, if that was seen.
    before: Option<Digest>,
    /// How many nodes the next look asks for.
    limit: u32,
}

impl<'a> Follower<'a> {
    async fn new(args: &FollowArgs, place: &'a Place, out: Out) -> Result<Self, ExitError> {
        let (domain, author) = (domain(place), args.author);
        let members = holders(place, author).await?;
        let newest = super::reading::newest(&members, &domain, author).await?;
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
            author,
            json: args.json,
            out,
            next,
            before,
            limit: 1,
        })
    }

    /// Looks until it is interrupted. A member that does not answer is said once, and waited for.
    async fn all(mut self) -> Result<(), ExitError> {
        let mut pauses = Pauses::new(LONGEST_LOOK);
        let mut told = false;
        loop {
            match self.look().await {
                Ok(0) => pauses.next().await,
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
            let node = open_entry(entry, &self.domain, author)?;
            self.show(&node)?;
        }
        self.limit = match fresh.len() as u32 >= self.limit {
            true => (2 * self.limit).min(NODES_AT_ONCE),
            false => 1,
        };
        Ok(fresh.len())
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
            false => self.out.line(NodeText(node))?,
        }
        (self.next, self.before) = (node.seq() + 1, Some(node.digest()));
        Ok(())
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
