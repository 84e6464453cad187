//! What members have said about external tasks, in their signed logs.

use super::ring::Ring;
use crate::{
    ballots::{search, Depth},
    exit::ExitError,
};
use cid::Cid;
use rings_process::{
    attempt::{Attempt, Stage, Verdict},
    words::Word,
};
use rings_protocol::{log::LogNode, Address, Digest};
use std::collections::BTreeMap;

/// What members have said about external tasks.
#[derive(Default)]
pub struct Spoken {
    /// The first final word of each member, by the execution.
    attempts: BTreeMap<Cid, BTreeMap<Address, Attempt>>,
    verdicts: BTreeMap<Digest, Verdict>,
}

impl Spoken {
    /// Reads the logs of all members.
    ///
    /// # Errors
    /// Status 5 when no member answers.
    pub async fn of(ring: &Ring) -> Result<Self, ExitError> {
        let members = ring.place.members().await?;
        let mut spoken = Self::default();
        for author in &ring.state.members {
            let mut words = search(&members, &ring.domain, *author, Depth::All, words_in).await;
            // The newest node comes first, and within one the first word.
            words.sort_by_key(|(number, _)| *number);
            for (_, word) in words {
                spoken.take(*author, word);
            }
        }
        Ok(spoken)
    }

    fn take(&mut self, author: Address, word: Word) {
        match word {
            Word::Attempt(attempt) if attempt.state != Stage::Started => {
                let of_execution = self.attempts.entry(attempt.execution).or_default();
                if of_execution.contains_key(&author) {
                    return;
                }
                let verdict = Verdict::of_one(author, &attempt);
                of_execution.insert(author, attempt);
                verdict
                    .into_iter()
                    .for_each(|verdict| self.propose(verdict));
            }
            Word::Verdict(verdict) => self.propose(verdict),
            _ => {}
        }
    }

    fn propose(&mut self, verdict: Verdict) {
        if let Ok(choice) = verdict.choice() {
            self.verdicts.insert(choice.choice, verdict);
        }
    }

    /// The verdict with this hash.
    pub fn verdict(&self, choice: &Digest) -> Option<&Verdict> {
        self.verdicts.get(choice)
    }

    /// Whether a member has said this result of an execution.
    pub fn is_said(&self, member: &Address, execution: &Cid, result: &Cid) -> bool {
        let attempt = self
            .attempts
            .get(execution)
            .and_then(|said| said.get(member));
        attempt.is_some_and(|attempt| attempt.result == Some(*result))
    }
}

fn words_in(node: &LogNode) -> Vec<(u64, Word)> {
    let messages = node.content().body.iter();
    let words = messages.filter_map(|message| Word::from_message(message).ok().flatten());
    let words = words.filter(|word| matches!(word, Word::Attempt(_) | Word::Verdict(_)));
    words.map(|word| (node.content().seq, word)).collect()
}
