//! One endpoint or several, as one.
//!
//! With one, a request simply goes there. With several, [`Providers`] asks the first in the order of the configuration that
//! is not put aside. One that fails, lags or contradicts the others is put aside for a while ([`Standing`]), and the next
//! one is asked; so one bad endpoint never stops a member. Where a lie would cost (`checked`), as many as must agree are
//! asked at once, and an answer counts that so many have given. Transactions go to all. A task (`heights`) compares the
//! heads of all from time to time, so that one that stands still is found, and one that is well again is used again.

use super::{
    checked::{is_checked, is_disputed},
    client::Rpc,
    failure::{is_passing_refusal, RpcFailure},
    standing::{ProviderState, Standing},
    ws::HeadSubscription,
};
use crate::{backoff::Backoff, condition::Condition, error::ChainError};
use async_trait::async_trait;
use ethers_providers::JsonRpcClient;
use futures::future::join_all;
use serde::{de::DeserializeOwned, Serialize};
use serde_json::value::{to_raw_value, RawValue};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Most endpoints of one chain.
pub const MAX_PROVIDERS: usize = 8;
/// How often all are asked before a request fails.
const ROUNDS: u32 = 4;
/// How long all may take to name their chain when a connection begins, once one of them has.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// How long one of several may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// The method that goes to all.
const SEND: &str = "eth_sendRawTransaction";

/// The endpoints of one chain. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Providers(pub(super) Arc<Inner>);

/// What all clones share.
pub(super) struct Inner {
    pub(super) all: Vec<Provider>,
    /// How many must give the same answer where it is checked.
    pub(super) agree: usize,
    /// Of all together; one alone has its own.
    condition: Condition,
}

/// One endpoint, and whether it is put aside.
pub(super) struct Provider {
    pub(super) rpc: Rpc,
    standing: Standing,
}

/// Whether an answer has the form that the caller reads.
type Form = dyn Fn(&RawValue) -> Result<(), RpcFailure> + Send + Sync;

pub(super) type Answer = Result<Arc<RawValue>, RpcFailure>;

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    params: &'a RawValue,
    form: &'a Form,
}

impl Providers {
    /// Prepares connections; nothing is sent before the first request. `agree` of them must give the same answer where a
    /// lie would cost; at least one, and at most all.
    pub(crate) fn new(urls: &[String], agree: usize) -> Result<Self, ChainError> {
        let urls = &urls[..urls.len().min(MAX_PROVIDERS)];
        if urls.is_empty() {
            return Err(ChainError::Url {
                url: String::new(),
                reason: "no URL is given".into(),
            });
        }
        let one = |url: &String| {
            let rpc = match urls.len() {
                1 => Rpc::new(url),
                _ => Rpc::one_of_several(url),
            };
            rpc.map(|rpc| Provider {
                rpc,
                standing: Standing::default(),
            })
        };
        Ok(Self(Arc::new(Inner {
            all: urls.iter().map(one).collect::<Result<_, _>>()?,
            agree: agree.clamp(1, urls.len()),
            condition: Condition::default(),
        })))
    }

    pub(super) fn only(&self) -> Option<&Rpc> {
        match &self.0.all[..] {
            [only] => Some(&only.rpc),
            _ => None,
        }
    }

    /// Those to be asked, in this order: as they are configured, and behind them those that are put aside.
    pub(super) fn in_order(&self) -> Vec<&Provider> {
        let (mut good, aside): (Vec<_>, Vec<_>) = self
            .0
            .all
            .iter()
            .partition(|provider| !provider.standing.is_aside());
        good.extend(aside);
        good
    }

    fn first(&self) -> &Rpc {
        let first = self.0.all.iter().find(|one| !one.standing.is_aside());
        // There is at least one.
        &first.unwrap_or(&self.0.all[0]).rpc
    }

    /// Scheme and host of the endpoint that is asked now.
    pub(crate) fn endpoint(&self) -> &str {
        self.first().endpoint()
    }

    /// How each endpoint stands.
    pub(crate) fn states(&self) -> Vec<ProviderState> {
        let used = self.endpoint();
        let states = self.0.all.iter().map(|provider| {
            let endpoint = provider.rpc.endpoint();
            let trouble = match self.only() {
                Some(rpc) => rpc.condition().trouble().map(|trouble| trouble.to_string()),
                None => provider.standing.trouble(),
            };
            ProviderState {
                endpoint: endpoint.to_owned(),
                is_used: endpoint == used,
                trouble,
            }
        });
        states.collect()
    }

