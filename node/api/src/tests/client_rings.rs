//! The methods of client rings: their parameters, their answers, and the data of their errors.

use super::{
    super::{client_rings::*, Client, ClientError, HexBytes},
    fake::cid,
    fake_client_rings::{held, relayed, rings, FEE, GOOD, NAME},
    TestServer,
};
use rings_protocol::{Address, Digest};
use serde_json::{json, Value};

fn flush(first: u8) -> Value {
    let mut avatar = GOOD;
    avatar.0[0] = first;
    json!({
        "avatar": avatar, "ring": GOOD, "mtx": "0x0102", "mtx_sig": "0x05", "logNodes": ["0x03", "0x"],
    })
}

#[tokio::test]
async fn every_refusal_has_its_code_message_and_data() {
    let server = TestServer::start().await;
    let cids = json!([cid("one").to_string(), cid("two").to_string()]);
    let head = json!(format!("0x{}", "05".repeat(32)));
    for (first, code, message, data) in [
        (1, -32001, "log replication incomplete", Some(cids)),
        (2, -32002, "unknown replica key", None),
        (3, -32003, "signature does not match avatar", None),
        (4, -32004, "not a member", None),
        (5, -32005, "stale head", Some(head)),
        (
            6,
            -32006,
            "reverted",
            Some(json!("NotMember(account = 0x01)")),
        ),
        (7, -32007, "busy", Some(json!(17))),
    ] {
        let error = server.call("FlushToRing", flush(first)).await["error"].take();
        let said = (&error["code"], &error["message"]);
        assert_eq!(said, (&json!(code), &json!(message)), "{error}");
        if let Some(data) = data {
            assert_eq!(error["data"], data);
        }
    }
    let mut unknown = flush(9);
    unknown["more"] = json!(1);
    let error = server.call("FlushToRing", unknown).await["error"].take();
    assert_eq!(error["code"], -32602, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn answers_have_the_names_of_the_interface() {
    let server = TestServer::start().await;
    let answer = server.call("FlushToRing", flush(9)).await;
    let expected = json!({
        "status": "relayed",
        "msg_hash": format!("0x{}", "09".repeat(32)),
        "tx": format!("0x{}", "08".repeat(32)),
        "txfee": format!("{FEE:#x}"),
    });
    assert_eq!(answer["result"], expected);
    let params = json!({ "msg_hash": NAME });
    let answer = server.call("rings_getMessage", params).await;
    assert_eq!(answer["result"], expected);
    let answer = server
        .call("rings_getMessage", json!({ "msg_hash": Digest::ZERO }))
        .await;
    assert!(answer["result"].is_null() && answer.get("error").is_none());
    let append = json!({ "avatar": GOOD, "ring": GOOD, "logNodes": [], "replicas": 2, "wait": 50 });
    let answer = server.call("AppendToRing", append).await;
    assert_eq!(answer["result"], json!(held()));
    assert_eq!(answer["result"]["status"], "held");
    let answer = server.call("rings_getClientRings", json!({})).await;
    let head = format!("0x{}", "05".repeat(32));
    let expected = json!({
        "rings": [{ "ring": GOOD, "bytes": 12, "heads": [
            { "avatar": Address([3; 20]), "seq": 4, "head": head, "since": 6 },
        ] }],
        "next": GOOD,
    });
    assert_eq!(answer["result"], expected);
    server.stop().await;
}

#[tokio::test]
async fn the_client_reads_what_the_server_writes() {
    let server = TestServer::start().await;
    let client = Client::new(&server.url("/"), None).unwrap();
    let request = |avatar| FlushParams {
        avatar,
        ring: GOOD,
        mtx: HexBytes(vec![1, 2]),
        mtx_sig: HexBytes(vec![5]),
        log_nodes: vec![HexBytes(vec![3]), HexBytes(vec![])],
    };
    assert_eq!(client.flush(&request(GOOD)).await.unwrap(), relayed());
    let refused = client.flush(&request(Address([7; 20]))).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Rpc { code: -32007, data, .. } if data == "17"),
        "{refused}"
    );
    let append = AppendParams {
        avatar: GOOD,
        ring: GOOD,
        log_nodes: vec![],
        replicas: Some(2),
        wait: Some(50),
        replica_key: Some(HexBytes(vec![6])),
    };
    assert_eq!(client.append(&append).await.unwrap(), held());
    let replicate = ReplicateParams {
        ring: Address([1; 20]),
        replica_ring: GOOD,
        replica_key: HexBytes(vec![]),
        mtx: HexBytes(vec![]),
        mtx_sig: HexBytes(vec![]),
        log_nodes: vec![],
    };
    let failed = client.replicate(&replicate).await.unwrap();
    assert_eq!(failed.reason.as_deref(), Some("expired"));
    assert_eq!(client.message(NAME).await.unwrap(), Some(relayed()));
    assert_eq!(client.message(Digest::ZERO).await.unwrap(), None);
    for from in [None, Some(GOOD)] {
        let which = ClientRingsParams { ring: None, from };
        let answer = client.client_rings(&which).await.unwrap();
        assert_eq!(answer, rings(from));
    }
    server.stop().await;
}
