//! Requests without a gate: asked in a member's log, computed by all, made final by ring nodes.

use super::quick::wc;
use cid::Cid;
use rings_api::{
    views::{RequestInputView, RequestState, RequestView, RequestedView},
    Client, ClientError, Pin, RequestParams,
};
use rings_chain::Chain;
use rings_protocol::{
    cids::digest_of,
    gate::FAILURE_PIN,
    operation::{Mode, Operation},
    ringlog::{gate_subject, Entry, EntryProof, Outcome},
    Address, Digest,
};
use rings_tests::{block_on, program, quantity, until, Eth, Program, Ring, LONG};
use serde_json::json;
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// How long a ring is watched that has nothing to do: ten times what its results wait for a ring node.
const IDLE: Duration = Duration::from_secs(10);

/// The selector of `registerRingNode`.
const REGISTER_RING_NODE: &str = "0x43c40bc6";

/// Puts bytes into a member's store.
fn add(client: &Client, bytes: impl Into<Vec<u8>>) -> Cid {
    let bytes = std::io::Cursor::new(bytes.into());
    block_on(client.add(bytes)).unwrap().cid
}

/// The operation that runs an example over all inputs.
fn operation(client: &Client, name: &str) -> Cid {
    let program = add(client, fs::read(program(name)).unwrap());
    let operation = Operation {
        args: vec![],
        fuel: 1_000_000_000,
        memory: 64 << 20,
        mode: Mode::Cat,
        output: None,
        profile: block_on(client.status()).unwrap().profile,
        program,
        stack: None,
        state: false,
        time: 0,
    };
    add(client, operation.to_dag_json().unwrap())
}

/// Asks member `index` for an example over these inputs.
fn ask(ring: &Ring, index: usize, name: &str, inputs: Vec<RequestInputView>) -> RequestedView {
    let params = params(ring, index, name, inputs);
    block_on(ring.client(index).request(&params)).unwrap()
}

fn params(ring: &Ring, index: usize, name: &str, inputs: Vec<RequestInputView>) -> RequestParams {
    RequestParams {
        ring: ring.json().address("/ring"),
        operation: operation(&ring.client(index), name),
        inputs,
        nonce: 0,
        until: None,
    }
}

fn data(client: &Client, bytes: &[u8]) -> RequestInputView {
    RequestInputView::Data {
        cid: add(client, bytes),
    }
}

/// Waits until a member has a request in this state.
fn wait(ring: &Ring, index: usize, request: Digest, state: RequestState) -> RequestView {
    let client = ring.client(index);
    let what = format!("member {index} has request {request} {state:?}");
    until(&what, LONG, || {
        let view = block_on(client.get_request(request)).ok()?;
        (view.state == state).then_some(view)
    })
}

/// Transactions to the ring's contract since a block.
fn sent_to_ring(ring: &Ring, eth: &Eth, since: u64) -> usize {
    let address = ring.json().text("/ring").to_lowercase();
    let all = eth.transactions_since(since).into_iter();
    let to_ring = all.filter(|(transaction, _)| {
        let to = transaction["to"].as_str().unwrap_or_default();
        to.to_lowercase() == address
    });
    to_ring.count()
}

fn check_proof(ring: &Ring, chain: &Chain, request: Digest, expected: &Outcome) {
    let address = ring.json().address("/ring");
    let view = block_on(ring.client(0).proof(request)).unwrap();
    let proof = EntryProof::from_bytes(&view.proof.0).unwrap();
    let anchor = view.anchor.number;
    assert_eq!(proof.anchor(), Ok(anchor));
    let named = block_on(chain.ring_node_at(address, anchor))
        .unwrap()
        .unwrap();
    let listing = proof.verify(named).unwrap();
    assert_eq!(listing.number, view.ring_node.number);
    let Entry::Result {
        request: listed,
        outcome,
        ..
    } = &proof.entry
    else {
        panic!("a decision is listed: {:?}", proof.entry);
    };
    assert_eq!((*listed, outcome), (request, expected));
    let contract = &view.contract;
    let holds = |entry: &[u8]| {
        let (header, path) = (&contract.header.0, &contract.path);
        block_on(chain.prove_result(address, header, contract.number, entry, path)).unwrap()
    };
    assert!(holds(&contract.entry.0), "the contract accepts the proof");
    let mut other = contract.entry.0.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(!holds(&other), "and nothing else");
}

