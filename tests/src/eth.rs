//! Ethereum JSON-RPC as anybody speaks it, past all our code.

use crate::wait::{block_on, until, LONG};
use serde_json::{json, Value};

/// A chain at a URL.
#[derive(Debug, Clone)]
pub struct Eth {
    url: String,
    client: reqwest::Client,
}

impl Eth {
    /// The chain at this URL (`http://…`).
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Asks; gives the result, or the error that it answered.
    ///
    /// # Errors
    /// The `error` member of the answer.
    ///
    /// # Panics
    /// When the chain does not answer.
    pub fn ask(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = block_on(async {
            let sent = self.client.post(&self.url).json(&request).send().await;
            sent.unwrap().json().await.unwrap()
        });
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Asks what must not fail.
    ///
    /// # Panics
    /// When it fails.
    pub fn call(&self, method: &str, params: &Value) -> Value {
        self.ask(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Number of the newest block.
    pub fn block_number(&self) -> u64 {
        quantity(&self.call("eth_blockNumber", &json!([])))
    }

    /// Makes so many blocks (anvil).
    pub fn mine(&self, blocks: usize) {
        for _ in 0..blocks {
            self.call("evm_mine", &json!([]));
        }
    }

    /// Waits for the receipt of a transaction.
    pub fn receipt(&self, hash: &Value) -> Value {
        until("the transaction is in a block", LONG, || {
            let receipt = self.call("eth_getTransactionReceipt", &json!([hash]));
            (!receipt.is_null()).then_some(receipt)
        })
    }

    /// All transactions since this block, with what became of each.
    pub fn transactions_since(&self, block: u64) -> Vec<(Value, Value)> {
        let blocks = block..=self.block_number();
        let blocks = blocks.map(|number| {
            self.call(
                "eth_getBlockByNumber",
                &json!([format!("{number:#x}"), true]),
            )
        });
        let all = blocks.flat_map(|mut block| match block["transactions"].take() {
            Value::Array(transactions) => transactions,
            _ => Vec::new(),
        });
        all.map(|transaction| {
            let receipt = self.receipt(&transaction["hash"]);
            (transaction, receipt)
        })
        .collect()
    }
}

/// Reads a quantity, `0x…`.
///
/// # Panics
/// When it is none.
pub fn quantity(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let text = text.unwrap_or_else(|| panic!("no quantity: {value}"));
    u64::from_str_radix(text, 16).unwrap()
}
