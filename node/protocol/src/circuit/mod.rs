//! Which gates were asked for, which are ready, and which have a result: what follows from the chain's events alone.
//!
//! Events come from two kinds of contract. The engine says that a ring was asked for a gate; the rings assigned to a
//! gate say that it has a result, was challenged, or had its floodgate opened. Events of gates are ignored, because
//! anybody can deploy a contract that looks like a gate.
//!
//! [`apply`] takes one event into a [`GateTable`] and returns [`Signal`]s. A gate waits for its upstream gates, which
//! may belong to other rings and may be older than what was read so far: [`Signal::Follow`] asks the caller to read the
//! upstream gate's spec from the chain, hand it to [`learn`], and apply the events of that gate's rings, past ones too; and
//! the same for the gates that this one waits for, because a failure further up dooms all that is behind it.
//! When a gate is ready, [`resolve`] gives its inputs. No block number and no block time is part of them, so a result
//! is right on every branch; numbers are kept only so that [`rewind`] can take back what a reorganisation undid.
//!
//! The table is the caller's, so that a page of events and the cursor that names its end are stored in one transaction.

use crate::{
    gate::{Computation, GateInput, GateSpec, ResolvedInputs, FAILURE_PIN},
    Address, Digest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A gate's record remembers at most this many accounts that asked for it. When it is full, an account whose gates are
/// computed takes the place of a stranger ([`GateTable::is_accepted`]).
pub const MAX_REQUESTERS: usize = 1024;

/// What a ring registered for a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// Number of the block that holds the registration.
    pub block: u64,
    /// Output pins and the digests of their data; the one pin [`FAILURE_PIN`] if the program failed.
    pub outputs: BTreeMap<u128, Digest>,
    /// Which of the assigned rings registered it.
    pub ring: Address,
}

impl GateResult {
    /// Whether the program failed.
    pub fn failed(&self) -> bool {
        self.outputs.contains_key(&FAILURE_PIN)
    }
}

/// Everything the chain has said of one gate, with the number of the block in which it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRecord {
    /// Its primary ring was challenged for being silent.
    pub challenged: Option<u64>,
    /// An upstream gate has failed, so that this one can never become ready.
    pub doomed: Option<u64>,
    /// Its fall-back rings may work on it.
    pub floodgate: Option<u64>,
    /// It was asked for, and its last future was set.
    pub ready: Option<u64>,
    /// Who asked for it, and the first block in which each did. Empty for a gate that is only followed because another
    /// gate waits for it.
    pub requesters: BTreeMap<Address, u64>,
    /// What a ring registered for it.
    pub result: Option<GateResult>,
    /// What it asks for.
    pub spec: GateSpec,
}

/// An event of the chain about a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateEvent {
    /// The engine: somebody asked a ring for it.
    Requested {
        /// Who asked.
        requester: Address,
        /// What the gate asks for, read from its code and checked against its address.
        spec: GateSpec,
    },
    /// One of its rings: it has a result.
    Registered {
        /// The ring that emitted the event.
        ring: Address,
        /// Output pins, or the one pin [`FAILURE_PIN`].
        pins: Vec<u128>,
        /// Digests of their data, in the order of the pins.
        cids: Vec<Digest>,
    },
    /// One of its rings: the primary ring was challenged.
    Challenged,
    /// One of its rings: the fall-back rings may work on it from now on.
    FloodgateOpened,
}

/// What follows from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Nothing is known of this upstream gate: read its spec from the chain and give it to [`learn`], then apply what
    /// its rings have registered for it.
    Follow(Address),
    /// Somebody asked for this gate.
    Requested(Address),
    /// All futures of this gate are set.
    Ready(Address),
    /// Fall-back rings may work on this gate.
    FloodgateOpened(Address),
    /// This gate has a result.
    Resolved(Address),
    /// This gate can never become ready.
    Doomed(Address),
}

/// Where the records are kept.
pub trait GateTable {
    /// What the storage behind it can fail with.
    type Error;
    /// The record of a gate.
    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, Self::Error>;
    /// Stores a record; `block` is the one whose event changed it.
    fn put(&mut self, gate: Address, record: &GateRecord, block: u64) -> Result<(), Self::Error>;
    /// The gates that wait for outputs of this one.
    fn dependants(&self, gate: Address) -> Result<Vec<Address>, Self::Error>;
    /// Remembers that `dependant` waits for outputs of `gate`.
    fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), Self::Error>;
    /// The gates whose records were stored with a block after this one.
    fn changed_after(&self, block: u64) -> Result<Vec<Address>, Self::Error>;
    /// Whether the request of this account counts for more than those of strangers: when a gate's record is full, one of
    /// theirs is forgotten for it.
    fn is_accepted(&self, _requester: Address) -> bool {
        false
    }
}

