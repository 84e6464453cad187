//! The open requests of a ring: which of them are ready to run, which two thirds have voted for, and what may be listed.
//!
//! Inputs are method calls and outputs are [`BookEffect`]s, as of the member's state machine; nothing here is durable.
//! The caller opens a request when it comes in a log ([`Book::open`]), with the votes that are on its disk, and gives the
//! later votes as they come. Listed requests are kept until their ring node is final, so that a reorganisation only takes
//! the mark away ([`Book::rewound`]). A listing may come before its request, for logs and chain are not in step: it is
//! noted all the same.
//!
//! Each author has a bound of open requests. One beyond it is refused, and nobody votes for it: so a requester pays for
//! its own haste, and never those who vote.

use super::{
    form::{Request, RequestInput},
    rules::{Agreed, BookEffect, Limits, Objection, RequestRefusal, Standing, UpstreamOutcome},
    tally::Tally,
    vote::{RequestKey, RequestVote},
};
use crate::{
    eip712::Domain,
    ringlog::{Entry, Outcome},
    Address, Digest,
};
use std::collections::{BTreeMap, BTreeSet};

/// An open request: who asked, what it waits for, and how the members vote.
#[derive(Debug)]
struct Open {
    request: Request,
    author: Address,
    /// The outcomes of those of its inputs that final ring nodes list.
    settled: UpstreamOutcome,
    /// The computation that was asked for last: the request with what its inputs hold.
    computing: Option<RequestKey>,
    tally: Tally,
    /// What two thirds vote for now, and since when.
    agreed: Option<Agreed>,
}

/// What a ring node that is not final yet lists for a request, whether that is open here or not.
#[derive(Debug)]
struct Listed {
    number: u64,
    inputs: Digest,
    outcome: Outcome,
}

/// The open requests.
#[derive(Debug)]
pub struct Book {
    domain: Domain,
    /// The bounds of what is taken up.
    limits: Limits,
    /// The members whose votes count, sorted.
    members: Vec<Address>,
    /// How many votes for one outcome are two thirds.
    needed: usize,
    /// The number of the next ring node.
    next: u64,
    /// The requests that are held, listed ones among them until their ring node is final.
    open: BTreeMap<Digest, Open>,
    /// Results of gates, which the chain holds: they count without votes.
    on_chain: BTreeMap<Digest, Agreed>,
    /// What ring nodes list that are not final yet.
    listed: BTreeMap<Digest, Listed>,
    /// The requests that are held and not listed, by their authors and by the last ring node that may list them. What was listed
    /// is held for long, and those that are open are few beside it.
    unlisted: BTreeMap<(Address, u64), BTreeSet<Digest>>,
    /// Pairs of a request and one that has an output of it as an input.
    dependants: BTreeSet<(Digest, Digest)>,
}

impl Book {
    /// An empty book.
    pub fn new(domain: Domain, limits: Limits) -> Self {
        Self {
            domain,
            limits,
            members: Vec::new(),
            needed: usize::MAX,
            next: 0,
            open: BTreeMap::new(),
            on_chain: BTreeMap::new(),
            listed: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            dependants: BTreeSet::new(),
        }
    }

    /// Takes the current members, sorted, and how many of them are two thirds. All votes are counted again.
    pub fn membership(&mut self, members: &[Address], needed: usize, now: u64) -> Vec<BookEffect> {
        (self.members, self.needed) = (members.to_vec(), needed.max(1));
        let requests: Vec<_> = self.open.keys().copied().collect();
        let counted = requests.into_iter();
        counted
            .flat_map(|request| self.count(request, now))
            .collect()
    }

    /// Takes up a request from the log of `author`. `settled` are the outcomes of those of its inputs that final ring nodes
    /// list, and `votes` all votes for it that are on disk. The caller does not open what a final ring node lists.
    ///
    /// # Errors
    /// [`RequestRefusal`]: then no vote for it is written either.
    pub fn open(
        &mut self,
        author: Address,
        request: Request,
        settled: UpstreamOutcome,
        votes: &[(Address, RequestVote)],
        now: u64,
    ) -> Result<Vec<BookEffect>, RequestRefusal> {
        let digest = request.digest().map_err(|_| RequestRefusal::Malformed)?;
        if self.open.contains_key(&digest) {
            return Ok(Vec::new());
        }
        self.admits(author, &request, 0)?;
        for upstream in request.upstream() {
            self.dependants.insert((upstream, digest));
        }
        let open = Open {
            request,
            author,
            settled,
            computing: None,
            tally: Tally::default(),
            agreed: None,
        };
        self.open.insert(digest, open);
        self.place(digest);
        let mut effects: Vec<_> = self.resolve(digest).into_iter().collect();
        for (member, vote) in votes {
            effects.extend(self.add(*member, vote));
        }
        effects.extend(self.count(digest, now));
        Ok(effects)
    }

