//! From a message to a signed transaction.
//!
//! A key of this machine gives the same bytes for the same arguments (RFC 6979). A service that has the key may not; it does not
//! matter, because a transaction is sent only when its bytes are in the journal. Both forms are made: EIP-1559 where the chain has a base fee, and the older form with EIP-155
//! elsewhere. The types of ethers stay in this file.

use super::{
    fees::Fees,
    record::{Message, Variant},
};
use crate::{
    convert::{digest, h160},
    error::ChainError,
};
use ethers_core::types::{
    transaction::eip2718::TypedTransaction, Bytes, Eip1559TransactionRequest, Signature,
    TransactionRequest, U256,
};
use rings_protocol::crypto::Signer;

/// Signs a message.
pub(super) fn sign(
    key: &dyn Signer,
    chain_id: u64,
    nonce: u64,
    message: &Message,
    fees: Fees,
) -> Result<Variant, ChainError> {
    let mut transaction = with_fees(fees);
    transaction.set_chain_id(chain_id);
    transaction.set_nonce(nonce);
    transaction.set_gas(message.gas);
    transaction.set_value(message.value);
    transaction.set_data(Bytes::from(message.data.clone()));
    if let Some(to) = message.to {
        transaction.set_to(h160(to));
    }
    let signed = key.sign_hashed(&transaction.rlp())?;
    let signature = Signature {
        r: U256::from_big_endian(&signed.r),
        s: U256::from_big_endian(&signed.s),
        v: parity(&transaction, signed.v, chain_id),
    };
    Ok(Variant {
        hash: digest(transaction.hash(&signature)),
        raw: transaction.rlp_signed(&signature).to_vec(),
        fees,
    })
}

fn with_fees(fees: Fees) -> TypedTransaction {
    match fees {
        Fees::Dynamic { max, tip } => Eip1559TransactionRequest::new()
            .max_fee_per_gas(max)
            .max_priority_fee_per_gas(tip)
            .into(),
        Fees::Legacy { price } => TransactionRequest::new().gas_price(price).into(),
    }
}

/// 0 or 1; in a legacy transaction it carries the chain id too (EIP-155).
fn parity(transaction: &TypedTransaction, v: u8, chain_id: u64) -> u64 {
    let parity = u64::from(v.saturating_sub(27));
    match transaction {
        TypedTransaction::Legacy(_) => parity + 35 + 2 * chain_id,
        _ => parity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethers_core::{types::H160, utils::rlp::Rlp};
    use rings_protocol::{crypto::SecretKey, Address, Digest};

    fn decoded(variant: &Variant) -> (TypedTransaction, H160) {
        let (transaction, signature) =
            TypedTransaction::decode_signed(&Rlp::new(&variant.raw)).unwrap();
        let signer = signature.recover(transaction.sighash()).unwrap();
        (transaction, signer)
    }

    #[test]
    fn both_kinds_decode_to_what_was_asked_and_to_their_signer() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let message = Message {
            to: Some(Address([9; 20])),
            data: vec![1, 2, 3],
            value: 5,
            gas: 60_000,
        };
        for fees in [
            Fees::Dynamic { max: 100, tip: 2 },
            Fees::Legacy { price: 100 },
        ] {
            let variant = sign(&key, 31337, 4, &message, fees).unwrap();
            let (transaction, signer) = decoded(&variant);
            assert_eq!(signer, h160(key.address()));
            assert_eq!(transaction.nonce(), Some(&4.into()));
            assert_eq!(transaction.gas(), Some(&60_000.into()));
            assert_eq!(transaction.value(), Some(&5.into()));
            assert_eq!(transaction.data().unwrap().to_vec(), [1, 2, 3]);
            assert_eq!(transaction.to_addr(), Some(&H160([9; 20])));
            assert_eq!(transaction.chain_id(), Some(31337.into()));
            let hash = ethers_core::utils::keccak256(&variant.raw);
            assert_eq!(variant.hash, Digest(hash));
            assert_eq!(variant, sign(&key, 31337, 4, &message, fees).unwrap());
        }
    }
}
