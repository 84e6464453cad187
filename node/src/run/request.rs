//! `rings run --no-gate`: the job as a request, which a ring node makes final together with many others.
//!
//! The request is brought to one member, whose log it stands in from then on. Its result is believed when the chain
//! confirms its proof (`proven.rs`), or with `--no-wait` when two thirds have signed it in their logs (`voters.rs`).
//! What a member says only tells when to look.
//!
//! Members are tried in a fixed order, and the nonce is 0 unless `--again` is given. So the same job is the same
//! request, and a run that was interrupted finds it when it is given again.

use super::{
    bring::Hindrance,
    declined::{is_hopeless, Declined},
    job::{ProgramSource, StateSource, STATE_PIN},
    receipt::milliseconds,
    session::{random_nonce, Session},
};
use crate::{
    ballots::Depth,
    exit::{ExitError, ExitStatus},
    out::count,
    process::Pauses,
    proven::{self, Proven},
    voters,
};
use futures::future::join_all;
use rings_api::{
    code,
    views::{RequestInputView, RequestState, RequestView, RequestedView},
    Client, ClientError, RequestParams,
};
use rings_protocol::{
    eip712::Domain,
    request::RequestKey,
    ringlog::{Entry, Outcome},
    Address, Digest,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Time for a member to tell about a request, or that it is there.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Longest pause between two rounds of questions.
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// A request, with the result that came.
pub(super) struct Came {
    pub(super) request: Digest,
    pub(super) outcome: Outcome,
    /// Who has voted for it, by their logs.
    pub(super) signers: Vec<Address>,
    /// That a ring node lists it; `None` when only two thirds have voted.
    pub(super) proven: Option<Proven>,
    /// What the members say of it.
    pub(super) views: Views,
}

/// What each member that answers says of a request.
pub(super) type Views = Vec<(Address, RequestView)>;

impl Session<'_> {
    /// Asks, waits, and tells.
    ///
    /// # Errors
    /// As the exit statuses of the interface say.
    pub(super) async fn all_without_gate(mut self) -> Result<(), ExitError> {
        let params = self.params()?;
        let ask = async |session: &mut Self| session.ask_ring(&params).await;
        let asked = self
            .insist("the members do not take the request", ask)
            .await?;
        match self.wait_for(asked.request).await? {
            Ok(came) => self.show_came(came).await,
            Err(views) => self.did_not_come(asked.request, views).await,
        }
    }

    /// Brings the files and the request to the first member that takes them. The order is always the same, so that the same
    /// job is the same request.
    async fn ask_ring(&mut self, params: &RequestParams) -> Result<RequestedView, Hindrance> {
        let clients = self.clients.clone();
        let (mut last, mut are_late) = (None, false);
        for client in &clients {
            match timeout(ASK_LIMIT, client.status()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => continue,
                Err(_) => {
                    are_late = true;
                    continue;
                }
            }
            match self.ask_member(client, params).await {
                Ok(asked) => return Ok(asked),
                Err(failure) if failure.status() == ExitStatus::Usage => return Err(failure.into()),
                Err(failure) => last = Some(failure),
            }
        }
        Err(match last {
            Some(failure) => failure.into(),
            None if are_late => self.nobody_in_time(),
            None => Hindrance::Final(self.nobody()),
        })
    }

    /// Adds the files to one member's store and asks the request of it. The other members fetch the files from there.
    async fn ask_member(
        &mut self,
        client: &Client,
        params: &RequestParams,
    ) -> Result<RequestedView, ExitError> {
        let began = Instant::now();
        if let ProgramSource::There(cid) = &self.job.program {
            let members: Vec<&Client> = self.clients.iter().collect();
            super::job::read_program(self.source(&members)?, *cid).await?;
        }
        self.publish(&[client]).await?;
        self.times.store = Some(milliseconds(began));
        let began = Instant::now();
        let asked = client.request(params).await.map_err(|error| match error {
            ClientError::Rpc { code, data, .. } if code == i64::from(code::INVALID_PARAMS) => {
                ExitError::usage(format!("the job cannot be a request: {data}"))
            }
            error => error.into(),
        })?;
        self.times.create = Some(milliseconds(began));
        Ok(asked)
    }

    /// The request's parameters. Without `--again` the nonce is zero, so asking the same twice is the same request.
    fn params(&self) -> Result<RequestParams, ExitError> {
        let state = match &self.job.state {
            None => None,
            Some(StateSource::Here(content)) => Some(RequestInputView::Data { cid: content.cid() }),
            Some(StateSource::AfterRequest(request)) => Some(RequestInputView::Output {
                request: *request,
                pin: STATE_PIN as u32,
            }),
            Some(StateSource::After(gate)) => {
                return Err(ExitError::usage(format!(
                    "--state {gate} is a gate, and a request takes its state from a request; name one (0x and 64 digits), a file, or new"
                )))
            }
        };
        let inputs = self
            .job
            .inputs
            .iter()
            .map(|content| RequestInputView::Data { cid: content.cid() });
        Ok(RequestParams {
            ring: self.file.ring,
            operation: self.job.operation.cid(),
            inputs: state.into_iter().chain(inputs).collect(),
            nonce: if self.args.again { random_nonce() } else { 0 },
            until: None,
        })
    }

    /// Waits for the result, at most until the deadline, or until it is known that there will be none. Then gives what the
    /// members say.
    async fn wait_for(&self, request: Digest) -> Result<Result<Came, Views>, ExitError> {
        let (quorum, total) = (self.ring.quorum, self.ring.members.len());
        let _step = self.out.step(format_args!(
            "request {request}: waiting for {quorum} of {}{}",
            count(total, "member"),
            if self.args.no_wait {
                ""
            } else {
                " and a ring node"
            }
        ));
        let mut pauses = Pauses::new(LONGEST_LOOK);
        loop {
            let views = self.views(request).await;
            let over = Instant::now() >= self.deadline;
            let came = match self.listed(request, &views).await {
                Ok(came) => came,
                Err(failure) if over => return Err(failure),
                // The endpoint of this command may be behind that of the member.
                Err(_) => None,
            };
            let came = match came {
                None if self.args.no_wait => self.agreed(request, &views).await,
                came => came,
            };
            if let Some((outcome, signers, proven)) = came {
                return Ok(Ok(Came {
                    request,
                    outcome,
                    signers,
                    proven,
                    views,
                }));
            }
            let declined = declined(&views).len();
            if over || is_hopeless(declined, quorum, total) || has_expired(&views) {
                return Ok(Err(views));
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            // When the time is over meanwhile, there is one last look.
            drop(timeout(left, pauses.next()).await);
        }
    }

    async fn views(&self, request: Digest) -> Views {
        let asked = self.members.iter().map(|(member, client)| async move {
            let view = timeout(ASK_LIMIT, client.get_request(request)).await;
            Some((*member, view.ok()?.ok()?))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The result, if a ring node on chain lists it.
    async fn listed(
        &self,
        request: Digest,
        views: &Views,
    ) -> Result<Option<(Outcome, Vec<Address>, Option<Proven>)>, ExitError> {
        let says_so = |member: &Address| {
            let view = views.iter().find(|(of, _)| of == member);
            view.is_some_and(|(_, view)| view.state == RequestState::Listed)
        };
        let members = self.members.iter().filter(|(member, _)| says_so(member));
        let members: Vec<&Client> = members.map(|(_, client)| client).collect();
        if members.is_empty() {
            return Ok(None);
        }
        let proven = proven::fetch(&self.chain, self.file.ring, &members, request).await?;
        let Entry::Result {
            inputs, outcome, ..
        } = proven.proof.entry.clone()
        else {
            return Ok(None);
        };
        let key = RequestKey { request, inputs };
        // Only the receipt names them: that two thirds have voted, the chain says.
        let voted = match self.args.receipt.is_some() {
            true => self.voted(key).await.remove(&outcome),
            false => None,
        };
        Ok(Some((outcome, voted.unwrap_or_default(), Some(proven))))
    }

    /// The result, if two thirds have signed it in their logs.
    async fn agreed(
        &self,
        request: Digest,
        views: &Views,
    ) -> Option<(Outcome, Vec<Address>, Option<Proven>)> {
        let says_so =
            |view: &&RequestView| matches!(view.state, RequestState::Agreed | RequestState::Listed);
        let view = views.iter().map(|(_, view)| view).find(says_so)?;
        let vote = view.votes.iter().find(|vote| vote.agrees == Some(true))?;
        let key = RequestKey {
            request,
            inputs: vote.inputs,
        };
        let enough = |voters: &Vec<Address>| voters.len() as u64 >= self.ring.quorum;
        let voted = self.voted(key).await;
        let (outcome, voters) = voted.into_iter().find(|(_, voters)| enough(voters))?;
        Some((outcome, voters, None))
    }

    /// Who has voted for what a short time ago, by the signed nodes of the logs. The first vote of each counts.
    async fn voted(&self, key: RequestKey) -> BTreeMap<Outcome, Vec<Address>> {
        let members: Vec<&Client> = self.clients.iter().collect();
        let domain = Domain::new(self.file.chain_id, self.file.ring);
        let accounts = &self.ring.members;
        let votes = voters::votes(&members, &domain, accounts, key, Depth::Until(1)).await;
        let mut voted: BTreeMap<Outcome, Vec<Address>> = BTreeMap::new();
        for (account, votes) in accounts.iter().zip(votes) {
            // The log is read from its newest node back.
            if let Some(first) = votes.last() {
                voted
                    .entry(first.vote.outcome.clone())
                    .or_default()
                    .push(*account);
            }
        }
        voted
    }
}

/// The members that will not vote on the request, as they say themselves.
pub(super) fn declined(views: &Views) -> Vec<Declined> {
    let refused = views.iter().filter(|(member, view)| {
        let has_voted = view.votes.iter().any(|vote| vote.member == *member);
        view.state == RequestState::Refused && !has_voted
    });
    let declined = refused.map(|(member, view)| Declined {
        member: *member,
        reason: view
            .reason
            .clone()
            .unwrap_or_else(|| "it gives no reason".into()),
    });
    declined.collect()
}

/// Whether the members say that no ring node may list it any more.
fn has_expired(views: &Views) -> bool {
    !views.is_empty()
        && views
            .iter()
            .all(|(_, view)| view.state == RequestState::Expired)
}

/// Output pins and digests of what a request gave.
///
/// # Errors
/// Never for what was proven or voted for: it has at least one output, and not too many.
pub(super) fn on_pins(outcome: &Outcome) -> Result<Vec<(u128, Digest)>, ExitError> {
    let outputs = outcome.to_outputs();
    let outputs = outputs.map_err(|error| {
        ExitError::unavailable("the result of the request cannot be read").because(error)
    })?;
    Ok(outputs.iter().collect())
}
