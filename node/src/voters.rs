//! Who has voted for what on a request, by the signed nodes of the members' logs.

use super::ballots::{search, Depth};
use futures::future::join_all;
use rings_api::Client;
use rings_protocol::{
    eip712::Domain,
    log::LogNode,
    request::{RequestKey, RequestVote},
    Address,
};

/// A member's vote, with the log node that signs it.
#[derive(Debug, Clone)]
pub struct SignedVote {
    /// The vote.
    pub vote: RequestVote,
    /// The bytes of the node.
    pub node: Vec<u8>,
}

/// What each of these accounts has voted on the request with these inputs; in the same order.
pub async fn votes(
    members: &[&Client],
    domain: &Domain,
    accounts: &[Address],
    key: RequestKey,
    depth: Depth,
) -> Vec<Vec<SignedVote>> {
    let votes = accounts
        .iter()
        .map(|account| search(members, domain, *account, depth, |node| votes_in(node, key)));
    join_all(votes).await
}

fn votes_in(node: &LogNode, key: RequestKey) -> Vec<SignedVote> {
    let votes = node.content().body.iter();
    let votes = votes.filter_map(|message| RequestVote::from_message(message).ok().flatten());
    let votes = votes.filter(|vote| vote.key == key);
    let signed = votes.map(|vote| SignedVote {
        vote,
        node: node.bytes().to_vec(),
    });
    signed.collect()
}
