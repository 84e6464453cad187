//! Which events are asked for: emitted by known contracts and, where a topic is indexed, with known values of it.
//!
//! Anybody can deploy a contract that emits events of the same form. So every filter names its emitter, and what others
//! do on the chain makes no work here. An [`Interest`] is one filter in the form of `eth_getLogs`. It can be halved
//! where an endpoint refuses an answer as too large (`fetch.rs`), and compared with the bloom filter of a header, which
//! may show that a block contains nothing for it.

use crate::{
    abi::{engine, ring},
    convert::{h160, h256, topic},
    raw_event::RawEvent,
};
use ethers_contract::EthEvent;
use ethers_core::{
    abi::ethereum_types::BloomInput,
    types::{Bloom, H160, H256, U64},
};
use rings_protocol::{flush::Uint, Address, Digest};
use serde_json::{json, Value};

/// Topics by which events can be selected. The first is the kind of the event.
const TOPICS: usize = 3;
/// Gates that one request asks for.
const GATES_AT_ONCE: usize = 128;

/// One selection of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interest {
    addresses: Vec<H160>,
    /// For each position the topics that are wanted; an empty list accepts any topic.
    topics: [Vec<H256>; TOPICS],
}

/// Blocks whose events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// From one height to another, both included.
    Range { from: u64, to: u64 },
    /// One block by its hash. An endpoint that does not have the block answers with an error; asked by height, it would
    /// answer with no events.
    Block(H256),
}

impl Interest {
    fn new(addresses: Vec<Address>, kinds: Vec<H256>) -> Self {
        Self {
            addresses: addresses.into_iter().map(h160).collect(),
            topics: [kinds, Vec::new(), Vec::new()],
        }
    }

    /// Requests to this ring, as the engine emits them.
    pub(crate) fn requests(engine: Address, ring: Address) -> Self {
        let mut interest = Self::new(vec![engine], vec![engine::GateRequestedFilter::signature()]);
        interest.topics[2] = vec![topic(ring)];
        interest
    }

    /// Events of a ring about its members, its gates and its logs.
    pub(crate) fn ring(ring: Address) -> Self {
        let kinds = vec![
            ring::OutputsRegisteredFilter::signature(),
            ring::PrimaryRingChallengedFilter::signature(),
            ring::FloodgateOpenedFilter::signature(),
            ring::MemberEnteredFilter::signature(),
            ring::MemberExitedFilter::signature(),
            ring::EntryAnnouncedFilter::signature(),
            ring::EntryCancelledFilter::signature(),
            ring::MemberAnnouncedFilter::signature(),
            ring::RingNodeRegisteredFilter::signature(),
            ring::LogNodeHeadMovedFilter::signature(),
            ring::ForkProvenFilter::signature(),
        ];
        Self::new(vec![ring], kinds)
    }

    /// Results that these rings registered for these gates: in as many interests as are needed.
    pub(crate) fn results(rings: &[Address], gates: &[Address]) -> Vec<Self> {
        let chunks = gates.chunks(GATES_AT_ONCE).filter(|_| !rings.is_empty());
        let interest = |gates: &[Address]| {
            let kinds = vec![ring::OutputsRegisteredFilter::signature()];
            let mut interest = Self::new(rings.to_vec(), kinds);
            interest.topics[1] = gates.iter().copied().map(topic).collect();
            interest
        };
        chunks.map(interest).collect()
    }

    /// Events of one kind by one contract, whose first argument is this address.
    pub(crate) fn about<E: EthEvent>(contract: Address, subject: Address) -> Self {
        let mut interest = Self::new(vec![contract], vec![E::signature()]);
        interest.topics[1] = vec![topic(subject)];
        interest
    }

    /// That a ring carried out the action of an avatar with this nonce.
    pub(crate) fn flushed(ring: Address, avatar: Address, nonce: Uint) -> Self {
        let mut interest = Self::about::<ring::FlushedFilter>(ring, avatar);
        interest.topics[2] = vec![H256(nonce.0)];
        interest
    }

    /// Logs of contracts of any kind, by their addresses and first topics. It may select more than these pairs.
    pub(crate) fn logs(wanted: &[(Address, Digest)]) -> Self {
        let distinct = |mut kinds: Vec<H256>| {
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        };
        let kinds = wanted.iter().map(|(_, kind)| h256(*kind)).collect();
        let mut addresses: Vec<_> = wanted.iter().map(|(contract, _)| *contract).collect();
        addresses.dedup();
        Self::new(addresses, distinct(kinds))
    }

    /// Events of one kind by one contract.
    pub(crate) fn kind<E: EthEvent>(contract: Address) -> Self {
        Self::new(vec![contract], vec![E::signature()])
    }

    /// That heads of these rings' logs moved.
    pub(crate) fn moved_heads(rings: &[Address]) -> Self {
        let kinds = vec![ring::LogNodeHeadMovedFilter::signature()];
        Self::new(rings.to_vec(), kinds)
    }

