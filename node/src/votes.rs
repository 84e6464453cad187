//! Who has voted for what, as seen by the members that answer.
//!
//! [`Votes::ask`] asks all members at the same time and joins what they know, so a vote counts as known when any of
//! them has it. It is for telling a person what happens, and decides nothing: a result counts when it is on chain.
//! [`answering`] sorts the members by who answers first.

use crate::out::Out;
use futures::{future::join_all, stream::FuturesUnordered, StreamExt};
use rings_api::{
    views::{GateState, GateView, OutputView, VoteView},
    Client,
};
use rings_protocol::{Address, Digest};
use std::{collections::BTreeMap, time::Duration};

/// Time for a member to tell about a gate.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Time for a member to tell the notes of a run.
const NOTES_LIMIT: Duration = Duration::from_secs(1);
/// Most notes that are taken from a member; a run has fewer.
const MOST_NOTES: usize = 8;

/// The votes that all members together know of.
#[derive(Debug, Default)]
pub struct Votes {
    /// One per member that has voted.
    pub votes: BTreeMap<Address, VoteView>,
    /// What members say about why there is no result.
    pub reasons: BTreeMap<String, usize>,
    /// How many members have answered.
    pub answered: usize,
}

impl Votes {
    /// Asks all members at the same time.
    pub async fn ask(clients: &[Client], gate: Address) -> Self {
        let asked = clients.iter().map(|client| async move {
            let answer = tokio::time::timeout(ASK_LIMIT, client.gate(gate)).await;
            answer.ok().and_then(Result::ok)
        });
        let mut all = Self::default();
        join_all(asked)
            .await
            .into_iter()
            .flatten()
            .for_each(|view| all.take(view));
        all
    }

    fn take(&mut self, view: GateView) {
        self.answered += 1;
        self.votes
            .extend(view.votes.into_iter().map(|vote| (vote.member, vote)));
        let reason = view.reason.or_else(|| match view.state {
            GateState::Unknown => Some("it has not heard of the gate".into()),
            GateState::Waiting => Some("it waits for other gates".into()),
            _ => None,
        });
        if let Some(reason) = reason {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// The members of whom no vote is known.
    pub fn silent(&self, members: impl IntoIterator<Item = Address>) -> Vec<Address> {
        let members = members.into_iter();
        members
            .filter(|member| !self.votes.contains_key(member))
            .collect()
    }

    /// How many have voted for one and the same result in an epoch.
    pub fn most_in(&self, epoch: u64) -> usize {
        let mut results: BTreeMap<Digest, usize> = BTreeMap::new();
        for vote in self.votes.values().filter(|vote| vote.epoch == epoch) {
            *results.entry(vote.result).or_default() += 1;
        }
        results.into_values().max().unwrap_or_default()
    }

    /// Tells who voted for what, and who is silent.
    pub fn tell(&self, silent: &[Address], out: Out) {
        let mut results: BTreeMap<Digest, (&[OutputView], Vec<Address>)> = BTreeMap::new();
        for vote in self.votes.values() {
            let result = results
                .entry(vote.result)
                .or_insert((&vote.outputs, Vec::new()));
            result.1.push(vote.member);
        }
        for (outputs, members) in results.into_values() {
            let outputs: Vec<_> = outputs
                .iter()
                .map(|o| format!("{}: {}", o.pin, o.cid))
                .collect();
            out.warn(format_args!("voted for {}:", outputs.join(", ")));
            members
                .iter()
                .for_each(|member| out.warn(format_args!("  {member}")));
        }
        if !silent.is_empty() {
            out.warn("silent:");
            silent
                .iter()
                .for_each(|member| out.warn(format_args!("  {member}")));
        }
        for (reason, count) in &self.reasons {
            out.warn(format_args!(
                "{count} of the members that answer say: {reason}"
            ));
        }
    }
}

/// Which members answer.
#[derive(Debug)]
pub enum Answering<'a> {
    /// All members, those that answer first.
    Members(Vec<&'a Client>),
    /// None, and some let the time pass: they may be busy.
    Late,
    /// None, and each said so at once: nobody is there, or something else.
    Away,
}

/// The members in the order of preference: the first one to answer comes first, of those that are connected with others if
/// there are any, because nobody gets a file from a member that is alone. `None` when none answers.
pub async fn answering(clients: &[Client]) -> Option<Vec<&Client>> {
    match who_answers(clients).await {
        Answering::Members(members) => Some(members),
        Answering::Late | Answering::Away => None,
    }
}

/// As [`answering`], and when none answers, what they do.
pub async fn who_answers(clients: &[Client]) -> Answering<'_> {
    let mut asked: FuturesUnordered<_> = clients
        .iter()
        .enumerate()
        .map(|(index, client)| async move {
            let answer = tokio::time::timeout(ASK_LIMIT, client.status()).await;
            (
                index,
                answer.map(|answer| answer.map(|status| status.peers)),
            )
        })
        .collect();
    let (mut first, mut are_late) = (None, false);
    while let Some((index, answer)) = asked.next().await {
        are_late |= answer.is_err();
        let Ok(Ok(peers)) = answer else {
            continue;
        };
        if peers > 0 || clients.len() == 1 {
            first = Some(index);
            break;
        }
        first.get_or_insert(index);
    }
    let Some(first) = first else {
        return match are_late {
            true => Answering::Late,
            false => Answering::Away,
        };
    };
    let others = (0..clients.len()).filter(|index| *index != first);
    let order = std::iter::once(first).chain(others);
    Answering::Members(order.map(|index| &clients[index]).collect())
}

/// The notes of the run for a gate, of the first member that has computed it. They follow from the program and its
/// inputs, so all honest members have the same.
pub async fn notes(clients: &[Client], gate: Address) -> Vec<String> {
    let mut asked: FuturesUnordered<_> = clients
        .iter()
        .map(|client| tokio::time::timeout(NOTES_LIMIT, client.gate(gate)))
        .collect();
    while let Some(answer) = asked.next().await {
        let Ok(Ok(mut view)) = answer else {
            continue;
        };
        if view.milliseconds.compute.is_some() || !view.notes.is_empty() {
            view.notes.truncate(MOST_NOTES);
            return view.notes;
        }
    }
    Vec::new()
}
