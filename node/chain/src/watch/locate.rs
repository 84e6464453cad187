//! From raw events to the consumer's events: decoded, in order, with the times of their blocks and the specifications
//! of gates.
//!
//! For a request, the specification is read from the gate's code, and so are those of the gates that it waits for,
//! directly or not. These come before the request in the page, with the results that their rings have registered
//! already. From then on `follow` knows them.

use super::watcher::Watcher;
use crate::{
    chain::At,
    convert::{digest, h256},
    error::ChainError,
    events::{decode, Decoded},
    fetch::search_up_to,
    interest::Interest,
    raw_event::{EventPlace, RawEvent},
    types::{BlockRef, ChainEvent, Cursor, Located},
};
use futures::{future, stream, StreamExt};
use rings_protocol::{gate::GateSpec, Address};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Questions about gates that are asked at the same time.
const GATES_AT_ONCE: usize = 64;

/// A gate that is followed from now on.
type NewGate = (Address, Arc<GateSpec>);

/// The content of one page. The new gates count only when the whole page has been read.
#[derive(Default)]
struct PageContent {
    events: Vec<Located>,
    followed: Vec<NewGate>,
    /// Whether these gates have a result at the end of the page.
    resolved: HashMap<Address, bool>,
}

impl Watcher {
    /// Reads the specifications of the gates that the consumer named at the start.
    pub(super) async fn read_unread(&mut self) -> Result<(), ChainError> {
        while let Some(gate) = self.unread.last().copied() {
            match self.chain.spec_of(self.config.engine, gate).await? {
                Some(spec) => self.followed.insert(gate, &spec),
                None => {
                    tracing::warn!(%gate, "this engine has no gate at this address; it is not followed")
                }
            }
            self.unread.pop();
        }
        Ok(())
    }

    /// Decodes the raw events that were read up to block `last`.
    pub(super) async fn locate(
        &mut self,
        raw: &[RawEvent],
        last: Cursor,
    ) -> Result<Vec<Located>, ChainError> {
        let placed = raw.iter().map(|event| (event.place(), event));
        // Sorted by their places in the chain; one that two requests have brought is there once.
        let sorted: BTreeMap<EventPlace, &RawEvent> = placed.collect();
        let asked: Vec<_> = sorted
            .values()
            .filter_map(|event| asked_for(event))
            .collect();
        self.read_specs(asked.clone()).await;
        let mut page = PageContent {
            resolved: self.which_are_resolved(asked, last).await,
            ..PageContent::default()
        };
        for (place, event) in sorted {
            let block = self.chain.block_of(event, place).await?;
            match decode(event) {
                Some(Decoded::Event(event)) => page.events.push(located(block, place, event)),
                Some(Decoded::Requested { gate, requester }) => {
                    let at = |event| located(block, place, event);
                    self.request(gate, requester, at, last, &mut page).await?;
                }
                None => tracing::debug!(?place, "an event does not have the expected form"),
            }
        }
        // Only when the whole page is decoded the followed gates change, so a failure in the middle can be tried again.
        for (gate, spec) in page.followed {
            self.followed.insert(gate, &spec);
        }
        for located in &page.events {
            if let ChainEvent::OutputsRegistered { gate, .. } = &located.event {
                self.followed.resolved(*gate, located.block.number);
            }
        }
        Ok(page.events)
    }

    /// Reads the specifications of the gates that are asked for, several at once, so that many gates in one block do not take
    /// a round trip each. What could not be read is read again when it is needed, and its failure told then.
    async fn read_specs(&self, gates: Vec<Address>) {
        let asked = gates.into_iter();
        let asked = asked.map(|gate| self.chain.spec_of(self.config.engine, gate));
        let mut read = stream::iter(asked).buffer_unordered(GATES_AT_ONCE);
        while read.next().await.is_some() {}
    }

    /// Asks whether gates that another ring may answer too have a result, several at once as well.
    async fn which_are_resolved(
        &self,
        mut gates: Vec<Address>,
        last: Cursor,
    ) -> HashMap<Address, bool> {
        gates.retain(|gate| {
            let spec = self.chain.specs().get(*gate);
            spec.is_some_and(|spec| spec.rings.len() > 1) && !self.followed.contains(*gate)
        });
        let at = At::Hash(h256(last.hash));
        let asked = gates.into_iter().map(|gate| async move {
            let resolved = self.chain.is_resolved_at(gate, at).await;
            resolved.ok().map(|resolved| (gate, resolved))
        });
        let answers = stream::iter(asked).buffer_unordered(GATES_AT_ONCE);
        answers.filter_map(future::ready).collect().await
    }