    /// The parameter of `eth_getLogs`.
    pub(crate) fn filter(&self, span: Span) -> Value {
        // If a position is named, even for any topic, events with fewer topics are excluded.
        let used = self.topics.iter().rposition(|topics| !topics.is_empty());
        let named = self.topics.iter().take(used.map_or(0, |last| last + 1));
        let topics: Vec<Value> = named.map(|topics| any_of(topics)).collect();
        let mut filter = json!({ "address": self.addresses, "topics": topics });
        match span {
            Span::Range { from, to } => {
                filter["fromBlock"] = json!(U64::from(from));
                filter["toBlock"] = json!(U64::from(to));
            }
            Span::Block(hash) => filter["blockHash"] = json!(hash),
        }
        filter
    }

    /// Whether a block with this filter can contain such an event. `false` is certain; `true` means "perhaps".
    pub(crate) fn may_be_in(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let by = self.addresses.iter().any(|address| has(&address.0));
        let wanted =
            |topics: &Vec<H256>| topics.is_empty() || topics.iter().any(|topic| has(&topic.0));
        by && self.topics.iter().all(wanted)
    }

    /// Whether an event is one of these.
    pub(crate) fn selects(&self, event: &RawEvent) -> bool {
        let wanted = |(position, topics): (usize, &Vec<H256>)| {
            let topic = event.topics.get(position);
            topics.is_empty() || topic.is_some_and(|topic| topics.contains(topic))
        };
        self.addresses.contains(&event.address) && self.topics.iter().enumerate().all(wanted)
    }

    /// Divides an interest into two, by contract and then by topic; `None` when it cannot be divided.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        let (mut one, mut other) = (self.clone(), self.clone());
        if self.addresses.len() > 1 {
            other.addresses = one.addresses.split_off(self.addresses.len() / 2);
            return Some((one, other));
        }
        let position = self.topics.iter().position(|topics| topics.len() > 1)?;
        let half = self.topics[position].len() / 2;
        other.topics[position] = one.topics[position].split_off(half);
        Some((one, other))
    }
}

fn any_of(topics: &[H256]) -> Value {
    match topics {
        [] => Value::Null,
        topics => json!(topics),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENGINE: Address = Address([1; 20]);
    const RING: Address = Address([2; 20]);

    fn event(address: Address, topics: Vec<H256>) -> RawEvent {
        let event = json!({
            "address": h160(address), "topics": topics, "data": "0x", "blockNumber": "0x5",
            "blockHash": H256::zero(), "transactionHash": H256::zero(), "logIndex": "0x0",
        });
        serde_json::from_value(event).unwrap()
    }

    fn bloom_of(event: &RawEvent) -> Bloom {
        let mut bloom = Bloom::from(BloomInput::Raw(&event.address.0));
        for topic in &event.topics {
            bloom.accrue(BloomInput::Raw(&topic.0));
        }
        bloom
    }

    fn request(ring: Address) -> Vec<H256> {
        let kind = engine::GateRequestedFilter::signature();
        vec![
            kind,
            topic(Address([3; 20])),
            topic(ring),
            topic(Address([4; 20])),
        ]
    }

    #[test]
    fn only_the_own_rings_requests_are_wanted() {
        let interest = Interest::requests(ENGINE, RING);
        let own = event(ENGINE, request(RING));
        assert!(interest.selects(&own) && interest.may_be_in(&bloom_of(&own)));
        for foreign in [
            event(ENGINE, request(Address([9; 20]))),
            event(Address([9; 20]), request(RING)),
        ] {
            assert!(!interest.selects(&foreign) && !interest.may_be_in(&bloom_of(&foreign)));
        }
    }

    #[test]
    fn many_gates_are_asked_for_in_several_requests() {
        let gates: Vec<_> = (0..300u16)
            .map(|i| {
                Address(
                    [i.to_be_bytes(), [0; 2]]
                        .concat()
                        .repeat(5)
                        .try_into()
                        .unwrap(),
                )
            })
            .collect();
        let interests = Interest::results(&[RING], &gates);
        assert_eq!(interests.len(), 3);
        assert!(Interest::results(&[], &gates).is_empty());
    }

    proptest! {
        #[test]
        fn halves_want_together_what_the_whole_wants(kind in 0usize..11, foreign: bool) {
            let whole = Interest::ring(RING);
            let kinds = whole.topics[0].clone();
            let emitter = if foreign { Address([9; 20]) } else { RING };
            let event = event(emitter, vec![kinds[kind], H256::zero()]);
            let mut parts = vec![whole.clone()];
            while let Some(divided) = parts.iter().position(|part| part.halves().is_some()) {
                let (one, other) = parts.swap_remove(divided).halves().unwrap();
                parts.extend([one, other]);
            }
            prop_assert_eq!(parts.len(), kinds.len());
            let selected = parts.iter().filter(|part| part.selects(&event)).count();
            prop_assert_eq!(selected, usize::from(whole.selects(&event)));
        }
    }
}