impl GateRecord {
    fn new(spec: GateSpec) -> Self {
        Self {
            challenged: None,
            doomed: None,
            floodgate: None,
            ready: None,
            requesters: BTreeMap::new(),
            result: None,
            spec,
        }
    }

    /// Whether a result is asked for and can be computed: requested, ready, and without a result.
    pub fn is_open(&self) -> bool {
        self.ready.is_some() && self.result.is_none()
    }

    /// Whether `ring` may work on it now: its primary ring as soon as it is open, a fall-back ring only after the
    /// floodgate was opened.
    pub fn is_open_for(&self, ring: Address) -> bool {
        let may_work = match self.floodgate {
            None => self.spec.rings.first() == Some(&ring),
            Some(_) => self.spec.rings.contains(&ring),
        };
        self.is_open() && may_work
    }

    /// The first block in which it was asked for.
    fn requested(&self) -> Option<u64> {
        self.requesters.values().min().copied()
    }

    /// The block that decided that this gate cannot give outputs.
    fn failed(&self) -> Option<u64> {
        let failed = self.result.as_ref().filter(|result| result.failed());
        failed.map(|result| result.block).or(self.doomed)
    }
}

/// Takes one event of block `block` into the table. An event that was taken in before changes nothing.
///
/// It ignores events, other than [`GateEvent::Requested`], of a gate that nobody asked for and nobody follows; results
/// of a ring that is not assigned to the gate; and results whose pins are not those of the gate.
///
/// # Errors
/// What the table fails with.
pub fn apply<T: GateTable>(
    table: &mut T,
    gate: Address,
    event: &GateEvent,
    block: u64,
) -> Result<Vec<Signal>, T::Error> {
    let record = table.gate(gate)?;
    match (event, record) {
        (GateEvent::Requested { requester, spec }, record) => {
            let record = record.unwrap_or_else(|| GateRecord::new(spec.clone()));
            request(table, gate, record, *requester, block)
        }
        (_, None) => Ok(Vec::new()),
        (GateEvent::Registered { ring, pins, cids }, Some(record)) => {
            match result_of(&record.spec, *ring, pins, cids, block) {
                Some(result) => register(table, gate, record, result),
                None => Ok(Vec::new()),
            }
        }
        (GateEvent::Challenged, Some(mut record)) => {
            record.challenged.get_or_insert(block);
            table.put(gate, &record, block)?;
            Ok(Vec::new())
        }
        (GateEvent::FloodgateOpened, Some(mut record)) => {
            record.floodgate.get_or_insert(block);
            table.put(gate, &record, block)?;
            Ok(vec![Signal::FloodgateOpened(gate)])
        }
    }
}

/// Takes in the spec of an upstream gate, in answer to [`Signal::Follow`]. A gate's address commits to its spec, so this
/// is true on every branch and is never taken back.
///
/// The gate then waits for its own upstream gates as one that was asked for does, and those of them of which nothing is
/// known are to be followed too: if one of them fails, however far up, it is doomed, and so is what waits for it here.
///
/// # Errors
/// What the table fails with.
pub fn learn<T: GateTable>(
    table: &mut T,
    gate: Address,
    spec: &GateSpec,
) -> Result<Vec<Signal>, T::Error> {
    if table.gate(gate)?.is_some() {
        return Ok(Vec::new());
    }
    table.put(gate, &GateRecord::new(spec.clone()), 0)?;
    let mut signals = wait_for_upstream(table, gate, spec)?;
    signals.extend(settle_from(table, gate)?);
    Ok(signals)
}

/// Notes for which gates this one waits. Those of which nothing is known are to be followed.
fn wait_for_upstream<T: GateTable>(
    table: &mut T,
    gate: Address,
    spec: &GateSpec,
) -> Result<Vec<Signal>, T::Error> {
    let mut signals = Vec::new();
    for upstream in spec.upstream() {
        table.add_dependant(upstream, gate)?;
        if table.gate(upstream)?.is_none() {
            signals.push(Signal::Follow(upstream));
        }
    }
    Ok(signals)
}

