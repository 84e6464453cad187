//! A scripted chain: small, and as ill-behaved as a test wants.

use ethers_core::{
    types::{Bytes, U256, U64},
    utils::{keccak256, rlp::Rlp},
};
use jsonrpsee::{
    server::{RpcModule, Server, ServerHandle},
    types::{ErrorObjectOwned, Params},
    SubscriptionMessage,
};
use serde_json::{json, value::to_raw_value, Value};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::broadcast;

/// How the pool treats what is sent to it.
#[derive(Clone, PartialEq)]
pub enum Pool {
    /// Takes it and mines it at once.
    Mines,
    /// Takes it, and no block comes.
    Keeps,
    /// Says that it took it, and loses it.
    Loses,
    /// Takes it, and puts it where it stays until it is replaced.
    Misplaces,
    /// Refuses with these words.
    Refuses(String),
    /// Refuses what offers less than so much for one gas.
    Wants(u128),
}

pub struct State {
    pub chain_id: u64,
    pub blocks: Vec<Value>,
    pub logs: Vec<Value>,
    /// Pages of logs with more blocks are refused.
    pub page_limit: u64,
    /// Refuses to look for more than one kind of event at once.
    pub narrow: bool,
    /// Blocks of each page that was answered.
    pub pages: Vec<u64>,
    pub pool: Pool,
    /// Transactions in the pool by nonce: hash and raw.
    pub waiting: BTreeMap<u64, (String, Bytes)>,
    /// Everything that was sent, in order, as nonce and fee per gas.
    pub sent: Vec<(u64, u128)>,
    /// Block number of each mined transaction.
    pub mined: BTreeMap<String, u64>,
    pub nonce: u64,
    pub base_fee: Option<u64>,
    heads: broadcast::Sender<Value>,
}

/// A server over http and ws.
pub struct Fake {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    server: ServerHandle,
}

fn refuse(words: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(-32000, words, None::<()>)
}

fn number(value: &Value) -> u64 {
    serde_json::from_value::<U64>(value.clone())
        .unwrap()
        .as_u64()
}

impl State {
    pub fn height(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    /// Adds a block; `salt` makes it another one than it would be.
    pub fn push(&mut self, salt: u64) {
        let number = self.blocks.len() as u64;
        let parent = self
            .blocks
            .last()
            .map_or(json!(format!("0x{:064x}", 0)), |b| b["hash"].clone());
        let hash = keccak256(format!("{number} {salt} {parent}"));
        let block = json!({
            "number": U64::from(number),
            "hash": Bytes::from(hash),
            "parentHash": parent,
            "timestamp": U256::from(1_000_000 + number),
            "baseFeePerGas": self.base_fee.map(U256::from),
        });
        self.blocks.push(block.clone());
        // Nobody may be listening.
        self.heads.send(block).ok();
    }

    /// Replaces the newest blocks.
    pub fn reorganise(&mut self, depth: u64, blocks: u64, salt: u64) {
        let keep = self.blocks.len() - depth as usize;
        self.blocks.truncate(keep);
        self.logs
            .retain(|log| number(&log["blockNumber"]) < keep as u64);
        for (hash, at) in std::mem::take(&mut self.mined) {
            if at < keep as u64 {
                self.mined.insert(hash, at);
            }
        }
        for _ in 0..blocks {
            self.push(salt);
        }
    }

    /// Puts a log into the newest block.
    pub fn log(&mut self, address: Value, topics: Value, data: Value) {
        let block = self.blocks.last().unwrap();
        let log = json!({
            "address": address, "topics": topics, "data": data,
            "blockNumber": block["number"], "blockHash": block["hash"],
            "transactionHash": block["hash"], "transactionIndex": "0x0",
            "logIndex": U64::from(self.logs.len() as u64), "removed": false,
        });
        self.logs.push(log);
    }

    /// Mines what waits, as far as the nonces go.
    pub fn mine(&mut self) {
        self.push(0);
        let at = self.height();
        while let Some((hash, _)) = self.waiting.remove(&self.nonce) {
            self.mined.insert(hash, at);
            self.nonce += 1;
        }
    }

    fn send(&mut self, raw: &Bytes) -> Result<String, ErrorObjectOwned> {
        let hash = format!("0x{}", hex::encode(keccak256(raw)));
        let (nonce, fee) = decode(raw);
        let before = self
            .sent
            .iter()
            .filter(|(n, _)| *n == nonce)
            .map(|(_, fee)| *fee)
            .min();
        self.sent.push((nonce, fee));
        if self.mined.contains_key(&hash) {
            return Err(refuse("already known"));
        }
        if nonce < self.nonce {
            return Err(refuse("nonce too low"));
        }
        match self.pool.clone() {
            Pool::Refuses(words) => return Err(refuse(&words)),
            Pool::Wants(price) if fee < price => return Err(refuse("transaction underpriced")),
            Pool::Loses => return Ok(hash),
            Pool::Misplaces if before.is_none() => return Ok(hash),
            Pool::Misplaces if before >= Some(fee) => return Err(refuse("already known")),
            _ => {}
        }
        self.waiting.insert(nonce, (hash.clone(), raw.clone()));
        if matches!(self.pool, Pool::Mines | Pool::Wants(_) | Pool::Misplaces) {
            self.mine();
        }
        Ok(hash)
    }

    fn block(&self, tag: &Value) -> Value {
        match tag.as_str() {
            Some("latest") => self.blocks.last().cloned().unwrap(),
            _ => self
                .blocks
                .get(number(tag) as usize)
                .cloned()
                .unwrap_or_default(),
        }
    }

    fn logs(&mut self, filter: &Value) -> Result<Value, ErrorObjectOwned> {
        let wanted = |log: &Value| match filter["topics"][0].as_array() {
            Some(topics) => topics.contains(&log["topics"][0]),
            None => true,
        };
        let kinds = filter["topics"][0].as_array().map_or(1, Vec::len);
        if self.narrow && kinds > 1 {
            return Err(refuse("response is too big"));
        }
        if let Some(hash) = filter.get("blockHash") {
            if !self.blocks.iter().any(|block| block["hash"] == *hash) {
                return Err(refuse("unknown block"));
            }
            self.pages.push(1);
            let logs = self.logs.iter().filter(|log| log["blockHash"] == *hash);
            return Ok(logs.filter(|log| wanted(log)).cloned().collect());
        }
        let (from, to) = (number(&filter["fromBlock"]), number(&filter["toBlock"]));
        if to - from >= self.page_limit {
            return Err(refuse("query returned more than 10000 results"));
        }
        self.pages.push(to - from + 1);
        let within = |log: &&Value| (from..=to).contains(&number(&log["blockNumber"]));
        Ok(self
            .logs
            .iter()
            .filter(within)
            .filter(|log| wanted(log))
            .cloned()
            .collect())
    }

    fn receipt(&self, hash: &str) -> Value {
        let Some(at) = self.mined.get(hash) else {
            return Value::Null;
        };
        let block = &self.blocks[*at as usize];
        json!({
            "transactionHash": hash, "blockHash": block["hash"], "blockNumber": block["number"],
            "gasUsed": "0x5208", "status": "0x1", "logs": [],
        })
    }
}

/// Nonce and most wei per gas of a raw transaction.
fn decode(raw: &Bytes) -> (u64, u128) {
    let typed = raw[0] == 2;
    let fields = Rlp::new(if typed { &raw[1..] } else { raw });
    let (nonce, fee) = if typed { (1, 3) } else { (0, 1) };
    let fee: U256 = fields.val_at(fee).unwrap();
    (fields.val_at(nonce).unwrap(), fee.as_u128())
}

impl Fake {
    /// A chain with so many blocks above its genesis.
    pub async fn start(blocks: u64) -> Self {
        let (heads, _) = broadcast::channel(64);
        let mut state = State {
            chain_id: 31337,
            blocks: Vec::new(),
            logs: Vec::new(),
            page_limit: u64::MAX,
            narrow: false,
            pages: Vec::new(),
            pool: Pool::Mines,
            waiting: BTreeMap::new(),
            sent: Vec::new(),
            mined: BTreeMap::new(),
            nonce: 0,
            base_fee: Some(1_000_000_000),
            heads,
        };
        for _ in 0..=blocks {
            state.push(0);
        }
        Self::serve(Arc::new(Mutex::new(state)), "127.0.0.1:0".parse().unwrap()).await
    }

