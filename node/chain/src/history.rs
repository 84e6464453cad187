//! The history of results and gates: how a result was registered, and when and by whom a gate was made and asked for.
//!
//! Events are found by their contract and their indexed topics only. [`Chain::registration`] joins the event with the
//! transaction and its receipt, because the signatures are in the calldata. An endpoint may not keep old transactions
//! or receipts; what is missing is then left out, and the rest is still given.
//!
//! These are single questions, for verifying and for status. What a member computes on comes with the pages of the
//! watcher.

use crate::{
    abi::{engine, ring},
    backoff::Backoff,
    chain::Chain,
    convert::{address, count, digest, h160},
    error::ChainError,
    fetch::search,
    interest::Interest,
    raw_event::{EventPlace, RawEvent},
    receipt::{Receipt, Transaction},
    types::{GateHistory, RegisteredResult},
};
use ethers_contract::EthEvent;
use ethers_core::abi::AbiDecode;
use rings_protocol::{crypto::Signature, Address, Digest};
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long to wait for a receipt or a transaction when its event is there already: a machine of the endpoint may be
/// behind.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(10);
/// If a receipt is missing this many blocks behind the head, the endpoint does not keep it any more.
const KEPT: u64 = 128;

impl Chain {
    /// How one of these rings registered the outputs of a gate; `None` when none has.
    ///
    /// The signatures are read from the calldata of the transaction. When the ring was called by another contract, or the
    /// endpoint does not keep old transactions, they stay empty.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn registration(
        &self,
        rings: &[Address],
        gate: Address,
    ) -> Result<Option<RegisteredResult>, ChainError> {
        let Some(interest) = Interest::results(rings, &[gate]).pop() else {
            return Ok(None);
        };
        let events = search(self, &interest, 0, false).await?;
        let Some(raw) = events.first() else {
            return Ok(None);
        };
        let (event, place) = parse::<ring::OutputsRegisteredFilter>(raw)?;
        let ring = address(raw.address);
        // An endpoint may not keep old receipts and transactions. Then what is only in them is left out.
        let receipt: Option<Receipt> = self.kept(place, || self.receipt(place.transaction)).await?;
        let transaction: Option<Transaction> = self
            .kept(place, || self.transaction(place.transaction))
            .await?;
        Ok(Some(RegisteredResult {
            ring,
            transaction: digest(place.transaction),
            block: self.block_of(raw, place).await?,
            gas_used: receipt.map(|receipt| count(receipt.gas_used)),
            epoch: count(event.epoch),
            pins: event.pins,
            cids: event.cids.into_iter().map(Digest).collect(),
            signatures: transaction
                .map(|transaction| signatures(ring, gate, &transaction))
                .unwrap_or_default(),
        }))
    }

    /// Reads something that belongs to an event, and waits while the endpoint may still get it.
    async fn kept<T, F>(
        &self,
        place: EventPlace,
        ask: impl Fn() -> F,
    ) -> Result<Option<T>, ChainError>
    where
        F: Future<Output = Result<Option<T>, ChainError>>,
    {
        let since = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            if let Some(found) = ask().await? {
                return Ok(Some(found));
            }
            let is_old = self.block_number().await? >= place.number + KEPT;
            if is_old || since.elapsed() >= RECEIPT_PATIENCE {
                return Ok(None);
            }
            backoff.wait().await;
        }
    }

    /// The height of the block in which an engine made a ring, and the first scope that it made; `None` where the endpoint
    /// has no such event.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn ring_origin(
        &self,
        engine: Address,
        ring: Address,
    ) -> Result<(Option<u64>, Option<Address>), ChainError> {
        let made = Interest::about::<engine::RingCreatedFilter>(engine, ring);
        let scopes = Interest::kind::<engine::ScopeCreatedFilter>(engine);
        let (made, scopes) = tokio::try_join!(
            search(self, &made, 0, false),
            search(self, &scopes, 0, true),
        )?;
        let block = made.first().map(RawEvent::place);
        let scope = scopes.first().map(parse::<engine::ScopeCreatedFilter>);
        Ok((
            block.map(|place| place.number),
            scope.transpose()?.map(|(event, _)| address(event.scope)),
        ))
    }

    /// Who made a gate, and who asked for it.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when the engine did not make it; others when the chain cannot be asked.
    pub async fn gate_history(
        &self,
        engine: Address,
        gate: Address,
    ) -> Result<GateHistory, ChainError> {
        let spec = self.gate_spec(engine, gate).await?;
        let interest = Interest::about::<engine::GateCreatedFilter>(engine, gate);
        let events = search(self, &interest, 0, false).await?;
        let creation = events.first().ok_or(ChainError::NotAContract {
            address: gate,
            what: "gate",
        })?;
        let place = creation.place();
        Ok(GateHistory {
            spec,
            created: self.block_of(creation, place).await?,
            requesters: self.requesters(engine, gate, place.number).await?,
        })
    }

    /// Who asked for a gate, in the order of their first requests.
    async fn requesters(
        &self,
        engine: Address,
        gate: Address,
        from: u64,
    ) -> Result<Vec<Address>, ChainError> {
        let interest = Interest::about::<engine::GateRequestedFilter>(engine, gate);
        let mut requesters = Vec::new();
        for raw in search(self, &interest, from, true).await? {
            let (event, _) = parse::<engine::GateRequestedFilter>(&raw)?;
            let requester = address(event.requester);
            if !requesters.contains(&requester) {
                requesters.push(requester);
            }
        }
        Ok(requesters)
    }
}

fn parse<E: EthEvent>(raw: &RawEvent) -> Result<(E, EventPlace), ChainError> {
    let event = raw.read();
    let event =
        event.ok_or_else(|| ChainError::malformed("eth_getLogs", "another kind of event"))?;
    Ok((event, raw.place()))
}

/// The signatures in the calldata, if the transaction called the ring itself, for this gate.
fn signatures(ring: Address, gate: Address, transaction: &Transaction) -> Vec<Signature> {
    if transaction.to != Some(h160(ring)) {
        return Vec::new();
    }
    match ring::RegisterOutputsCall::decode(&transaction.input) {
        Ok(call) if call.gate == h160(gate) => signatures_of(call),
        _ => Vec::new(),
    }
}

fn signatures_of(call: ring::RegisterOutputsCall) -> Vec<Signature> {
    let scalars = call.r.into_iter().zip(call.s);
    scalars
        .zip(call.v)
        .map(|((r, s), v)| Signature { r, s, v })
        .collect()
}
