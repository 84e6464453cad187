//! How a provider behaves: which requests it refuses, what it does to answers, how far behind it is.
//!
//! These are the rules only; [`super::serve`] carries them out.

use serde_json::{json, Value};
use std::time::Duration;

/// Blocks in one `eth_getLogs`, as some public providers limit them.
const PUBLIC_LOG_RANGE: u64 = 50;
/// Methods of the common namespaces that a provider without keys does not serve, or that only anvil has.
const WITHOUT_KEYS: [&str; 7] = [
    "eth_accounts",
    "eth_sendTransaction",
    "eth_sendUnsignedTransaction",
    "eth_sign",
    "eth_signTransaction",
    "eth_signTypedData",
    "eth_signTypedData_v4",
];

/// The conduct of a provider. The default is a good one that serves everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conduct {
    /// Serves only the methods that every Ethereum node has, and holds no keys.
    pub standard_only: bool,
    /// Most blocks in the range of one `eth_getLogs`.
    pub max_log_range: Option<u64>,
    /// Most logs in one answer to `eth_getLogs`; one that has more is refused, as large providers do.
    pub max_logs: Option<usize>,
    /// Requests a second that it serves.
    pub rate: Option<Rate>,
    /// What is wrong with every answer.
    pub fault: Option<Fault>,
    /// A backend behind it that lags.
    pub lag: Option<Lag>,
    /// The chain id that it names, when that is not the chain's.
    pub chain_id: Option<u64>,
    /// Its head does not move from this block on, whatever the chain does.
    pub head: Option<u64>,
    /// How long each answer takes beyond its own time.
    pub delay: Duration,
    /// Who may come in, and where.
    pub door: Option<Door>,
}

/// Requests a second, with as many at once after a rest. Those beyond get 429.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests a second. None at all with 0.
    pub per_second: f64,
    /// What `Retry-After` says, in seconds, if it is sent.
    pub retry_after: Option<u64>,
}

/// What is wrong with every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// HTML in place of JSON.
    Garbage,
    /// The first half of the answer.
    Half,
    /// `null` in place of every result.
    NullResults,
    /// `null` in place of every receipt.
    NullReceipts,
    /// A JSON-RPC error, behind this status over HTTP.
    Error(u16),
    /// This status over HTTP and a text that is not JSON; over WebSocket an error.
    Status(u16),
    /// The connection is closed.
    HangUp,
    /// No answer at all, while the connection stays.
    Silence,
}

/// A backend that is so many blocks behind the others, and does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// It answers all log queries.
    Logs(u64),
    /// It answers every second request, whatever it asks.
    EverySecond(u64),
}

/// Credentials and a path, without which everything is 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The whole `Authorization` header.
    pub authorization: String,
    /// The path and query.
    pub target: String,
}

impl Conduct {
    /// A public provider: standard methods, no keys, log queries of few blocks.
    pub fn public() -> Self {
        Self {
            standard_only: true,
            max_log_range: Some(PUBLIC_LOG_RANGE),
            ..Self::default()
        }
    }

