//! An account outside of any ring: it signs transactions and EIP-712 data with a key that the test has.

use crate::eth::{quantity, Eth};
use ethers_core::types::{
    transaction::{
        eip2718::TypedTransaction,
        eip712::{Eip712, TypedData},
    },
    Bytes, Eip1559TransactionRequest, Signature, H160, U256,
};
use rings_protocol::{crypto::SecretKey, Address, Digest};
use serde_json::{json, Value};
use std::{fs, path::Path};

/// Gas that a transaction gets unless the test says otherwise: within EIP-7825's 2²⁴.
pub(super) const GAS: u64 = 16_700_000;
/// Wei for each unit of gas that is offered, at least.
const FEE: u64 = 20_000_000_000;
/// Added to the parity in `v` of EIP-155.
const EIP155: u64 = 35;

/// What a transaction says beside its call.
struct Offer {
    chain_id: u64,
    nonce: u64,
    gas: u64,
    fee: u64,
}

/// A key and its account.
#[derive(Debug, Clone)]
pub struct Account {
    key: SecretKey,
}

impl Account {
    /// The account whose key has this hex.
    pub fn from_hex(hex: &str) -> Self {
        let bytes = hex::decode(hex.trim().trim_start_matches("0x")).unwrap();
        Self::from_bytes(bytes.as_slice().try_into().unwrap())
    }

    /// The account of these 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self {
            key: SecretKey::from_bytes(bytes).unwrap(),
        }
    }

    /// The account whose key is in this file, as hex.
    pub fn read(path: &Path) -> Self {
        Self::from_hex(&fs::read_to_string(path).unwrap())
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Its key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Gives it ether (anvil).
    pub fn fund(&self, chain: &Eth) {
        let balance = format!("{:#x}", 10_u128.pow(21));
        chain.call("anvil_setBalance", &json!([self.address(), balance]));
    }

    /// Signs a transaction with the next nonce and sends it; gives its hash, or the error of the chain.
    ///
    /// # Errors
    /// What the chain answers.
    pub fn send(
        &self,
        chain: &Eth,
        to: Option<Address>,
        data: &[u8],
        gas: u64,
    ) -> Result<Value, Value> {
        let nonce = quantity(&chain.call(
            "eth_getTransactionCount",
            &json!([self.address(), "pending"]),
        ));
        let chain_id = quantity(&chain.call("eth_chainId", &json!([])));
        let price = quantity(&chain.call("eth_gasPrice", &json!([])));
        let offer = Offer {
            chain_id,
            nonce,
            gas,
            fee: FEE.max(2 * price),
        };
        let raw = self.raw(&offer, to, data);
        chain.ask("eth_sendRawTransaction", &json!([raw]))
    }

    /// Sends a transaction, and waits for its receipt.
    ///
    /// # Panics
    /// When the chain refuses it.
    pub fn mined(&self, chain: &Eth, to: Option<Address>, data: &[u8]) -> Value {
        let hash = self.send(chain, to, data, GAS);
        chain.receipt(&hash.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Sends a transaction that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn done(&self, chain: &Eth, to: Address, data: &[u8]) -> Value {
        let receipt = self.mined(chain, Some(to), data);
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// Signs a transaction of type 2.
    fn raw(&self, offer: &Offer, to: Option<Address>, data: &[u8]) -> String {
        let mut request = Eip1559TransactionRequest::new()
            .nonce(offer.nonce)
            .gas(offer.gas)
            .max_fee_per_gas(offer.fee)
            .max_priority_fee_per_gas(1_000_000_000)
            .data(Bytes::from(data.to_vec()))
            .chain_id(offer.chain_id);
        request.to = to.map(|to| H160(to.0).into());
        let transaction = TypedTransaction::Eip1559(request);
        let signed = self
            .key
            .sign(&Digest(transaction.sighash().0))
            .unwrap()
            .to_bytes();
        let signature = Signature {
            r: U256::from_big_endian(&signed[..32]),
            s: U256::from_big_endian(&signed[32..64]),
            v: u64::from(signed[64] - 27) + EIP155 + 2 * offer.chain_id,
        };
        transaction.rlp_signed(&signature).to_string()
    }

    /// Signs typed data, given as `eth_signTypedData_v4` takes it: 65 bytes, r, s and v.
    pub fn sign_typed(&self, data: Value) -> [u8; 65] {
        let data: TypedData = serde_json::from_value(data).unwrap();
        let digest = Digest(data.encode_eip712().unwrap());
        self.key.sign(&digest).unwrap().to_bytes()
    }
}