#[test]
fn twenty_requests_are_agreed_listed_and_proven_though_a_member_is_killed() {
    let ring = Ring::up(4);
    let (chain, eth) = (ring.chain(), Eth::at(ring.json().text("/rpcUrl")));
    let address = ring.json().address("/ring");
    let before = eth.block_number() + 1;
    let input = |n: usize| format!("request {n}\nof twenty\n").into_bytes();
    let mut asked = Vec::new();
    for n in 0..20 {
        if n == 10 {
            ring.kill(&[3]);
        }
        let index = n % 3;
        let bytes = data(&ring.client(index), &input(n));
        let requested = ask(&ring, index, "wc", vec![bytes]);
        assert!(requested.fresh && requested.node.is_some());
        let again = ask(&ring, index, "wc", vec![bytes]);
        assert_eq!((again.request, again.fresh), (requested.request, false));
        asked.push(requested.request);
    }
    ring.start_member(3, Program::Honest);
    for (n, request) in asked.iter().enumerate() {
        for index in 0..4 {
            let view = wait(&ring, index, *request, RequestState::Listed);
            assert!(view.is_final && view.ring_node.is_some());
            let result = view.result.clone().unwrap();
            let digest = digest_of(&result[0].cid).unwrap();
            if index == 0 {
                let client = ring.client(0);
                let expected = add(&client, wc(&input(n)));
                assert_eq!(result[0].cid, expected, "request {n}");
                check_proof(&ring, &chain, *request, &Outcome::Outputs(vec![digest]));
            }
        }
    }

    let count = block_on(chain.ring_node_count(address)).unwrap();
    println!("20 requests were listed by {count} ring nodes");
    assert!((1..=12).contains(&count), "{count} ring nodes");
    assert_eq!(sent_to_ring(&ring, &eth, before) as u64, count);
    let head = block_on(chain.ring_node_head(address)).unwrap();
    let newest = block_on(chain.ring_node_at(address, count - 1)).unwrap();
    assert_eq!(newest, Some(head));
    for log in ring.logs() {
        let head = block_on(chain.log_head(address, log.member)).unwrap();
        let place = log.nodes.iter().position(|node| node.digest() == head);
        assert!(place.is_some(), "the head of {} is in its log", log.member);
    }

    // An idle ring pays nothing. This does not wait for a condition, because nothing is to happen.
    let (began, block) = (Instant::now(), eth.block_number());
    while began.elapsed() < IDLE {
        thread::sleep(Duration::from_millis(500));
        assert_eq!(eth.block_number(), block, "an idle ring sends nothing");
    }
    ring.logs();
}

/// Writes a key into the configuration of all members and starts them again.
fn configure(ring: &Ring, section: &str, line: &str) {
    ring.stop();
    for index in 0..ring.json().count() {
        let path = ring.member_dir(index).join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let head = format!("[{section}]\n");
        let text = match text.contains(&head) {
            true => text.replace(&head, &format!("{head}{line}\n")),
            false => format!("{text}\n{head}{line}\n"),
        };
        fs::write(&path, text).unwrap();
    }
    ring.start(&[]);
}

#[test]
fn an_output_is_the_input_of_the_next_request_and_a_failure_is_a_result() {
    let ring = Ring::up(4);
    let text = b"b\na\nc\n";
    let first = data(&ring.client(0), text);
    let sorted = ask(&ring, 0, "sort", vec![first]).request;
    let output = RequestInputView::Output {
        request: sorted,
        pin: 0,
    };
    // Asked of another member, in whose log the first request does not stand.
    let counted = ask(&ring, 1, "wc", vec![output]).request;
    let view = wait(&ring, 2, counted, RequestState::Listed);
    assert_eq!(view.inputs, [output]);
    let expected = add(&ring.client(0), wc(text));
    assert_eq!(view.result.unwrap()[0].cid, expected);
    let before = wait(&ring, 2, sorted, RequestState::Listed);
    let numbers = [before.ring_node, view.ring_node].map(|node| node.unwrap().number);
    assert!(numbers[0] <= numbers[1], "upstream first: {numbers:?}");
    assert!(view.votes.iter().all(|vote| vote.agrees == Some(true)));

    let failed = ask(&ring, 0, "exit", vec![]).request;
    let view = wait(&ring, 3, failed, RequestState::Listed);
    assert_eq!(view.result.unwrap()[0].pin, Pin(FAILURE_PIN));
}

