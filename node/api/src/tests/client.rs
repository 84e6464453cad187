//! The client of the command line, against the server.

use super::{
    super::{Client, ClientError, GatewaySource},
    fake::{self, MEMBER, RING},
    noise, serve_bytes, TestServer,
};
use futures::TryStreamExt;
use rings_protocol::Address;
use rings_store::{import, read_file, Block, BlockSource, StoreError};
use std::{io, sync::Arc};

fn client(server: &TestServer) -> Client {
    Client::new(&server.url("/"), Some(server.token.clone())).unwrap()
}

#[tokio::test]
async fn each_answer_is_read_back_as_it_was() {
    let server = TestServer::start().await;
    let client = client(&server);
    assert_eq!(client.status().await.unwrap(), fake::status());
    assert_eq!(client.ring(RING).await.unwrap(), fake::ring());
    assert_eq!(client.gate(MEMBER).await.unwrap(), fake::gate(MEMBER));
    let unknown = client.gate(Address::ZERO).await.unwrap();
    assert_eq!(unknown, fake::unknown_gate(Address::ZERO));
    let page = client.log(RING, MEMBER, None, 4).await.unwrap();
    assert_eq!(page, fake::log(None, 4));
    let rest = client.log(RING, MEMBER, page.next, 50).await.unwrap();
    assert_eq!((rest.nodes.len(), rest.next), (6, None));
    server.stop().await;
}

#[tokio::test]
async fn errors_name_the_member_and_the_reason_in_one_line() {
    let server = TestServer::start().await;
    let error = client(&server).ring(MEMBER).await.unwrap_err();
    let line = error.to_string();
    assert!(
        matches!(error, ClientError::Rpc { code: -32002, .. }),
        "{error:?}"
    );
    let address = server.address.to_string();
    assert!(
        line.contains(&address) && line.contains("does not follow"),
        "{line}"
    );
    let anonymous = Client::new(&server.url(""), None).unwrap();
    let error = anonymous.add(&b"x"[..]).await.unwrap_err();
    assert!(matches!(error, ClientError::NoToken { .. }), "{error:?}");
    let wrong = Client::new(&server.url(""), Some(super::super::Token::generate())).unwrap();
    let error = wrong.add(&b"x"[..]).await.unwrap_err();
    assert!(
        error.to_string().contains("401") && error.to_string().contains("token"),
        "{error}"
    );
    server.stop().await;
    let error = Client::new(&format!("http://{address}"), None)
        .unwrap()
        .status()
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&address) && error.to_string().lines().count() == 1);
}

#[tokio::test]
async fn what_is_no_member_is_told_apart_from_one_that_is_silent() {
    let page = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec()).await;
    let client = Client::new(&format!("http://{page}"), None).unwrap();
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn adding_streams_a_file_and_a_broken_file_is_said() {
    let server = TestServer::start().await;
    let bytes = noise(5 * 1024 * 1024);
    let added = client(&server)
        .add(io::Cursor::new(bytes.clone()))
        .await
        .unwrap();
    let expected = rings_store::hash(bytes.as_slice()).await.unwrap();
    assert_eq!((added.cid, added.bytes), (expected.cid, expected.bytes));
    let broken = futures::stream::iter([
        Ok(bytes::Bytes::from_static(b"x")),
        Err(io::Error::other("the tape tore")),
    ]);
    let error = client(&server).add_stream(broken).await.unwrap_err();
    let ClientError::Input(cause) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(cause.to_string(), "the tape tore");
    server.stop().await;
}

#[tokio::test]
async fn a_source_of_gateways_passes_over_the_dead_the_ignorant_and_the_liar() {
    let (ignorant, knowing) = (TestServer::start().await, TestServer::start().await);
    let gone = TestServer::start().await;
    let dead = gone.url("");
    gone.stop().await;
    let liar = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlies";
    let liar = format!("http://{}", serve_bytes(liar.to_vec()).await);
    let bytes = noise(3_000_000);
    let root = import(knowing.node.store.clone(), bytes.as_slice())
        .await
        .unwrap()
        .cid;
    let urls = [
        dead.clone(),
        ignorant.url(""),
        liar.clone(),
        knowing.url(""),
    ];
    let source: Arc<dyn BlockSource> = Arc::new(GatewaySource::new(&urls).unwrap());
    let pieces: Vec<_> = read_file(source.clone(), root).try_collect().await.unwrap();
    assert!(pieces.concat() == bytes);
    let absent = fake::cid("nobody has this");
    let only_ignorant = GatewaySource::new(&[ignorant.url("")]).unwrap();
    let error = only_ignorant.blocks(&[absent]).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    let error = GatewaySource::new(&[liar])
        .unwrap()
        .blocks(&[absent])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Cid(_)), "{error:?}");
    let error = GatewaySource::new(&[dead])
        .unwrap()
        .blocks(&[absent])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(GatewaySource::new::<&str>(&[]).is_err());
    ignorant.stop().await;
    knowing.stop().await;
}

#[tokio::test]
async fn blocks_come_in_the_order_they_were_asked_for() {
    let server = TestServer::start().await;
    let blocks: Vec<_> = (0..40_u8)
        .map(|byte| Block::dag_cbor(vec![0x18, byte.max(24)].into()).unwrap())
        .collect();
    server.node.store.put(blocks.clone()).await.unwrap();
    let names: Vec<_> = blocks.iter().rev().map(|block| *block.cid()).collect();
    let source = GatewaySource::new(&[server.url("")]).unwrap();
    let fetched = source.blocks(&names).await.unwrap();
    assert!(fetched.iter().eq(blocks.iter().rev()));
    server.stop().await;
}