    /// A request. Before it come the gates that it waits for, and their results as far as there are any.
    async fn request(
        &self,
        gate: Address,
        requester: Address,
        at: impl Fn(ChainEvent) -> Located,
        last: Cursor,
        page: &mut PageContent,
    ) -> Result<(), ChainError> {
        let Some(spec) = self.chain.spec_of(self.config.engine, gate).await? else {
            tracing::warn!(%gate, "the engine emitted a request for a gate that it has not made");
            return Ok(());
        };
        // Results that are older than this watch come in no page, so they are looked up here, before the request that
        // needs them. The consumer can then resolve the request from what it has.
        for (upstream, spec) in self.new_upstream(gate, &spec, page).await? {
            page.events.push(at(ChainEvent::GateFollowed {
                gate: upstream,
                spec: spec.as_ref().clone(),
            }));
            let results = self.past_results(upstream, &spec, last, page).await?;
            page.events.extend(results);
            page.followed.push((upstream, spec));
        }
        // Another ring may register the result of this gate too, so its events about it are read from now on.
        if spec.rings.len() > 1 && !self.knows(gate, page) {
            let results = self.past_results(gate, &spec, last, page).await?;
            page.events.extend(results);
            page.followed.push((gate, spec.clone()));
        }
        page.events.push(at(ChainEvent::GateRequested {
            gate,
            requester,
            spec: spec.as_ref().clone(),
        }));
        Ok(())
    }

    fn knows(&self, gate: Address, page: &PageContent) -> bool {
        self.followed.contains(gate) || page.followed.iter().any(|(known, _)| *known == gate)
    }

    /// The gates that this one waits for, directly or not, and that are not followed yet; those further up come first.
    async fn new_upstream(
        &self,
        gate: Address,
        spec: &GateSpec,
        page: &PageContent,
    ) -> Result<Vec<NewGate>, ChainError> {
        let mut found: Vec<NewGate> = Vec::new();
        let mut waiting = spec.upstream();
        while let Some(upstream) = waiting.pop() {
            let is_found = found.iter().any(|(known, _)| *known == upstream);
            if is_found || upstream == gate || self.knows(upstream, page) {
                continue;
            }
            if self.followed.has_no_room(page.followed.len() + found.len()) {
                tracing::warn!(%gate, "it waits for more gates than are followed at once, so it does not become ready here");
                break;
            }
            if let Some(spec) = self.chain.spec_of(self.config.engine, upstream).await? {
                waiting.extend(spec.upstream());
                found.push((upstream, spec));
            }
        }
        found.reverse();
        Ok(found)
    }

    /// The result that another ring has registered for a gate up to block `last`, if there is one.
    async fn past_results(
        &self,
        gate: Address,
        spec: &GateSpec,
        last: Cursor,
        page: &PageContent,
    ) -> Result<Vec<Located>, ChainError> {
        let mut rings = spec.rings.clone();
        rings.retain(|ring| *ring != self.config.ring);
        let Some(interest) = Interest::results(&rings, &[gate]).pop() else {
            return Ok(Vec::new());
        };
        let at = At::Hash(h256(last.hash));
        let is_resolved = match page.resolved.get(&gate) {
            Some(resolved) => *resolved,
            None => self.chain.is_resolved_at(gate, at).await?,
        };
        if !is_resolved {
            return Ok(Vec::new());
        }
        let (from, to) = (self.config.start_block, last.number);
        let mut results = Vec::new();
        for event in search_up_to(&self.chain, &interest, from, to, false).await? {
            if let Some(Decoded::Event(decoded)) = decode(&event) {
                let place = event.place();
                let block = self.chain.block_of(&event, place).await?;
                results.push(located(block, place, decoded));
            }
        }
        Ok(results)
    }
}

/// The gate that an event asks for.
fn asked_for(event: &RawEvent) -> Option<Address> {
    match decode(event)? {
        Decoded::Requested { gate, .. } => Some(gate),
        _ => None,
    }
}

fn located(block: BlockRef, place: EventPlace, event: ChainEvent) -> Located {
    Located {
        block,
        transaction: digest(place.transaction),
        log_index: place.log_index,
        event,
    }
}
