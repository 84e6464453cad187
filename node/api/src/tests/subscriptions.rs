//! Subscriptions of WebSocket sessions: what is told, to whom, and what becomes of who does not read.

use super::{
    super::{
        news::QUEUED,
        notices::{HeadNotice, MessageNotice, Notice, SubscribeParams, Topic},
        Client, ClientError, HttpLimits,
    },
    abuse::open_session,
    fake::{MEMBER, RING, SLOW_GATE},
    fake_client_rings::{relayed, NAME},
    TestServer,
};
use rings_protocol::{Address, Digest};
use serde_json::{json, Value};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn head(seq: u64) -> Notice {
    Notice::Heads(HeadNotice {
        ring: RING,
        member: MEMBER,
        seq,
        head: Digest([4; 32]),
        since: 1_700_000_000_000,
    })
}

pub(super) fn relayed_message() -> Notice {
    Notice::Messages(MessageNotice {
        ring: RING,
        avatar: MEMBER,
        message: relayed(),
    })
}

fn call(id: u64, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

#[tokio::test]
async fn a_session_is_told_what_it_subscribed_to_until_it_ends_that() {
    let server = TestServer::start().await;
    let mut session = open_session(&server).await;
    let heads = json!({ "kind": "heads", "ring": RING });
    session.send(&call(1, "rings_subscribe", heads)).await;
    let answer: Value = serde_json::from_str(&session.receive().await).unwrap();
    assert_eq!((&answer["id"], &answer["result"]), (&json!(1), &json!(1)));
    server.node.news.tell(relayed_message());
    server.node.news.tell(head(5));
    let told: Value = serde_json::from_str(&session.receive().await).unwrap();
    let expected = json!({
        "jsonrpc": "2.0", "method": "rings_subscription", "params": { "subscription": 1, "result": {
            "kind": "heads", "ring": RING, "member": MEMBER, "seq": 5, "head": Digest([4; 32]),
            "since": 1_700_000_000_000_u64,
        } },
    });
    assert_eq!(told, expected);
    for (id, ended) in [(2, true), (3, false)] {
        let which = json!({ "subscription": 1 });
        session.send(&call(id, "rings_unsubscribe", which)).await;
        let answer: Value = serde_json::from_str(&session.receive().await).unwrap();
        assert_eq!(
            (&answer["id"], &answer["result"]),
            (&json!(id), &json!(ended))
        );
    }
    // What happens now is not told: the next message is the answer to the next call.
    server.node.news.tell(head(6));
    session.send(&call(4, "rings_status", json!({}))).await;
    let answer: Value = serde_json::from_str(&session.receive().await).unwrap();
    assert_eq!(answer["id"], 4);
    server.stop().await;
}

#[tokio::test]
async fn a_session_is_told_while_a_call_of_it_waits() {
    let server = TestServer::start().await;
    let mut session = open_session(&server).await;
    let heads = json!({ "kind": "heads" });
    session.send(&call(1, "rings_subscribe", heads)).await;
    session.receive().await;
    let slow = call(2, "rings_getGate", json!({ "gate": SLOW_GATE }));
    session.send(&slow).await;
    let waits = async {
        while server.node.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waits).await.unwrap();
    server.node.news.tell(head(7));
    let told: Value = serde_json::from_str(&session.receive().await).unwrap();
    assert_eq!(told["params"]["result"]["seq"], 7);
    server.node.gates.add_permits(1);
    let answer: Value = serde_json::from_str(&session.receive().await).unwrap();
    assert_eq!(answer["id"], 2);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    let limits = HttpLimits {
        subscriptions: 2,
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let heads = json!({ "kind": "heads" });
    // Only a session can be told anything.
    let posted = server.call("rings_subscribe", heads.clone()).await;
    assert_eq!(posted["error"]["code"], -32009, "{posted}");
    let mut session = open_session(&server).await;
    for (params, code) in [
        (json!({}), Some(-32602)),
        (json!({ "kind": "tails" }), Some(-32602)),
        (json!({ "kind": "heads", "more": 1 }), Some(-32602)),
        (json!({ "kind": "heads", "gate": RING }), Some(-32602)),
        (json!({ "kind": "gates", "gate": RING }), None),
        (json!({ "kind": "messages", "msg_hash": NAME }), None),
        (heads, Some(-32009)),
    ] {
        session
            .send(&call(1, "rings_subscribe", params.clone()))
            .await;
        let answer: Value = serde_json::from_str(&session.receive().await).unwrap();
        assert_eq!(answer["error"]["code"].as_i64(), code, "{params}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_read_is_told_how_many_it_missed_and_others_are_told_all() {
    let server = TestServer::start().await;
    let client = Client::new(&server.url("/"), None).unwrap();
    let heads = SubscribeParams::all(Topic::Heads);
    let mut quick = client.subscribe(&heads).await.unwrap();
    let mut slow = open_session(&server).await;
    // Many subscriptions, so that a notice takes much room in the socket.
    for id in 0..16 {
        slow.send(&call(id, "rings_subscribe", json!(heads))).await;
        slow.receive().await;
    }
    let mut seq = 0;
    // Enough to fill the buffers of two sockets, and the queue behind them.
    for _ in 0..8 * QUEUED {
        server.node.news.tell(head(seq));
        assert_eq!(quick.next().await.unwrap(), head(seq));
        seq += 1;
    }
    let told = async {
        loop {
            let told: Value = serde_json::from_str(&slow.receive().await).unwrap();
            let result = &told["params"]["result"];
            if result["kind"] == "missed" {
                return result["count"].as_u64().unwrap();
            }
        }
    };
    let missed = timeout(PATIENCE, told).await.unwrap();
    assert!(missed > 0 && missed < seq, "{missed} of {seq}");
    server.stop().await;
}

#[tokio::test]
async fn the_client_hears_and_notices_that_the_session_has_ended() {
    let server = TestServer::start().await;
    let client = Client::new(&server.url("/"), None).unwrap();
    let messages = SubscribeParams {
        msg_hash: Some(NAME),
        ..SubscribeParams::all(Topic::Messages)
    };
    let mut notices = client.subscribe(&messages).await.unwrap();
    server.node.news.tell(head(1));
    server.node.news.tell(relayed_message());
    assert_eq!(notices.next().await.unwrap(), relayed_message());
    let wrong = SubscribeParams {
        gate: Some(Address([1; 20])),
        ..messages.clone()
    };
    let refused = client.subscribe(&wrong).await.unwrap_err();
    assert!(matches!(refused, ClientError::NotLive { .. }), "{refused}");
    server.stop().await;
    let ended = timeout(PATIENCE, notices.next()).await.unwrap();
    assert!(matches!(ended, Err(ClientError::NotLive { .. })));
    let nobody = client.subscribe(&messages).await;
    assert!(matches!(nobody, Err(ClientError::NotLive { .. })));
}
