//! Chains that are not ours, and chains that are not what they were.

use super::quick::wc;
use rings_tests::{block_on, free_port, until, Anvil, Proxy, Ring, LONG};
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
fn lives_on(proxy: &Proxy, url: &str) {
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
    let proxy = Proxy::before(chain.port());
    lives_on(&proxy, &proxy.http());
    assert_eq!(proxy.served().get("eth_subscribe"), None);
}

#[test]
fn a_provider_over_websocket() {
    let _serial = rings_tests::serial();
    let chain = foreign();
    let proxy = Proxy::before(chain.port());
    lives_on(&proxy, &proxy.ws());
    assert!(proxy.served()["eth_subscribe"] > 0);
}

#[test]
fn contracts_are_deployed_by_hand() {
    let ring = Ring::prepare();
    let chain = foreign();
    let proxy = Proxy::before(chain.port());
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

#[test]
fn the_chain_is_another_one_now() {
    let ring = Ring::prepare();
    let port = free_port();
    let chain = Anvil::on(port, &["--chain-id", "1337"]);
    let (url, key) = (chain.http(), Anvil::write_key(ring.dir().parent().unwrap()));
    ring.start(&[&["--members", "3"][..], &up(&url, &key)].concat());
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));

    // Another chain id at the same place, while the members run: they do not follow that one.
    chain.stop();
    let chain = Anvil::on(port, &["--chain-id", "1338"]);
    for command in [&["status"][..], &["run", "--input", "/dev/null"]] {
        let call = ring.rings(command.iter());
        let call = if command[0] == "run" {
            call.arg(rings_tests::program("wc"))
        } else {
            call
        };
        let line = call.refused(5);
        assert!(line.contains("1337") && line.contains("1338"), "{line}");
    }
    // Each of them sees it, and ends with one line that says so.
    for index in 0..3 {
        let log = ring.member_dir(index).join("node.log");
        until(
            "the member has seen that its chain is another",
            LONG,
            || {
                let text = std::fs::read_to_string(&log).unwrap();
                let last = text.lines().last().unwrap();
                (last.starts_with("error: ") && last.contains("1338") && !ring.answers(index))
                    .then_some(())
            },
        );
    }

    // The right id, but nothing of ours on it.
    chain.stop();
    let chain = Anvil::on(port, &["--chain-id", "1337"]);
    let ring_address = ring.json().text("/ring").to_owned();
    for command in ["status", "up"] {
        let call = ring.rings([command]);
        let call = if command == "up" {
            call.arg("--detach")
        } else {
            call
        };
        let line = call.refused(5);
        assert!(line.contains(&ring_address), "{line}");
    }

    // Nobody there.
    chain.stop();
    let line = ring.rings(["status"]).refused(5);
    assert!(line.contains(&url), "{line}");
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
