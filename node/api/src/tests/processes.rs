//! The methods about processes: who may call them, their parameters and their answers.

use super::{
    super::{processes::*, registry::SearchRegistryParams, Client, ClientError},
    fake::registered,
    fake_processes::{process, INSTALLED},
    TestServer,
};
use rings_protocol::{cids::data_cid, Digest};
use serde_json::{json, Value};

fn changing() -> Vec<(&'static str, Value)> {
    let cid = data_cid(Digest([6; 32])).to_string();
    let installation = json!({ "installation": INSTALLED });
    let ring = super::fake::RING;
    vec![
        (
            "rings_createProcess",
            json!({ "ring": ring, "process": cid, "instances": { "car": INSTALLED } }),
        ),
        ("rings_pauseProcess", installation.clone()),
        ("rings_resumeProcess", installation.clone()),
        ("rings_cancelProcess", installation),
        (
            "rings_emit",
            json!({ "instance": INSTALLED, "event": "charged", "data": { "kwh": 7 } }),
        ),
    ]
}

#[tokio::test]
async fn what_changes_processes_needs_the_token() {
    let server = TestServer::start().await;
    for (method, params) in changing() {
        let error = server.call(method, params.clone()).await["error"].take();
        assert_eq!(error["code"], -32008, "{method}: {error}");
        let mut wrong = params;
        wrong["more"] = json!(1);
        let error = server.call(method, wrong).await["error"].take();
        assert_eq!(error["code"], -32602, "{method}: {error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_client_reads_what_the_server_writes() {
    let server = TestServer::start().await;
    let client = Client::new(&server.url("/"), Some(server.token.clone())).unwrap();
    let created = CreateProcessParams {
        ring: super::fake::RING,
        process: data_cid(Digest([6; 32])),
        instances: [("car".to_owned(), Digest([7; 32]))].into(),
        nonce: 0,
    };
    let active = process(ProcessState::Active);
    assert_eq!(client.create_process(&created).await.unwrap(), active);
    let paused = client.pause_process(INSTALLED).await.unwrap();
    assert_eq!(paused.state, ProcessState::Paused);
    let resumed = client.resume_process(INSTALLED).await.unwrap();
    assert_eq!(resumed, active);
    let mut which = ListInstancesParams {
        limit: Some(2),
        ..ListInstancesParams::default()
    };
    let page = client.list_instances(&which).await.unwrap();
    assert_eq!(
        (page.instances.len(), page.next),
        (2, Some(Digest([2; 32])))
    );
    which.from = page.next;
    let page = client.list_instances(&which).await.unwrap();
    assert_eq!((page.instances.len(), page.next), (1, None));
    let cancelled = client.cancel_process(INSTALLED).await.unwrap();
    assert_eq!(cancelled.state, ProcessState::Cancelled);
    let unknown = client.pause_process(Digest([1; 32])).await.unwrap_err();
    assert!(
        matches!(unknown, ClientError::Rpc { code: -32602, .. }),
        "{unknown}"
    );
    let event = EmitParams {
        instance: Digest([7; 32]),
        event: "charged".into(),
        data: json!({ "kwh": 7 }),
        nonce: 1,
    };
    let emitted = client.emit(&event).await.unwrap();
    assert_eq!((emitted.starts, emitted.fresh), (vec![INSTALLED], false));
    let all = ListProcessesParams::default();
    let listed = client.list_processes(&all);
    assert_eq!(listed.await.unwrap().processes, [active]);
    let which = GetProcessParams {
        installation: INSTALLED,
        before: None,
        limit: Some(2),
    };
    assert_eq!(client.get_process(&which).await.unwrap().runs.len(), 1);
    let of_event = ListExecutionsParams {
        event: Some(data_cid(Digest([2; 32]))),
        limit: None,
    };
    let executions = client.list_executions(&of_event).await.unwrap().executions;
    let shown = client
        .get_execution(data_cid(Digest([2; 32])))
        .await
        .unwrap();
    assert_eq!(executions, [shown.unwrap()]);
    let other = client
        .get_execution(data_cid(Digest([3; 32])))
        .await
        .unwrap();
    assert_eq!(other, None);
    server.stop().await;
}

#[tokio::test]
async fn a_page_has_bounds() {
    let server = TestServer::start().await;
    for limit in [0, 257] {
        let params = json!({ "limit": limit });
        let error = server.call("rings_listProcesses", params).await["error"].take();
        assert_eq!(error["code"], -32602, "{error}");
    }
    server.stop().await;
}

/// Posts an event, and gives status and body.
async fn post(
    server: &TestServer,
    event: &str,
    headers: &[(&str, String)],
    body: &str,
) -> (u16, String) {
    let url = server.url(&format!("/events/{INSTALLED}/{event}"));
    let mut request = server.http.post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn signature(secret: &str, time: u64, body: &str) -> String {
    let signed = format!("{time}.charged.{body}");
    let code = super::super::hook_secret::hmac(secret.as_bytes(), signed.as_bytes());
    format!("t={time},v1={}", hex::encode(code))
}

#[tokio::test]
async fn a_webhook_needs_the_token_or_a_signature_that_is_new() {
    let server = TestServer::start().await;
    let body = r#"{"kwh": 7}"#;
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let secret = server.token.hook_secret(INSTALLED);
    let other = server.token.hook_secret(Digest([1; 32]));
    let signed =
        |secret: &str, time, body: &str| vec![("rings-signature", signature(secret, time, body))];
    let bearer = ("authorization", format!("Bearer {}", server.token.expose()));
    for (headers, status) in [
        (vec![], 401),
        (vec![bearer.clone()], 200),
        (signed(secret.expose(), now, body), 200),
        (signed(secret.expose(), now - 299, body), 200),
        (signed(secret.expose(), now - 400, body), 401),
        (signed(secret.expose(), now + 400, body), 401),
        (signed(secret.expose(), now, "{}"), 401),
        (signed(other.expose(), now, body), 401),
        (vec![("rings-signature", "v1=00".into())], 401),
    ] {
        let (got, text) = post(&server, "charged", &headers, body).await;
        assert_eq!(got, status, "{headers:?}: {text}");
    }
    // Who reads a message on its way sends it again as another event, or under another id.
    let mut taken = signed(secret.expose(), now, body);
    assert_eq!(post(&server, "parked", &taken, body).await.0, 401);
    taken.push(("rings-event-id", "another".into()));
    assert_eq!(post(&server, "charged", &taken, body).await.0, 401);
    let named = signature(secret.expose(), now, &format!("mine.{body}"));
    let named = [
        ("rings-signature", named),
        ("rings-event-id", "mine".into()),
    ];
    assert_eq!(post(&server, "charged", &named, body).await.0, 200);
    let unknown = post(&server, "parked", std::slice::from_ref(&bearer), body).await;
    assert_eq!(unknown.0, 400);
    assert!(unknown.1.contains("no process starts"), "{}", unknown.1);
    assert_eq!(
        post(&server, "charged", std::slice::from_ref(&bearer), "{")
            .await
            .0,
        400
    );
    let large = "x".repeat(64 * 1024 + 1);
    assert_eq!(
        post(&server, "charged", std::slice::from_ref(&bearer), &large)
            .await
            .0,
        413
    );
    // The same is the same event, unless the sender names it otherwise.
    let named = |id: &str| vec![bearer.clone(), ("rings-event-id", id.to_owned())];
    let one = post(&server, "charged", &named("1"), body).await;
    assert_eq!(one, post(&server, "charged", &named("1"), "{}").await);
    assert_ne!(one, post(&server, "charged", &named("2"), body).await);
    server.stop().await;
}

#[tokio::test]
async fn the_registry_is_searched_in_pages() {
    let server = TestServer::start().await;
    let client = Client::new(&server.url("/"), None).unwrap();
    let newest = SearchRegistryParams::default();
    let all = client.search_registry(&newest).await.unwrap();
    let names: Vec<_> = all.entries.iter().map(|entry| &entry.name).collect();
    assert_eq!(names, ["Car \u{1b}[2J", "shop"]);
    let mut which = SearchRegistryParams {
        text: Some("shop".into()),
        before: Some(1),
    };
    let found = client.search_registry(&which).await.unwrap();
    assert_eq!(found.entries, [registered(0, "shop")]);
    which.text = Some("x".repeat(65));
    let refused = client.search_registry(&which).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::Rpc { code: -32602, .. }),
        "{refused}"
    );
    server.stop().await;
}
