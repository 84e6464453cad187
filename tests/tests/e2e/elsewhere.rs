//! Rings that others run: a directory from the chain alone, and looking at one without any directory.

use super::quick::wc;
use rings_tests::{free_port, program, Anvil, Ring};
use serde_json::Value;
use std::fs;

const TEXT: &[u8] = b"from far away\n";

#[test]
fn a_ring_of_others_is_joined_and_looked_at_from_the_chain() {
    let ring = Ring::up(3);
    let json = ring.json();
    let (rpc, address) = (
        json.text("/rpcUrl").to_owned(),
        json.text("/ring").to_owned(),
    );
    let url = |index: usize| json.text(&format!("/members/{index}/rpcUrl")).to_owned();
    let place = ring.file("joined");
    let join = |args: &[&str]| {
        let call = ring.rings(["join", "--rpc", &rpc, "--ring", &address, "--dir"]);
        call.arg(&place).args(args)
    };
    // From the chain alone: nobody can be asked yet, and nothing is thrown away.
    join(&[]).ok();
    let here = |args: &[&str]| ring.rings(args).arg("--dir").arg(&place);
    let run = || {
        let call = ring.rings(["run", "--dir"]).arg(&place).stdin(TEXT);
        call.arg(program("wc"))
    };
    let line = run().refused(5);
    assert!(line.contains("--member URL"), "{line}");

    let (key, token) = (ring.dir().join("client.key"), ring.dir().join("token"));
    let (key, token) = (key.to_str().unwrap(), token.to_str().unwrap());
    join(&[
        "--key",
        key,
        "--member",
        &url(0),
        "--member",
        &url(2),
        "--token",
        token,
    ])
    .ok();
    assert_eq!(run().ok(), wc(TEXT));
    let written: Value =
        serde_json::from_slice(&fs::read(place.join("ring.json")).unwrap()).unwrap();
    for key in ["chainId", "engine", "scope", "ring"] {
        assert_eq!(written[key], json.0[key], "{key}");
    }
    let status: Value = serde_json::from_slice(&here(&["status", "--json"]).ok()).unwrap();
    let following = |index: usize| status["members"][index]["following"] == true;
    let count = (0..3).filter(|index| following(*index)).count();
    assert_eq!(
        count, 2,
        "those that are known are judged by their answers: {status}"
    );
    let line = here(&["down"]).refused(2);
    assert!(line.contains("other machines"), "{line}");

    // Without any directory.
    let look = |args: &[&str]| ring.rings(args).args(["--rpc", &rpc, "--ring", &address]);
    let gates: Value = serde_json::from_slice(&look(&["gate", "list", "--json"]).ok()).unwrap();
    let gate = gates["gates"][0]["gate"].as_str().unwrap().to_owned();
    assert_eq!(gates["gates"][0]["state"], "resolved");
    assert!(look(&["ring", "show"]).text().contains("members"));
    assert!(look(&["status"]).text().contains(&gate));
    let shown = look(&["gate", "show", &gate]).text();
    assert!(
        shown.contains("resolved") && shown.contains("output"),
        "{shown}"
    );
    let line = look(&["verify", &gate]).refused(2);
    assert!(line.contains("--member URL"), "{line}");
    let report = look(&["verify", &gate, "--json", "--member", &url(1)]).ok();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["right"], true);
    let cid = report["computed"][0]["cid"].as_str().unwrap();
    let cat = ["cat", &format!("ipfs://{cid}"), "--member", &url(1)];
    assert_eq!(look(&cat).ok(), wc(TEXT));
    let unknown = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for member in [&[][..], &["--member", &url(1)]] {
        let line = look(&[&["gate", "show", unknown][..], member].concat()).refused(2);
        assert!(line.contains(unknown), "{line}");
    }
    // One that does not answer hides nothing of the others.
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let some = ["status", "--json", "--member", &nobody, "--member", &url(1)];
    let status: Value = serde_json::from_slice(&look(&some).ok()).unwrap();
    let members = status["members"].as_array().unwrap().iter();
    let following = members.filter(|member| member["following"] == true);
    assert_eq!(following.count(), 1, "{status}");
    look(&["status", "--member", &nobody]).refused(5);
    let wrong = ring
        .rings(["status", "--rpc", &rpc, "--ring", unknown])
        .refused(2);
    assert!(wrong.contains("no ring at"), "{wrong}");
}

#[test]
fn a_deployed_ring_has_a_directory() {
    let ring = Ring::prepare();
    let chain = Anvil::start(&["--chain-id", "1337"]);
    let key = Anvil::write_key(ring.dir().parent().unwrap());
    let members = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n";
    let url = chain.http();
    let deploy = ring.rings(["deploy", "--json", "--rpc", &url, "--members", "-", "--key"]);
    let deployed = deploy.arg(&key).stdin(members).ok();
    let deployed: Value = serde_json::from_slice(&deployed).unwrap();
    let json = ring.json();
    for name in ["chainId", "engine", "scope", "ring"] {
        assert_eq!(json.0[name], deployed[name], "{name}");
    }
    let status = ring.rings(["status"]).text();
    assert!(status.contains("no URL is known"), "{status}");
    let line = ring.run(&[], "wc", &[]).stdin(TEXT).refused(5);
    assert!(line.contains("join"), "{line}");
}
