//! Requests: from a message in a log to a vote in the own one.
//!
//! [`Core::hear`] takes in what a node that is on disk says beside votes on gates. A request that is taken up becomes a
//! job as soon as its inputs are known (`desk.rs` gives jobs and gates their turns together); its result is written as a
//! vote. [`Core::on_ask`] writes a request into the own log for somebody who has the member's token, and answers when it is
//! on disk.

use super::{
    input::{Asked, NoResult, NotAsked, RequestProgress},
    jobs::Job,
    ring_desk::Reply,
    Core, CoreError,
};
use crate::execute::Execution;
use rings_api::with_causes;
use rings_process::words::Word;
use rings_protocol::{
    assembly::{Choice, Endorsement, Proposal},
    gate::Computation,
    journal::RequestJournal,
    log::LogNode,
    message::{Message, MessageError, Outputs},
    request::{BookEffect, Request, RequestKey, RequestRefusal, RequestVote, UpstreamOutcome},
    ringlog::{Entry, Outcome},
    Address, Digest,
};
use std::error::Error;
use tokio::sync::oneshot;

/// What a message says that is for the assembly of ring nodes.
pub(super) enum Said {
    Request(Request),
    Vote(RequestVote),
    Proposal(Proposal),
    Endorsement(Endorsement),
    Choice(Choice),
    /// It is for others.
    Nothing,
}

/// Which of Rings' own messages this is. Messages of applications, of which Rings reads nothing, are `Said::Nothing`.
pub(super) fn said(message: &Message) -> Result<Said, MessageError> {
    if let Some(vote) = RequestVote::from_message(message)? {
        return Ok(Said::Vote(vote));
    }
    if let Some(proposal) = Proposal::from_message(message)? {
        return Ok(Said::Proposal(proposal));
    }
    if let Some(endorsement) = Endorsement::from_message(message)? {
        return Ok(Said::Endorsement(endorsement));
    }
    if let Some(choice) = Choice::from_message(message)? {
        return Ok(Said::Choice(choice));
    }
    let request = Request::from_message(message).map_err(|error| MessageError::Payload {
        kind: message.kind.clone(),
        source: error.into(),
    })?;
    Ok(request.map_or(Said::Nothing, Said::Request))
}

