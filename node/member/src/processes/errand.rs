//! An external task that is under way: running its connector when it is this member's turn, saying what came of it, and finding
//! what the ring decided.
//!
//! A member says that it begins before its connector does anything, and afterwards what came of it. What that comes to
//! (`errand_rules.rs`) is its choice, which the ring decides; only then does the execution end. A connector runs beside all
//! this, so a look never waits for one. A member that was killed begins again, under the same key: at least once.

use super::{
    errand_rules::Scene,
    error::ProcessError,
    keeper::{Answer, Processes},
    look::{Errand, Look, Seen},
};
use cid::Cid;
use rings_process::{
    attempt::{short, slot, Attempt, Stage, Verdict, VERSION},
    data::Fields,
    document::{cid_of, Document},
    execution::Answer as Told,
    external::{fits, together},
    runners::{Runners, CONFIG},
    template::Template,
    words::Word,
};
use rings_protocol::{cids::digest_of, flush::relayers, Address, Digest};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

impl Processes {
    /// Looks at an external execution, and has its connector run if that is this member's turn.
    ///
    /// # Errors
    /// [`ProcessError`]: it is looked again later.
    pub(super) async fn look_external(
        self: &Arc<Self>,
        look: &Look,
        errand: &Errand,
    ) -> Result<Seen, ProcessError> {
        let execution = look.execution;
        let attempts = self.state.attempts(&execution)?;
        self.show_errand(&execution, &attempts);
        let snapshot = self.parts.ring.snapshot();
        let name = digest_of(&execution).unwrap_or_default();
        let order = relayers(name, &snapshot.members);
        let here: Vec<_> = order
            .iter()
            .copied()
            .filter(|member| self.is_here(&snapshot, member))
            .collect();
        let scene = Scene {
            me: self.parts.me,
            execution,
            order: &order,
            here: &here,
            needed: usize::try_from(snapshot.needed).unwrap_or(usize::MAX),
            attempts: &attempts,
            since: Instant::now().saturating_duration_since(look.since),
            turn: self.parts.turn,
        };
        if let Some(choice) = self.decided(slot(&execution))? {
            return self.decided_for(errand, &scene, choice).await;
        }
        let held = self.attempts_held(&attempts, &here).await;
        let scene = Scene {
            attempts: &held,
            ..scene
        };
        if let Some(verdict) = scene.verdict(&errand.task) {
            self.want(verdict).await?;
        } else if scene.may_begin(&errand.task) {
            self.begin_errand(execution, errand).await?;
        }
        Ok(Seen::Open { asked: None })
    }

    /// What the ring has decided, as soon as this member holds it, or the ring has given it up.
    async fn decided_for(
        &self,
        errand: &Errand,
        scene: &Scene<'_>,
        choice: Digest,
    ) -> Result<Seen, ProcessError> {
        let decided = slot(&scene.execution);
        if self.is_given_up(decided)? {
            let reason = "nobody gives what the ring has decided for, and it was given up";
            return Ok(Seen::Ended {
                request: None,
                answer: Answer::Failed(reason.into()),
                result: None,
                by: Vec::new(),
                is_kept: false,
            });
        }
        let seen = match self.state.verdict(&scene.execution, choice)? {
            // Where the word is not known, it comes with a log that is read later.
            None => Ok(Seen::Open { asked: None }),
            Some(verdict) => self.judged(errand, scene, verdict).await,
        };
        if let Ok(Seen::Open { .. }) | Err(ProcessError::Store(_)) = seen {
            self.misses(decided).await?;
        }
        seen
    }

    fn show_errand(&self, execution: &Cid, attempts: &BTreeMap<Address, Attempt>) {
        if let Some(live) = self.live().get_mut(execution) {
            let began = attempts
                .iter()
                .filter(|(_, attempt)| attempt.state != Stage::Declined);
            live.by = began.map(|(member, _)| *member).collect();
            live.is_started = !live.by.is_empty();
        }
    }

    /// Says what this member would choose, once.
    async fn want(&self, verdict: Verdict) -> Result<(), ProcessError> {
        let choice = verdict.choice()?;
        if self.state.has_chosen(choice.slot)? {
            return Ok(());
        }
        // What is decided has to be held by somebody, also when those whose word it is are gone.
        for result in &verdict.results {
            self.file(result).await?;
        }
        // The others have to know what the choice is the hash of.
        if self
            .state
            .verdict(&verdict.execution, choice.choice)?
            .is_none()
        {
            self.say(&[Word::Verdict(verdict)]).await?;
        }
        self.choose(&[choice]).await?;
        tokio::task::block_in_place(|| self.state.chosen(&[choice]))?;
        Ok(())
    }

