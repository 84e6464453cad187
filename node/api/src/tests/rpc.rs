//! JSON-RPC: methods, errors, limits, WebSocket, and the document that describes them.

use super::{
    super::{notices::Notice, openrpc, HttpLimits},
    fake::{self, BROKEN_GATE, MEMBER, RING, SECRET, SLOW_GATE},
    TestServer,
};
use jsonrpsee::{
    core::{client::ClientT, params::ObjectParams},
    ws_client::WsClientBuilder,
};
use rings_protocol::{Address, Digest};
use serde_json::{json, Value};
use std::time::Duration;

#[tokio::test]
async fn each_method_answers_with_its_type() {
    let server = TestServer::start().await;
    let result = |mut answer: Value| {
        assert_eq!(
            (&answer["jsonrpc"], &answer["id"]),
            (&json!("2.0"), &json!(7))
        );
        answer["result"].take()
    };
    let status = server.call("rings_status", json!({})).await;
    assert_eq!(result(status), json!(fake::status()));
    let ring = server.call("rings_getRing", json!({ "ring": RING })).await;
    assert_eq!(result(ring), json!(fake::ring()));
    let gate = server
        .call("rings_getGate", json!({ "gate": MEMBER }))
        .await;
    assert_eq!(result(gate), json!(fake::gate(MEMBER)));
    let params = json!({ "ring": RING, "member": MEMBER, "from": 5, "limit": 2 });
    let log = result(server.call("rings_getLog", params).await);
    assert_eq!(log, json!(fake::log(Some(5), 2)));
    assert_eq!(
        (&log["nodes"][0]["seq"], &log["next"]),
        (&json!(5), &json!(3))
    );
    let document = result(server.call("rpc.discover", json!([])).await);
    assert_eq!(document, openrpc::document());
    server.stop().await;
}

