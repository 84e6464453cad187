//! Chains that are not ours, and chains that are not what they were.

use super::quick::wc;
use rings_tests::{
    block_on,
    perturb::{Conduct, Provider, Stage},
    until, Anvil, Ring, LONG,
};
use std::{path::Path, time::Duration};

const TEXT: &[u8] = b"any chain will do\n";
const LIMIT: Duration = Duration::from_secs(300);

/// A chain as the world knows them: a block a second, another chain id.
fn foreign() -> Anvil {
    Anvil::start(&["--chain-id", "1337", "--block-time", "1"])
}

fn up<'a>(url: &'a str, key: &'a Path) -> [&'a str; 4] {
    ["--rpc", url, "--key", key.to_str().unwrap()]
}

/// All that a ring does, through a provider that knows no more than every provider does.
fn lives_on(proxy: &Provider, url: &str) {
    let ring = Ring::prepare();
    let key = Anvil::write_key(ring.dir().parent().unwrap());
    ring.rings(["up", "--detach", "--members", "3"])
        .args(up(url, &key))
        .limit(LIMIT)
        .ok();
    ring.start(&[]);
    let json = ring.json();
    assert_eq!(json.0["chainId"], 1337);
    assert_eq!(json.text("/rpcUrl"), url);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    let gate = receipt.gate().to_string();
    ring.kill(&[0, 1, 2]);
    ring.start(&[]);
    assert_eq!(ring.result("wc", b"again\n").0, wc(b"again\n"));
    ring.rings(["verify", &gate]).ok();
    let status = ring.rings(["status"]).text();
    assert!(
        status.contains("1337") && status.contains(&gate),
        "{status}"
    );
    ring.logs();
    drop(ring);
    println!("served: {:?}", proxy.served());
    assert!(
        proxy.refused().is_empty(),
        "beyond the standard: {:?}",
        proxy.refused()
    );
    assert!(proxy.served()["eth_sendRawTransaction"] > 0);
}

#[test]
fn a_provider_over_http() {
    let _serial = rings_tests::serial();
    let chain = foreign();
    let proxy = Provider::with(chain.port(), Conduct::public());
    lives_on(&proxy, &proxy.http());
    assert_eq!(proxy.served().get("eth_subscribe"), None);
}

#[test]
fn a_provider_over_websocket() {
    let _serial = rings_tests::serial();
    let chain = foreign();
    let proxy = Provider::with(chain.port(), Conduct::public());
    lives_on(&proxy, &proxy.ws());
    assert!(proxy.served()["eth_subscribe"] > 0);
}

#[test]
fn contracts_are_deployed_by_hand() {
    let ring = Ring::prepare();
    let chain = foreign();
    let proxy = Provider::with(chain.port(), Conduct::public());
    let key = Anvil::write_key(ring.dir().parent().unwrap());
    let members = ring.write("members.txt", "# two of us\n0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359\n");
    let deploy = || {
        let call = ring.rings(["deploy", "--json", "--rpc"]).arg(proxy.http());
        let call = call.arg("--key").arg(&key).arg("--members").arg(&members);
        call.limit(LIMIT).text()
    };
    let deployed: serde_json::Value = serde_json::from_str(&deploy()).unwrap();
    assert_eq!(deployed["chainId"], 1337);
    let address = deployed["ring"].as_str().unwrap().parse().unwrap();
    let state = block_on(
        block_on(rings_chain::Chain::connect(&proxy.http()))
            .unwrap()
            .ring_state(address),
    )
    .unwrap();
    assert_eq!((state.members.len(), state.quorum), (2, 2));
    assert_eq!(
        state.engine.to_string(),
        deployed["engine"].as_str().unwrap()
    );
    assert!(proxy.refused().is_empty(), "{:?}", proxy.refused());
}

/// What members do while another chain is at their provider's URL, and what commands say.
fn lives_through(stage: &Stage, other: &Anvil, words: &[&str]) {
    let pids = stage.pids();
    stage.provider.lead_to(other.port());
    for command in [&["status"][..], &["run", "--input", "/dev/null"]] {
        let mut call = stage.ring.rings(command.iter());
        if command[0] == "run" {
            call = call.arg(rings_tests::program("wc"));
        }
        let line = call.refused(5);
        words
            .iter()
            .for_each(|word| assert!(line.contains(word), "{word}: {line}"));
    }
    for index in 0..pids.len() {
        let client = stage.ring.client(index);
        until("the member says that it does not follow", LONG, || {
            let status = block_on(client.status()).ok()?;
            (!status.following).then_some(())
        });
    }
    assert_eq!(stage.pids(), pids, "no member has ended");
    stage.provider.lead_to(stage.chain.port());
    stage.provider.cut();
    let (output, _) = stage.result("wc", words.concat().as_bytes());
    assert_eq!(output, wc(words.concat().as_bytes()));
    assert_eq!(stage.pids(), pids, "the same members go on");
}

#[test]
fn the_chain_is_another_one_for_a_while() {
    let stage = Stage::with(3, false, &["--chain-id", "1337"], &[]);
    assert_eq!(stage.result("wc", TEXT).0, wc(TEXT));
    // Another chain id at the same place, while the members run: they do not follow that one.
    let other = Anvil::start(&["--chain-id", "1338"]);
    lives_through(&stage, &other, &["1337", "1338"]);
    // The right id, but nothing of ours on it.
    let empty = Anvil::start(&["--chain-id", "1337"]);
    let ring = stage.ring.json().text("/ring").to_owned();
    lives_through(&stage, &empty, &[&ring]);
    // Nobody there.
    let url = stage.url();
    empty.stop();
    stage.provider.lead_to(rings_tests::free_port());
    let line = stage.ring.rings(["status"]).refused(5);
    assert!(line.contains(&url), "{line}");
    stage.provider.lead_to(stage.chain.port());
    assert_eq!(stage.result("wc", b"back\n").0, wc(b"back\n"));
}

#[test]
fn a_directory_of_another_chain() {
    let ring = Ring::up(3);
    let (other, place) = (Anvil::start(&["--chain-id", "4242"]), ring.dir());
    let path = place.join("ring.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let moved = text.replace(ring.json().text("/rpcUrl"), &other.http());
    std::fs::write(&path, moved).unwrap();
    let line = ring.rings(["status"]).refused(5);
    assert!(line.contains("4242") && line.contains("31337"), "{line}");
    std::fs::write(&path, text).unwrap();
    ring.rings(["status"]).ok();
}