    /// Whether a request from the log of `author` would be taken up, beside `others` of the same author that are not opened
    /// yet.
    ///
    /// # Errors
    /// [`RequestRefusal`] when it would not.
    pub fn admits(
        &self,
        author: Address,
        request: &Request,
        others: usize,
    ) -> Result<(), RequestRefusal> {
        let (ring, chain, until) = (request.ring, request.chain, request.until);
        if (ring, chain) != (self.domain.ring, self.domain.chain_id) {
            return Err(RequestRefusal::Elsewhere { ring, chain });
        }
        let (next, latest) = (self.next, self.next.saturating_add(self.limits.lifetime));
        if !(next..=latest).contains(&until) {
            return Err(RequestRefusal::Until {
                until,
                next,
                latest,
            });
        }
        match self.open_of(author).saturating_add(others) {
            open if open < self.limits.open_per_author => Ok(()),
            open => Err(RequestRefusal::Quota { author, open }),
        }
    }

    /// How many open requests an author has: those that are neither listed nor expired.
    pub fn open_of(&self, author: Address) -> usize {
        let may_be_listed = (author, self.next)..=(author, u64::MAX);
        let of_author = self.unlisted.range(may_be_listed);
        of_author.map(|(_, requests)| requests.len()).sum()
    }

    /// Whether a request is listed has changed, or whether it is held: it stands among those that are not listed, or not.
    fn place(&mut self, request: Digest) {
        let Some(open) = self.open.get(&request) else {
            return;
        };
        let key = (open.author, open.request.until);
        match self.listed.contains_key(&request) {
            true => self.displace(key, request),
            false => drop(self.unlisted.entry(key).or_default().insert(request)),
        }
    }

    fn displace(&mut self, key: (Address, u64), request: Digest) {
        if let Some(requests) = self.unlisted.get_mut(&key) {
            requests.remove(&request);
            if requests.is_empty() {
                self.unlisted.remove(&key);
            }
        }
    }

    /// A gate of this ring has this result on chain, so deep that it is final: it may be listed too. `at` is when it
    /// began to wait for that, as far as it makes a ring node due; it may be later than now.
    pub fn on_chain(&mut self, entry: Entry, at: u64) {
        let Entry::Result { request, .. } = entry else {
            return;
        };
        let since = self.next;
        let agreed = Agreed { entry, since, at };
        self.on_chain.entry(request).or_insert(agreed);
    }

    /// A reorganisation took the result of a gate away.
    pub fn taken_back(&mut self, gate: Digest) {
        self.on_chain.remove(&gate);
    }

    /// Whether there are requests that the next ring node may list, agreed or not.
    pub fn has_open(&self) -> bool {
        self.listable().next().is_some()
    }

    /// The requests that the next ring node may list, agreed or not.
    fn listable(&self) -> impl Iterator<Item = (&Digest, &Open)> {
        let unlisted = self.unlisted.iter();
        let may_be_listed = unlisted.filter(|((_, until), _)| self.next <= *until);
        let requests = may_be_listed.flat_map(|(_, requests)| requests);
        requests.filter_map(|request| self.open.get_key_value(request))
    }

    /// The request of this digest, while it is held.
    pub fn request(&self, digest: Digest) -> Option<&Request> {
        self.open.get(&digest).map(|open| &open.request)
    }