#[tokio::test]
async fn names_in_json_are_those_of_the_interface() {
    let server = TestServer::start().await;
    let gate = server
        .call("rings_getGate", json!({ "gate": MEMBER }))
        .await;
    let gate = &gate["result"];
    assert_eq!(gate["state"], "resolved");
    assert_eq!(
        gate["inputs"][0],
        json!({ "cid": fake::cid("operation").to_string() })
    );
    assert_eq!(
        gate["inputs"][1],
        json!({ "gate": BROKEN_GATE, "pin": "0x1000000000000000" })
    );
    assert_eq!(gate["votes"][1]["outputs"][0]["pin"], "failure");
    assert_eq!(gate["votes"][1]["agrees"], Value::Null);
    assert_eq!(
        gate["result"][0]["tokenId"],
        format!("0x{}", "08".repeat(32))
    );
    assert_eq!(
        gate["milliseconds"],
        json!({ "compute": 3, "quorum": 5, "register": null })
    );
    assert_eq!(gate["notes"], json!(["the program read a clock"]));
    let status = server.call("rings_status", json!({})).await;
    assert_eq!(status["result"]["chainId"], 31337);
    assert_eq!(
        status["result"]["store"],
        json!({ "kind": "embedded", "blocks": 5, "bytes": 4096 })
    );
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_codes_of_the_interface() {
    let server = TestServer::start().await;
    let ring = json!({ "ring": RING });
    let log = |extra: Value| {
        let mut params = json!({ "ring": RING, "member": MEMBER });
        params
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        params
    };
    for (method, params, code, said) in [
        ("rings_nothing", json!({}), -32601, ""),
        ("FlushToRing", json!({}), -32602, "missing parameter"),
        (
            "rings_getRing",
            json!({}),
            -32602,
            "missing parameter `ring`",
        ),
        (
            "rings_getRing",
            json!({ "ring": "0x12" }),
            -32602,
            "40 hexadecimal digits",
        ),
        (
            "rings_getRing",
            json!({ "ring": RING, "x": 1 }),
            -32602,
            "unknown parameter `x`",
        ),
        (
            "rings_getRing",
            json!({ "ring": MEMBER }),
            -32002,
            "does not follow",
        ),
        (
            "rings_getGate",
            ring.clone(),
            -32602,
            "unknown parameter `ring`",
        ),
        (
            "rings_getGate",
            json!({ "gate": BROKEN_GATE }),
            -32603,
            "cannot be read",
        ),
        ("rings_getLog", ring, -32602, "missing parameter `member`"),
        (
            "rings_getLog",
            log(json!({ "limit": 0 })),
            -32602,
            "from 1 to 256",
        ),
        (
            "rings_getLog",
            log(json!({ "limit": 257 })),
            -32602,
            "from 1 to 256",
        ),
        ("rings_getLog", log(json!({ "from": -1 })), -32602, "-1"),
        (
            "rings_getLog",
            log(json!({ "member": RING })),
            -32004,
            "not a member",
        ),
    ] {
        let answer = server.call(method, params.clone()).await;
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{method} {params}: {answer}");
        let data = error["data"].as_str().unwrap_or_default();
        assert!(data.contains(said), "{method} {params}: {answer}");
        assert!(!answer.to_string().contains(SECRET));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_or_comes_to_a_full_house_is_told_so() {
    let limits = HttpLimits {
        calls: 1,
        call_timeout: Duration::from_secs(60),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let mut slow = Box::pin(server.call("rings_getGate", json!({ "gate": SLOW_GATE })));
    // Once the slow call has the only place, every other one is refused.
    let refused = async {
        loop {
            let answer = server.call("rings_status", json!({})).await;
            if answer["error"]["code"] == -32007 {
                return answer["error"]["data"].clone();
            }
        }
    };
    let wait = tokio::select! {
        wait = refused => wait,
        early = &mut slow => panic!("{early}"),
    };
    assert!(wait.as_u64().unwrap() > 0, "{wait}");
    server.node.gates.add_permits(1);
    assert_eq!(slow.as_mut().await["result"]["state"], "resolved");
    drop(slow);
    server.stop().await;

    let limits = HttpLimits {
        call_timeout: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let answer = server
        .call("rings_getGate", json!({ "gate": SLOW_GATE }))
        .await;
    assert_eq!(answer["error"]["code"], -32603);
    assert_eq!(answer["error"]["data"], "no answer within 50 ms");
    server.stop().await;
}

#[tokio::test]
async fn batches_are_answered_up_to_their_limit() {
    let server = TestServer::start().await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "rings_status" });
    let batch = |length: usize| json!(vec![call.clone(); length]).to_string();
    let answers: Value = server.post(batch(20)).await.json().await.unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 20);
    for length in [21, 10_000] {
        let answer: Value = server.post(batch(length)).await.json().await.unwrap();
        assert_eq!(answer["error"]["code"], -32010, "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_json_rpc_is_refused() {
    let server = TestServer::start().await;
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        (
            "{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]",
            -32700,
        ),
        ("[{\"jsonrpc\": \"2.0\"", -32700),
        (
            "{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}",
            -32600,
        ),
        (
            "{\"jsonrpc\": \"1.0\", \"method\": \"rings_status\", \"id\": 1}",
            -32600,
        ),
        ("{}", -32600),
        ("1", -32600),
        ("[]", -32600),
    ] {
        let answer: Value = server.post(body).await.json().await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    let answer: Value = server.post("[1, {}]").await.json().await.unwrap();
    assert_eq!(
        (&answer[0]["error"]["code"], &answer[1]["error"]["code"]),
        (&json!(-32600), &json!(-32600))
    );
    let answer: Value = server
        .post("{\"id\": 5, \"method\": 1}")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&answer["error"]["code"], &answer["id"]),
        (&json!(-32600), &json!(5))
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        deep.clone(),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rings_status\",\"params\":{deep}}}"),
    ] {
        assert!(server.post(body).await.status().as_u16() < 500);
    }
    let text = server
        .http
        .post(server.url("/"))
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(text.send().await.unwrap().status(), 415);
    assert_eq!(
        server
            .http
            .post(server.url("/"))
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        415
    );
    assert_eq!(server.get("/").await.status(), 405);
    server.stop().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_announced_or_not() {
    let server = TestServer::start().await;
    let limit = HttpLimits::default().rpc_request_bytes as usize;
    let padded = |length: usize| {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "rings_status" }).to_string();
        format!("{call}{}", " ".repeat(length - call.len()))
    };
    assert_eq!(server.post(padded(limit)).await.status(), 200);
    let refused = server.post(padded(limit + 1)).await;
    assert_eq!(refused.status(), 413);
    // Not the code of `busy`, which asks to send the same again.
    let told: Value = refused.json().await.unwrap();
    assert_eq!(told["error"]["code"], -32600, "{told}");
    let chunks = futures::stream::iter(
        [64 * 1024; 32].map(|length| Ok::<_, std::io::Error>(vec![b' '; length])),
    );
    assert_eq!(
        server
            .post(reqwest::Body::wrap_stream(chunks))
            .await
            .status(),
        413
    );
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_a_missing_token() {
    let limits = HttpLimits {
        rpc_response_bytes: 100,
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let told = server.call("rings_status", json!({})).await;
    assert_eq!(told["error"]["code"], -32603, "{told}");
    server.stop().await;
}

#[tokio::test]
async fn other_methods_of_http_are_not_answered_at_the_root() {
    let server = TestServer::start().await;
    let url = format!("http://{}/", server.address);
    let client = reqwest::Client::new();
    for method in [
        reqwest::Method::PUT,
        reqwest::Method::DELETE,
        reqwest::Method::PATCH,
    ] {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "rings_status" });
        let answer = client
            .request(method.clone(), &url)
            .json(&call)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 405, "{method}");
        let allowed = answer.headers()["allow"].to_str().unwrap().to_owned();
        assert!(allowed.contains("POST"), "{method}: {allowed}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_same_methods_answer_over_web_socket() {
    let limits = HttpLimits {
        sessions: 1,
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let url = format!("ws://{}", server.address);
    let session = WsClientBuilder::default().build(&url).await.unwrap();
    let mut params = ObjectParams::new();
    params.insert("ring", RING).unwrap();
    let ring: Value = session.request("rings_getRing", params).await.unwrap();
    assert_eq!(ring, json!(fake::ring()));
    let error = session
        .request::<Value, _>("rings_nothing", ObjectParams::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Method not found"), "{error}");
    let second = WsClientBuilder::default().build(&url).await.unwrap_err();
    assert!(second.to_string().contains("429"), "{second}");
    drop(session);
    server.stop().await;
}

/// What is asked, with this nonce.
fn asked(nonce: u64) -> Value {
    let input = json!({ "cid": fake::cid("input").to_string() });
    let output = json!({ "request": fake::REQUEST, "pin": 0 });
    let operation = fake::cid("operation").to_string();
    json!({ "ring": RING, "operation": operation, "inputs": [input, output], "nonce": nonce })
}

#[tokio::test]
async fn requests_are_asked_with_the_token_only() {
    let server = TestServer::start().await;
    let without = server.call("rings_request", asked(0)).await;
    assert_eq!(without["error"]["code"], json!(-32008));
    assert_eq!(without["error"]["message"], "token needed");
    let ask = |token: String, nonce: u64| {
        let call =
            json!({"jsonrpc": "2.0", "id": 7, "method": "rings_request", "params": asked(nonce)});
        let request = server.http.post(server.url("/")).bearer_auth(token);
        async move {
            let answer = request.json(&call).send().await.unwrap();
            answer.json::<Value>().await.unwrap()
        }
    };
    let wrong = ask("x".repeat(40), 0).await;
    assert_eq!(wrong["error"]["code"], json!(-32008));
    let token = || server.token.expose().to_owned();
    let answer = ask(token(), 0).await;
    assert_eq!(answer["result"], json!(fake::requested(true)));
    let refused = ask(token(), 13).await;
    assert_eq!(refused["error"]["code"], json!(-32009));
    assert_eq!(refused["error"]["data"], "as many as one may have");
    let known = server
        .call("rings_getRequest", json!({ "request": fake::REQUEST }))
        .await;
    assert_eq!(known["result"], json!(fake::request(fake::REQUEST)));
    let proof = server
        .call("rings_getProof", json!({ "request": fake::REQUEST }))
        .await;
    assert_eq!(proof["result"], json!(fake::proof(fake::REQUEST)));
    let none = server
        .call("rings_getProof", json!({ "request": Digest::ZERO }))
        .await;
    assert_eq!(none["error"]["code"], json!(-32602));
    server.stop().await;
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/openrpc.json");
    let made = format!("{:#}\n", openrpc::document());
    if std::env::var_os("RINGS_REGENERATE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        made == committed,
        "run this test with RINGS_REGENERATE=1 and commit openrpc.json"
    );
}

/// All methods, in the document's order.
const METHODS: [&str; 26] = [
    openrpc::STATUS,
    openrpc::GET_RING,
    openrpc::GET_GATE,
    openrpc::GET_LOG,
    openrpc::REQUEST,
    openrpc::GET_REQUEST,
    openrpc::GET_PROOF,
    openrpc::FLUSH,
    openrpc::APPEND,
    openrpc::REPLICATE,
    openrpc::GET_MESSAGE,
    openrpc::GET_CLIENT_RINGS,
    openrpc::CREATE_PROCESS,
    openrpc::PAUSE_PROCESS,
    openrpc::RESUME_PROCESS,
    openrpc::CANCEL_PROCESS,
    openrpc::LIST_PROCESSES,
    openrpc::GET_PROCESS,
    openrpc::EMIT,
    openrpc::LIST_INSTANCES,
    openrpc::LIST_EXECUTIONS,
    openrpc::GET_EXECUTION,
    openrpc::SEARCH_REGISTRY,
    openrpc::SUBSCRIBE,
    openrpc::UNSUBSCRIBE,
    openrpc::DISCOVER,
];

#[test]
fn answers_have_the_shapes_that_the_document_gives() {
    let document = openrpc::document();
    for (schema, value) in [
        ("Status", json!(fake::status())),
        ("Ring", json!(fake::ring())),
        ("Gate", json!(fake::gate(MEMBER))),
        ("Gate", json!(fake::unknown_gate(Address::ZERO))),
        ("Log", json!(fake::log(None, 3))),
        ("Log", json!(fake::log(Some(0), 3))),
        ("Request", json!(fake::request(fake::REQUEST))),
        ("Request", json!(fake::unknown_request(Digest::ZERO))),
        ("Requested", json!(fake::requested(true))),
        ("Requested", json!(fake::requested(false))),
        ("Proof", json!(fake::proof(fake::REQUEST))),
        ("RegistryEntry", json!(fake::registered(0, "shop"))),
        ("RegistryEntry", json!(fake::registered(1, "car"))),
        ("Notice", json!(super::subscriptions::head(1))),
        ("Notice", json!(super::subscriptions::relayed_message())),
        ("Notice", json!(Notice::Missed { count: 3 })),
    ] {
        let fits = fits(
            &document,
            &json!({ "$ref": format!("#/components/schemas/{schema}") }),
            &value,
        );
        assert_eq!(fits, Ok(()), "{schema}: {value:#}");
    }
    let mut wrong = json!(fake::status());
    wrong["epoch"] = json!("1");
    let schema = json!({ "$ref": "#/components/schemas/Status" });
    assert!(fits(&document, &schema, &wrong).is_err());
    let methods = document["methods"].as_array().unwrap();
    let named = methods.iter().map(|method| method["name"].as_str());
    assert!(named.eq(METHODS.map(Some)), "{methods:#?}");
}

/// As much of JSON Schema as the document uses.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document
            .pointer(&reference[1..])
            .ok_or(format!("{reference} is not there"))?;
        return fits(document, target, value);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, part, value)?;
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let mut choices = choices.iter();
        return match choices.any(|choice| fits(document, choice, value).is_ok()) {
            true => Ok(()),
            false => Err(format!("no choice fits {value}")),
        };
    }
    if let Some(types) = schema["type"].as_array() {
        let of_type = |name: &Value| {
            let mut schema = schema.clone();
            schema["type"] = name.clone();
            fits(document, &schema, value).is_ok()
        };
        return match types.iter().any(of_type) {
            true => Ok(()),
            false => Err(format!("{value} is of none of the types {types:?}")),
        };
    }
    if let Some(wanted) = schema.get("const") {
        return match wanted == value {
            true => Ok(()),
            false => Err(format!("{value} is not {wanted}")),
        };
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices
            .iter()
            .filter(|choice| fits(document, choice, value).is_ok())
            .count();
        return if fitting == 1 {
            Ok(())
        } else {
            Err(format!("{fitting} choices fit {value}"))
        };
    }
    if let Some(values) = schema["enum"].as_array() {
        return if values.contains(value) {
            Ok(())
        } else {
            Err(format!("{value} is not listed"))
        };
    }
    match (schema["type"].as_str(), value) {
        (None, _) | (Some("boolean"), Value::Bool(_)) | (Some("null"), Value::Null) => Ok(()),
        (Some("string"), Value::String(text)) => match schema["pattern"].as_str() {
            Some(pattern) if pattern.starts_with("^0x") && !text.starts_with("0x") => {
                Err(text.clone())
            }
            _ => Ok(()),
        },
        (Some("integer"), Value::Number(number)) if number.is_u64() => Ok(()),
        (Some("array"), Value::Array(items)) => items
            .iter()
            .try_for_each(|item| fits(document, &schema["items"], item)),
        (Some("object"), Value::Object(fields)) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                fields
                    .get(name.as_str().unwrap_or_default())
                    .ok_or(format!("{name} is missing"))?;
            }
            fields
                .iter()
                .try_for_each(|(name, field)| match schema["properties"].get(name) {
                    Some(schema) => {
                        fits(document, schema, field).map_err(|why| format!("{name}: {why}"))
                    }
                    None => Err(format!("{name} is not described")),
                })
        }
        _ => Err(format!("{value} is not {schema}")),
    }
}