    /// A good one but for this.
    pub fn with_fault(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// A good one but for its backend.
    pub fn with_lag(lag: Lag) -> Self {
        Self {
            lag: Some(lag),
            ..Self::default()
        }
    }

    /// Whether it does not serve this method at all.
    pub(super) fn refuses(&self, method: &str) -> bool {
        let standard = ["eth_", "net_", "web3_"]
            .iter()
            .any(|space| method.starts_with(space));
        self.standard_only && (!standard || WITHOUT_KEYS.contains(&method))
    }

    /// The error for a request whose range is too large.
    pub(super) fn over_range(&self, request: &Value) -> Option<Value> {
        let limit = self.max_log_range?;
        let asked = request["method"] == "eth_getLogs" && range(&request["params"][0]) > limit;
        asked.then(|| {
            let text = format!("query exceeds max block range {limit}");
            error(&request["id"], -32005, &text)
        })
    }

    /// The error for an answer with too many logs.
    pub(super) fn over_logs(&self, request: &Value, answer: &Value) -> Option<Value> {
        let limit = self.max_logs?;
        let found = answer["result"].as_array()?.len();
        (request["method"] == "eth_getLogs" && found > limit).then(|| {
            let text = format!("query returned more than {limit} results");
            error(&request["id"], -32005, &text)
        })
    }
}

/// A JSON-RPC error.
pub(super) fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// A JSON-RPC result.
pub(super) fn result(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// Reads a quantity, `0x…`.
pub(super) fn quantity(value: &Value) -> Option<u64> {
    let text = value.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(text, 16).ok()
}

/// Blocks that a filter spans; one when it does not say.
fn range(filter: &Value) -> u64 {
    match (quantity(&filter["fromBlock"]), quantity(&filter["toBlock"])) {
        (Some(from), Some(to)) => to.saturating_sub(from) + 1,
        _ => 1,
    }
}

/// Makes a request one to a backend whose head is `head`: what names the newest block names that one. Gives the
/// answer itself where such a backend knows nothing.
pub(super) fn ask_behind(request: &mut Value, head: u64) -> Option<Value> {
    let (method, id) = (request["method"].clone(), request["id"].clone());
    let latest = json!(format!("{head:#x}"));
    if method == "eth_blockNumber" {
        return Some(result(&id, &latest));
    }
    if method == "eth_getLogs" {
        return logs_behind(&mut request["params"][0], head).then(|| result(&id, &json!([])));
    }
    let params = request["params"].as_array_mut()?;
    for param in params.iter_mut() {
        if matches!(
            param.as_str(),
            Some("latest" | "pending" | "safe" | "finalized")
        ) {
            *param = latest.clone();
        }
    }
    let number = match method.as_str()? {
        "eth_getBlockByNumber" | "eth_getBlockReceipts" => quantity(&params[0]),
        "eth_call" | "eth_getCode" | "eth_getBalance" | "eth_getTransactionCount" => {
            quantity(params.get(1)?)
        }
        _ => None,
    };
    let beyond = number.is_some_and(|number| number > head);
    beyond.then(|| match method.as_str() {
        Some("eth_getBlockByNumber" | "eth_getBlockReceipts") => result(&id, &Value::Null),
        _ => error(&id, -32000, "header not found"),
    })
}

/// Cuts a filter at the head; whether nothing is left of it.
fn logs_behind(filter: &mut Value, head: u64) -> bool {
    let latest = json!(format!("{head:#x}"));
    if filter["blockHash"].is_string() {
        return false;
    }
    let from = quantity(&filter["fromBlock"]);
    if quantity(&filter["toBlock"]).is_none_or(|to| to > head) {
        filter["toBlock"] = latest;
    }
    from.is_some_and(|from| from > head)
}

/// What such a backend answers in place of this: nothing that is in a block it does not have.
pub(super) fn answer_behind(request: &Value, answer: Value, head: u64) -> Value {
    let number = match &answer["result"] {
        Value::Object(object) => {
            let key = ["blockNumber", "number"]
                .into_iter()
                .find(|key| object.contains_key(*key));
            key.and_then(|key| quantity(&object[key]))
        }
        Value::Array(logs) => logs.first().and_then(|log| quantity(&log["blockNumber"])),
        _ => None,
    };
    if number.is_none_or(|number| number <= head) {
        return answer;
    }
    match request["method"].as_str() {
        Some("eth_getLogs") => error(&request["id"], -32000, "unknown block"),
        _ => result(&request["id"], &Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_provider_knows_the_standard_and_few_blocks() {
        let conduct = Conduct::public();
        assert!(conduct.refuses("anvil_mine") && conduct.refuses("eth_accounts"));
        assert!(!conduct.refuses("eth_getLogs") && !Conduct::default().refuses("anvil_mine"));
        let ask = |to: &str| json!({ "id": 1, "method": "eth_getLogs", "params": [{ "fromBlock": "0x1", "toBlock": to }] });
        assert!(conduct.over_range(&ask("0x32")).is_none());
        assert_eq!(
            conduct.over_range(&ask("0x33")).unwrap()["error"]["code"],
            -32005
        );
    }

    #[test]
    fn a_backend_that_lags_knows_nothing_newer() {
        let mut logs = json!({ "id": 1, "method": "eth_getLogs", "params": [{ "fromBlock": "0x3", "toBlock": "0x9" }] });
        assert_eq!(ask_behind(&mut logs, 5), None);
        assert_eq!(logs["params"][0]["toBlock"], "0x5");
        assert_eq!(ask_behind(&mut logs, 2).unwrap()["result"], json!([]));
        let mut block =
            json!({ "id": 1, "method": "eth_getBlockByNumber", "params": ["0x6", false] });
        assert_eq!(ask_behind(&mut block, 5).unwrap()["result"], Value::Null);
        let mut call = json!({ "id": 1, "method": "eth_call", "params": [{}, "latest"] });
        assert_eq!(ask_behind(&mut call, 5), None);
        assert_eq!(call["params"][1], "0x5");
        let receipt = json!({ "id": 1, "result": { "blockNumber": "0x6" } });
        let asked = json!({ "id": 1, "method": "eth_getTransactionReceipt" });
        assert_eq!(
            answer_behind(&asked, receipt.clone(), 5)["result"],
            Value::Null
        );
        assert_eq!(answer_behind(&asked, receipt.clone(), 6), receipt);
    }
}
