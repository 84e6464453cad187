//! Who runs an external task, and what the members' words on it come to. Pure: it sees what [`Scene`] says, and nothing else.

use cid::Cid;
use rings_process::{
    attempt::{Attempt, Stage, Verdict, VERSION},
    runners::Runners,
    service::Task,
};
use rings_protocol::Address;
use std::{collections::BTreeMap, time::Duration};

/// What a member knows of an external execution.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s> {
    pub me: Address,
    pub execution: Cid,
    /// The members in the order of the execution.
    pub order: &'s [Address],
    /// Those of them that are connected, and this one, in the same order.
    pub here: &'s [Address],
    /// How many have to agree.
    pub needed: usize,
    pub attempts: &'s BTreeMap<Address, Attempt>,
    /// Since when it is under way here.
    pub since: Duration,
    /// How long the next in line waits for a sign of life.
    pub turn: Duration,
}

impl Scene<'_> {
    fn state(&self, member: &Address) -> Option<Stage> {
        self.attempts.get(member).map(|attempt| attempt.state)
    }

    fn has_spoken(&self, member: &Address) -> bool {
        self.state(member)
            .is_some_and(|state| state != Stage::Started)
    }

    /// How long a member may take before it counts as silent.
    fn patience(&self, task: &Task) -> Duration {
        Duration::from_secs(task.longest()) + self.turn
    }

    /// Whether it is this member's turn to run the connector.
    pub fn may_begin(&self, task: &Task) -> bool {
        if self.has_spoken(&self.me) {
            return false;
        }
        if task.runners() == Runners::Each {
            return true;
        }
        // Without them nothing is decided; and one that is cut off, or has just started, would do again what others have done.
        if self.here.len() < self.needed {
            return false;
        }
        let is_done = |attempt: &Attempt| matches!(attempt.state, Stage::Answered | Stage::Failed);
        if self.attempts.values().any(is_done) {
            return false;
        }
        let patience = self.patience(task);
        let can = self
            .here
            .iter()
            .filter(|member| self.state(member) != Some(Stage::Declined));
        let can: Vec<_> = can.collect();
        // One that runs it is not disturbed while it is here, and has not been silent for too long.
        let mut others = can.iter().filter(|member| ***member != self.me);
        if others.any(|member| self.state(member) == Some(Stage::Started)) && self.since < patience
        {
            return false;
        }
        let place = can
            .iter()
            .position(|member| **member == self.me)
            .unwrap_or(can.len());
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.since >= patience.saturating_mul(place)
    }

    /// What the words come to, once this member would have the ring decide it.
    pub fn verdict(&self, task: &Task) -> Option<Verdict> {
        let declined = self
            .order
            .iter()
            .filter(|member| self.state(member) == Some(Stage::Declined));
        if declined.count() == self.order.len() {
            return self.nobody("no member does it");
        }
        match task.runners() {
            Runners::One => self.of_one(),
            Runners::Each => self.of_each(task),
        }
    }

    /// An answer before a failure; of several, that of the first in the order.
    fn of_one(&self) -> Option<Verdict> {
        [Stage::Answered, Stage::Failed]
            .into_iter()
            .find_map(|wanted| {
                let mut members = self.order.iter();
                let member = members.find(|member| self.state(member) == Some(wanted))?;
                Verdict::of_one(*member, self.attempts.get(member)?)
            })
    }

    /// The answers of all, when all that are here have spoken, or those that have not are too late.
    fn of_each(&self, task: &Task) -> Option<Verdict> {
        let mut members = self.order.to_vec();
        members.sort_unstable();
        let results = members.iter().filter_map(|member| {
            let attempt = self.attempts.get(member)?;
            Some((*member, attempt.result?))
        });
        let (by, results): (Vec<_>, Vec<_>) = results.unzip();
        if by.len() < self.needed {
            let all = members.iter().all(|member| self.has_spoken(member));
            let what = format!(
                "only {} of {} members have an answer, and {} are needed",
                by.len(),
                members.len(),
                self.needed
            );
            return all.then(|| self.nobody(&what)).flatten();
        }
        let all = self.here.iter().all(|member| self.has_spoken(member));
        (all || self.since >= self.patience(task)).then_some(Verdict {
            by,
            execution: self.execution,
            reason: None,
            results,
            version: VERSION,
        })
    }

    /// That there is no result, with the reason of the first member that has one.
    fn nobody(&self, what: &str) -> Option<Verdict> {
        let mut members = self.order.to_vec();
        members.sort_unstable();
        let first = members.iter().find_map(|member| {
            let reason = self.attempts.get(member)?.reason.as_ref()?;
            Some(format!("{what}; {member} says: {reason}"))
        });
        Some(Verdict::none(
            self.execution,
            members,
            first.unwrap_or_else(|| what.into()),
        ))
    }

    /// Whether a verdict says what its members have said; nothing as long as that is not known of one.
    ///
    /// # Errors
    /// What is wrong with it, in words: the same for everybody.
    pub fn is_true(&self, task: &Task, verdict: &Verdict) -> Option<Result<(), String>> {
        if verdict.reason.is_some() {
            return self.is_true_failure(verdict);
        }
        let is_enough = match task.runners() {
            Runners::One => verdict.by.len() == 1,
            Runners::Each => verdict.by.len() >= self.needed,
        };
        if !is_enough {
            let what = format!(
                "the ring decided on the word of {} members",
                verdict.by.len()
            );
            return Some(Err(what));
        }
        for (place, member) in verdict.by.iter().enumerate() {
            let attempt = self.attempts.get(member);
            let attempt = attempt.filter(|attempt| attempt.state != Stage::Started)?;
            if attempt.result.as_ref() != verdict.results.get(place) {
                return Some(Err(format!(
                    "the ring decided on what {member} has not said"
                )));
            }
        }
        Some(Ok(()))
    }

    /// The same for one without results. On the word of several it says that there are too few, which harms nobody else.
    fn is_true_failure(&self, verdict: &Verdict) -> Option<Result<(), String>> {
        let [member] = verdict.by.as_slice() else {
            return Some(Ok(()));
        };
        let attempt = self.attempts.get(member)?;
        match attempt.state {
            Stage::Started => None,
            Stage::Declined => Some(Ok(())),
            Stage::Failed if attempt.reason == verdict.reason => Some(Ok(())),
            Stage::Failed | Stage::Answered => Some(Err(format!(
                "the ring decided on what {member} has not said"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_process::{document::cid_of, service_file::ServiceDraft};

    fn task(text: &str) -> Task {
        let text = format!("service: s\ntasks:\n  t: {{external: mail, seconds: 10, {text} statuses: {{sent: {{}}}}}}\n");
        let draft = ServiceDraft::read("service.yml", &text).unwrap();
        let service = draft.finish(|_| Ok(cid_of(b"program"))).unwrap();
        service.tasks["t"].clone()
    }

    fn member(byte: u8) -> Address {
        Address([byte; 20])
    }

    /// Members in the order 3, 1, 2, 4, of which 4 is not here.
    struct Play {
        me: u8,
        seconds: u64,
        said: Vec<(u8, Stage)>,
    }

    impl Play {
        fn see<T>(&self, look: impl FnOnce(&Scene<'_>) -> T) -> T {
            let attempts = self.said.iter().map(|(by, state)| {
                let failed = matches!(state, Stage::Failed | Stage::Declined);
                let attempt = Attempt {
                    execution: cid_of(b"execution"),
                    reason: failed.then(|| "no".into()),
                    result: (*state == Stage::Answered).then(|| cid_of(&[*by])),
                    state: *state,
                    version: VERSION,
                };
                (member(*by), attempt)
            });
            look(&Scene {
                me: member(self.me),
                execution: cid_of(b"execution"),
                order: &[3, 1, 2, 4].map(member),
                here: &[3, 1, 2].map(member),
                needed: 3,
                attempts: &attempts.collect(),
                since: Duration::from_secs(self.seconds),
                turn: Duration::from_secs(1),
            })
        }

        fn begins(me: u8, seconds: u64, said: &[(u8, Stage)], task: &Task) -> bool {
            let said = said.to_vec();
            Self { me, seconds, said }.see(|scene| scene.may_begin(task))
        }

        fn verdict(seconds: u64, said: &[(u8, Stage)], task: &Task) -> Option<Verdict> {
            let said = said.to_vec();
            Self {
                me: 1,
                seconds,
                said,
            }
            .see(|scene| scene.verdict(task))
        }
    }

    #[test]
    fn one_member_begins_and_the_next_takes_over_when_it_is_silent() {
        let one = task("");
        assert!(Play::begins(3, 0, &[], &one));
        assert!(!Play::begins(1, 0, &[], &one) && !Play::begins(1, 10, &[], &one));
        assert!(Play::begins(1, 11, &[], &one) && !Play::begins(2, 21, &[], &one));
        // One that declines is passed over at once.
        assert!(Play::begins(1, 0, &[(3, Stage::Declined)], &one));
        // One that is not here is passed over too, whatever it has begun.
        assert!(Play::begins(3, 0, &[(4, Stage::Started)], &one));
        // One that runs it is not disturbed.
        assert!(!Play::begins(3, 5, &[(2, Stage::Started)], &one));
        assert!(Play::begins(3, 11, &[(2, Stage::Started)], &one));
        // Who has begun before it was killed begins again.
        assert!(Play::begins(3, 0, &[(3, Stage::Started)], &one));
        for done in [Stage::Answered, Stage::Failed] {
            assert!(!Play::begins(3, 99, &[(2, done)], &one));
        }
        let cut_off = Play {
            me: 3,
            seconds: 99,
            said: Vec::new(),
        };
        assert!(!cut_off.see(|scene| Scene {
            here: &scene.here[..2],
            ..*scene
        }
        .may_begin(&one)));
        let each = task("run: each,");
        assert!(Play::begins(2, 0, &[(3, Stage::Answered)], &each));
        assert!(!Play::begins(2, 0, &[(2, Stage::Answered)], &each));
    }

    #[test]
    fn of_two_results_one_counts_and_an_answer_before_a_failure() {
        let one = task("");
        assert_eq!(Play::verdict(0, &[(3, Stage::Started)], &one), None);
        let both = Play::verdict(0, &[(2, Stage::Answered), (1, Stage::Answered)], &one);
        assert_eq!(both.unwrap().by, [member(1)]);
        let after = Play::verdict(0, &[(3, Stage::Failed), (2, Stage::Answered)], &one);
        assert_eq!(after.unwrap().by, [member(2)]);
        let failed = Play::verdict(0, &[(3, Stage::Failed)], &one).unwrap();
        assert_eq!(
            (failed.reason.as_deref(), failed.results.len()),
            (Some("no"), 0)
        );
        let declined = [1, 2, 3, 4].map(|by| (by, Stage::Declined));
        assert_eq!(Play::verdict(0, &declined[..3], &one), None);
        let nobody = Play::verdict(0, &declined, &one).unwrap();
        assert!(nobody
            .reason
            .unwrap()
            .starts_with("no member does it; 0x0101"));
        assert_eq!(nobody.by.len(), 4);
    }

    #[test]
    fn of_each_two_thirds_are_needed_and_who_is_here_is_waited_for() {
        let each = task("run: each,");
        let answered = [1, 2, 3, 4].map(|by| (by, Stage::Answered));
        assert_eq!(Play::verdict(0, &answered[..2], &each), None);
        let here = Play::verdict(0, &answered[..3], &each).unwrap();
        assert_eq!(here.by, [1, 2, 3].map(member));
        assert!(here.is_whole());
        let three = [answered[0], answered[1], answered[3]];
        assert_eq!(Play::verdict(10, &three, &each), None);
        assert_eq!(
            Play::verdict(11, &three, &each).unwrap().by,
            [1, 2, 4].map(member)
        );
        let few = [
            (1, Stage::Failed),
            (2, Stage::Failed),
            (3, Stage::Answered),
            (4, Stage::Answered),
        ];
        let few = Play::verdict(0, &few, &each).unwrap();
        assert!(few
            .reason
            .unwrap()
            .starts_with("only 2 of 4 members have an answer, and 3 are needed; 0x0101"));
    }

    #[test]
    fn a_verdict_counts_only_if_its_members_have_said_that() {
        let (one, each) = (task(""), task("run: each,"));
        let said = vec![
            (1, Stage::Answered),
            (2, Stage::Answered),
            (3, Stage::Answered),
            (4, Stage::Failed),
        ];
        let play = Play {
            me: 1,
            seconds: 0,
            said,
        };
        let truth = |task: &Task, verdict: &Verdict| play.see(|scene| scene.is_true(task, verdict));
        let of = |by: &[u8]| Verdict {
            by: by.iter().map(|by| member(*by)).collect(),
            execution: cid_of(b"execution"),
            reason: None,
            results: by.iter().map(|by| cid_of(&[*by])).collect(),
            version: VERSION,
        };
        assert_eq!(truth(&one, &of(&[2])), Some(Ok(())));
        assert_eq!(truth(&each, &of(&[1, 2, 3])), Some(Ok(())));
        assert!(truth(&each, &of(&[1, 2])).unwrap().is_err());
        assert!(truth(&one, &of(&[1, 2])).unwrap().is_err());
        let mut lie = of(&[2]);
        lie.results = vec![cid_of(b"lie")];
        assert!(truth(&one, &lie)
            .unwrap()
            .unwrap_err()
            .contains("has not said"));
        assert!(truth(&one, &of(&[4])).unwrap().is_err());
        assert_eq!(truth(&one, &of(&[5])), None);
    }
}