/// What is asked, and what the answer has to be; "" for none.
fn ids() -> Vec<(String, Value)> {
    let call = |id: &str| format!(r#"{{"jsonrpc":"2.0","method":"nope","id":{id}}}"#);
    let answer = |id: &str, code: i64| json!({ "id": serde_json::from_str::<Value>(id).unwrap(), "code": code });
    let mut cases: Vec<_> = [
        "7",
        "0",
        "-3",
        "1.5",
        "\"x\"",
        "\"\"",
        "null",
        "18446744073709551615",
    ]
    .iter()
    .map(|id| (call(id), answer(id, -32601)))
    .collect();
    for wrong in ["true", "[]", "{}"] {
        cases.push((call(wrong), answer("null", -32600)));
    }
    let batch = format!("[{},{},{}]", call("-1"), call("true"), call("2"));
    cases.push((
        batch,
        json!([
            answer("-1", -32601),
            answer("null", -32600),
            answer("2", -32601)
        ]),
    ));
    let quiet = r#"{"jsonrpc":"2.0","method":"rings_status"}"#;
    for silent in [
        quiet.to_owned(),
        format!("[{quiet}]"),
        format!("[{quiet},{quiet}]"),
    ] {
        cases.push((silent, Value::Null));
    }
    let mixed = format!("[{quiet},{}]", call("5"));
    cases.push((mixed, json!([answer("5", -32601)])));
    cases
}

/// Id and code of an answer, or of each of a batch.
fn shown(answer: &str) -> Value {
    let one = |answer: &Value| json!({ "id": answer["id"], "code": answer["error"]["code"] });
    match serde_json::from_str(answer) {
        Ok(Value::Array(answers)) => answers.iter().map(one).collect(),
        Ok(answer) => one(&answer),
        Err(_) => Value::Null,
    }
}

#[tokio::test]
async fn every_call_gets_its_id_back_and_a_notification_nothing() {
    let server = TestServer::start().await;
    for (body, expected) in ids() {
        let response = server.post(body.clone()).await;
        let status = response.status();
        let answer = response.text().await.unwrap();
        assert_eq!(shown(&answer), expected, "{body}: {answer}");
        assert_eq!(answer.is_empty(), expected.is_null(), "{body}: {answer}");
        assert_eq!(status, if expected.is_null() { 204 } else { 200 });
    }
    let large = r#"{"jsonrpc":"2.0","method":"nope","id":18446744073709551616}"#;
    let answer = server.post(large).await.text().await.unwrap();
    assert!(answer.contains(r#""id":18446744073709551616,"#), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn the_same_over_web_socket() {
    let server = TestServer::start().await;
    let mut session = super::abuse::open_session(&server).await;
    let mark = r#"{"jsonrpc":"2.0","method":"nope","id":"mark"}"#;
    for (body, expected) in ids() {
        session.send(&body).await;
        if !expected.is_null() {
            let answer = session.receive().await;
            assert_eq!(shown(&answer), expected, "{body}: {answer}");
        }
        // The next answer is the one to this: nothing came for a notification.
        session.send(mark).await;
        assert_eq!(shown(&session.receive().await)["id"], "mark", "{body}");
    }
    session.send("{").await;
    assert_eq!(shown(&session.receive().await)["code"], -32700);
    server.stop().await;
}