    /// What is wrong with the endpoints or the chain behind them.
    pub(crate) fn condition(&self) -> &Condition {
        self.only().map_or(&self.0.condition, Rpc::condition)
    }

    /// Whether the chain tells of new blocks by itself.
    pub(crate) fn pushes(&self) -> bool {
        self.0.all.iter().all(|provider| provider.rpc.pushes())
    }

    /// The pause between two requests that the endpoint bears; zero while it has refused none.
    pub(crate) fn gap(&self) -> Duration {
        self.first().gap()
    }

    /// A failure with the endpoint's name.
    pub(crate) fn explain(&self, method: &str, failure: RpcFailure) -> ChainError {
        failure.explain(self.endpoint(), method)
    }

    /// Asks for one thing.
    pub(crate) async fn ask<R: DeserializeOwned + Send>(
        &self,
        method: &str,
        params: impl fmt::Debug + Serialize + Send + Sync,
    ) -> Result<R, ChainError> {
        let answer = self.request(method, params).await;
        answer.map_err(|failure| self.explain(method, failure))
    }

    /// Subscribes to new heads; only a websocket can.
    pub(crate) async fn subscribe_heads(&self) -> Result<HeadSubscription, RpcFailure> {
        let mut last = RpcFailure::unreachable("there is no endpoint");
        for provider in self.in_order() {
            match provider.rpc.subscribe_heads().await {
                Ok(heads) => return Ok(heads),
                Err(failure) => {
                    self.put_aside(provider, &failure.to_string());
                    last = failure;
                }
            }
        }
        Err(last)
    }

    /// Reads the chain id. With several endpoints it is the one that most of them name; the others are used when they name
    /// it too.
    pub(crate) async fn identify(&self) -> Result<u64, ChainError> {
        if let Some(rpc) = self.only() {
            return rpc.identify().await;
        }
        let asked =
            self.0.all.iter().map(|provider| async move {
                timeout(INTRODUCTION, provider.rpc.identify()).await
            });
        let mut count: BTreeMap<u64, usize> = BTreeMap::new();
        let answers = join_all(asked).await;
        for id in answers.iter().flatten().flatten() {
            *count.entry(*id).or_default() += 1;
        }
        let first = answers.iter().flatten().flatten().next().copied();
        let most = count.values().max().copied();
        let chosen = first
            .filter(|id| count.get(id) == most.as_ref())
            .or_else(|| {
                count
                    .into_iter()
                    .max_by_key(|(_, count)| *count)
                    .map(|(id, _)| id)
            });
        let Some(id) = chosen else {
            // None is there: the first says why.
            return self.first().identify().await;
        };
        for provider in &self.0.all {
            provider.rpc.expect(id).await;
        }
        Ok(id)
    }

    /// Something cannot be followed with the endpoint that is asked now: it is put aside, if there is another.
    pub(crate) fn suspect(&self, reason: &str) {
        let mut good = self.0.all.iter().filter(|one| !one.standing.is_aside());
        if let (Some(first), Some(_)) = (good.next(), good.next()) {
            self.put_aside(first, reason);
        }
    }

    /// What the endpoint that is asked now says may be wrong: those that are behind are put aside, and that one in any case, if
    /// there is another.
    pub(crate) async fn doubt(&self, reason: &str) {
        if self.only().is_some() {
            return;
        }
        let asked = self.endpoint();
        self.compare(&[]).await;
        if self.endpoint() == asked {
            self.suspect(reason);
        }
    }

    /// Asks other providers before this one for a while. Where it is the only one, there is nobody else to ask.
    pub(super) fn put_aside(&self, provider: &Provider, reason: &str) {
        if self.only().is_some() {
            return;
        }
        if provider.standing.put_aside(reason) {
            let endpoint = provider.rpc.endpoint();
            tracing::warn!(endpoint, reason, "a provider of the chain is put aside");
        }
    }

    pub(super) fn is_good(&self, provider: &Provider) {
        if provider.standing.is_good() {
            let endpoint = provider.rpc.endpoint();
            tracing::info!(endpoint, "a provider of the chain can be used again");
        }
    }

