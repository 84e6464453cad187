//! A small model of a chain: what the ring's contract keeps of ring nodes, heads and members, and reorganisations.

use rings_protocol::{assembly::NodeRegistration, eip712::Domain, quorum::quorum, Address, Digest};
use std::collections::BTreeMap;

pub fn domain() -> Domain {
    Domain::new(31337, Address([0xaa; 20]))
}

/// What the contract holds after a block.
#[derive(Clone, Default)]
pub struct State {
    pub epoch: u64,
    pub members: Vec<Address>,
    pub nodes: Vec<Digest>,
    pub heads: BTreeMap<Address, Digest>,
}

#[derive(Clone)]
pub enum Event {
    Membership(Vec<Address>),
    Flushed(Address, Digest),
    Registered(NodeRegistration),
}

#[derive(Clone)]
pub struct Block {
    pub id: u64,
    pub state: State,
    pub event: Event,
}

#[derive(Default)]
pub struct Chain {
    pub blocks: Vec<Block>,
    count: u64,
    /// Every ring node that was ever registered, on any branch, with the members at that moment.
    pub registered: Vec<(Digest, Vec<Address>)>,
}

impl Chain {
    pub fn state(&self) -> State {
        self.state_at(self.blocks.len())
    }

    pub fn state_at(&self, height: usize) -> State {
        let below = height.checked_sub(1).and_then(|last| self.blocks.get(last));
        below.map(|block| block.state.clone()).unwrap_or_default()
    }

    pub fn mine(&mut self, event: Event) -> bool {
        let mut state = self.state();
        match &event {
            Event::Membership(members) => {
                state.epoch += 1;
                state.members = members.clone();
                state.members.sort_unstable();
            }
            Event::Flushed(member, head) => {
                state.heads.insert(*member, *head);
            }
            Event::Registered(registration) => {
                if !accepts(&state, registration) {
                    return false;
                }
                for (member, _, head) in &registration.moves {
                    state.heads.insert(*member, *head);
                }
                state.nodes.push(registration.node);
                self.registered
                    .push((registration.node, state.members.clone()));
            }
        }
        self.count += 1;
        let id = self.count;
        self.blocks.push(Block { id, state, event });
        true
    }

    /// Goes back to a height; returns what happened above it.
    pub fn reorganise(&mut self, height: usize) -> Vec<Event> {
        let orphaned = self.blocks.split_off(height.min(self.blocks.len()));
        orphaned.into_iter().map(|block| block.event).collect()
    }
}

/// `registerRingNode`.
fn accepts(state: &State, registration: &NodeRegistration) -> bool {
    let before = |member: &Address| state.heads.get(member).copied().unwrap_or(Digest::ZERO);
    let moves: Vec<_> = registration
        .moves
        .iter()
        .map(|(member, _, head)| (*member, before(member), *head))
        .collect();
    let prev = state.nodes.last().copied().unwrap_or(Digest::ZERO);
    let signed = domain()
        .ring_node(prev, registration.node, state.epoch, &moves)
        .digest();
    let signers: Vec<_> = registration
        .signatures
        .iter()
        .filter_map(|(_, signature)| Some(signature.recover(&signed).ok()?.address()))
        .collect();
    let ascend = signers.windows(2).all(|pair| pair[0] < pair[1]);
    let mut members = signers
        .iter()
        .chain(moves.iter().map(|(member, ..)| member));
    let all = members.all(|member| state.members.contains(member));
    all && ascend && signers.len() >= quorum(state.members.len())
}
