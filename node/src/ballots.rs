//! What members have said about a question in their logs, as far as any member that is asked holds these logs.

use rings_api::Client;
use rings_protocol::{eip712::Domain, log::LogNode, Address};

/// How far back a log is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To its first node.
    All,
    /// Until this many things are found, within the newest nodes: for what a member has said a short time ago.
    Until(usize),
}

impl Depth {
    /// Nodes asked for at once.
    fn page(self) -> u32 {
        match self {
            Self::All => 200,
            Self::Until(_) => 25,
        }
    }

    /// Most pages of one log that are searched.
    fn most_pages(self) -> usize {
        match self {
            Self::All => 5_000,
            Self::Until(_) => 40,
        }
    }

    /// Whether `found` things are enough.
    fn is_reached(self, found: usize) -> bool {
        match self {
            Self::All => false,
            Self::Until(enough) => found >= enough,
        }
    }
}

/// All that `find` finds in the log of `account`, newest first, from the first member whose copy has anything.
pub async fn search<T>(
    members: &[&Client],
    domain: &Domain,
    account: Address,
    depth: Depth,
    find: impl Fn(&LogNode) -> Vec<T>,
) -> Vec<T> {
    for member in members {
        let found = search_at(member, domain, account, depth, &find).await;
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// All that `find` finds in one member's copy of the log. Invalid nodes are skipped.
async fn search_at<T>(
    member: &Client,
    domain: &Domain,
    account: Address,
    depth: Depth,
    find: impl Fn(&LogNode) -> Vec<T>,
) -> Vec<T> {
    let (mut from, mut found) = (None, Vec::new());
    for _ in 0..depth.most_pages() {
        let page = member.log(domain.ring, account, from, depth.page());
        let Ok(page) = page.await else {
            break;
        };
        for entry in &page.nodes {
            let node = entry.open(domain).ok();
            let node = node.filter(|node| node.author() == account);
            found.extend(node.iter().flat_map(&find));
        }
        match page.next {
            _ if depth.is_reached(found.len()) => break,
            Some(next) => from = Some(next),
            None => break,
        }
    }
    found
}
