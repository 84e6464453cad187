//! The logs of contracts that concern installations, found by the log and not by going through the installations.
//!
//! Installations of one service share what reads its events, so a log is read once, however many it starts. Only what tells
//! them apart is kept here: a plan is not.

use super::{
    error::ProcessError,
    trigger::{Kind, Listener, Reading},
    waits::source_of,
};
use crate::state::Found;
use rings_chain::ContractLog;
use rings_process::{plan::Plan, words::Installation};
use rings_protocol::{Address, Digest};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Where logs come from: the contract, and their first topic.
type Place = (Address, Digest);

/// The logs that concern installations.
#[derive(Default)]
pub(super) struct Watched {
    readings: BTreeMap<Kind, Reading>,
    /// The kinds by the blocks on top of their logs, and by where these come from.
    places: BTreeMap<u64, BTreeMap<Place, BTreeSet<Kind>>>,
    /// What each installation listens to.
    held: BTreeMap<Digest, Vec<(Kind, Option<Digest>, Digest)>>,
}

impl Watched {
    /// Takes up an installation. Whether logs concern it.
    pub fn add(&mut self, owner: Digest, installation: &Installation, plan: &Plan) -> bool {
        self.remove(owner);
        let mut held = Vec::new();
        let started = plan.event_service().zip(plan.event());
        let started = started.map(|(service, (_, event))| (service, event, owner));
        let waits = plan.waits().map(|(_, wait)| {
            let instance = installation.instances.get(&wait.service_name).copied();
            let source = source_of(wait, instance);
            (&*wait.service_name, &*wait.event, source)
        });
        for (service, event, id) in started.into_iter().chain(waits) {
            let Some(kind) = self.kind(plan, (service, event)) else {
                continue;
            };
            let instance = installation.instances.get(service).copied();
            if let Some(reading) = self.readings.get_mut(&kind) {
                reading.add(instance, Listener { id, owner }, installation.since);
                held.push((kind, instance, id));
            }
        }
        let is_concerned = !held.is_empty();
        if is_concerned {
            self.held.insert(owner, held);
        }
        is_concerned
    }

    /// The kind of an event, if it is one of logs. What reads it is made for the first who listens.
    fn kind(&mut self, plan: &Plan, (service, event): (&str, &str)) -> Option<Kind> {
        let cid = *plan.process().services.get(service)?;
        let kind = Arc::new((cid, event.to_owned()));
        if let Some((known, _)) = self.readings.get_key_value(&kind) {
            return Some(Arc::clone(known));
        }
        let reader = plan.reader_of(service, event)?;
        let at_depth = self.places.entry(reader.confirmations).or_default();
        let of_place = at_depth.entry((reader.contract, reader.topic)).or_default();
        of_place.insert(Arc::clone(&kind));
        let reading = Reading::new(Arc::clone(&kind), reader);
        self.readings.insert(Arc::clone(&kind), reading);
        Some(kind)
    }

    /// An installation is concerned no more.
    pub fn remove(&mut self, owner: Digest) {
        for (kind, instance, id) in self.held.remove(&owner).unwrap_or_default() {
            let Some(reading) = self.readings.get_mut(&kind) else {
                continue;
            };
            if !reading.remove(instance, &Listener { id, owner }) {
                continue;
            }
            let (confirmations, place) = {
                let reader = reading.reader();
                (reader.confirmations, (reader.contract, reader.topic))
            };
            self.readings.remove(&kind);
            let Some(at_depth) = self.places.get_mut(&confirmations) else {
                continue;
            };
            if let Some(kinds) = at_depth.get_mut(&place) {
                kinds.remove(&kind);
                if kinds.is_empty() {
                    at_depth.remove(&place);
                }
            }
            if at_depth.is_empty() {
                self.places.remove(&confirmations);
            }
        }
    }

    /// How many blocks have to be on top of logs, for each kind another number perhaps.
    pub fn depths(&self) -> Vec<u64> {
        self.places.keys().copied().collect()
    }

    /// Where logs of this depth come from.
    pub fn places(&self, confirmations: u64) -> Vec<Place> {
        let at_depth = self.places.get(&confirmations).into_iter().flatten();
        at_depth.map(|(place, _)| *place).collect()
    }

    /// The first block whose logs of this depth concern anybody.
    pub fn since(&self, confirmations: u64) -> Option<u64> {
        let listeners = self.listeners(confirmations);
        listeners.map(|(_, since)| since).min()
    }

    /// Who listens to logs of this depth, and from which block on.
    pub fn listeners(&self, confirmations: u64) -> impl Iterator<Item = (&Listener, u64)> {
        let at_depth = self.places.get(&confirmations).into_iter().flatten();
        let kinds = at_depth.flat_map(|(_, kinds)| kinds);
        let readings = kinds.filter_map(|kind| self.readings.get(kind));
        readings.flat_map(Reading::listeners)
    }

    /// The events that a log of this depth is.
    pub fn found(
        &self,
        (chain, confirmations): (u64, u64),
        log: &ContractLog,
        found: &mut Vec<Found>,
    ) -> Result<(), ProcessError> {
        let topic = log.topics.first().copied().unwrap_or_default();
        let at_depth = self.places.get(&confirmations);
        let kinds = at_depth.and_then(|at_depth| at_depth.get(&(log.contract, topic)));
        for kind in kinds.into_iter().flatten() {
            if let Some(reading) = self.readings.get(kind) {
                reading.found(chain, log, found)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
