//! What the chain can tell later: how a result was registered, and how a gate came to be ready.

use crate::{
    abi::{engine, gate, ring},
    chain::{Chain, Receipt},
    convert::{address, count, h160, topic},
    error::ChainError,
    pages::search,
    reads::from_spec,
    types::{BlockRef, GateHistory, Registration},
};
use ethers_contract::EthEvent;
use ethers_core::{
    abi::AbiDecode,
    types::{Filter, Log, H256, U256},
};
use rings_protocol::{
    crypto::Signature,
    eip712::outputs_digest,
    gate::{GateInput, GateSpec},
    Address, Digest,
};

impl Chain {
    /// How a ring registered the outputs of a gate; `None` when it has not.
    ///
    /// The signatures are read from the calldata of the transaction and their signers recovered. When the
    /// ring was called by another contract, both stay empty.
    ///
    /// # Errors
    /// When the chain cannot be asked, or does not keep the transaction any more.
    pub async fn registration(
        &self,
        ring: Address,
        gate: Address,
    ) -> Result<Option<Registration>, ChainError> {
        let filter = Filter::new()
            .address(h160(ring))
            .topic0(ring::OutputsRegisteredFilter::signature())
            .topic1(topic(gate));
        let logs = search(self, &filter, 0, false).await?;
        let Some(log) = logs.first() else {
            return Ok(None);
        };
        let event: ring::OutputsRegisteredFilter = parse(log)?;
        let receipt = self.receipt_of(log).await?;
        let epoch = count(event.epoch);
        let cids: Vec<_> = event.cids.into_iter().map(Digest).collect();
        let signatures = self.signatures(ring, gate, &receipt).await?;
        let signed = outputs_digest(self.id(), ring, gate, epoch, &event.pins, &cids);
        Ok(Some(Registration {
            transaction: receipt.hash(),
            block: self.block_of(log).await?,
            gas_used: count(receipt.gas_used),
            epoch,
            pins: event.pins,
            cids,
            signers: signers(&signatures, signed)?,
            signatures,
        }))
    }

    /// The signatures in the calldata, if the transaction called the ring itself, for this gate.
    async fn signatures(
        &self,
        ring: Address,
        gate: Address,
        receipt: &Receipt,
    ) -> Result<Vec<Signature>, ChainError> {
        let transaction = self.transaction(receipt.transaction_hash).await?;
        let transaction = transaction
            .ok_or_else(|| ChainError::malformed("eth_getTransactionByHash", "it is not there"))?;
        if transaction.to != Some(h160(ring)) {
            return Ok(Vec::new());
        }
        let call = ring::RegisterOutputsCall::decode(&transaction.input);
        Ok(call
            .ok()
            .filter(|call| call.gate == h160(gate))
            .map(signatures_of)
            .unwrap_or_default())
    }

    /// How a gate came to be: who made and asked for it, and which block made it ready.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when the engine did not make it; others when the chain cannot be asked.
    pub async fn gate_history(
        &self,
        engine: Address,
        gate: Address,
    ) -> Result<GateHistory, ChainError> {
        let (created, spec) = self.creation(engine, gate).await?;
        let requesters = self.requesters(engine, gate, created.number).await?;
        let ready = self.ready_block(&spec, created).await?;
        Ok(GateHistory {
            spec,
            created,
            requesters,
            ready,
        })
    }

    async fn creation(
        &self,
        engine: Address,
        gate: Address,
    ) -> Result<(BlockRef, GateSpec), ChainError> {
        let filter = Filter::new()
            .address(h160(engine))
            .topic0(engine::GateCreatedFilter::signature())
            .topic1(topic(gate));
        let logs = search(self, &filter, 0, false).await?;
        let log = logs.first().ok_or(ChainError::NotAContract {
            address: gate,
            what: "gate",
        })?;
        let event: engine::GateCreatedFilter = parse(log)?;
        Ok((self.block_of(log).await?, from_spec(event.spec)))
    }

    async fn requesters(
        &self,
        engine: Address,
        gate: Address,
        from: u64,
    ) -> Result<Vec<Address>, ChainError> {
        let filter = Filter::new()
            .address(h160(engine))
            .topic0(engine::GateRequestedFilter::signature())
            .topic1(topic(gate));
        let mut requesters = Vec::new();
        for log in search(self, &filter, from, true).await? {
            let event: engine::GateRequestedFilter = parse(&log)?;
            let requester = address(event.requester);
            if !requesters.contains(&requester) {
                requesters.push(requester);
            }
        }
        Ok(requesters)
    }

    /// The newest of the blocks that set the futures, but not before the gate itself was made.
    async fn ready_block(
        &self,
        spec: &GateSpec,
        created: BlockRef,
    ) -> Result<Option<BlockRef>, ChainError> {
        let mut ready = created;
        for input in &spec.inputs {
            let GateInput::Output { gate, pin } = input else {
                continue;
            };
            match self.set_block(*gate, *pin).await? {
                Some(set) if set.number > ready.number => ready = set,
                Some(_) => {}
                None => return Ok(None),
            }
        }
        Ok(Some(ready))
    }

    /// The block that set an output pin.
    async fn set_block(&self, gate: Address, pin: u128) -> Result<Option<BlockRef>, ChainError> {
        let mut word = [0; 32];
        U256::from(pin).to_big_endian(&mut word);
        let filter = Filter::new()
            .address(h160(gate))
            .topic0(gate::OutputSetFilter::signature())
            .topic1(H256(word));
        match search(self, &filter, 0, false).await?.first() {
            Some(log) => self.block_of(log).await.map(Some),
            None => Ok(None),
        }
    }

    async fn receipt_of(&self, log: &Log) -> Result<Receipt, ChainError> {
        let missing = || ChainError::malformed("eth_getTransactionReceipt", "it is not there");
        let hash = log.transaction_hash.ok_or_else(missing)?;
        self.receipt(hash).await?.ok_or_else(missing)
    }

    async fn block_of(&self, log: &Log) -> Result<BlockRef, ChainError> {
        let (Some(number), Some(hash)) = (log.block_number, log.block_hash) else {
            return Err(ChainError::malformed("eth_getLogs", "a log without block"));
        };
        let header = self.header_of(number.as_u64(), hash).await?;
        Ok(header.block())
    }
}

fn parse<E: EthEvent>(log: &Log) -> Result<E, ChainError> {
    E::decode_log(&log.clone().into()).map_err(|error| ChainError::malformed("eth_getLogs", error))
}

fn signatures_of(call: ring::RegisterOutputsCall) -> Vec<Signature> {
    let scalars = call.r.into_iter().zip(call.s);
    scalars
        .zip(call.v)
        .map(|((r, s), v)| Signature { r, s, v })
        .collect()
}

/// The accounts behind signatures that the contract has accepted.
fn signers(signatures: &[Signature], signed: Digest) -> Result<Vec<Address>, ChainError> {
    signatures
        .iter()
        .map(|signature| Ok(signature.recover(&signed)?.address()))
        .collect()
}
