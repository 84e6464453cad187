//! Files in, and blocks, archives and files out.

use super::{
    super::HttpLimits,
    fake::{self, BrokenStore, FakeNode, Forgetful},
    noise, TestServer,
};
use cid::Cid;
use rings_protocol::cids;
use rings_store::{hash, import, links, Block};
use std::{collections::HashMap, io::Read};

const MEGABYTE: usize = 1024 * 1024;

async fn added(server: &TestServer, bytes: &[u8]) -> Cid {
    let response = server.add(bytes.to_vec()).await;
    assert_eq!(response.status(), 200);
    let answer: serde_json::Value = response.json().await.unwrap();
    assert_eq!(answer["bytes"], bytes.len());
    answer["cid"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn twenty_megabytes_go_in_and_come_out_under_the_name_ipfs_gives_them() {
    let server = TestServer::start().await;
    let bytes = noise(20 * MEGABYTE);
    let cid = added(&server, &bytes).await;
    assert_eq!(cid, hash(bytes.as_slice()).await.unwrap().cid);
    let response = server.get(&format!("/ipfs/{cid}")).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["content-length"], bytes.len().to_string());
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(headers["etag"], format!("\"{cid}\""));
    assert_eq!(
        headers["cache-control"],
        "public, max-age=29030400, immutable"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["x-ipfs-path"], format!("/ipfs/{cid}"));
    assert!(response.bytes().await.unwrap() == bytes);
    server.stop().await;
}

#[tokio::test]
async fn the_smallest_files_have_their_well_known_names() {
    let server = TestServer::start().await;
    for (bytes, name) in [
        (&b""[..], "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (
            b"hello world\n",
            "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
        ),
    ] {
        let cid = added(&server, bytes).await;
        assert_eq!(cid.to_string(), name);
        let file = server
            .get(&format!("/ipfs/{cid}"))
            .await
            .bytes()
            .await
            .unwrap();
        assert_eq!(file, bytes);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_block_is_served_by_query_and_by_accept_header() {
    let server = TestServer::start().await;
    let block = Block::dag_cbor(vec![0xa0].into()).unwrap();
    server.node.store.put(vec![block.clone()]).await.unwrap();
    let path = format!("/ipfs/{}", block.cid());
    let by_query = server.get(&format!("{path}?format=raw")).await;
    let by_header = server.get_as(&path, "application/vnd.ipld.raw").await;
    for response in [by_query, by_header] {
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "application/vnd.ipld.raw"
        );
        assert_eq!(
            response.headers()["etag"],
            format!("\"{}.raw\"", block.cid())
        );
        assert_eq!(response.headers()["content-length"], "1");
        Block::new(*block.cid(), response.bytes().await.unwrap()).unwrap();
    }
    let file = server.get(&path).await;
    assert_eq!(file.status(), 406);
    assert!(file.text().await.unwrap().contains("?format=raw"));
    server.stop().await;
}

#[tokio::test]
async fn an_archive_holds_every_block_of_a_file_once() {
    let server = TestServer::start().await;
    let bytes = noise(3 * MEGABYTE);
    let cid = added(&server, &bytes).await;
    let path = format!("/ipfs/{cid}");
    let response = server
        .get_as(&path, "application/vnd.ipld.car; version=1")
        .await;
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(
        kind.starts_with("application/vnd.ipld.car; version=1"),
        "{kind}"
    );
    assert!(response.headers()["etag"]
        .to_str()
        .unwrap()
        .contains(".car"));
    let blocks = read_archive(&response.bytes().await.unwrap(), cid);
    let mut missing = vec![cid];
    let mut seen = 0;
    while let Some(cid) = missing.pop() {
        seen += 1;
        missing.extend(links(&blocks[&cid]).unwrap());
    }
    assert_eq!(seen, blocks.len());
    assert_eq!(blocks.len(), 13, "twelve chunks of 256 KiB and the root");
    let alone = server
        .get(&format!("{path}?format=car&dag-scope=block"))
        .await;
    let alone = read_archive(&alone.bytes().await.unwrap(), cid);
    assert_eq!(alone.keys().collect::<Vec<_>>(), [&cid]);
    server.stop().await;
}

/// The blocks of a CARv1, each hashed; the root of its header is `root`.
fn read_archive(mut car: &[u8], root: Cid) -> HashMap<Cid, Block> {
    let header = section(&mut car).unwrap();
    let mut expected = b"\xa2\x65roots\x81\xd8\x2a\x58".to_vec();
    expected.push(root.to_bytes().len() as u8 + 1);
    expected.push(0);
    expected.extend(root.to_bytes());
    expected.extend(b"\x67version\x01");
    assert_eq!(header, expected);
    let mut blocks = HashMap::new();
    while let Some(section) = section(&mut car) {
        let mut rest = section;
        let cid = Cid::read_bytes(&mut rest).unwrap();
        let block = Block::new(cid, rest.to_vec().into()).unwrap();
        assert!(blocks.insert(cid, block).is_none(), "{cid} twice");
    }
    blocks
}

fn section<'a>(car: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (mut length, mut shift, mut byte) = (0, 0, [0x80]);
    while byte[0] & 0x80 != 0 {
        car.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
    }
    let (section, rest) = car.split_at(length);
    *car = rest;
    Some(section)
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = TestServer::start().await;
    let cid = added(&server, b"hello world\n").await;
    for query in ["", "?format=raw", "?format=car"] {
        let path = server.url(&format!("/ipfs/{cid}{query}"));
        let get = server.http.get(&path).send().await.unwrap();
        let head = server.http.head(&path).send().await.unwrap();
        assert_eq!(head.status(), 200);
        for name in ["content-type", "etag", "content-length", "x-ipfs-path"] {
            assert_eq!(
                head.headers().get(name),
                get.headers().get(name),
                "{name} of {query:?}"
            );
        }
        assert!(head.bytes().await.unwrap().is_empty());
    }
    server.stop().await;
}

#[tokio::test]
async fn who_has_it_already_gets_no_body() {
    let server = TestServer::start().await;
    let cid = added(&server, b"hello world\n").await;
    let url = server.url(&format!("/ipfs/{cid}"));
    for (known, status) in [
        (format!("\"{cid}\""), 304),
        (format!("\"x\", W/\"{cid}\""), 304),
        ("*".into(), 304),
        (format!("\"{cid}.raw\""), 200),
    ] {
        let response = server
            .http
            .get(&url)
            .header("if-none-match", &known)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{known}");
        assert_eq!(response.headers()["etag"], format!("\"{cid}\""));
    }
    server.stop().await;
}

#[tokio::test]
async fn each_wrong_request_gets_its_status_and_one_line() {
    let server = TestServer::start().await;
    let cid = added(&server, b"hello world\n").await;
    let absent = fake::cid("nobody has this");
    let blake = Cid::new_v1(
        0x70,
        cid::multihash::Multihash::wrap(0xb220, &[1; 32]).unwrap(),
    );
    for (path, status, said) in [
        ("/ipfs/nonsense".to_owned(), 400, "not a CID"),
        (format!("/ipfs/{blake}"), 400, "sha2-256"),
        (format!("/ipfs/{absent}"), 404, "not in the store"),
        (
            format!("/ipfs/{absent}?format=raw"),
            404,
            "not in the store",
        ),
        (
            format!("/ipfs/{absent}?format=car"),
            404,
            "not in the store",
        ),
        (format!("/ipfs/{cid}?format=tar"), 406, "format=raw"),
        (
            format!("/ipfs/{cid}?format=car&dag-scope=x"),
            400,
            "dag-scope",
        ),
        (
            format!("/ipfs/{cid}?format=car&entity-bytes=0:1"),
            400,
            "entity-bytes",
        ),
        (format!("/ipfs/{cid}/"), 404, "paths"),
        (format!("/ipfs/{cid}/a/b"), 404, "paths"),
        ("/ipfs".into(), 405, "method"),
        ("/elsewhere".into(), 404, "/elsewhere"),
    ] {
        let response = server.get(&path).await;
        assert_eq!(response.status(), status, "{path}");
        let line = response.text().await.unwrap();
        assert!(
            line.contains(said) && line.lines().count() == 1,
            "{path}: {line}"
        );
    }
    assert_eq!(
        server
            .get_as(&format!("/ipfs/{cid}"), "application/x-tar")
            .await
            .status(),
        406
    );
    server.stop().await;
}

#[tokio::test]
async fn adding_needs_the_token() {
    let server = TestServer::start().await;
    let unnamed = server
        .http
        .post(server.url("/ipfs"))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(unnamed.status(), 401);
    assert!(unnamed.headers()["www-authenticate"]
        .to_str()
        .unwrap()
        .starts_with("Bearer"));
    assert!(unnamed
        .text()
        .await
        .unwrap()
        .contains("Authorization: Bearer"));
    let wrong = super::super::Token::generate();
    for value in [
        format!("Bearer {}", wrong.expose()),
        format!("Basic {}", server.token.expose()),
        server.token.expose().to_owned(),
        "Bearer ".into(),
    ] {
        let request = server
            .http
            .post(server.url("/ipfs"))
            .header("authorization", &value);
        assert_eq!(
            request.body("x").send().await.unwrap().status(),
            401,
            "{value}"
        );
    }
    // Also with a body that nobody will read to its end.
    let big = server
        .http
        .post(server.url("/ipfs"))
        .body(noise(MEGABYTE / 2));
    assert_eq!(big.send().await.unwrap().status(), 401);
    let size = server.node.store.size().await.unwrap();
    assert_eq!(size.blocks, 0);
    server.stop().await;
}

#[tokio::test]
async fn who_wants_only_what_is_here_is_told_what_is_not() {
    let server = TestServer::start().await;
    let absent = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
        for (cid, status) in [(absent, 412), ("bafkqaaa", 200)] {
            let url = server.url(&format!("/ipfs/{cid}?format=raw"));
            let asked = server.http.request(method.clone(), url);
            let asked = asked.header("cache-control", "no-transform, only-if-cached");
            assert_eq!(
                asked.send().await.unwrap().status(),
                status,
                "{method} {cid}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_file_above_the_limit_is_refused_announced_or_not() {
    let limits = HttpLimits {
        upload_bytes: 1000,
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    assert_eq!(server.add(vec![0; 1000]).await.status(), 200);
    assert_eq!(server.add(vec![0; 1001]).await.status(), 413);
    let chunks =
        futures::stream::iter([600; 2].map(|length| Ok::<_, std::io::Error>(vec![0; length])));
    let response = server.add(reqwest::Body::wrap_stream(chunks)).await;
    assert_eq!(response.status(), 413);
    assert!(response.text().await.unwrap().contains("1000 bytes"));
    server.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_said_in_one_line() {
    let node = FakeNode::with_store(BrokenStore).await;
    let server = TestServer::of(node, HttpLimits::default()).await;
    let response = server.add("hello").await;
    assert_eq!(response.status(), 507);
    let line = response.text().await.unwrap();
    assert!(
        line.contains("no space left") && line.lines().count() == 1,
        "{line}"
    );
    let damaged = server
        .get(&format!("/ipfs/{}?format=raw", fake::cid("x")))
        .await;
    assert_eq!(damaged.status(), 502);
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_ends_early_is_not_taken_for_the_whole() {
    let bytes = noise(2 * MEGABYTE);
    let complete = FakeNode::new().await;
    let root = import(complete.store.clone(), bytes.as_slice())
        .await
        .unwrap()
        .cid;
    let first = complete.store.get(&root).await.unwrap().unwrap();
    let last = *links(&Block::new(root, first).unwrap())
        .unwrap()
        .last()
        .unwrap();
    let forgetful = Forgetful {
        inner: complete.store.clone(),
        lost: last,
    };
    let node = FakeNode::with_store(forgetful).await;
    let server = TestServer::of(node, HttpLimits::default()).await;
    for query in ["", "?format=car"] {
        let response = server.get(&format!("/ipfs/{root}{query}")).await;
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "{query:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_server_well() {
    use tokio::io::AsyncWriteExt;
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    let request = format!(
        "POST /ipfs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\nhalf",
        server.token.expose()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    let cid = added(&server, b"whole").await;
    assert_eq!(cids::normalise(&cid), Ok(cid));
    server.stop().await;
}

#[tokio::test]
async fn who_asks_first_is_refused_without_sending() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    let request = "POST /ipfs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 401"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_told_that_he_has_what_is_not_here() {
    let server = TestServer::start().await;
    let absent = fake::cid("nobody has this");
    let url = server.url(&format!("/ipfs/{absent}"));
    for (query, known) in [
        ("", "*".to_owned()),
        ("?format=raw", "*".into()),
        ("?format=car", "*".into()),
        ("", format!("\"{absent}\"")),
        ("?format=raw", format!("\"{absent}.raw\"")),
    ] {
        for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
            let request = server.http.request(method.clone(), format!("{url}{query}"));
            let response = request.header("if-none-match", &known).send().await;
            assert_eq!(response.unwrap().status(), 404, "{method} {query} {known}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_probe_of_the_specification_is_answered() {
    let server = TestServer::start().await;
    for (name, content) in [("bafkqaaa", ""), ("bafkqabtimvwgy3yk", "hello\n")] {
        for query in ["", "?format=raw"] {
            let url = server.url(&format!("/ipfs/{name}{query}"));
            let head = server.http.head(&url).send().await.unwrap();
            assert_eq!(head.status(), 200, "{url}");
            let response = server.http.get(&url).send().await.unwrap();
            assert_eq!(response.headers()["x-ipfs-roots"], name);
            assert_eq!(response.text().await.unwrap(), content);
        }
        let known = server.http.get(server.url(&format!("/ipfs/{name}")));
        let known = known.header("if-none-match", "*").send().await.unwrap();
        assert_eq!(known.status(), 304);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_range_of_a_file_or_block_is_served() {
    let server = TestServer::start().await;
    let bytes = noise(MEGABYTE);
    let cid = added(&server, &bytes).await;
    let path = server.url(&format!("/ipfs/{cid}"));
    let ask = |range: &str| server.http.get(&path).header("range", range).send();
    // Within one chunk of 256 KiB, across two, from the middle to the end, the last bytes.
    for (range, first, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=262140-262150", 262_140, 262_151),
        ("bytes=500000-", 500_000, MEGABYTE),
        ("bytes=-7", MEGABYTE - 7, MEGABYTE),
        ("bytes=3-99999999", 3, MEGABYTE),
    ] {
        let response = ask(range).await.unwrap();
        assert_eq!(response.status(), 206, "{range}");
        let headers = response.headers();
        let (last, all) = (end - 1, MEGABYTE);
        assert_eq!(
            headers["content-range"],
            format!("bytes {first}-{last}/{all}")
        );
        assert_eq!(headers["content-length"], (end - first).to_string());
        assert!(
            response.bytes().await.unwrap() == bytes[first..end],
            "{range}"
        );
    }
    let behind = ask("bytes=1048576-").await.unwrap();
    assert_eq!(behind.status(), 416);
    assert_eq!(behind.headers()["content-range"], "bytes */1048576");
    let several = ask("bytes=0-1,4-5").await.unwrap();
    assert_eq!(
        (
            several.status().as_u16(),
            several.headers()["accept-ranges"].as_bytes()
        ),
        (200, &b"bytes"[..])
    );
    let head = server.http.head(&path).header("range", "bytes=0-1");
    assert_eq!(head.send().await.unwrap().status(), 200);
    let block = server
        .http
        .get(format!("{path}?format=raw"))
        .header("range", "bytes=1-2");
    let block = block.send().await.unwrap();
    assert_eq!(block.status(), 206);
    assert_eq!(block.bytes().await.unwrap().len(), 2);
    server.stop().await;
}