/// The upstream gates of `gate` of which nothing is known: what [`Signal::Follow`] was given for, or would be again after
/// a restart.
///
/// # Errors
/// What the table fails with.
pub fn unknown_upstream<T: GateTable>(table: &T, gate: Address) -> Result<Vec<Address>, T::Error> {
    let mut unknown = Vec::new();
    let upstream = table.gate(gate)?.map(|record| record.spec.upstream());
    for gate in upstream.unwrap_or_default() {
        if table.gate(gate)?.is_none() {
            unknown.push(gate);
        }
    }
    Ok(unknown)
}

/// What is to be computed for a gate, and from which data; `None` while a future is unset.
///
/// # Errors
/// What the table fails with.
pub fn resolve<T: GateTable>(
    table: &T,
    gate: Address,
) -> Result<Option<(Computation, ResolvedInputs)>, T::Error> {
    let Some(record) = table.gate(gate)? else {
        return Ok(None);
    };
    let mut results = BTreeMap::new();
    for upstream in record.spec.upstream() {
        let result = table.gate(upstream)?.and_then(|record| record.result);
        results.insert(upstream, result);
    }
    let output = |gate: Address, pin: u128| {
        let result = results.get(&gate)?.as_ref()?;
        result.outputs.get(&pin).copied()
    };
    let resolved = record.spec.resolve(output);
    Ok(resolved.map(|inputs| {
        let computation = Computation {
            gate,
            inputs: inputs.hash,
        };
        (computation, inputs)
    }))
}

/// Takes in that an account asked for a gate. The first request makes the gate wait for its upstream gates. A gate that
/// was only followed until now may be ready already, so it is looked at in any case.
fn request<T: GateTable>(
    table: &mut T,
    gate: Address,
    mut record: GateRecord,
    requester: Address,
    block: u64,
) -> Result<Vec<Signal>, T::Error> {
    let is_first = record.requesters.is_empty();
    remember(table, &mut record, requester, block);
    let mut signals = vec![Signal::Requested(gate)];
    if is_first {
        signals.extend(wait_for_upstream(table, gate, &record.spec)?);
    }
    table.put(gate, &record, block)?;
    signals.extend(settle_from(table, gate)?);
    Ok(signals)
}

/// Notes who asked. If there is no room, an accepted account takes the place of the stranger who came last; of strangers,
/// the first count.
fn remember<T: GateTable>(table: &T, record: &mut GateRecord, requester: Address, block: u64) {
    if record.requesters.contains_key(&requester) {
        return;
    }
    if record.requesters.len() >= MAX_REQUESTERS {
        let strangers = record.requesters.iter();
        let strangers = strangers.filter(|(other, _)| !table.is_accepted(**other));
        let last = strangers.max_by_key(|(_, first)| **first);
        let last = last.map(|(stranger, _)| *stranger);
        match last.filter(|_| table.is_accepted(requester)) {
            Some(stranger) => drop(record.requesters.remove(&stranger)),
            None => return,
        }
    }
    record.requesters.insert(requester, block);
}

/// The result that an event tells; `None` if no contract of this gate would have emitted it.
fn result_of(
    spec: &GateSpec,
    ring: Address,
    pins: &[u128],
    cids: &[Digest],
    block: u64,
) -> Option<GateResult> {
    let is_failure = pins == [FAILURE_PIN];
    // A gate's outputs are registered together: each pin once, or the one pin of failure alone.
    let are_outputs =
        pins.len() as u128 == spec.outputs && pins.iter().all(|pin| *pin < spec.outputs);
    let outputs: BTreeMap<_, _> = pins.iter().copied().zip(cids.iter().copied()).collect();
    let is_whole = outputs.len() == pins.len() && pins.len() == cids.len();
    let is_genuine = spec.rings.contains(&ring) && is_whole && (is_failure || are_outputs);
    is_genuine.then_some(GateResult {
        block,
        outputs,
        ring,
    })
}