    async fn exchange(
        &self,
        method: &str,
        params: Box<RawValue>,
        form: &Form,
    ) -> Result<Arc<RawValue>, RpcFailure> {
        if let Some(rpc) = self.only() {
            return rpc.exchange(method, params).await;
        }
        let question = Question {
            method,
            params: &params,
            form,
        };
        let mut backoff = Backoff::default();
        let mut round = 1;
        let answer = loop {
            let answer = match method {
                // One honest provider is enough to bring a transaction to the chain, so all get it.
                SEND => self.send_to_all(&question).await,
                _ if self.0.agree > 1 && is_checked(method, &params) => {
                    self.agreed(&question).await
                }
                _ => self.one_of_all(&question).await,
            };
            match answer {
                // What one provider cannot do now another may, or the same one a moment later. An error of the question
                // itself would come from all of them.
                Err(failure) if round < ROUNDS && failure.is_of_provider() => round += 1,
                answer => break answer,
            }
            backoff.wait().await;
        };
        let trouble = answer.as_ref().err().and_then(RpcFailure::trouble);
        self.0.condition.endpoint(trouble);
        answer
    }

    /// Asks one after the other until one answers. That a call would fail counts when as many say so as must agree, so that one
    /// alone cannot keep transactions from being sent.
    async fn one_of_all(&self, question: &Question<'_>) -> Answer {
        let mut last = RpcFailure::unreachable("there is no endpoint");
        let mut refusals = 0;
        for provider in self.in_order() {
            match self.ask_one(provider, question).await {
                Err(failure) if failure.is_of_provider() => {
                    if refusals == 0 {
                        last = failure;
                    }
                }
                Err(failure) if is_disputed(question.method) && refusals + 1 < self.0.agree => {
                    refusals += 1;
                    last = failure;
                }
                answer => return answer,
            }
        }
        Err(last)
    }

    /// Asks one provider, and not for long, since there are others. An answer that does not have the form that the question wants is
    /// a failure of the provider. One that does not know a block yet is not put aside: another may have named a block that does not
    /// exist.
    pub(super) async fn ask_one(&self, provider: &Provider, question: &Question<'_>) -> Answer {
        let params = question.params.to_owned();
        let asked = provider.rpc.exchange(question.method, params);
        let answer = timeout(PATIENCE, asked).await;
        let answer = answer.unwrap_or(Err(RpcFailure::Timeout));
        let answer = answer.and_then(|answer| (question.form)(&answer).map(|()| answer));
        match &answer {
            Err(RpcFailure::Refused(error)) if is_passing_refusal(&error.message) => {}
            Err(failure) if failure.is_of_provider() => {
                self.put_aside(provider, &failure.in_words());
            }
            _ => {}
        }
        answer
    }

    /// Sends a transaction to all: one that keeps it for itself cannot hold it up.
    async fn send_to_all(&self, question: &Question<'_>) -> Answer {
        let asked = self
            .in_order()
            .into_iter()
            .map(|provider| self.ask_one(provider, question));
        let mut answers = join_all(asked).await;
        // One that is taken says most, then what a pool says against it.
        let rank = |answer: &Result<_, RpcFailure>| match answer {
            Ok(_) => 0,
            Err(failure) if !failure.is_of_provider() => 1,
            Err(_) => 2,
        };
        answers.sort_by_key(rank);
        let first = answers.into_iter().next();
        first.unwrap_or_else(|| Err(RpcFailure::unreachable("there is no endpoint")))
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.all.iter().map(|provider| provider.rpc.endpoint());
        f.debug_list().entries(all).finish()
    }
}

#[async_trait]
impl JsonRpcClient for Providers {
    type Error = RpcFailure;

    async fn request<T, R>(&self, method: &str, params: T) -> Result<R, RpcFailure>
    where
        T: fmt::Debug + Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        let params = to_raw_value(&params).map_err(RpcFailure::malformed)?;
        let form = |answer: &RawValue| {
            let read: Result<R, _> = serde_json::from_str(answer.get());
            read.map(drop).map_err(RpcFailure::malformed)
        };
        let answer = self.exchange(method, params, &form).await?;
        serde_json::from_str(answer.get()).map_err(RpcFailure::malformed)
    }
}
