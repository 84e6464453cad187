//! Members that will not vote on a gate, and the moment from which on no quorum can come.

use crate::process::Pauses;
use futures::future::join_all;
use rings_api::{
    views::{GateState, GateView},
    Client,
};
use rings_protocol::Address;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Time for a member to tell about a gate.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Longest pause between two rounds of questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a member lacks what it needs for a gate before the files are given to another member.
const STUCK: Duration = Duration::from_secs(3);

/// A member that has declined a gate; also the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declined {
    /// The member.
    pub member: Address,
    /// Why, in its own words.
    pub reason: String,
}

/// The members that can be asked, each with its account.
pub type Members = [(Address, Client)];

/// Waits until the members that have not declined the gate are too few for a quorum. Gives those that have declined.
pub async fn until_hopeless(
    members: &Members,
    gate: Address,
    quorum: u64,
    total: usize,
) -> Vec<Declined> {
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        pauses.next().await;
        let declined = ask(members, gate).await;
        if is_hopeless(declined.len(), quorum, total) {
            return declined;
        }
    }
}

/// Waits until some member has said for [`STUCK`] why it cannot compute the gate now.
pub async fn until_stuck(members: &Members, gate: Address) {
    let mut since = None;
    loop {
        tokio::time::sleep(LONGEST_PAUSE).await;
        let views = views(members, gate).await;
        if !is_stuck(&views) {
            since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= STUCK {
            return;
        }
    }
}

fn is_stuck(views: &[GateView]) -> bool {
    let cannot = |view: &GateView| view.state == GateState::Ready && view.reason.is_some();
    views.iter().any(cannot)
}

async fn views(members: &Members, gate: Address) -> Vec<GateView> {
    let asked = members.iter().map(|(_, client)| async move {
        let view = tokio::time::timeout(ASK_LIMIT, client.gate(gate)).await;
        view.ok()?.ok()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// The members that have declined the gate, as they say themselves.
pub async fn ask(members: &Members, gate: Address) -> Vec<Declined> {
    let asked = members.iter().map(|(member, client)| async move {
        let view = tokio::time::timeout(ASK_LIMIT, client.gate(gate)).await;
        declined(*member, view.ok()?.ok()?)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// A member that has declined has not voted before, or its vote still counts.
fn declined(member: Address, view: GateView) -> Option<Declined> {
    let has_voted = view.votes.iter().any(|vote| vote.member == member);
    (view.state == GateState::Declined && !has_voted).then(|| Declined {
        member,
        reason: view.reason.unwrap_or_else(|| "it does not say why".into()),
    })
}

/// Whether the members that have not declined are too few for a quorum.
pub fn is_hopeless(declined: usize, quorum: u64, total: usize) -> bool {
    let left = total.saturating_sub(declined);
    (left as u64) < quorum
}

/// The reasons, each with the number of members that give it, the most frequent first.
pub fn reasons(declined: &[Declined]) -> Vec<(usize, String)> {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for one in declined {
        *counted.entry(&one.reason).or_default() += 1;
    }
    let mut reasons: Vec<_> = counted
        .into_iter()
        .map(|(reason, count)| (count, reason.to_owned()))
        .collect();
    reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hopeless_when_the_others_are_too_few() {
        assert!(!is_hopeless(1, 4, 5));
        assert!(is_hopeless(2, 4, 5));
        assert!(!is_hopeless(0, 1, 1));
        assert!(is_hopeless(1, 1, 1));
        assert!(is_hopeless(9, 1, 3));
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let one = |member, reason: &str| Declined {
            member: Address([member; 20]),
            reason: reason.into(),
        };
        let all = [one(1, "a"), one(2, "b"), one(3, "b")];
        assert_eq!(reasons(&all), [(2, "b".into()), (1, "a".into())]);
    }
}
