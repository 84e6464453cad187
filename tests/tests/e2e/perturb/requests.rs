//! The HTTP side of a member, asked by clients that know JSON-RPC 2.0 and the trustless gateway by their specifications.

use futures::StreamExt;
use rings_tests::{block_on, Ring};
use serde_json::{json, Value};
use soketto::handshake::{Client, ServerResponse};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A file that no store here has.
const ABSENT: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG";
/// The empty block within its own name: the probe of the trustless gateway's specification.
const PROBE: &str = "bafkqaaa";
/// How long a WebSocket may take to say something, or nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request, and what must come back.
struct Case {
    request: &'static str,
    /// Ids and error codes of the answers; none for a message that gets no answer.
    answers: &'static [(&'static str, Option<i64>)],
}

const METHOD_NOT_FOUND: Option<i64> = Some(-32601);
const INVALID: Option<i64> = Some(-32600);

/// JSON-RPC 2.0, sections 4 to 6.
const CASES: &[Case] = &[
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":7}"#,
        answers: &[("7", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":0}"#,
        answers: &[("0", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":-3}"#,
        answers: &[("-3", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":1.5}"#,
        answers: &[("1.5", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":18446744073709551616}"#,
        answers: &[("18446744073709551616", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":"a"}"#,
        answers: &[(r#""a""#, METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":null}"#,
        answers: &[("null", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":true}"#,
        answers: &[("null", INVALID)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":[]}"#,
        answers: &[("null", INVALID)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"nope","id":{}}"#,
        answers: &[("null", INVALID)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"rings_status","id":-1}"#,
        answers: &[("-1", None)],
    },
    Case {
        request: r#"[{"jsonrpc":"2.0","method":"nope","id":-1},{"jsonrpc":"2.0","method":"nope","id":2}]"#,
        answers: &[("-1", METHOD_NOT_FOUND), ("2", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"[{"jsonrpc":"2.0","method":"rings_status"},{"jsonrpc":"2.0","method":"nope","id":2.5}]"#,
        answers: &[("2.5", METHOD_NOT_FOUND)],
    },
    Case {
        request: r#"{"jsonrpc":"2.0","method":"rings_status"}"#,
        answers: &[],
    },
    Case {
        request: r#"[{"jsonrpc":"2.0","method":"rings_status"}]"#,
        answers: &[],
    },
    Case {
        request: r#"[]"#,
        answers: &[("null", INVALID)],
    },
];

/// Compares what came with what the specification asks for.
fn check(case: &Case, text: &str, over: &str) {
    let request = case.request;
    if case.answers.is_empty() {
        assert_eq!(text, "", "{over}: {request} is a notification");
        return;
    }
    let value: Value = serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("{over}: {request} -> {text:?}: {error}"));
    let answers = match value {
        Value::Array(answers) => answers,
        one => vec![one],
    };
    assert_eq!(
        answers.len(),
        case.answers.len(),
        "{over}: {request} -> {text}"
    );
    for (id, code) in case.answers {
        // A number that does not fit a type of this test is compared as the text that it is.
        let named = text.contains(&format!(r#""id":{id}"#));
        assert!(named, "{over}: {request} -> {text}; the answer names {id}");
        let answer = answers
            .iter()
            .find(|answer| answer["error"]["code"].as_i64() == *code);
        assert!(
            answer.is_some(),
            "{over}: {request} -> {text}; want {code:?}"
        );
    }
}

async fn web_socket(url: &str, request: &str, answers: bool) -> String {
    let host = url.trim_start_matches("http://");
    let stream = TcpStream::connect(host).await.unwrap();
    let mut client = Client::new(stream.compat(), host, "/");
    assert!(matches!(
        client.handshake().await.unwrap(),
        ServerResponse::Accepted { .. }
    ));
    let (mut sender, receiver) = client.into_builder().finish();
    sender.send_text(request).await.unwrap();
    // What follows is answered for certain: whatever is to come for the request has come by then.
    sender
        .send_text(r#"{"jsonrpc":"2.0","method":"nope","id":"last"}"#)
        .await
        .unwrap();
    sender.flush().await.unwrap();
    let messages = futures::stream::unfold(receiver, |mut receiver| async {
        let mut message = Vec::new();
        let read = tokio::time::timeout(PATIENCE, receiver.receive_data(&mut message)).await;
        read.ok()?.ok()?;
        Some((String::from_utf8(message).unwrap(), receiver))
    });
    let mut messages = Box::pin(messages);
    let (mut answer, mut last) = (String::new(), false);
    while let Some(message) = messages.next().await {
        match message.contains(r#""last""#) {
            true => last = true,
            false => answer = message,
        }
        // Answers may come in any order.
        if last && (!answer.is_empty() || !answers) {
            return answer;
        }
    }
    panic!("{request} over WebSocket: nothing within {PATIENCE:?}; {answer:?}");
}

fn json_rpc(url: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for case in CASES {
        let sent = client
            .post(url)
            .header("content-type", "application/json")
            .body(case.request)
            .send();
        let text = block_on(async { sent.await.unwrap().text().await.unwrap() });
        check(case, &text, "HTTP");
        let text = block_on(web_socket(url, case.request, !case.answers.is_empty()));
        check(case, &text, "WebSocket");
    }
}

fn gateway(url: &str, held: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let any = ("if-none-match", "*".to_owned());
    let tag = |cid: &str| ("if-none-match", format!("\"{cid}\""));
    let raw = |cid: &str| format!("/ipfs/{cid}?format=raw");
    let cases = [
        ("GET", raw(ABSENT), None, 404),
        ("GET", raw(ABSENT), Some(any.clone()), 404),
        ("GET", raw(ABSENT), Some(tag(ABSENT)), 404),
        ("HEAD", raw(ABSENT), Some(any.clone()), 404),
        ("HEAD", format!("/ipfs/{ABSENT}"), Some(any.clone()), 404),
        ("HEAD", format!("/ipfs/{ABSENT}"), Some(tag(ABSENT)), 404),
        ("GET", raw(PROBE), None, 200),
        ("HEAD", raw(PROBE), None, 200),
        ("GET", raw(held), None, 200),
        ("GET", raw(held), Some(any.clone()), 304),
        ("HEAD", raw(held), Some(any), 304),
    ];
    for (method, path, header, want) in cases {
        let request = client.request(method.parse().unwrap(), format!("{url}{path}"));
        let request = match &header {
            Some((name, value)) => request.header(*name, value),
            None => request,
        };
        let answer = block_on(request.send()).unwrap();
        assert_eq!(answer.status().as_u16(), want, "{method} {path} {header:?}");
        if path.contains(PROBE) && method == "GET" {
            assert_eq!(block_on(answer.bytes()).unwrap().len(), 0);
        }
    }
}

#[test]
fn requests_are_answered_as_their_specifications_say() {
    let ring = Ring::up(1);
    let url = ring.json().text("/members/0/rpcUrl").to_owned();
    let held = ring
        .rings(["--quiet", "add"])
        .arg(ring.write("held", "held\n"))
        .text();
    json_rpc(&url);
    gateway(&url, held.trim());
    let answer = block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({ "jsonrpc": "2.0", "method": "rings_status", "id": 1 });
        client
            .post(&url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    });
    assert!(answer["result"].is_object(), "{answer}");
}
