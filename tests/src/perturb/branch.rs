//! A place of the chain to go back to (anvil): what follows it can happen otherwise.

use crate::eth::{quantity, Eth};
use serde_json::{json, Value};

/// A point from which the chain goes on in another way.
#[derive(Debug)]
pub struct Branch {
    chain: Eth,
    snapshot: Value,
    block: u64,
}

impl Branch {
    /// The chain as it is now.
    pub fn here(chain: &Eth) -> Self {
        Self {
            snapshot: chain.call("evm_snapshot", &json!([])),
            block: chain.block_number(),
            chain: chain.clone(),
        }
    }

    /// Goes back: all that came after is gone. Its transactions can be had from [`Branch::transactions`] before.
    pub fn cut(self) {
        let reverted = self.chain.call("evm_revert", &json!([self.snapshot]));
        assert_eq!(reverted, true, "the chain cannot go back");
    }

    /// Signed transactions since, oldest first.
    pub fn transactions(&self) -> Vec<String> {
        raw_transactions(&self.chain, self.block + 1)
    }

    /// Goes back, and puts the same transactions into later blocks, `seconds` later, in their order; then makes
    /// blocks until the new branch is longer than the one that it replaces.
    pub fn replay_later(self, seconds: u64) {
        let (chain, block) = (self.chain.clone(), self.block);
        let (transactions, height) = (self.transactions(), chain.block_number());
        self.cut();
        chain.call("evm_increaseTime", &json!([seconds]));
        chain.mine(1);
        for raw in transactions {
            // One that no longer succeeds is part of what a reorganisation does.
            drop(chain.ask("eth_sendRawTransaction", &json!([raw])));
        }
        let made = chain.block_number() - block;
        let missing = (height - block + 1).saturating_sub(made);
        chain.mine(missing.max(1) as usize);
    }
}

/// Replaces the last `depth` blocks (`anvil_reorg`): the same signed transactions land in the last of the new ones,
/// at another time.
pub fn reorganise(chain: &Eth, depth: u64, seconds: u64) {
    let first = chain.block_number() + 1 - depth;
    let transactions: Vec<_> = raw_transactions(chain, first)
        .into_iter()
        .map(|raw| json!([raw, depth - 1]))
        .collect();
    chain.call("evm_increaseTime", &json!([seconds]));
    chain.call("anvil_reorg", &json!([depth, transactions]));
}

fn raw_transactions(chain: &Eth, first: u64) -> Vec<String> {
    let blocks = first..=chain.block_number();
    let hashes = blocks.flat_map(|number| {
        let block = chain.call(
            "eth_getBlockByNumber",
            &json!([format!("{number:#x}"), false]),
        );
        block["transactions"].as_array().unwrap().clone()
    });
    let raw = hashes.map(|hash| chain.call("eth_getRawTransactionByHash", &json!([hash])));
    raw.map(|raw| raw.as_str().unwrap().to_owned()).collect()
}

/// Seconds since 1970 of the newest block.
pub fn time_of(chain: &Eth) -> u64 {
    let block = chain.call("eth_getBlockByNumber", &json!(["latest", false]));
    quantity(&block["timestamp"])
}
