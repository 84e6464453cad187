//! Members that will not vote on a gate, and the moment from which on no quorum can come.

use crate::process::Pauses;
use futures::future::join_all;
use rings_api::{
    views::{GateState, GateView},
    Client,
};
use rings_protocol::Address;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::watch, time::timeout};

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

/// Waits until the members that have not declined the gate are too few for a quorum. Gives those that have declined. Meanwhile
/// `lacking` shows whether some member says why it cannot compute the gate now.
pub async fn until_hopeless(
    members: &Members,
    gate: Address,
    (quorum, total): (u64, usize),
    lacking: &watch::Sender<bool>,
) -> Vec<Declined> {
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        pauses.next().await;
        let views = views(members, gate).await;
        lacking.send_replace(views.iter().any(|(_, view)| lacks(view)));
        let declined = all_declined(views);
        if is_hopeless(declined.len(), quorum, total) {
            return declined;
        }
    }
}

/// Waits until some member has lacked something for [`STUCK`].
pub async fn until_stuck(lacking: &mut watch::Receiver<bool>) {
    loop {
        let ended = lacking.wait_for(|lacks| *lacks).await.is_err();
        if ended {
            return std::future::pending().await;
        }
        if timeout(STUCK, lacking.wait_for(|lacks| !*lacks))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// The members that have declined the gate, as they say themselves.
pub async fn ask(members: &Members, gate: Address) -> Vec<Declined> {
    all_declined(views(members, gate).await)
}

/// What each member that answers knows of the gate.
async fn views(members: &Members, gate: Address) -> Vec<(Address, GateView)> {
    let asked = members.iter().map(|(member, client)| async move {
        let view = timeout(ASK_LIMIT, client.gate(gate)).await;
        Some((*member, view.ok()?.ok()?))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn lacks(view: &GateView) -> bool {
    view.state == GateState::Ready && view.reason.is_some()
}

fn all_declined(views: Vec<(Address, GateView)>) -> Vec<Declined> {
    let views = views.into_iter();
    views
        .filter_map(|(member, view)| declined(member, view))
        .collect()
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