    /// What the verdict for which the ring decided gives.
    async fn judged(
        &self,
        errand: &Errand,
        scene: &Scene<'_>,
        verdict: Verdict,
    ) -> Result<Seen, ProcessError> {
        let failed = |reason: String, by: Vec<Address>| Seen::Ended {
            request: None,
            answer: Answer::Failed(reason),
            result: None,
            by,
            is_kept: false,
        };
        match scene.is_true(&errand.task, &verdict) {
            None => return Ok(Seen::Open { asked: None }),
            Some(Err(reason)) => return Ok(failed(reason, verdict.by)),
            Some(Ok(())) => {}
        }
        if let Some(reason) = verdict.reason {
            return Ok(failed(reason, verdict.by));
        }
        let mut said = BTreeMap::new();
        for (member, result) in verdict.by.iter().zip(&verdict.results) {
            said.insert(*member, self.file(result).await?);
        }
        let bytes = match (errand.task.runners(), said.pop_first()) {
            (Runners::One, Some((_, bytes))) => Ok(bytes),
            (_, first) => {
                said.extend(first);
                let answers = said.iter().map(|(member, bytes)| {
                    let told: Option<Told> = serde_json::from_slice(bytes).ok();
                    let told = told.filter(|told| fits(&errand.task, told).is_ok());
                    let told =
                        told.ok_or_else(|| format!("what {member} has said is no answer"))?;
                    Ok((*member, told))
                });
                let answers: Result<BTreeMap<_, _>, String> = answers.collect();
                let all = answers.and_then(|answers| {
                    together(&errand.task, &answers).map_err(|error| error.to_string())
                });
                all.map(Into::into)
            }
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(failed(reason, verdict.by)),
        };
        self.keep(&[bytes.to_vec()]).await?;
        Ok(Seen::Ended {
            request: None,
            result: Some(cid_of(&bytes)),
            answer: Answer::Output(bytes),
            by: verdict.by,
            is_kept: false,
        })
    }

    /// Starts the connector beside the rest, or says that this member does not do it.
    async fn begin_errand(
        self: &Arc<Self>,
        execution: Cid,
        errand: &Errand,
    ) -> Result<(), ProcessError> {
        if self.errands().running.contains(&execution) {
            return Ok(());
        }
        let values = match self.values_for(errand) {
            Ok(values) => values,
            Err(reason) => {
                let declined = attempt(execution, Stage::Declined, Err(reason));
                return self.say(&[Word::Attempt(declined)]).await;
            }
        };
        let document = errand.execution.to_bytes()?;
        let (task, errand) = (errand.task.clone(), errand.execution.clone());
        let shared = Arc::clone(self);
        let mut errands = self.errands();
        // Those that have ended are let go.
        while errands.tasks.try_join_next().is_some() {}
        if !errands.running.insert(execution) {
            return Ok(());
        }
        errands.tasks.spawn(async move {
            let run = async {
                let started = attempt(execution, Stage::Started, Ok(None));
                shared.keep(&[document]).await?;
                shared.say(&[Word::Attempt(started)]).await?;
                let came = shared.parts.connectors.run(&task, &errand, &values).await;
                shared.tell_errand(execution, came).await
            };
            if let Err(error) = run.await {
                let cause = rings_api::with_causes(&error);
                tracing::warn!(%execution, cause, "what a connector gave cannot be told now; it is run again");
            }
            shared.errands().running.remove(&execution);
        });
        Ok(())
    }

    /// The values that a task may use, or why this member does not do it.
    fn values_for(&self, errand: &Errand) -> Result<Fields, String> {
        let connector = errand.task.external.as_deref().unwrap_or_default();
        if !self.parts.connectors.allows(connector) {
            return Err(format!(
                "its configuration does not allow connector {connector}"
            ));
        }
        let with = Template::read(&errand.task.with.clone().into());
        let with = with.map_err(|error| error.to_string())?;
        let needs_values = with
            .references()
            .iter()
            .any(|reference| reference.root == CONFIG);
        match needs_values {
            true => self.parts.instances.values(errand.instance),
            false => Ok(Fields::new()),
        }
    }

    /// Keeps what a connector gave, and says it.
    async fn tell_errand(
        &self,
        execution: Cid,
        came: Result<Vec<u8>, String>,
    ) -> Result<(), ProcessError> {
        let said = match came {
            Ok(bytes) => {
                let result = cid_of(&bytes);
                self.keep(&[bytes]).await?;
                attempt(execution, Stage::Answered, Ok(Some(result)))
            }
            Err(reason) => {
                tracing::info!(%execution, reason, "an external task has failed here");
                attempt(execution, Stage::Failed, Err(reason))
            }
        };
        self.say(&[Word::Attempt(said)]).await
    }

    /// Stops all connectors.
    pub(super) fn stop_errands(&self) {
        self.errands().tasks.abort_all();
    }
}

fn attempt(execution: Cid, state: Stage, came: Result<Option<Cid>, String>) -> Attempt {
    let (result, reason) = match came {
        Ok(result) => (result, None),
        Err(reason) => (None, Some(short(reason))),
    };
    Attempt {
        execution,
        reason,
        result,
        state,
        version: VERSION,
    }
}
