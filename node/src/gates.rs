//! The gates that a ring was asked for, as the events of the chain tell, and `rings gate list`.
//!
//! [`search`] runs the watcher of `rings-chain` over a range of blocks, as a member does, and keeps what it says of
//! each gate: who asked, in which block, and whether there is a result. No member is asked, so the list is the same for
//! everybody. `rings status` uses it for the newest blocks.

use super::{
    args::{GateListArgs, ListedState},
    exit::ExitError,
    out::{count, Out},
    place::Place,
    ringdir::RingFile,
};
use rings_chain::{watch, Chain, ChainError, ChainEvent, Located, Update, WatchConfig};
use rings_protocol::{gate::FAILURE_PIN, Address};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Pages of events that wait to be read.
const PAGES: usize = 4;
/// Blocks in a page of events.
const PAGE: u64 = 5_000;
/// Time between two looks for a new block; none is waited for.
const POLL: Duration = Duration::from_secs(3);

/// A gate as the chain's events tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Its address.
    pub gate: Address,
    /// How far it is.
    pub state: GateState,
    /// The block in which the ring was first asked for it.
    pub block: u64,
    /// The block in which the ring registered its result.
    pub resolved_block: Option<u64>,
    /// Who asked for it, each once.
    pub requesters: Vec<Address>,
}

/// How far a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GateState {
    /// It has no result yet.
    Open,
    /// Its outputs are on chain.
    Resolved,
    /// The ring agreed that the program failed.
    Failed,
}

impl GateState {
    fn is(self, wanted: ListedState) -> bool {
        match wanted {
            ListedState::Open => self == Self::Open,
            ListedState::Resolved => self == Self::Resolved,
            ListedState::Failed => self == Self::Failed,
        }
    }
}

/// What `rings gate list` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    /// The newest first.
    gates: Vec<Gate>,
    /// How many there are of those that are wanted, on all pages.
    total: usize,
    /// `--skip` of the next page; `null` on the last one.
    next: Option<usize>,
}

/// `rings gate list`
///
/// # Errors
/// Status 2 when there is no ring, 5 when the chain cannot be asked.
pub async fn list(args: GateListArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let chain = place.chain().await?;
    let head = chain.block_number().await?;
    let step = out.step("reading the chain's events");
    let found = search(&chain, &place.file, place.file.start_block, head).await?;
    drop(step);
    let listing = Listing::of(found, &args);
    if args.show.json {
        return out.json(&listing);
    }
    for gate in &listing.gates {
        out.line(gate)?;
    }
    if let Some(next) = listing.next {
        let total = count(listing.total, "gate");
        out.note(format_args!("of {total}; older ones: --skip {next}"));
    }
    Ok(())
}

impl Listing {
    /// The page that is wanted of `found`, which has the oldest first.
    fn of(found: Vec<Gate>, args: &GateListArgs) -> Self {
        let wanted = |gate: &Gate| {
            args.state.is_none_or(|state| gate.state.is(state))
                && args
                    .requester
                    .is_none_or(|requester| gate.requesters.contains(&requester))
        };
        let found: Vec<_> = found.into_iter().rev().filter(wanted).collect();
        let (skip, limit) = (args.skip as usize, args.limit as usize);
        let next = skip.saturating_add(limit);
        Self {
            total: found.len(),
            next: (next < found.len()).then_some(next),
            gates: found.into_iter().skip(skip).take(limit).collect(),
        }
    }
}

impl Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.gate)?;
        match (self.state, self.resolved_block) {
            (GateState::Open, _) => write!(f, "open"),
            (GateState::Resolved, Some(block)) => write!(f, "resolved in block {block}"),
            (GateState::Resolved, None) => write!(f, "resolved"),
            (GateState::Failed, Some(block)) => write!(f, "failed in block {block}"),
            (GateState::Failed, None) => write!(f, "failed"),
        }?;
        write!(f, ", asked for in block {}", self.block)
    }
}

/// The gates that the ring was asked for from block `from` up to block `head`, the oldest first.
///
/// # Errors
/// When the chain cannot be asked.
pub async fn search(
    chain: &Chain,
    file: &RingFile,
    from: u64,
    head: u64,
) -> Result<Vec<Gate>, ExitError> {
    let config = WatchConfig {
        engine: file.engine,
        ring: file.ring,
        start_block: from,
        confirmations: 0,
        poll: POLL,
        page: PAGE,
        following: Vec::new(),
    };
    let (pages, mut updates) = mpsc::channel(PAGES);
    let watching = watch(
        chain.clone(),
        config,
        Vec::new(),
        pages,
        CancellationToken::new(),
    );
    let collecting = async {
        let mut found = BTreeMap::new();
        while let Some(Update::Page { events, cursor, .. }) = updates.recv().await {
            events
                .iter()
                .for_each(|located| note(&mut found, file.ring, located));
            if cursor.number >= head {
                break;
            }
        }
        found
    };
    let found = tokio::select! {
        found = collecting => found,
        ended = watching => return Err(broken_off(ended)),
    };
    let mut gates: Vec<_> = found.into_values().collect();
    gates.sort_by_key(|gate: &Gate| gate.block);
    Ok(gates)
}

