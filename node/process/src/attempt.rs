//! What members write into their logs about external tasks: that one tries, what came of it, and what it all comes to.
//!
//! What a member says of an external task is its word alone, and two members may say different things. So nothing follows from
//! an [`Attempt`] before the ring has decided: the slot belongs to the execution ([`slot`]), and the choice is the hash of a
//! [`Verdict`], which names whose word it is.

use crate::document::{Document, DocumentError};
use cid::Cid;
use rings_protocol::{assembly::Choice, cids::sha256, Address, Digest};
use serde::{Deserialize, Serialize};

/// Version of the form of attempts and verdicts.
pub const VERSION: u32 = 1;
/// Most members that a verdict names.
pub const MAX_NAMED: usize = 1_024;
/// Bytes of a reason that are written down.
pub const MAX_REASON_BYTES: usize = 512;

/// How far a member is with an external task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It has begun.
    Started,
    /// Its connector has given one of the task's statuses.
    Answered,
    /// All its tries have failed.
    Failed,
    /// It does not do it: its configuration does not allow the connector, or it has not the values of the instance.
    Declined,
}

/// A member's word on an external task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The execution.
    pub execution: Cid,
    /// Why it has failed, or was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What its connector gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Cid>,
    /// How far it is.
    pub state: Stage,
    /// [`VERSION`].
    pub version: u32,
}

/// What the attempts of an execution come to, if the ring decides for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The members on whose word it rests.
    pub by: Vec<Address>,
    /// The execution.
    pub execution: Cid,
    /// Why it gives no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the connector of each of these members gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Cid>,
    /// [`VERSION`].
    pub version: u32,
}

impl Document for Attempt {
    const WHAT: &'static str = "an attempt at an external task";
}

impl Document for Verdict {
    const WHAT: &'static str = "a verdict on an external task";
}

impl Stage {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Declined => "declined",
        }
    }
}

/// The slot in which the ring decides what an external task gave.
pub fn slot(execution: &Cid) -> Digest {
    const KIND: &[u8] = b"rings external task";
    sha256(&[KIND, &execution.to_bytes()].concat())
}

/// A reason, cut to [`MAX_REASON_BYTES`].
pub fn short(mut reason: String) -> String {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

impl Attempt {
    /// Whether it is of the form that its state has: a result, a reason, or neither.
    pub fn is_whole(&self) -> bool {
        let has = (self.result.is_some(), self.reason.is_some());
        let is_short = self
            .reason
            .as_ref()
            .is_none_or(|reason| reason.len() <= MAX_REASON_BYTES);
        is_short
            && match self.state {
                Stage::Started => has == (false, false),
                Stage::Answered => has == (true, false),
                Stage::Failed | Stage::Declined => has == (false, true),
            }
    }
}

impl Verdict {
    /// What the word of one member comes to; nothing as long as it has said nothing final.
    pub fn of_one(member: Address, attempt: &Attempt) -> Option<Self> {
        matches!(attempt.state, Stage::Answered | Stage::Failed).then(|| Self {
            by: vec![member],
            execution: attempt.execution,
            reason: attempt.reason.clone(),
            results: attempt.result.into_iter().collect(),
            version: VERSION,
        })
    }

    /// That there is no result, on the word of these members.
    pub fn none(execution: Cid, by: Vec<Address>, reason: String) -> Self {
        Self {
            by,
            execution,
            reason: Some(short(reason)),
            results: Vec::new(),
            version: VERSION,
        }
    }

    /// Whether it is of the form that it has to have: a reason, or one result of each member, in the order of the members.
    pub fn is_whole(&self) -> bool {
        let ascending = self.by.windows(2).all(|pair| pair[0] < pair[1]);
        let reason = self.reason.as_ref();
        let is_short = reason.is_none_or(|reason| reason.len() <= MAX_REASON_BYTES);
        let count = match reason {
            Some(_) => 0,
            None => self.by.len(),
        };
        ascending
            && is_short
            && !self.by.is_empty()
            && self.by.len() <= MAX_NAMED
            && self.results.len() == count
    }

    /// What a member chooses that wants this verdict.
    ///
    /// # Errors
    /// [`DocumentError::TooLong`].
    pub fn choice(&self) -> Result<Choice, DocumentError> {
        Ok(Choice {
            slot: slot(&self.execution),
            choice: self.to_bytes().map(|bytes| sha256(&bytes))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::cid_of;

    fn attempt(state: Stage) -> Attempt {
        Attempt {
            execution: cid_of(b"execution"),
            reason: matches!(state, Stage::Failed | Stage::Declined).then(|| "no".into()),
            result: (state == Stage::Answered).then(|| cid_of(b"result")),
            state,
            version: VERSION,
        }
    }

    #[test]
    fn a_verdict_is_bound_to_its_member_and_all_of_an_execution_compete_for_one_slot() {
        let (one, other) = (Address([1; 20]), Address([2; 20]));
        let answered = Verdict::of_one(one, &attempt(Stage::Answered)).unwrap();
        let failed = Verdict::of_one(one, &attempt(Stage::Failed)).unwrap();
        let by_other = Verdict::of_one(other, &attempt(Stage::Answered)).unwrap();
        let choices = [&answered, &failed, &by_other].map(|verdict| verdict.choice().unwrap());
        assert!(choices
            .iter()
            .all(|choice| choice.slot == slot(&cid_of(b"execution"))));
        assert!(choices[0].choice != choices[1].choice && choices[0].choice != choices[2].choice);
        assert!(answered.is_whole() && failed.is_whole());
        assert_eq!(Verdict::of_one(one, &attempt(Stage::Started)), None);
        assert_eq!(Verdict::of_one(one, &attempt(Stage::Declined)), None);
    }

    #[test]
    fn what_is_not_whole_is_none() {
        for state in [
            Stage::Started,
            Stage::Answered,
            Stage::Failed,
            Stage::Declined,
        ] {
            assert!(attempt(state).is_whole());
            let both = Attempt {
                reason: Some("no".into()),
                result: Some(cid_of(b"result")),
                ..attempt(state)
            };
            assert!(!both.is_whole());
        }
        let long = Attempt {
            reason: Some("x".repeat(MAX_REASON_BYTES + 1)),
            ..attempt(Stage::Failed)
        };
        assert!(!long.is_whole());
        let verdict = |by: &[u8], results: usize| Verdict {
            by: by.iter().map(|byte| Address([*byte; 20])).collect(),
            execution: cid_of(b"execution"),
            reason: None,
            results: vec![cid_of(b"result"); results],
            version: VERSION,
        };
        assert!(verdict(&[1, 2], 2).is_whole());
        for wrong in [
            verdict(&[], 0),
            verdict(&[2, 1], 2),
            verdict(&[1, 1], 2),
            verdict(&[1], 0),
        ] {
            assert!(!wrong.is_whole(), "{wrong:?}");
        }
        assert_eq!(short("ä".repeat(MAX_REASON_BYTES)).len(), MAX_REASON_BYTES);
    }
}