    /// How far a request is, while it is held.
    pub fn standing(&self, digest: Digest) -> Option<Standing<'_>> {
        let open = self.open.get(&digest)?;
        Some(Standing {
            author: open.author,
            request: &open.request,
            computing: open.computing,
            agreed: open.agreed.as_ref(),
            is_listed: self.listed.contains_key(&digest),
            has_expired: !open.request.may_be_listed_by(self.next),
        })
    }

    /// A vote from the log of `member`, whose node was checked and is on disk. A vote for a request that is not open is
    /// ignored; the caller gives it again when the request is opened.
    pub fn vote(&mut self, member: Address, vote: &RequestVote, now: u64) -> Vec<BookEffect> {
        let mut effects: Vec<_> = self.add(member, vote).into_iter().collect();
        effects.extend(self.count(vote.key.request, now));
        effects
    }

    /// Takes a vote in. Names a member that voted for two outcomes, or for another one than a ring node lists. The second
    /// vote of a member does not count.
    fn add(&mut self, member: Address, vote: &RequestVote) -> Option<BookEffect> {
        let key = vote.key;
        let open = self.open.get_mut(&key.request)?;
        if !open.tally.add(member, vote) {
            return Some(BookEffect::Equivocated { key, member });
        }
        let listed = self.listed.get(&key.request)?;
        let diverged = listed.inputs == key.inputs && listed.outcome != vote.outcome;
        diverged.then_some(BookEffect::Diverged { key, member })
    }

    /// Counts the votes on a request again. If they agree now, those that rest on it may be ready.
    fn count(&mut self, request: Digest, now: u64) -> Vec<BookEffect> {
        let Some(open) = self.open.get_mut(&request) else {
            return Vec::new();
        };
        // While the entry stays the same, the moment of the agreement stays too: the order in which requests are
        // listed depends on it.
        let agreed = open.tally.agreed(&self.members, self.needed);
        let entry = agreed.map(|(inputs, outcome)| Entry::Result {
            request,
            inputs,
            outcome,
        });
        if entry.as_ref() == open.agreed.as_ref().map(|agreed| &agreed.entry) {
            return Vec::new();
        }
        let (since, at) = (self.next, now);
        open.agreed = entry.map(|entry| Agreed { entry, since, at });
        self.resolve_after(request)
    }

    /// The requests that have an output of this one as an input.
    fn dependants(&self, request: Digest) -> Vec<Digest> {
        let after = (request, Digest::ZERO)..=(request, Digest([0xff; 32]));
        self.dependants
            .range(after)
            .map(|(_, after)| *after)
            .collect()
    }

    fn resolve_after(&mut self, request: Digest) -> Vec<BookEffect> {
        let dependants = self.dependants(request).into_iter();
        dependants
            .filter_map(|dependant| self.resolve(dependant))
            .collect()
    }

    /// What a request gave: what a ring node lists, else what two thirds agree on.
    fn outcome(&self, request: Digest) -> Option<&Outcome> {
        if let Some(listed) = self.listed.get(&request) {
            return Some(&listed.outcome);
        }
        match &self.open.get(&request)?.agreed.as_ref()?.entry {
            Entry::Result { outcome, .. } => Some(outcome),
            Entry::Decision { .. } => None,
        }
    }

    /// The request's computation, when all its inputs are known and it is not the one that was asked for already.
    fn resolve(&mut self, request: Digest) -> Option<BookEffect> {
        let open = self.open.get(&request)?;
        let output = |of: Digest, pin: u32| {
            let outcome = open.settled.get(&of).or_else(|| self.outcome(of));
            outcome.and_then(|outcome| outcome.output(pin))
        };
        let resolved = open.request.resolve(output)?;
        let key = RequestKey {
            request,
            inputs: resolved.hash,
        };
        // A computation is asked for once. What is listed already, or can no longer be listed, needs no vote of this
        // member.
        let fresh = open.computing != Some(key)
            && !self.listed.contains_key(&request)
            && open.request.may_be_listed_by(self.next);
        if !fresh {
            return None;
        }
        self.open.get_mut(&request)?.computing = Some(key);
        let data = resolved.data;
        Some(BookEffect::Compute { key, data })
    }

    /// Ring node `number` is registered and lists these entries. Names the members who voted otherwise.
    pub fn listed(&mut self, number: u64, entries: &[Entry]) -> Vec<BookEffect> {
        self.next = number.saturating_add(1);
        let mut effects = Vec::new();
        for entry in entries {
            let Entry::Result {
                request,
                inputs,
                outcome,
            } = entry
            else {
                continue;
            };
            let (request, inputs, outcome) = (*request, *inputs, outcome.clone());
            let key = RequestKey { request, inputs };
            let open = self.open.get(&request);
            let against = open.map(|open| open.tally.against(inputs, &outcome));
            let against = against.into_iter().flatten();
            effects.extend(against.map(|member| BookEffect::Diverged { key, member }));
            let listed = Listed {
                number,
                inputs,
                outcome,
            };
            self.listed.insert(request, listed);
            self.place(request);
            effects.extend(self.resolve_after(request));
        }
        effects
    }

    /// The ring log was cut by a reorganisation: `next` is the number of its next node now. What the lost nodes listed is
    /// open again, and what was never computed here for that reason is asked for.
    pub fn rewound(&mut self, next: u64) -> Vec<BookEffect> {
        self.next = next;
        self.listed.retain(|_, listed| listed.number < next);
        let requests: Vec<_> = self.open.keys().copied().collect();
        for request in &requests {
            self.place(*request);
        }
        let again = requests.into_iter();
        again.filter_map(|request| self.resolve(request)).collect()
    }

    /// Ring node `number` and all before it are final: what they list, and what has expired with them, is forgotten.
    /// Returns those requests, which the journal may forget too.
    pub fn finalised(&mut self, number: u64) -> Vec<Digest> {
        let next = number.saturating_add(1);
        let listed = self.listed.iter();
        let listed = listed.filter(|(_, listed)| listed.number <= number);
        let open = self.open.iter();
        let expired = open.filter(|(request, open)| {
            !self.listed.contains_key(request) && !open.request.may_be_listed_by(next)
        });
        let listed = listed.map(|(request, _)| *request);
        let expired = expired.map(|(request, _)| *request);
        let forgotten: Vec<_> = listed.chain(expired).collect();
        for request in &forgotten {
            self.forget(*request);
        }
        forgotten
    }

    /// Removes a request and all that is held for it, but not the pairs in which others have it as an input: they are
    /// needed while those others are open.
    fn forget(&mut self, request: Digest) {
        self.on_chain.remove(&request);
        let open = self.open.remove(&request);
        if let Some(open) = &open {
            self.displace((open.author, open.request.until), request);
        }
        for upstream in open.iter().flat_map(|open| open.request.upstream()) {
            self.dependants.remove(&(upstream, request));
        }
        // Those that rest on it keep what it gave.
        let Some(Listed { outcome, .. }) = self.listed.remove(&request) else {
            return;
        };
        for dependant in self.dependants(request) {
            if let Some(dependant) = self.open.get_mut(&dependant) {
                dependant.settled.insert(request, outcome.clone());
            }
        }
    }

    /// What may be listed next, and by which rank: in an order in which each comes after those it rests on.
    pub fn pending(&self) -> Vec<&Agreed> {
        let mut waiting: Vec<_> = self
            .listable()
            .filter_map(|(request, open)| Some((open.agreed.as_ref()?, *request)))
            .collect();
        let gates = self.on_chain.iter();
        let gates = gates.filter(|(gate, _)| !self.listed.contains_key(gate));
        waiting.extend(gates.map(|(gate, agreed)| (agreed, *gate)));
        waiting.sort_by_key(|(agreed, request)| (agreed.since, agreed.at, *request));
        let (mut beside, mut pending) = (BTreeSet::new(), Vec::new());
        loop {
            // Each pass takes the requests that rest only on what is listed or was taken before. It ends when a pass
            // takes nothing: what is left rests on requests that have no agreement yet.
            let before = pending.len();
            waiting.retain(|(agreed, request)| {
                let ready = self.unlisted_upstream(*request, &beside).is_none();
                if ready {
                    beside.insert(*request);
                    pending.push(*agreed);
                }
                !ready
            });
            if pending.len() == before {
                return pending;
            }
        }
    }

    /// A request that this one rests on and that is listed neither before the next ring node nor beside it.
    fn unlisted_upstream(&self, request: Digest, beside: &BTreeSet<Digest>) -> Option<Digest> {
        let open = self.open.get(&request)?;
        let inputs = open.request.inputs.iter().filter_map(|input| match input {
            RequestInput::Output { request, .. } => Some(*request),
            RequestInput::Data(_) => None,
        });
        let mut missing = inputs.filter(|upstream| {
            !self.listed.contains_key(upstream)
                && !open.settled.contains_key(upstream)
                && !beside.contains(upstream)
        });
        missing.next()
    }

    /// Whether this member endorses that the next ring node lists `entry`, beside results of the requests `beside`.
    ///
    /// # Errors
    /// [`Objection`] when it does not.
    pub fn supports(&self, entry: &Entry, beside: &BTreeSet<Digest>) -> Result<(), Objection> {
        let Entry::Result { request, .. } = entry else {
            return Ok(());
        };
        let request = *request;
        let is_listed = self.listed.contains_key(&request);
        // What the chain says of a gate needs no votes, and nothing else may be listed for it.
        if let Some(agreed) = self.on_chain.get(&request).filter(|_| !is_listed) {
            return match agreed.entry == *entry {
                true => Ok(()),
                false => Err(Objection::NotAgreed { request }),
            };
        }
        let open = self.open.get(&request).filter(|_| !is_listed);
        let open = open.ok_or(Objection::NotOpen { request })?;
        if !open.request.may_be_listed_by(self.next) {
            return Err(Objection::Expired { request });
        }
        if open.agreed.as_ref().map(|agreed| &agreed.entry) != Some(entry) {
            return Err(Objection::NotAgreed { request });
        }
        match self.unlisted_upstream(request, beside) {
            Some(upstream) => Err(Objection::Upstream { request, upstream }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