    async fn serve(state: Arc<Mutex<State>>, address: SocketAddr) -> Self {
        let server = Server::builder().build(address).await.unwrap();
        let address = server.local_addr().unwrap();
        let server = server.start(module(state.clone()));
        Self {
            state,
            address,
            server,
        }
    }

    /// Stops, and comes back at the same address with the same state.
    pub async fn restart(self, meanwhile: impl FnOnce(&mut State)) -> Self {
        let Self {
            state,
            address,
            server,
        } = self;
        server.stop().unwrap();
        server.stopped().await;
        meanwhile(&mut state.lock().unwrap());
        Self::serve(state, address).await
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn ws(&self) -> String {
        format!("ws://{}", self.address)
    }
}

type Shared = Arc<Mutex<State>>;
type Answer = Result<Value, ErrorObjectOwned>;

fn module(state: Shared) -> RpcModule<Shared> {
    let mut module = RpcModule::new(state);
    let mut method = |name: &'static str, answer: fn(&mut State, Vec<Value>) -> Answer| {
        module
            .register_method(name, move |params: Params<'_>, state: &Shared, _| {
                answer(
                    &mut state.lock().unwrap(),
                    params.parse().unwrap_or_default(),
                )
            })
            .unwrap();
    };
    method("eth_chainId", |s, _| Ok(json!(U64::from(s.chain_id))));
    method("eth_blockNumber", |s, _| Ok(json!(U64::from(s.height()))));
    method("eth_getBlockByNumber", |s, p| Ok(s.block(&p[0])));
    method("eth_getLogs", |s, p| s.logs(&p[0]));
    method("eth_getTransactionCount", |s, p| {
        let pending = s.waiting.keys().zip(s.nonce..).take_while(|(a, b)| *a == b);
        let pending = if p[1] == "pending" {
            pending.count()
        } else {
            0
        };
        Ok(json!(U64::from(s.nonce + pending as u64)))
    });
    method("eth_getTransactionReceipt", |s, p| {
        Ok(s.receipt(p[0].as_str().unwrap()))
    });
    method("eth_estimateGas", |_, _| Ok(json!("0x5208")));
    method("eth_gasPrice", |_, _| Ok(json!("0x3b9aca00")));
    method("eth_sendRawTransaction", |s, p| {
        s.send(&serde_json::from_value(p[0].clone()).unwrap())
            .map(Value::from)
    });
    subscription(&mut module);
    module
}

fn subscription(module: &mut RpcModule<Shared>) {
    module
        .register_subscription(
            "eth_subscribe",
            "eth_subscription",
            "eth_unsubscribe",
            |_, pending, state, _| async move {
                let mut heads = state.lock().unwrap().heads.subscribe();
                let Ok(sink) = pending.accept().await else {
                    return;
                };
                while let Ok(head) = heads.recv().await {
                    let message = SubscriptionMessage::from(to_raw_value(&head).unwrap());
                    if sink.send(message).await.is_err() {
                        return;
                    }
                }
            },
        )
        .unwrap();
}