fn broken_off(ended: Result<(), ChainError>) -> ExitError {
    match ended {
        Err(error) => error.into(),
        Ok(()) => {
            ExitError::unavailable("the chain's events could not be read to the end; try again")
        }
    }
}

fn note(found: &mut BTreeMap<Address, Gate>, own: Address, located: &Located) {
    let block = located.block.number;
    let entry = |gate: Address| Gate {
        gate,
        state: GateState::Open,
        block,
        resolved_block: None,
        requesters: Vec::new(),
    };
    match &located.event {
        ChainEvent::GateRequested {
            gate, requester, ..
        } => {
            // A gate that has a result can be asked for again.
            let known = found.entry(*gate).or_insert_with(|| entry(*gate));
            if !known.requesters.contains(requester) {
                known.requesters.push(*requester);
            }
        }
        ChainEvent::OutputsRegistered {
            ring, gate, pins, ..
        } if *ring == own => {
            let known = found.entry(*gate).or_insert_with(|| entry(*gate));
            known.resolved_block = Some(block);
            known.state = match pins.as_slice() {
                [FAILURE_PIN] => GateState::Failed,
                _ => GateState::Resolved,
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use rings_chain::BlockRef;
    use rings_protocol::{gate::GateSpec, Digest};

    const RING: Address = Address([2; 20]);

    fn located(number: u64, event: ChainEvent) -> Located {
        Located {
            block: BlockRef {
                number,
                hash: Digest::ZERO,
                timestamp: 0,
            },
            transaction: Digest::ZERO,
            log_index: 0,
            event,
        }
    }

    fn asked(gate: Address, requester: Address) -> ChainEvent {
        let spec = GateSpec {
            scope: RING,
            rings: vec![RING],
            inputs: Vec::new(),
            outputs: 1,
            salt: Digest::ZERO,
        };
        ChainEvent::GateRequested {
            gate,
            requester,
            spec,
        }
    }

    fn registered(ring: Address, gate: Address, pin: u128) -> ChainEvent {
        ChainEvent::OutputsRegistered {
            ring,
            gate,
            epoch: 1,
            pins: vec![pin],
            cids: vec![Digest::ZERO],
        }
    }

    #[test]
    fn a_gate_has_the_block_of_its_question_and_that_of_its_result() {
        let gate = Address([1; 20]);
        let mut found = BTreeMap::new();
        note(&mut found, RING, &located(5, asked(gate, RING)));
        assert_eq!(found[&gate].state, GateState::Open);
        let foreign = registered(gate, gate, FAILURE_PIN);
        note(&mut found, RING, &located(6, foreign));
        assert_eq!(found[&gate].state, GateState::Open, "of another ring");
        let own = registered(RING, gate, FAILURE_PIN);
        note(&mut found, RING, &located(7, own));
        note(&mut found, RING, &located(8, asked(gate, gate)));
        let expected = Gate {
            gate,
            state: GateState::Failed,
            block: 5,
            resolved_block: Some(7),
            requesters: vec![RING, gate],
        };
        assert_eq!(found[&gate], expected);
        let text = expected.to_string();
        assert!(text.contains("failed in block 7, asked for in block 5"));
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        list: GateListArgs,
    }

    #[test]
    fn pages_follow_each_other_and_filters_hold() {
        let mut found = BTreeMap::new();
        for number in 1..=5u8 {
            let gate = Address([number; 20]);
            note(&mut found, RING, &located(number.into(), asked(gate, RING)));
        }
        let done = registered(RING, Address([2; 20]), 0);
        note(&mut found, RING, &located(9, done));
        let list = |line: &[&str]| {
            let line = Line::try_parse_from([&["x"], line].concat()).unwrap();
            let listing = Listing::of(found.values().cloned().collect(), &line.list);
            let blocks: Vec<_> = listing.gates.iter().map(|gate| gate.block).collect();
            (blocks, listing.total, listing.next)
        };
        assert_eq!(list(&["--limit", "2"]), (vec![5, 4], 5, Some(2)));
        assert_eq!(list(&["--limit", "2", "--skip", "4"]), (vec![1], 5, None));
        assert_eq!(list(&["--state", "resolved"]), (vec![2], 1, None));
        let nobody = Address([9; 20]).to_string();
        assert_eq!(list(&["--requester", &nobody]), (vec![], 0, None));
        assert!(Line::try_parse_from(["x", "--limit", "0"]).is_err());
    }
}
