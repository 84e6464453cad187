//! A ring whose blocks are in a real Kubo.

use super::quick::wc;
use rings_tests::{block_on, Kubo, Ring};
use serde_json::Value;

const TEXT: &[u8] = b"kept by another program\n";

#[test]
fn a_ring_on_kubo_and_its_logs_in_ipfs() {
    let kubo = Kubo::start();
    let ring = Ring::up_with(["--store", &format!("kubo={}", kubo.url())]);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    let cid = receipt.text("/outputs/0/cid").to_owned();
    assert_eq!(kubo.ipfs(&["cat", &cid]).ok(), output);
    assert_eq!(kubo.cid_of(TEXT), receipt.text("/inputs/0"));
    let operation = kubo.ipfs(&["cat", receipt.text("/operation/cid")]).text();
    let operation: Value = serde_json::from_str(&operation).unwrap();
    assert_eq!(
        operation["program"]["/"],
        receipt.text("/operation/program")
    );

    let json = ring.json();
    for index in 0..3 {
        let status = block_on(ring.client(index).status()).unwrap();
        assert_eq!(status.store.kind, "kubo");
        let page =
            block_on(
                ring.client(index)
                    .log(json.address("/ring"), json.member(index), None, 100),
            )
            .unwrap();
        for entry in page.nodes {
            let node = kubo.ipfs(&["dag", "get", &entry.cid.to_string()]).text();
            let node: Value = serde_json::from_str(&node).unwrap();
            assert_eq!(node, entry.node, "as DAG-JSON");
            assert_eq!(node["content"]["seq"], entry.seq);
            let bytes = kubo.ipfs(&["block", "get", &entry.cid.to_string()]).ok();
            assert_eq!(bytes, entry.bytes.0);
        }
    }
    let heads: Vec<_> = ring.logs().iter().map(|log| log.nodes.len()).collect();
    assert!(
        heads.iter().filter(|length| **length > 0).count() >= 2,
        "{heads:?}"
    );

    ring.stop();
    ring.start(&[]);
    assert_eq!(ring.result("wc", b"more\n").0, wc(b"more\n"));

    drop(kubo);
    let line = ring.rings(["add"]).arg(ring.write("file", "x")).call();
    line.ends_with(5);
    assert!(
        line.stderr.contains("Kubo") || line.stderr.contains("127.0.0.1"),
        "{}",
        line.stderr
    );
}

#[test]
fn a_kubo_that_is_not_there() {
    let ring = Ring::prepare();
    let line = ring
        .rings([
            "up",
            "--detach",
            "--members",
            "1",
            "--store",
            "kubo=http://127.0.0.1:1",
        ])
        .refused(5);
    assert!(line.contains("http://127.0.0.1:1"), "{line}");
}

#[test]
fn the_embedded_store_gives_the_names_of_ipfs() {
    let kubo = Kubo::start();
    let ring = Ring::up(1);
    for bytes in [0, 1, 262_143, 262_144, 262_145, 1_000_000, 45_613_057] {
        let content: Vec<u8> = (0..bytes)
            .map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let file = ring.write("file", &content);
        let cid = ring.rings(["add"]).arg(&file).text();
        assert_eq!(cid.trim(), kubo.cid_of(&content), "{bytes} bytes");
        assert!(
            ring.rings(["cat", cid.trim()]).ok() == content,
            "{bytes} bytes come back"
        );
    }
    let by_pipe = ring.rings(["add", "-"]).stdin("hello worlds\n").text();
    assert_eq!(by_pipe.trim(), kubo.cid_of(b"hello worlds\n"));
}
