//! What the chain says of an account (balance, nonce, code), and of the price of gas.

use crate::{chain::Chain, convert::h160, error::ChainError};
use ethers_core::types::{Bytes, U256, U64};
use rings_protocol::Address;
use serde_json::json;

impl Chain {
    /// Balance of an account, in wei.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn balance(&self, account: Address) -> Result<u128, ChainError> {
        let wei: U256 = self
            .ask("eth_getBalance", json!([h160(account), "latest"]))
            .await?;
        Ok(wei.min(u128::MAX.into()).as_u128())
    }

    /// What the chain asks for a unit of gas now, in wei.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn gas_price(&self) -> Result<u128, ChainError> {
        let wei: U256 = self.ask("eth_gasPrice", json!([])).await?;
        Ok(wei.min(u128::MAX.into()).as_u128())
    }

    /// Whether there is code at an address.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn has_code(&self, account: Address) -> Result<bool, ChainError> {
        Ok(!self.code(account).await?.is_empty())
    }

    /// The code at an address; empty when there is none.
    pub(crate) async fn code(&self, account: Address) -> Result<Bytes, ChainError> {
        self.ask("eth_getCode", json!([h160(account), "latest"]))
            .await
    }

    /// Transactions of an account that are mined, hence its next nonce.
    pub(crate) async fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.transaction_count(account, "latest").await
    }

    /// The next nonce of an account, those in the endpoint's pool counted too.
    pub(crate) async fn pending_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.transaction_count(account, "pending").await
    }

    async fn transaction_count(&self, account: Address, tag: &str) -> Result<u64, ChainError> {
        let nonce: U64 = self
            .ask("eth_getTransactionCount", json!([h160(account), tag]))
            .await?;
        Ok(nonce.as_u64())
    }
}
