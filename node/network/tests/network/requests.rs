//! Asking and answering.

use std::time::Duration;

use bytes::Bytes;
use rings_network::{Limits, NetworkError};

use crate::support::*;

const LARGE: usize = 4 * 1024 * 1024;

fn answering(answer: Answer) -> Setup {
    Setup {
        answer,
        ..Setup::default()
    }
}

fn limited(limits: Limits) -> Setup {
    Setup {
        limits,
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered() {
    let nodes = ring(3, &Setup::default()).await;
    for (asker, asked) in [(0, 1), (1, 0), (2, 0), (0, 2)] {
        let answer = nodes[asker].ask(nodes[asked].id(), b"abc").await.unwrap();
        assert_eq!(answer, "cba");
    }
    assert_eq!(nodes[0].ask(nodes[1].id(), b"").await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_response_comes_over_tcp_and_over_quic() {
    for listen in [TCP, QUIC] {
        let setup = Setup {
            listen: vec![listen.to_owned()],
            ..answering(Answer::Bytes(LARGE))
        };
        let (one, two) = pair(&setup, &setup).await;
        let response = one.ask(two.id(), b"more").await.unwrap();
        assert_eq!(response, vec![7; LARGE]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_request_and_response_pass() {
    let limits = Limits::default();
    let (one, two) = pair(
        &Setup::default(),
        &answering(Answer::Bytes(limits.response_bytes)),
    )
    .await;
    let request = vec![1; limits.request_bytes];
    let response = one.ask(two.id(), &request).await.unwrap();
    assert_eq!(response.len(), limits.response_bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_is_refused_on_both_sides() {
    let generous = limited(Limits {
        request_bytes: 1 << 20,
        response_bytes: 16 << 20,
        ..Limits::default()
    });
    let generous = Setup {
        answer: Answer::Bytes(9 << 20),
        ..generous
    };
    let (strict, generous) = pair(&Setup::default(), &generous).await;

    let own = strict.ask(generous.id(), &vec![0; (256 << 10) + 1]).await;
    assert!(matches!(own, Err(NetworkError::TooLarge { .. })));
    let request = generous.ask(strict.id(), &vec![0; (256 << 10) + 1]).await;
    assert!(
        matches!(request, Err(NetworkError::Failed { .. })),
        "{request:?}"
    );
    let response = strict.ask(generous.id(), b"too much, please").await;
    assert!(
        matches!(response, Err(NetworkError::Failed { .. })),
        "{response:?}"
    );

    // Neither harmed the connection.
    assert_eq!(generous.ask(strict.id(), b"ab").await.unwrap(), "ba");
    assert_eq!(strict.connections().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_said_to_be_none() {
    let (one, two) = pair(&Setup::default(), &answering(Answer::Nothing)).await;
    let dropped = one.ask(two.id(), b"?").await;
    assert!(matches!(dropped, Err(NetworkError::Declined { peer }) if peer == two.id()));

    let too_long = Limits::default().response_bytes + 1;
    let (one, two) = pair(&Setup::default(), &answering(Answer::Bytes(too_long))).await;
    let declined = one.ask(two.id(), b"?").await;
    assert!(matches!(declined, Err(NetworkError::Declined { .. })));
}

#[tokio::test]
async fn who_is_not_connected_is_not_asked() {
    let one = Node::start(1, &Setup::default()).await;
    let two = Node::start(2, &Setup::default()).await;
    one.network.set_peers(vec![two.peer().await]).await;
    let stranger = one.ask(two.id(), b"?").await.unwrap_err();
    assert!(stranger.is_transient());
    assert_eq!(stranger.peer(), Some(two.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_its_share_is_told_that_we_are_busy() {
    let server = limited(Limits {
        inbound_requests_per_peer: 2,
        ..Limits::default()
    });
    let server = Setup {
        answer: Answer::Hold,
        ..server
    };
    let (client, server) = pair(&Setup::default(), &server).await;
    let ask = || {
        let (network, peer) = (client.network.clone(), server.id());
        tokio::spawn(async move { network.request(&peer, Bytes::new()).await })
    };
    let held = [ask(), ask()];
    until("two are held", || async {
        server.seen.lock().unwrap().held.len() == 2
    })
    .await;
    let third = ask().await.unwrap();
    assert!(matches!(third, Err(NetworkError::Busy { .. })), "{third:?}");
    assert_eq!(server.network.stats().requests_refused, 1);

    for reply in std::mem::take(&mut server.seen.lock().unwrap().held) {
        reply.send(Bytes::from_static(b"done"));
    }
    for answer in held {
        assert_eq!(answer.await.unwrap().unwrap(), "done");
    }
    let fourth = ask();
    until("there is room again", || async {
        server.seen.lock().unwrap().held.len() == 1
    })
    .await;
    fourth.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_wait_for_their_turn() {
    let (one, two) = pair(&Setup::default(), &Setup::default()).await;
    let mut asked = Vec::new();
    for n in 0..500_u32 {
        let (network, peer) = (one.network.clone(), two.id());
        let request = Bytes::copy_from_slice(&n.to_be_bytes());
        asked.push(tokio::spawn(async move {
            network.request(&peer, request).await
        }));
    }
    for (n, answer) in (0_u32..).zip(asked) {
        assert_eq!(answer.await.unwrap().unwrap(), n.to_le_bytes().as_slice());
    }
    assert_eq!(two.network.stats().requests_refused, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_times_out_and_a_lost_one_fails_at_once() {
    let short = limited(Limits {
        request_timeout: Duration::from_millis(300),
        ..Limits::default()
    });
    let (one, two) = pair(&short, &answering(Answer::Hold)).await;
    let silent = one.ask(two.id(), b"?").await;
    assert!(
        matches!(silent, Err(NetworkError::Timeout { .. })),
        "{silent:?}"
    );

    let (one, two) = pair(&Setup::default(), &answering(Answer::Hold)).await;
    let (network, peer) = (one.network.clone(), two.id());
    let lost = tokio::spawn(async move { network.request(&peer, Bytes::new()).await });
    until("it is asked", || async {
        two.seen.lock().unwrap().held.len() == 1
    })
    .await;
    two.kill().await;
    let lost = lost.await.unwrap();
    assert!(
        matches!(
            lost,
            Err(NetworkError::ConnectionLost { .. } | NetworkError::Failed { .. })
        ),
        "{lost:?}"
    );
}