#[test]
fn results_of_gates_are_listed_and_the_heads_on_chain_follow_them() {
    let ring = Ring::up(3);
    configure(&ring, "ring_log", "gates = 2");
    let (chain, address) = (ring.chain(), ring.json().address("/ring"));
    let gates = [b"one\n", b"two\n"].map(|text| {
        let (output, receipt) = ring.result("wc", text);
        (receipt.gate(), add(&ring.client(0), output))
    });
    for (gate, output) in gates {
        let subject = gate_subject(gate);
        let view = wait(&ring, 1, subject, RequestState::Listed);
        assert_eq!(view.result.unwrap()[0].cid, output);
        let outcome = Outcome::Outputs(vec![digest_of(&output).unwrap()]);
        wait(&ring, 0, subject, RequestState::Listed);
        check_proof(&ring, &chain, subject, &outcome);
    }
    let count = block_on(chain.ring_node_count(address)).unwrap();
    assert!((1..=2).contains(&count), "{count} ring nodes");
    for log in ring.logs() {
        let head = block_on(chain.log_head(address, log.member)).unwrap();
        assert!(log.nodes.iter().any(|node| node.digest() == head));
    }
}

#[test]
fn more_than_one_may_ask_is_refused_and_what_nobody_can_agree_on_expires() {
    let ring = Ring::up(3);
    configure(&ring, "requests", "open = 2");
    ring.kill(&[1, 2]);
    let request = |nonce: u64, until: Option<u64>| RequestParams {
        nonce,
        until,
        ..params(&ring, 0, "wc", vec![data(&ring.client(0), b"quota")])
    };
    let ask = |nonce: u64, until: Option<u64>| {
        let asked = block_on(ring.client(0).request(&request(nonce, until)));
        asked.map(|asked| asked.request)
    };
    let code = |answer: Result<Digest, ClientError>| match answer {
        Err(ClientError::Rpc { code, data, .. }) => (code, data),
        other => panic!("not refused: {other:?}"),
    };
    let expiring = ask(1, Some(0)).unwrap();
    let open = ask(2, None).unwrap();
    let (refused, reason) = code(ask(3, None));
    assert_eq!(refused, -32009, "{reason}");
    assert!(reason.contains("2 open requests"), "{reason}");
    let (refused, reason) = code(ask(4, Some(1_000_000)));
    assert_eq!(refused, -32602, "{reason}");
    // Without two thirds nothing is agreed.
    until("member 0 alone has voted", LONG, || {
        let view = wait(&ring, 0, open, RequestState::Open);
        (view.silent.len() == 2).then_some(())
    });
    // Another member asks for something that is agreed first, in the ring node that is the last one for `expiring`. Member 0
    // is away meanwhile, so nobody else has its requests.
    ring.kill(&[0]);
    ring.start_member(1, Program::Honest);
    ring.start_member(2, Program::Honest);
    let other = params(&ring, 1, "sort", vec![data(&ring.client(1), b"b\na\n")]);
    let other = block_on(ring.client(1).request(&other)).unwrap().request;
    wait(&ring, 2, other, RequestState::Listed);
    ring.start_member(0, Program::Honest);
    wait(&ring, 0, open, RequestState::Listed);
    let view = wait(&ring, 0, expiring, RequestState::Expired);
    assert_eq!((view.result.is_some(), view.ring_node), (false, None));
    assert!(ask(3, None).is_ok(), "there is room again");
}

#[test]
fn a_ring_node_that_is_reorganised_away_is_registered_again() {
    let ring = Ring::up(4);
    let (chain, eth) = (ring.chain(), Eth::at(ring.json().text("/rpcUrl")));
    let address = ring.json().address("/ring");
    let kept = ask(&ring, 0, "wc", vec![data(&ring.client(0), b"kept\n")]).request;
    wait(&ring, 0, kept, RequestState::Listed);
    let depth = eth.block_number();
    let lost = ask(&ring, 1, "wc", vec![data(&ring.client(1), b"lost\n")]).request;
    for index in 0..4 {
        wait(&ring, index, lost, RequestState::Listed);
    }
    // Who sent it is away, so that nobody sends the same transaction again.
    let view = block_on(ring.client(0).get_request(lost)).unwrap();
    let first = view.ring_node.unwrap();
    let sent = eth.call("eth_getTransactionByHash", &json!([first.transaction]));
    let sender: Address = sent["from"].as_str().unwrap().parse().unwrap();
    let away = ring
        .json()
        .members()
        .iter()
        .position(|member| *member == sender);
    let away = away.expect("a member sent it");
    ring.kill(&[away]);
    let depth = eth.block_number() - depth;
    drop(eth.call("anvil_reorg", &json!([depth, []])));
    eth.mine(2);
    let count = || block_on(chain.ring_node_count(address)).unwrap();
    assert_eq!(count(), 1, "it is gone with its block");
    until("a ring node is registered on the new branch", LONG, || {
        (count() == 2).then_some(())
    });
    ring.start_member(away, Program::Honest);
    for (number, request) in [(0, kept), (1, lost)] {
        for index in 0..4 {
            let client = ring.client(index);
            until("all see it on the new branch", LONG, || {
                let view = block_on(client.get_request(request)).ok()?;
                let node = view.ring_node.filter(|node| node.number == number)?;
                let named = block_on(chain.ring_node_at(address, number)).unwrap()?;
                (digest_of(&node.cid) == Ok(named)).then_some(())
            });
        }
    }
    let view = block_on(ring.client(2).get_request(lost)).unwrap();
    assert_ne!(view.ring_node.unwrap().transaction, first.transaction);
    let digest = digest_of(&view.result.unwrap()[0].cid).unwrap();
    check_proof(&ring, &chain, lost, &Outcome::Outputs(vec![digest]));
}

