//! The answer that as many endpoints as must agree have given.
//!
//! So many endpoints are asked at once as must agree; each that fails or says something else brings one more into play.
//! Answers are compared by their meaning, since two implementations write the same answer differently. An endpoint that
//! contradicts the agreed answer is put aside. If they cannot agree, there is no answer, and the caller waits: a wrong
//! membership would be worse than a late one.

use super::{
    checked::{is_disputed, Meaning},
    failure::RpcFailure,
    providers::{Answer, Provider, Providers, Question},
};
use futures::future::join_all;
use std::sync::Arc;

impl Providers {
    /// Asks as many as must agree, and further ones where they do not.
    pub(super) async fn agreed(&self, question: &Question<'_>) -> Answer {
        let agree = self.0.agree;
        let order = self.in_order();
        let (first, further) = order.split_at(agree.min(order.len()));
        let asked = first.iter().map(|one| self.ask_one(one, question));
        let mut answers: Vec<_> = first.iter().copied().zip(join_all(asked).await).collect();
        let mut further = further.iter();
        loop {
            if let Some(answer) = self.decided(question.method, &answers) {
                return answer;
            }
            let Some(next) = further.next().copied() else {
                return Err(undecided(agree, &answers));
            };
            let answer = self.ask_one(next, question).await;
            answers.push((next, answer));
        }
    }

    /// The answer that enough have given. Those that gave another one are put aside.
    fn decided(&self, method: &str, answers: &[(&Provider, Answer)]) -> Option<Answer> {
        // What one refuses, such as too large a range, it refuses whatever the others say. A call is refused by all or by none.
        let refused: Vec<_> = answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().err().filter(|it| !it.is_of_provider()))
            .collect();
        let enough = match is_disputed(method) {
            true => self.0.agree,
            false => 1,
        };
        if let (Some(failure), true) = (refused.first(), refused.len() >= enough) {
            return Some(Err((*failure).clone()));
        }
        let meanings: Vec<_> = answers
            .iter()
            .filter_map(|(provider, answer)| {
                let answer = answer.as_ref().ok()?;
                Some((*provider, answer, Meaning::of(method, answer)))
            })
            .collect();
        let backed = |meaning: &Meaning| meanings.iter().filter(|(_, _, m)| m == meaning).count();
        let (_, answer, meaning) = meanings
            .iter()
            .find(|(_, _, meaning)| backed(meaning) >= self.0.agree)?;
        for (provider, _, other) in &meanings {
            match other == meaning {
                true => self.is_good(provider),
                false => self.put_aside(
                    provider,
                    &format!("it contradicts {} others about {method}", backed(meaning)),
                ),
            }
        }
        Some(Ok(Arc::clone(answer)))
    }
}

/// Why no answer has been given by enough of them.
fn undecided(agree: usize, answers: &[(&Provider, Answer)]) -> RpcFailure {
    let given = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    RpcFailure::unreachable(match given < agree {
        true => format!("{agree} providers have to agree, and {given} of them answered"),
        false => format!("{agree} providers have to agree, and they contradict one another"),
    })
}