impl Core {
    /// Takes in what a node that is on disk says beside votes on gates.
    pub(super) fn hear(&mut self, node: &LogNode) -> Result<(), CoreError> {
        self.hear_of_keys(node);
        let (author, now) = (node.author(), self.now());
        if node.content().body.iter().any(Word::is_one) {
            self.parts.words.notify_one();
        }
        for message in &node.content().body {
            let said = match said(message) {
                Ok(said) => said,
                Err(error) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(member = %author, error = cause, "a message is malformed");
                    continue;
                }
            };
            let assembler = &mut self.ring.assembler;
            match said {
                Said::Request(request) => self.on_request(author, request, node)?,
                Said::Vote(vote) => {
                    let effects = assembler.vote(author, &vote, now);
                    self.note_agreed(vote.key.request, now);
                    self.on_book(effects)?;
                }
                Said::Proposal(proposal) => self.on_proposal(author, proposal),
                Said::Endorsement(endorsement) => assembler.endorsement(author, endorsement),
                Said::Choice(choice) => {
                    if self.parts.state.listed(choice.slot)?.is_none() {
                        assembler.choose(author, choice, now);
                    }
                }
                Said::Nothing => continue,
            }
            self.ring.changed();
        }
        Ok(())
    }

    /// Notes when two thirds had voted the same.
    fn note_agreed(&mut self, request: Digest, now: u64) {
        let standing = self.ring.assembler.book().standing(request);
        if standing.is_some_and(|standing| standing.agreed.is_some()) {
            let agreed = &mut self.ring.times(request).agreed;
            if agreed.is_none() {
                *agreed = Some(now);
                // Nobody listens while the member starts; whoever begins later looks for itself.
                let listeners = self.parts.agreed.send(request).unwrap_or(0);
                tracing::trace!(%request, listeners, "two thirds have agreed");
            }
        }
    }

    /// A request stands in a node that is on disk.
    fn on_request(
        &mut self,
        author: Address,
        request: Request,
        node: &LogNode,
    ) -> Result<(), CoreError> {
        let (digest, until) = (request.digest().ok(), request.until);
        self.take_up(author, request)?;
        let waiting = digest.and_then(|digest| self.ring.replies.remove(&digest));
        for (reply, request) in waiting
            .into_iter()
            .flatten()
            .zip(digest.into_iter().cycle())
        {
            let asked = Asked {
                request,
                until: Some(until),
                node: Some(node.tip()),
            };
            answer(reply, Ok(asked));
        }
        Ok(())
    }

    /// Takes up a request, with all votes that are on disk, unless it is over.
    pub(super) fn take_up(&mut self, author: Address, request: Request) -> Result<(), CoreError> {
        let Ok(digest) = request.digest() else {
            return Ok(());
        };
        if self.settled(digest)?.is_some() {
            return Ok(());
        }
        let mut settled = UpstreamOutcome::new();
        for upstream in request.upstream() {
            if let Some(outcome) = self.settled(upstream)? {
                settled.insert(upstream, outcome);
            }
        }
        let (votes, now) = (self.parts.state.request_votes(digest)?, self.now());
        let assembler = &mut self.ring.assembler;
        match assembler.request(author, request, settled, &votes, now) {
            Ok(effects) => {
                self.note_agreed(digest, now);
                self.on_book(effects)
            }
            Err(refusal) => {
                self.refuse_request(author, digest, &refusal);
                Ok(())
            }
        }
    }

    /// Notes why a request is not taken up, for whoever asks, and lets the disk forget it with the next round.
    fn refuse_request(&mut self, author: Address, request: Digest, refusal: &RequestRefusal) {
        tracing::info!(%request, member = %author, reason = %refusal, "a request is not taken up");
        self.ring.refuse(request, refusal.to_string());
        self.ring.unwanted.push(request);
    }

    /// What a final ring node lists for a request.
    fn settled(&self, request: Digest) -> Result<Option<Outcome>, CoreError> {
        let listed = self.parts.state.listed(request)?;
        let settled = listed.filter(|(number, _)| *number < self.ring.finished);
        Ok(settled.and_then(|(_, entry)| match entry {
            Entry::Result { outcome, .. } => Some(outcome),
            Entry::Decision { .. } => None,
        }))
    }

    /// Does what the book of requests asks for.
    pub(super) fn on_book(&mut self, effects: Vec<BookEffect>) -> Result<(), CoreError> {
        self.ring.changed();
        for effect in effects {
            match effect {
                BookEffect::Compute { key, data } => self.want(key, data)?,
                BookEffect::Equivocated { key, member } => {
                    tracing::warn!(request = %key.request, %member, "this member voted for two results of one request");
                }
                BookEffect::Diverged { key, member } => {
                    tracing::warn!(request = %key.request, %member, "this member voted for another result than the one that is listed");
                }
            }
        }
        Ok(())
    }

    /// Puts a request on the desk, unless this member has voted on it.
    fn want(&mut self, key: RequestKey, data: Vec<Digest>) -> Result<(), CoreError> {
        let now = self.now();
        self.ring.times(key.request).ready.get_or_insert(now);
        // After a restart the book asks again for what was computed. The journal knows what this member has voted on.
        let has_voted = self.parts.state.journal()?.voted(key)?.is_some();
        let standing = self.ring.assembler.book().standing(key.request);
        let Some(standing) =
            standing.filter(|_| !has_voted && self.parts.member.is_member(self.me))
        else {
            return Ok(());
        };
        let profile = standing.request.profile.clone();
        let job = Job::new(key, data, standing.author, profile);
        let author = job.author;
        self.ring.jobs.add(job);
        // While this member is catching up, others may have done the work; see `resume_requests`.
        if !self.was_behind {
            self.desk.want(author, key.computation());
        }
        Ok(())
    }

    /// Starts work on all requests that are open: after catching up.
    pub(super) fn resume_requests(&mut self) {
        for (author, computation) in self.ring.jobs.open() {
            self.desk.want(author, computation);
        }
    }

    /// Tries again what this machine could not compute.
    pub(super) fn retry_requests(&mut self) {
        for (author, computation) in self.ring.jobs.due() {
            self.desk.want(author, computation);
        }
    }

    /// Whether a request that is on the desk is still to be computed; nothing for a gate.
    pub(super) fn is_request_wanted(&mut self, computation: Computation) -> Option<bool> {
        let job = self.ring.jobs.get(computation)?;
        let standing = self.ring.assembler.book().standing(job.key.request);
        let is_wanted = standing.is_some_and(|standing| {
            standing.computing == Some(job.key) && !standing.is_listed && !standing.has_expired
        });
        if !is_wanted {
            self.ring.jobs.remove(computation);
        }
        Some(is_wanted)
    }

    /// Why the program that was prepared is not the one that the request names.
    pub(super) fn wrong_profile(
        &self,
        computation: Computation,
        operation: Option<&str>,
    ) -> Option<NoResult> {
        let job = self.ring.jobs.get(computation)?;
        let profile = operation.filter(|profile| *profile != job.profile)?;
        let named = &job.profile;
        Some(NoResult::Declined(format!(
            "the request names profile {named:?}, and its operation {profile:?}"
        )))
    }

    /// A request was computed: votes for what it gave.
    pub(super) fn on_request_computed(&mut self, computation: Computation, execution: Execution) {
        let Some(job) = self.ring.jobs.get(computation) else {
            return;
        };
        let key = job.key;
        self.parts.shared.counters.asked(execution.opinions);
        let outputs = self.parts.faults.distort(execution.outputs);
        // A program may give more outputs than a ring node can list. Then no member votes.
        let outcome = Outputs::new(outputs).and_then(|outputs| Outcome::of(&outputs));
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                let reason = with_causes(&error);
                return self.request_without_result(computation, NoResult::Declined(reason));
            }
        };
        let now = self.now();
        let times = self.ring.times(key.request);
        times.computed = Some(now);
        let milliseconds = times.ready.map(|ready| now.saturating_sub(ready));
        tracing::info!(request = %key.request, milliseconds, fuel = execution.fuel, "computed");
        self.ring.jobs.remove(computation);
        if self.parts.member.is_member(self.me) {
            self.ring.waiting.request_votes.push_back(RequestVote {
                fuel: execution.fuel,
                key,
                outcome,
                profile: execution.profile,
            });
        }
    }

    /// A request has no result here, now or for good.
    pub(super) fn request_without_result(&mut self, computation: Computation, none: NoResult) {
        let Some(request) = self.ring.jobs.get(computation).map(|job| job.key.request) else {
            return;
        };
        match none {
            NoResult::Declined(reason) => {
                tracing::warn!(%request, reason, "declined: this member does not vote");
                self.ring.jobs.declined(computation, reason);
            }
            NoResult::Fault(reason) => {
                tracing::warn!(%request, reason, "this machine could not compute the request; it is tried again");
                self.ring.jobs.failed(computation, reason);
            }
        }
    }

    /// Writes a request into the own log, unless it is there.
    pub(super) fn on_ask(
        &mut self,
        request: Request,
        until: Option<u64>,
        reply: Reply,
    ) -> Result<(), CoreError> {
        // Asked without `until`, the same question would be a new request each time, because the default moves with the
        // ring log. So an earlier one that asks the same is looked for first.
        if until.is_none() {
            if let Some(asked) = self.asked_before(&request)? {
                answer(reply, Ok(asked));
                return Ok(());
            }
        }
        let next = self.ring.assembler.next();
        // Not more than others accept, or nobody would vote.
        let lifetime = self
            .parts
            .terms
            .patience
            .min(self.parts.terms.limits.lifetime);
        let until = until.unwrap_or(next.saturating_add(lifetime));
        let request = Request { until, ..request };
        match self.write_request(&request)? {
            Ok(None) => {
                let digest = request.digest().unwrap_or_default();
                self.ring.replies.entry(digest).or_default().push(reply);
            }
            Ok(Some(asked)) => answer(reply, Ok(asked)),
            Err(not_asked) => answer(reply, Err(not_asked)),
        }
        Ok(())
    }

    /// Gives a request to the own log; returns it if it is known already.
    fn write_request(
        &mut self,
        request: &Request,
    ) -> Result<Result<Option<Asked>, NotAsked>, CoreError> {
        let invalid = |error: &(dyn Error + 'static)| NotAsked::Invalid(with_causes(error));
        let (digest, message) = match (request.digest(), request.to_message()) {
            (Ok(digest), Ok(message)) => (digest, message),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(invalid(&error))),
        };
        let state = &self.parts.state;
        if state.asked(digest)?.is_some() || state.listed(digest)?.is_some() {
            return Ok(Ok(Some(Asked {
                request: digest,
                until: Some(request.until),
                node: None,
            })));
        }
        // It waits to be written already: the second caller waits for the same node.
        if self.ring.replies.contains_key(&digest) {
            return Ok(Ok(None));
        }
        if !self.parts.member.is_member(self.me) {
            let reason = "this node is not a member of the ring now".into();
            return Ok(Err(NotAsked::Refused(reason)));
        }
        let book = self.ring.assembler.book();
        // Checked before it is written, because everybody would refuse it otherwise, and it would still stand in the log.
        let admitted = book.admits(self.me, request, self.ring.replies.len());
        if let Err(refusal) = admitted {
            return Ok(Err(match refusal {
                RequestRefusal::Quota { .. } => NotAsked::Refused(refusal.to_string()),
                _ => invalid(&refusal),
            }));
        }
        self.ring.waiting.messages.push_back(message);
        Ok(Ok(None))
    }

    /// The request of the own log that asks the same, if it can still be, or is, listed.
    fn asked_before(&self, request: &Request) -> Result<Option<Asked>, CoreError> {
        let Some(before) = self.parts.state.asked_before(request)? else {
            return Ok(None);
        };
        let held = self.parts.state.asked(before)?;
        let until = held.map(|(_, request)| request.until);
        let next = self.ring.assembler.next();
        let may_be_listed = until.is_some_and(|until| until >= next);
        let is_good = may_be_listed || self.parts.state.listed(before)?.is_some();
        Ok(is_good.then_some(Asked {
            request: before,
            until,
            node: None,
        }))
    }

    /// Tells the interface how far a request is. While it is agreed but not listed, what keeps the ring node back is the
    /// reason to tell; before that, why this member has no result.
    pub(super) fn on_inspect_request(
        &self,
        request: Digest,
        reply: oneshot::Sender<RequestProgress>,
    ) {
        let standing = self.ring.assembler.book().standing(request);
        let progress = RequestProgress {
            is_open: standing.is_some_and(|standing| !standing.is_listed),
            is_ready: standing.is_some_and(|standing| standing.computing.is_some()),
            agreed: standing
                .and_then(|standing| standing.agreed)
                .map(|agreed| agreed.entry.clone()),
            has_expired: standing.is_some_and(|standing| standing.has_expired),
            refused: self.ring.refusal(request),
            without: match standing.is_some_and(|standing| standing.agreed.is_some()) {
                true => self.ring.objection(),
                false => self.ring.jobs.without(request),
            },
            times: self.ring.times_of(request),
        };
        if reply.send(progress).is_err() {
            tracing::debug!("the caller that asked about a request is gone");
        }
    }
}

fn answer(reply: Reply, answer: Result<Asked, NotAsked>) {
    if reply.send(answer).is_err() {
        tracing::debug!("the caller that made a request is gone");
    }
}
