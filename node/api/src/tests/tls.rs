use super::{
    super::{
        notices::{HeadNotice, Notice, SubscribeParams, Topic},
        Client, ClientError,
    },
    *,
};
use rings_protocol::{Address, Digest};
use std::time::Duration;
use tokio_rustls::rustls::RootCertStore;

/// A server with a certificate for "localhost", and a client that trusts it.
async fn start(limits: HttpLimits) -> TestServer {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.key_pair.serialize_pem());
    let tls = Tls::new(certificate.as_bytes(), key.as_bytes()).unwrap();
    let mut server = TestServer::over(FakeNode::new().await, limits, Some(tls)).await;
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    server.http = reqwest::Client::builder()
        .no_proxy()
        .add_root_certificate(root)
        .resolve("localhost", server.address)
        .build()
        .unwrap();
    server
}

#[tokio::test]
async fn with_a_certificate_tls_is_spoken_and_nothing_else() {
    let server = start(HttpLimits::default()).await;
    let port = server.address.port();
    let answer = server.http.get(format!("https://localhost:{port}/health"));
    assert!(answer.send().await.unwrap().status().is_success());
    let call = server
        .http
        .post(format!("https://localhost:{port}/"))
        .header("content-type", "application/json")
        .body(r#"{"jsonrpc":"2.0","id":1,"method":"rings_status"}"#);
    let answer: Value = call.send().await.unwrap().json().await.unwrap();
    assert!(answer["result"]["chainId"].is_number(), "{answer}");
    let plain = server.http.get(server.url("/health")).send().await;
    assert!(plain.is_err(), "{plain:?}");
    // Who does not trust the certificate does not get far enough to be answered.
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = stranger.get(format!("https://localhost:{port}/health"));
    assert!(refused.send().await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_begins_a_handshake_and_says_nothing_more_is_closed() {
    let limits = HttpLimits {
        header_timeout: Duration::from_millis(200),
        ..HttpLimits::default()
    };
    let server = start(limits).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    // The first bytes of a ClientHello.
    silent.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), silent.read_to_end(&mut rest));
    // Closed or reset, but ended.
    drop(ended.await.unwrap());
    server.stop().await;
}

#[tokio::test]
async fn the_client_is_told_over_tls_too() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.key_pair.serialize_pem());
    let tls = Tls::new(certificate.as_bytes(), key.as_bytes()).unwrap();
    let limits = HttpLimits::default();
    let server = TestServer::over(FakeNode::new().await, limits, Some(tls)).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let client = Client::new(&url, None).unwrap();
    let heads = SubscribeParams::all(Topic::Heads);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut notices = client.subscribe_by(&heads, roots).await.unwrap();
    let told = Notice::Heads(HeadNotice {
        ring: Address([1; 20]),
        member: Address([2; 20]),
        seq: 3,
        head: Digest([4; 32]),
        since: 5,
    });
    server.node.news.tell(told.clone());
    assert_eq!(notices.next().await.unwrap(), told);
    // A certificate that nobody vouches for is refused.
    let refused = client.subscribe(&heads).await;
    assert!(matches!(refused, Err(ClientError::NotLive { .. })));
    server.stop().await;
}
