//! The outcome of a transaction that was sent.
//!
//! [`find`] looks for the receipt of any of the transactions that were signed for one nonce: only one of them can be in
//! a block. If it reverted, the call is repeated by `eth_call` on the state of that time, to learn the contract's
//! reason.

use super::record::{Message, Outcome};
use crate::{
    chain::{message_of, At, Chain},
    convert::{count, h256},
    error::ChainError,
    receipt::Receipt,
};
use rings_protocol::{Address, Digest};
use serde_json::Value;

/// A message as `eth_call` and `eth_estimateGas` want it.
pub(super) fn request(from: Address, message: &Message) -> Value {
    message_of(from, message.to, &message.data, message.value)
}

/// Looks for any of the transactions signed for one nonce, the newest first.
pub(super) async fn find(
    chain: &Chain,
    from: Address,
    message: &Message,
    hashes: &[Digest],
) -> Result<Option<Outcome>, ChainError> {
    for hash in hashes.iter().rev() {
        if let Some(receipt) = chain.receipt(h256(*hash)).await? {
            return of_receipt(chain, from, message, &receipt).await.map(Some);
        }
    }
    Ok(None)
}

/// What a receipt says, with the reason of a revert, which is not in it: the call is simulated for that.
async fn of_receipt(
    chain: &Chain,
    from: Address,
    message: &Message,
    receipt: &Receipt,
) -> Result<Outcome, ChainError> {
    let number = receipt.block_number.as_u64();
    let header = chain.header_of(number, receipt.block_hash).await?;
    let gas_used = count(receipt.gas_used);
    let revert = if receipt.succeeded() {
        None
    } else {
        Some(reason(chain, from, message, number, gas_used).await?)
    };
    Ok(Outcome {
        transaction: receipt.hash(),
        block: header.block(),
        gas_used,
        revert,
    })
}

/// Repeats a call that reverted, to learn why. First on the state after its block, which shows a race that was lost
/// within that block; then on the state before it. There is no gas limit: if the call succeeds, the limit was the
/// reason.
async fn reason(
    chain: &Chain,
    from: Address,
    message: &Message,
    block: u64,
    gas_used: u64,
) -> Result<String, ChainError> {
    for block in [block, block.saturating_sub(1)] {
        let repeated = chain.call_contract(request(from, message), At::Block(block));
        match repeated.await {
            Err(ChainError::Reverted { reason }) => return Ok(reason),
            // An endpoint may not keep old states; then the reason stays unknown.
            Ok(_) | Err(ChainError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    // A call within the transaction gets 63/64 of the gas, so some of it may be left.
    let starved = gas_used >= message.gas / 10 * 9;
    Ok(match starved {
        true => format!("out of gas (limit {})", message.gas),
        false => "reason unknown".into(),
    })
}