#[test]
fn a_member_that_votes_wrongly_is_outvoted_and_shown() {
    let ring = Ring::up(4);
    let liar = ring.json().member(3);
    ring.terminate(&[3]);
    ring.start_member(3, Program::Faulty);
    let asked = ask(&ring, 3, "wc", vec![data(&ring.client(3), b"true\n")]).request;
    let view = until("the liar has voted too", LONG, || {
        let view = wait(&ring, 0, asked, RequestState::Listed);
        (view.votes.len() == 4).then_some(view)
    });
    let expected = add(&ring.client(0), wc(b"true\n"));
    assert_eq!(view.result.unwrap()[0].cid, expected);
    for vote in view.votes {
        assert_eq!(vote.agrees, Some(vote.member != liar));
    }
}

#[test]
fn all_are_killed_with_requests_under_way_and_nothing_is_lost() {
    let ring = Ring::up(4);
    for milliseconds in [0, 300, 700, 1200] {
        let asked: Vec<_> = (0..8)
            .map(|n| {
                let text = format!("{milliseconds} {n}\n");
                let input = data(&ring.client(n % 4), text.as_bytes());
                (text, ask(&ring, n % 4, "wc", vec![input]).request)
            })
            .collect();
        // This does not wait for a condition, because the test varies the moment.
        thread::sleep(Duration::from_millis(milliseconds));
        ring.kill(&[0, 1, 2, 3]);
        ring.start(&[]);
        for (n, (text, request)) in asked.into_iter().enumerate() {
            let view = wait(&ring, n % 4, request, RequestState::Listed);
            let expected = add(&ring.client(0), wc(text.as_bytes()));
            assert_eq!(view.result.unwrap()[0].cid, expected);
        }
    }
    ring.logs();
}

#[test]
fn many_results_cost_little_gas() {
    const ASKERS: usize = 8;
    const EACH: usize = 25;
    let ring = Ring::up(4);
    let eth = Eth::at(ring.json().text("/rpcUrl"));
    let began = Instant::now();
    let base = params(&ring, 0, "wc", vec![data(&ring.client(0), b"many\n")]);
    let asked: Vec<Digest> = thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|asker| {
                let (client, base) = (ring.client(asker % 4), base.clone());
                scope.spawn(move || {
                    let nonces = (0..EACH).map(|n| (asker * EACH + n) as u64);
                    let ask = |nonce| {
                        let params = RequestParams {
                            nonce,
                            ..base.clone()
                        };
                        block_on(client.request(&params)).unwrap().request
                    };
                    nonces.map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        let asked = askers.into_iter().flat_map(|asker| asker.join().unwrap());
        asked.collect()
    });
    for request in &asked {
        wait(&ring, 0, *request, RequestState::Listed);
    }
    let address = ring.json().text("/ring").to_lowercase();
    let all = eth.transactions_since(0).into_iter();
    let nodes = all.filter(|(transaction, _)| {
        let to = transaction["to"].as_str().unwrap_or_default();
        let data = transaction["input"].as_str().unwrap_or_default();
        to.to_lowercase() == address && data.starts_with(REGISTER_RING_NODE)
    });
    let gas: Vec<_> = nodes
        .map(|(_, receipt)| quantity(&receipt["gasUsed"]))
        .collect();
    let (results, total) = (asked.len() as u64, gas.iter().sum::<u64>());
    println!(
        "{results} results in {:.1?} by {} ring nodes: {} gas a result",
        began.elapsed(),
        gas.len(),
        total / results
    );
    assert!(!gas.is_empty() && total / results < 20_000);
}
