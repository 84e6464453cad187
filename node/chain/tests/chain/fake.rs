//! A small scripted chain, which misbehaves as a test wants.

use ethers_core::{
    abi::ethereum_types::BloomInput,
    types::{Bloom, Bytes, U256, U64},
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
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::{broadcast, Barrier};

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
    /// Pages of events with more blocks are refused.
    pub page_limit: u64,
    /// Answers with more events are refused.
    pub most_events: usize,
    /// Events of so many of the newest blocks are not seen: by a range in silence, by a hash with an error.
    pub lag: u64,
    /// Whether the machine that lacks the newest block answers the next question for the head, after it has refused one
    /// for events. From then on it has the block.
    pub is_asked_for_head: bool,
    /// Whether answers with events leave out each second one.
    pub hides_every_second: bool,
    /// Whether new blocks have the time of now.
    pub is_of_now: bool,
    /// So many questions for events were refused, because this machine does not have the block.
    pub refused: u64,
    /// Blocks of each page that was answered.
    pub pages: Vec<u64>,
    /// How often each method was called.
    pub calls: BTreeMap<&'static str, u64>,
    /// Bytes of all results.
    pub bytes: usize,
    /// So many requests are refused for being too many.
    pub limited: u64,
    /// Whether new heads are kept from subscribers.
    pub is_silent: bool,
    /// What is pushed in place of the newest block; all blocks are given.
    pub pushes: Option<fn(&[Value]) -> Value>,
    /// So many questions for a block by its number are answered with an error.
    pub hidden: u64,
    /// Whether blocks carry their bloom filter, and events the time of their block.
    pub is_modern: bool,
    /// The code of every account that has none of its own.
    pub code: &'static str,
    /// The code of some accounts, by their address in lower case.
    pub codes: BTreeMap<String, Bytes>,
    /// What the endpoint suggests as tip; `None`: it does not know the method.
    pub tip: Option<Value>,
    pub gas_limit: u64,
    pub pool: Pool,
    /// Transactions in the pool by nonce: hash and raw.
    pub waiting: BTreeMap<u64, (String, Bytes)>,
    /// Everything that was sent, in order, as nonce and fee per gas.
    pub sent: Vec<(u64, u128)>,
    /// Block number of each mined transaction.
    pub mined: BTreeMap<String, u64>,
    /// The gas limit of everything that was sent, in order.
    pub gas: Vec<u64>,
    pub nonce: u64,
    pub base_fee: Option<u64>,
    /// How many questions for code must be there before one is answered.
    pub codes_together: Option<Arc<Barrier>>,
    /// The same for calls of contracts, which all give zero.
    pub calls_together: Option<Arc<Barrier>>,
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
        self.add(salt);
        self.announce();
    }

    fn time(&self, number: u64) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        match self.is_of_now {
            true => now.as_secs(),
            false => 1_000_000 + number,
        }
    }

    /// Pushes a head that is on no branch of the chain.
    pub fn announce_stranger(&self, height: u64) {
        let mut head = self.blocks.last().cloned().unwrap();
        head["number"] = json!(U64::from(height));
        head["hash"] = json!(format!("0x{:064x}", 0xfa_0000 + height));
        head["parentHash"] = json!(format!("0x{:064x}", 0xfb_0000 + height));
        self.heads.send(head).ok();
    }

    fn add(&mut self, salt: u64) {
        let number = self.blocks.len() as u64;
        let parent = self
            .blocks
            .last()
            .map_or(json!(format!("0x{:064x}", 0)), |b| b["hash"].clone());
        let hash = keccak256(format!("{number} {salt} {parent}"));
        let mut block = json!({
            "number": U64::from(number),
            "hash": Bytes::from(hash),
            "parentHash": parent,
            "timestamp": U256::from(self.time(number)),
            "baseFeePerGas": self.base_fee.map(U256::from),
            "gasLimit": U256::from(self.gas_limit),
            "transactions": [Bytes::from(hash)],
        });
        if self.is_modern {
            block["logsBloom"] = json!(Bloom::zero());
            block["gasUsed"] = json!("0x0");
        }
        self.blocks.push(block);
    }

    /// Pushes the newest block to subscribers, if there are any.
    fn announce(&self) {
        if self.is_silent {
            return;
        }
        let head = match self.pushes {
            Some(pushes) => pushes(&self.blocks),
            None => self.blocks.last().cloned().unwrap(),
        };
        self.heads.send(head).ok();
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

    /// Adds a block with these events, whose bloom filter says so.
    pub fn push_with_all(&mut self, events: impl IntoIterator<Item = (Value, Value, Value)>) {
        self.add(0);
        let (mut filter, first) = (Bloom::zero(), self.logs.len());
        for (address, topics, data) in events {
            self.log(address, topics, data);
            accrue(&mut filter, self.logs.last().unwrap());
        }
        if self.is_modern && self.logs.len() > first {
            let block = self.blocks.last_mut().unwrap();
            block["logsBloom"] = json!(filter);
            block["gasUsed"] = json!("0x5208");
        }
        self.announce();
    }

    /// Puts an event into the newest block.
    pub fn log(&mut self, address: Value, topics: Value, data: Value) {
        let block = self.blocks.last().unwrap();
        let mut log = json!({
            "address": address, "topics": topics, "data": data,
            "blockNumber": block["number"], "blockHash": block["hash"],
            "transactionHash": block["hash"], "transactionIndex": "0x0",
            "logIndex": U64::from(self.logs.len() as u64), "removed": false,
        });
        if self.is_modern {
            log["blockTimestamp"] = block["timestamp"].clone();
        }
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
        self.gas.push(gas(raw));
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

    fn events(&mut self, filter: &Value) -> Result<Value, ErrorObjectOwned> {
        let seen = self.height().saturating_sub(self.lag);
        let (from, to) = match filter.get("blockHash") {
            Some(hash) => {
                let at = self.blocks.iter().position(|block| block["hash"] == *hash);
                let at = at.filter(|at| *at as u64 <= seen);
                let Some(at) = at else {
                    self.refused += 1;
                    return Err(refuse("unknown block"));
                };
                let at = at as u64;
                (at, at)
            }
            None => (number(&filter["fromBlock"]), number(&filter["toBlock"])),
        };
        if to - from >= self.page_limit {
            return Err(refuse("query returned more than 10000 results"));
        }
        let selected = |log: &&Value| {
            let block = number(&log["blockNumber"]);
            (from..=to.min(seen)).contains(&block) && wants(filter, log)
        };
        // Logs are in the order of their blocks.
        let first = self
            .logs
            .partition_point(|log| number(&log["blockNumber"]) < from);
        let logs = self.logs[first..].iter();
        let logs = logs.take_while(|log| number(&log["blockNumber"]) <= to);
        let found = logs.filter(selected).cloned();
        let found: Vec<Value> = match self.hides_every_second {
            true => found.step_by(2).collect(),
            false => found.collect(),
        };
        if found.len() > self.most_events {
            return Err(refuse("query returned more than 10000 results"));
        }
        self.pages.push(to - from + 1);
        Ok(found.into())
    }

    fn receipt(&self, hash: &str) -> Value {
        let mined = self.mined.get(hash).map(|at| *at as usize);
        // The one transaction of each block, which emits its events, is named as the block is.
        let own = || self.blocks.iter().position(|block| block["hash"] == hash);
        let Some(at) = mined.or_else(own) else {
            return Value::Null;
        };
        let block = &self.blocks[at];
        let logs = self
            .logs
            .iter()
            .filter(|log| log["transactionHash"] == hash);
        json!({
            "transactionHash": hash, "blockHash": block["hash"], "blockNumber": block["number"],
            "gasUsed": "0x5208", "status": "0x1", "logs": logs.collect::<Vec<_>>(),
        })
    }
}

/// Whether a filter selects an event.
fn wants(filter: &Value, log: &Value) -> bool {
    let one_of = |wanted: &Value, found: &Value| match wanted {
        Value::Null => true,
        Value::Array(wanted) => wanted.contains(found),
        other => other == found,
    };
    let topics = filter["topics"].as_array().cloned().unwrap_or_default();
    let by_topic = topics.iter().enumerate().all(|(i, wanted)| {
        log["topics"]
            .get(i)
            .is_some_and(|topic| one_of(wanted, topic))
    });
    by_topic && one_of(&filter["address"], &log["address"])
}

/// Adds an event to a block's filter.
fn accrue(bloom: &mut Bloom, log: &Value) {
    let bytes = |value: &Value| serde_json::from_value::<Bytes>(value.clone()).unwrap();
    bloom.accrue(BloomInput::Raw(&bytes(&log["address"])));
    for topic in log["topics"].as_array().unwrap() {
        bloom.accrue(BloomInput::Raw(&bytes(topic)));
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

fn gas(raw: &Bytes) -> u64 {
    let typed = raw[0] == 2;
    let fields = Rlp::new(if typed { &raw[1..] } else { raw });
    fields.val_at(if typed { 4 } else { 2 }).unwrap()
}

impl Fake {
    /// A chain with so many blocks above its genesis.
    pub async fn start(blocks: u64) -> Self {
        let (heads, _) = broadcast::channel(1024);
        let mut state = State {
            chain_id: 31337,
            blocks: Vec::new(),
            logs: Vec::new(),
            page_limit: u64::MAX,
            most_events: usize::MAX,
            lag: 0,
            is_asked_for_head: false,
            refused: 0,
            hides_every_second: false,
            is_of_now: false,
            pages: Vec::new(),
            calls: BTreeMap::new(),
            bytes: 0,
            limited: 0,
            hidden: 0,
            is_silent: false,
            pushes: None,
            is_modern: false,
            code: "0x01",
            codes: BTreeMap::new(),
            tip: None,
            gas_limit: 30_000_000,
            pool: Pool::Mines,
            waiting: BTreeMap::new(),
            sent: Vec::new(),
            mined: BTreeMap::new(),
            gas: Vec::new(),
            nonce: 0,
            base_fee: Some(1_000_000_000),
            codes_together: None,
            calls_together: None,
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
                let mut state = state.lock().unwrap();
                *state.calls.entry(name).or_default() += 1;
                if state.limited > 0 {
                    state.limited -= 1;
                    return Err(ErrorObjectOwned::owned(
                        429,
                        "Too Many Requests",
                        None::<()>,
                    ));
                }
                let answer = answer(&mut state, params.parse().unwrap_or_default());
                state.bytes += answer.as_ref().map_or(0, |value| value.to_string().len());
                answer
            })
            .unwrap();
    };
    method("eth_chainId", |s, _| Ok(json!(U64::from(s.chain_id))));
    method("eth_blockNumber", |s, _| Ok(json!(U64::from(s.height()))));
    method("eth_getBlockByNumber", |s, p| {
        if p[0] == "latest" && s.is_asked_for_head && s.refused > 0 {
            s.is_asked_for_head = false;
            let behind = s.height() - std::mem::take(&mut s.lag);
            return Ok(s.block(&json!(U64::from(behind))));
        }
        if p[0] != "latest" && s.hidden > 0 {
            s.hidden -= 1;
            return Err(refuse("header not found"));
        }
        Ok(s.block(&p[0]))
    });
    method("eth_getBlockByHash", |s, p| {
        let block = s.blocks.iter().find(|block| block["hash"] == p[0]);
        Ok(block.cloned().unwrap_or_default())
    });
    method("eth_maxPriorityFeePerGas", |s, _| {
        let unknown = || ErrorObjectOwned::owned(-32601, "Method not found", None::<()>);
        s.tip.clone().ok_or_else(unknown)
    });
    method("eth_getLogs", |s, p| s.events(&p[0]));
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
        .register_async_method("eth_call", |_, state: Arc<Shared>, _| async move {
            let together = state.lock().unwrap().calls_together.clone();
            if let Some(together) = together {
                together.wait().await;
            }
            Ok::<_, ErrorObjectOwned>(json!(format!("0x{:064x}", 0)))
        })
        .unwrap();
    module
        .register_async_method("eth_getCode", |params, state: Arc<Shared>, _| async move {
            let asked: Vec<Value> = params.parse().unwrap_or_default();
            let (code, together) = {
                let mut state = state.lock().unwrap();
                *state.calls.entry("eth_getCode").or_default() += 1;
                let own = state.codes.get(asked[0].as_str().unwrap());
                let code = own.map_or(json!(state.code), |code| json!(code));
                state.bytes += code.to_string().len();
                (code, state.codes_together.clone())
            };
            if let Some(together) = together {
                together.wait().await;
            }
            Ok::<_, ErrorObjectOwned>(code)
        })
        .unwrap();
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