/// Takes in a result. The first one counts, whichever ring it came from. Gates that wait for it are looked at again: they
/// may be ready now, or doomed.
fn register<T: GateTable>(
    table: &mut T,
    gate: Address,
    mut record: GateRecord,
    result: GateResult,
) -> Result<Vec<Signal>, T::Error> {
    if record.result.is_some() {
        return Ok(Vec::new());
    }
    let block = result.block;
    record.result = Some(result);
    table.put(gate, &record, block)?;
    let mut signals = vec![Signal::Resolved(gate)];
    for dependant in table.dependants(gate)? {
        signals.extend(settle_from(table, dependant)?);
    }
    Ok(signals)
}

/// Looks again at a gate and, if it is doomed, at all gates that wait for it.
///
/// This ends because futures cannot form a circle: a gate's address commits to the gates before it. A work list in
/// place of recursion bounds the stack.
fn settle_from<T: GateTable>(table: &mut T, gate: Address) -> Result<Vec<Signal>, T::Error> {
    let mut signals = Vec::new();
    let mut waiting = vec![gate];
    while let Some(gate) = waiting.pop() {
        let signal = settle(table, gate)?;
        if matches!(signal, Some(Signal::Doomed(_))) {
            waiting.extend(table.dependants(gate)?);
        }
        signals.extend(signal);
    }
    Ok(signals)
}

/// Marks a gate as ready or doomed if the state of its upstream gates says so. One that nobody asked for here can only be
/// doomed: whoever works on it says when it is ready.
fn settle<T: GateTable>(table: &mut T, gate: Address) -> Result<Option<Signal>, T::Error> {
    let Some(mut record) = table.gate(gate)? else {
        return Ok(None);
    };
    if record.ready.is_some() || record.doomed.is_some() {
        return Ok(None);
    }
    let upstream = look_upstream(table, &record.spec)?;
    let (block, signal) = match (upstream, record.requested()) {
        // The gate became what it is with the later of the two blocks. That number is stored, so that a rewind to
        // before it takes the mark back.
        (Upstream::Failed(block), requested) => {
            let block = block.max(requested.unwrap_or(0));
            record.doomed = Some(block);
            (block, Signal::Doomed(gate))
        }
        (Upstream::Set(block), Some(requested)) => {
            let block = block.max(requested);
            record.ready = Some(block);
            (block, Signal::Ready(gate))
        }
        (Upstream::Set(_), None) | (Upstream::Waiting, _) => return Ok(None),
    };
    table.put(gate, &record, block)?;
    Ok(Some(signal))
}

/// The state of the upstream gates of a spec, and the block since which they have it.
enum Upstream {
    Waiting,
    Set(u64),
    Failed(u64),
}

fn look_upstream<T: GateTable>(table: &T, spec: &GateSpec) -> Result<Upstream, T::Error> {
    let mut set = Some(0);
    for input in &spec.inputs {
        let GateInput::Future { gate, pin } = input else {
            continue;
        };
        let upstream = table.gate(*gate)?;
        // One failed upstream gate decides, even while others have no result yet.
        if let Some(block) = upstream.as_ref().and_then(GateRecord::failed) {
            return Ok(Upstream::Failed(block));
        }
        let result = upstream.and_then(|upstream| upstream.result);
        let holder = result.filter(|result| result.outputs.contains_key(pin));
        set = set.zip(holder).map(|(set, result)| result.block.max(set));
    }
    Ok(set.map_or(Upstream::Waiting, Upstream::Set))
}

/// Takes back everything that events after `block` changed. Returns the gates whose records changed, so that the caller
/// stops or restarts work on them.
///
/// # Errors
/// What the table fails with.
pub fn rewind<T: GateTable>(table: &mut T, block: u64) -> Result<Vec<Address>, T::Error> {
    let changed = table.changed_after(block)?;
    for gate in &changed {
        if let Some(record) = table.gate(*gate)? {
            table.put(*gate, &before(record, block), block)?;
        }
    }
    // A gate may be doomed for two reasons, of which only the later one was taken back.
    for gate in &changed {
        settle_from(table, *gate)?;
    }
    Ok(changed)
}

/// The record as it stood after `block`.
fn before(mut record: GateRecord, block: u64) -> GateRecord {
    record.requesters.retain(|_, first| *first <= block);
    record.result = record.result.filter(|result| result.block <= block);
    for moment in [
        &mut record.challenged,
        &mut record.doomed,
        &mut record.floodgate,
        &mut record.ready,
    ] {
        *moment = moment.filter(|at| *at <= block);
    }
    record
}

#[cfg(test)]
mod tests;
