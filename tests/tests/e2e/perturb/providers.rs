//! Providers that cap, lag, limit, lie and fail.

use super::super::quick::wc;
use ethers_core::utils::keccak256;
use rings_protocol::Address;
use rings_tests::{
    block_on,
    perturb::{
        Account, Conduct, Contracts, Door, Fault, Job, Lag, Provider, Rate, Stage, RECOVERY,
    },
    signal, until, Anvil, Eth, Program, Signal, LONG,
};
use serde_json::{json, Value};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Logs in one answer, as some providers cap them.
const CAP: usize = 10_000;
/// One more than that, in one transaction.
const FLOOD: u64 = 10_001;
/// Requests a second of a small plan.
const SMALL: f64 = 10.0;
/// Requests a second that an idle member may send over HTTP.
const IDLE: f64 = 0.5;

/// A contract of a stranger: emits as many logs of three topics as it is told.
fn emitter(stage: &Stage, by: &Account) -> Address {
    // count; loop: topic 2, topic 1, topic 0, no data, LOG3; count - 1; again unless 0.
    let code = "6020355b8015601e5760603560403560003560006000a3600190036003565b00";
    let code = hex::decode(code).unwrap();
    let init = [
        &hex::decode(format!("60{:02x}600c60003960{0:02x}6000f3", code.len())).unwrap()[..],
        &code,
    ]
    .concat();
    let receipt = by.mined(&stage.eth(), None, &init);
    receipt["contractAddress"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Emits so many logs with this event and these two indexed addresses.
fn emit(stage: &Stage, by: &Account, emitter: Address, event: &str, indexed: [Address; 2]) {
    let word = |address: Address| [&[0; 12][..], &address.0].concat();
    let data = [
        keccak256(event).to_vec(),
        [&[0; 24][..], &FLOOD.to_be_bytes()].concat(),
        word(indexed[0]),
        word(indexed[1]),
    ];
    let receipt = by.done(&stage.eth(), emitter, &data.concat());
    assert_eq!(receipt["logs"].as_array().unwrap().len() as u64, FLOOD);
}

#[test]
fn a_strangers_events_stop_nobody_behind_a_provider_that_caps() {
    let stage = Stage::http(4);
    stage.provider.behave(Conduct {
        max_logs: Some(CAP),
        ..Conduct::default()
    });
    let (stranger, pids) = (stage.stranger(), stage.pids());
    let emitter = emitter(&stage, &stranger);
    let job = stage.job("wc", None, b"before the flood\n");
    stage.wait_ended(&[stage.gate(&job)], LONG);
    let ring = stage.ring.json().address("/ring");
    let events = [
        "GateRequested(address,address,address)",
        "OutputsRegistered(address,uint256,uint96[],bytes32[])",
        "GateResolved(address)",
        "MemberEntered(address,uint256)",
    ];
    for event in events {
        emit(&stage, &stranger, emitter, event, [emitter, ring]);
    }
    let asked = stage
        .provider
        .served()
        .get("eth_getLogs")
        .copied()
        .unwrap_or_default();
    let began = Instant::now();
    let gates = stage.gates(&job, 4);
    println!(
        "gates after the flood: {:?}",
        stage.wait_ended(&gates, RECOVERY)
    );
    let more = stage
        .provider
        .served()
        .get("eth_getLogs")
        .copied()
        .unwrap_or_default()
        - asked;
    let rate = more as f64 / 4.0 / began.elapsed().as_secs_f64();
    assert!(rate < 40.0, "{rate} log queries a second of each member");
    // A member that starts now reads past it too.
    stage.ring.kill(&[0]);
    stage.ring.start_member(0, Program::Honest);
    stage.wait_ended(&[stage.gate(&job)], RECOVERY);
    assert_eq!(stage.pids()[1..], pids[1..], "no member has ended");
    stage.check_nobody_named();
}

#[test]
fn a_backend_that_lags_loses_no_gate() {
    let stage = Stage::http(4);
    let job = stage.job("wc", None, b"lag\n");
    stage.wait_ended(&[stage.gate(&job)], LONG);
    let own = Provider::before(stage.chain.port());
    stage.ring.terminate(&[3]);
    stage
        .ring
        .launch_member(3, Program::Honest, &[("RINGS_CHAIN_RPC", &own.http())]);
    stage.ring.wait_connected(3, 3);
    // Three of four are needed, so what member 3 misses is missing.
    let paused = stage.ring.pid(0);
    signal(paused, Signal::STOP);
    let mut gates = Vec::new();
    for lag in [Lag::Logs(3), Lag::EverySecond(2)] {
        own.behave(Conduct::with_lag(lag));
        for _ in 0..3 {
            gates.extend(stage.gates(&job, 4));
            // Longer than a member takes to look again, so that it looks while the backend is behind.
            thread::sleep(Duration::from_millis(700));
        }
    }
    own.be_good();
    stage.eth().mine(1);
    println!(
        "all gates, after the backend caught up: {:?}",
        stage.wait_ended(&gates, 3 * RECOVERY)
    );
    signal(paused, Signal::CONT);
    // All of them behind such a provider, for a while.
    stage
        .provider
        .behave(Conduct::with_lag(Lag::EverySecond(3)));
    own.behave(Conduct::with_lag(Lag::EverySecond(3)));
    let gates = stage.gates(&job, 8);
    stage.unresolved(&gates, Duration::from_secs(3));
    stage.provider.be_good();
    own.be_good();
    stage.eth().mine(1);
    println!(
        "and of all members: {:?}",
        stage.wait_ended(&gates, 3 * RECOVERY)
    );
    stage.check_nobody_named();
}

/// Members 0 and 1 over HTTP, 2 and 3 over WebSocket, each with a provider of its own.
fn apart(stage: &Stage) -> Vec<Provider> {
    let providers: Vec<_> = (0..4)
        .map(|_| Provider::before(stage.chain.port()))
        .collect();
    for (index, provider) in providers.iter().enumerate() {
        let url = if index < 2 {
            provider.http()
        } else {
            provider.ws()
        };
        stage.ring.terminate(&[index]);
        stage
            .ring
            .launch_member(index, Program::Honest, &[("RINGS_CHAIN_RPC", &url)]);
        stage.ring.wait_connected(index, 3);
    }
    providers
}

fn total(providers: &[Provider]) -> usize {
    providers.iter().map(Provider::total).sum()
}

/// Nothing is to happen in this time, so that it must pass.
fn watch_idle(providers: &[Provider], what: &str) {
    const WATCHED: Duration = Duration::from_secs(10);
    let before: Vec<_> = providers.iter().map(Provider::served).collect();
    thread::sleep(WATCHED);
    for (index, (provider, before)) in providers.iter().zip(before).enumerate() {
        let mut asked = provider.served();
        for (method, count) in &mut asked {
            *count -= before.get(method).copied().unwrap_or(0);
        }
        asked.retain(|_, count| *count > 0);
        let rate = asked.values().sum::<usize>() as f64 / WATCHED.as_secs_f64();
        println!("member {index}, {what}: {rate} requests a second: {asked:?}");
        let limit = if index < 2 { IDLE } else { 0.0 };
        assert!(rate <= limit, "{rate} a second: {asked:?}");
    }
}

#[test]
fn an_idle_member_asks_little() {
    // The settling time of a member that has just had work: blocks with events are looked at again after 2 and 9 seconds.
    const REST: Duration = Duration::from_secs(10);
    let stage = Stage::http(4);
    let job = stage.job("wc", None, b"idle\n");
    let providers = apart(&stage);
    stage.wait_ended(&[stage.gate(&job)], LONG);
    thread::sleep(REST);
    watch_idle(&providers, "without blocks");
}

#[test]
fn a_limit_is_not_answered_with_more() {
    let stage = Stage::http(4);
    let job = stage.job("wc", None, b"limits\n");
    let providers = apart(&stage);
    stage.wait_ended(&[stage.gate(&job)], LONG);
    for retry_after in [Some(1), None] {
        let rate = Rate {
            per_second: SMALL,
            retry_after,
        };
        for provider in &providers {
            provider.behave(Conduct {
                rate: Some(rate),
                ..Conduct::default()
            });
        }
        let (asked, began) = (total(&providers), Instant::now());
        let gates = stage.gates(&job, 10);
        let took = stage.wait_ended(&gates, Duration::from_secs(60));
        let rate = (total(&providers) - asked) as f64 / 4.0 / began.elapsed().as_secs_f64();
        println!("10 gates at {SMALL} requests a second: {took:?}, {rate} a second asked");
        for provider in &providers {
            println!("{:?}, {} refused", provider.served(), provider.limited());
        }
        assert!(rate <= 2.0 * SMALL, "each member asks {rate} a second");
    }
    // Nothing at all is served when a member starts: it waits.
    providers[0].behave(Conduct {
        rate: Some(Rate {
            per_second: 0.0,
            retry_after: Some(1),
        }),
        ..Conduct::default()
    });
    stage.ring.kill(&[0]);
    let (limited, url) = (providers[0].limited(), providers[0].http());
    stage
        .ring
        .launch_member(0, Program::Honest, &[("RINGS_CHAIN_RPC", &url)]);
    until("it has been refused", LONG, || {
        (providers[0].limited() > limited + 1).then_some(())
    });
    providers.iter().for_each(Provider::be_good);
    stage.ring.wait_connected(0, 3);
    stage.wait_ended(&stage.gates(&job, 2), RECOVERY);
}

/// What a provider does, and for how long.
pub struct Trouble {
    /// What it is.
    pub name: &'static str,
    /// Begins it; the chain is another one of the same id.
    pub begin: fn(&Provider, &Anvil),
    /// Whether members must say meanwhile that they do not follow.
    seen: bool,
}

const fn trouble(name: &'static str, begin: fn(&Provider, &Anvil)) -> Trouble {
    Trouble {
        name,
        begin,
        seen: false,
    }
}

fn fault(provider: &Provider, fault: Fault) {
    provider.behave(Conduct::with_fault(fault));
    // Subscriptions that were there before would go on.
    provider.cut();
}

/// All troubles of a provider.
pub fn troubles() -> Vec<Trouble> {
    let seen = |trouble: Trouble| Trouble {
        seen: true,
        ..trouble
    };
    vec![
        trouble("garbage", |provider, _| fault(provider, Fault::Garbage)),
        trouble("half answers", |provider, _| fault(provider, Fault::Half)),
        trouble("null results", |provider, _| {
            fault(provider, Fault::NullResults)
        }),
        trouble("null receipts", |provider, _| {
            fault(provider, Fault::NullReceipts)
        }),
        trouble("an error behind 400", |provider, _| {
            fault(provider, Fault::Error(400))
        }),
        trouble("an error behind 500", |provider, _| {
            fault(provider, Fault::Error(500))
        }),
        trouble("503", |provider, _| fault(provider, Fault::Status(503))),
        trouble("connections that are closed", |provider, _| {
            fault(provider, Fault::HangUp)
        }),
        trouble("no answers", |provider, _| fault(provider, Fault::Silence)),
        trouble("slow answers", |provider, _| {
            provider.behave(Conduct {
                delay: Duration::from_millis(700),
                ..Conduct::default()
            });
        }),
        seen(trouble("another chain id", |provider, _| {
            provider.behave(Conduct {
                chain_id: Some(5),
                ..Conduct::default()
            });
            provider.cut();
        })),
        seen(trouble(
            "another chain of the same id",
            |provider, other| provider.lead_to(other.port()),
        )),
        trouble("a head that stands still", |provider, _| {
            provider.stand_still()
        }),
    ]
}

/// Makes a provider a good one before this chain again.
pub fn end(provider: &Provider, chain: u16) {
    provider.be_good();
    if !provider.leads_to(chain) {
        provider.lead_to(chain);
    }
}

/// Whether no member says that it follows.
fn nobody_follows(stage: &Stage) -> bool {
    (0..4).all(|index| {
        let status = block_on(stage.ring.client(index).status());
        status.is_ok_and(|status| !status.following)
    })
}

#[test]
fn every_trouble_of_a_provider_passes() {
    let stage = Stage::http(4);
    let job = stage.job("wc", None, b"troubles\n");
    let providers = apart(&stage);
    let other = Anvil::start(&[]);
    stage.wait_ended(&[stage.gate(&job)], LONG);
    let pids = stage.pids();
    for trouble in troubles() {
        for provider in &providers {
            (trouble.begin)(provider, &other);
        }
        let mut gates = stage.gates(&job, 2);
        // Longer than it takes a member to ask again.
        thread::sleep(Duration::from_secs(1));
        if trouble.seen {
            until("members say that they do not follow", LONG, || {
                nobody_follows(&stage).then_some(())
            });
        }
        gates.extend(stage.gates(&job, 1));
        for provider in &providers {
            end(provider, stage.chain.port());
        }
        let took = stage.wait_ended(&gates, 3 * RECOVERY);
        println!("{}: well again after {took:.1?}", trouble.name);
        assert!(took <= RECOVERY, "{}: {took:?}", trouble.name);
        assert_eq!(stage.pids(), pids, "{}: a member has ended", trouble.name);
    }
    stage.check_nobody_named();
}

#[test]
fn a_refusal_does_not_end_a_run() {
    let stage = Stage::http(3);
    let refusals = [
        Conduct::with_fault(Fault::Status(503)),
        Conduct::with_fault(Fault::Error(429)),
        Conduct::with_fault(Fault::Error(400)),
        Conduct::with_fault(Fault::NullReceipts),
        Conduct::with_lag(Lag::EverySecond(1)),
        Conduct {
            rate: Some(Rate {
                per_second: 0.0,
                retry_after: Some(1),
            }),
            ..Conduct::default()
        },
    ];
    assert_eq!(stage.result("wc", b"before\n").0, wc(b"before\n"));
    for (number, conduct) in refusals.into_iter().enumerate() {
        let input = format!("{number}\n").into_bytes();
        let shown = format!("{conduct:?}");
        let run = stage
            .ring
            .run(&["--timeout", "40"], "wc", &[])
            .stdin(input.clone())
            .start();
        let asked = stage.provider.total();
        until("the run asks the chain", LONG, || {
            (stage.provider.total() > asked + 3).then_some(())
        });
        stage.provider.behave(conduct);
        thread::sleep(Duration::from_secs(1));
        stage.provider.be_good();
        let done = run.end();
        assert_eq!(done.status.code(), Some(0), "{shown}: {}", done.stderr);
        assert_eq!(done.stdout, wc(&input), "{shown}");
    }
}

#[test]
fn what_is_known_is_given_without_receipts() {
    let stage = Stage::http(3);
    let (output, receipt) = stage.result("wc", b"known\n");
    stage
        .provider
        .behave(Conduct::with_fault(Fault::NullReceipts));
    let again = stage
        .ring
        .run(&["--timeout", "20"], "wc", &[])
        .stdin("known\n")
        .ok();
    assert_eq!(again, output);
    stage.verify(receipt.gate());
    stage.provider.be_good();
}

#[test]
fn work_grows_with_the_own_rings_gates_only() {
    const FOREIGN: usize = 600;
    const AT_ONCE: usize = 20;
    let stage = Stage::http(3);
    let job = stage.job("wc", None, b"own\n");
    stage.wait_ended(&[stage.gate(&job)], LONG);
    // Another ring on the same engine, with its own gates.
    let (stranger, contracts) = (stage.stranger(), stage.contracts());
    let other = contracts.create_ring(&stranger, &[stranger.address()], 0);
    let cpu = |stage: &Stage| -> u64 { stage.pids().iter().map(|pid| ticks(*pid)).sum() };
    let (asked, before) = (stage.provider.served(), cpu(&stage));
    foreign_gates(&stage, &other, &stranger, &job, FOREIGN / AT_ONCE, AT_ONCE);
    stage.wait_ended(&[stage.gate(&job)], RECOVERY);
    let blocks = FOREIGN / AT_ONCE + 1;
    for method in ["eth_getCode", "eth_call", "eth_getTransactionReceipt"] {
        let now = stage
            .provider
            .served()
            .get(method)
            .copied()
            .unwrap_or_default();
        let more = now - asked.get(method).copied().unwrap_or_default();
        println!("{FOREIGN} foreign gates in {blocks} blocks: {more} more {method}");
        assert!(more < FOREIGN / 4, "{more} {method} for gates of others");
    }
    println!("and {} ticks of processors", cpu(&stage) - before);
}

fn foreign_gates(
    stage: &Stage,
    other: &Contracts,
    by: &Account,
    job: &Job,
    rounds: usize,
    at_once: usize,
) {
    for _ in 0..rounds {
        let specs: Vec<_> = (0..at_once)
            .map(|_| {
                let mut spec = stage.spec(job);
                spec.rings = vec![other.ring];
                spec
            })
            .collect();
        other.create_circuit(by, &specs);
    }
}

/// Processor time of a process so far, in the system's ticks.
fn ticks(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Status, `Retry-After` and text of one answer.
fn answer(provider: &Provider, method: &str, params: &Value) -> (u16, Option<String>, String) {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client
            .post(provider.http())
            .json(&body)
            .send()
            .await
            .unwrap();
        let after = answer.headers().get("retry-after");
        let after = after.map(|value| value.to_str().unwrap().to_owned());
        (
            answer.status().as_u16(),
            after,
            answer.text().await.unwrap(),
        )
    })
}

#[test]
fn a_provider_misbehaves_as_it_is_told() {
    let chain = Anvil::start(&[]);
    let eth = Eth::at(&chain.http());
    eth.mine(5);
    let provider = Provider::before(chain.port());
    let ask = |method: &str, params: Value| answer(&provider, method, &params);
    let head = || ask("eth_blockNumber", json!([]));
    assert!(head().2.contains("0x5"));
    let cases: [(Fault, u16, &str); 5] = [
        (Fault::Garbage, 200, "<html>"),
        (Fault::Half, 200, r#"{"id":1"#),
        (Fault::NullResults, 200, r#""result":null"#),
        (Fault::Error(429), 429, "-32000"),
        (Fault::Status(503), 503, "upstream"),
    ];
    for (fault, status, words) in cases {
        provider.behave(Conduct::with_fault(fault));
        let (got, _, text) = head();
        assert_eq!(got, status, "{fault:?}");
        let parses = serde_json::from_str::<Value>(&text).is_ok();
        let right = text.contains(words) || (fault == Fault::Half && !parses);
        assert!(right, "{fault:?}: {text}");
    }
    provider.stand_still();
    eth.mine(3);
    assert!(head().2.contains("0x5"), "it stands still");
    provider.behave(Conduct::with_lag(Lag::EverySecond(2)));
    let heads: Vec<_> = (0..2).map(|_| head().2).collect();
    assert!(heads.iter().any(|text| text.contains("0x6")), "{heads:?}");
    assert!(heads.iter().any(|text| text.contains("0x8")), "{heads:?}");
    provider.behave(Conduct {
        rate: Some(Rate {
            per_second: 1.0,
            retry_after: Some(9),
        }),
        ..Conduct::default()
    });
    assert_eq!(head().0, 200);
    let (status, after, _) = head();
    assert_eq!((status, after.as_deref()), (429, Some("9")));
    assert_eq!(provider.limited(), 1);
    provider.behave(Conduct {
        door: Some(Door {
            // user:p@ss
            authorization: "Basic dXNlcjpwQHNz".into(),
            target: "/v3/plan?x=1".into(),
        }),
        ..Conduct::default()
    });
    assert_eq!(head().0, 401);
    let through = block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        let call = client.post(format!("{}/v3/plan?x=1", provider.http()));
        call.basic_auth("user", Some("p@ss"))
            .json(&body)
            .send()
            .await
    });
    assert_eq!(through.unwrap().status().as_u16(), 200);
    provider.be_good();
    assert!(provider.served()["eth_blockNumber"] > 5);
}
