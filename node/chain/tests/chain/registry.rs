//! The registry of services and processes, on a real chain.

use crate::support::{purpose, World};
use rings_chain::{
    ensure_registry, register, registry_address, withdraw, Call, ChainError, Registered,
    Registration, Submitted, REGISTRY_PAGE,
};
use rings_protocol::{cids::sha256, Digest};

fn entry(number: u64, name: &str) -> Registration {
    Registration {
        kind: Registered::Process,
        hash: sha256(&number.to_be_bytes()),
        name: name.into(),
        version: "1.0".into(),
        description: (number == 0).then(|| sha256(b"about")),
    }
}

async fn send(world: &World, call: Call) -> Submitted {
    let name = sha256(&call.data).to_string();
    world.submitter.submit(purpose(&name), call).await.unwrap()
}

#[tokio::test]
async fn entries_are_found_newest_first_and_in_pages() {
    let world = World::new(1, &[]).await;
    // The deployment of the ring has made it.
    let there = ensure_registry(&world.chain, &world.submitter, Digest::ZERO).await;
    assert_eq!(there.unwrap(), registry_address());
    let none = world.chain.search_registry("", None).await.unwrap();
    assert!(none.entries.is_empty() && none.next.is_none());

    let calls =
        (0..REGISTRY_PAGE + 2).map(|number| register(&entry(number, &format!("Car {number}"))));
    let sent = calls.map(|call| send(&world, call));
    futures::future::join_all(sent).await;
    let page = world.chain.search_registry("", None).await.unwrap();
    assert_eq!(
        (page.entries.len() as u64, page.next),
        (REGISTRY_PAGE, Some(2))
    );
    assert_eq!(page.entries[0].number, REGISTRY_PAGE + 1);
    let older = world.chain.search_registry("cAR", page.next).await.unwrap();
    assert_eq!((older.entries.len(), older.next), (2, None));
    let beyond = world.chain.search_registry("car 1", Some(u64::MAX)).await;
    assert!(beyond
        .unwrap()
        .entries
        .iter()
        .all(|entry| entry.name.starts_with("Car 1")));

    let withdrawn = withdraw(entry(0, "").hash, true);
    assert!(matches!(
        send(&world, withdrawn).await,
        Submitted::Mined { .. }
    ));
    let mut all = older.entries;
    all.extend(page.entries);
    let first = all
        .iter()
        .find(|found| found.hash == entry(0, "").hash)
        .unwrap();
    let now = world
        .chain
        .search_registry(&first.name, Some(first.number + 1))
        .await
        .unwrap();
    assert!(now.entries[0].withdrawn && !first.withdrawn);
    assert_eq!(first.description, Some(sha256(b"about")));
    assert_eq!(
        (first.kind, first.version.as_str()),
        (Registered::Process, "1.0")
    );
}

#[tokio::test]
async fn a_name_that_is_no_text_hides_nothing() {
    let world = World::new(1, &[]).await;
    let mut call = register(&entry(1, "abcdefgh"));
    let at = call
        .data
        .windows(8)
        .position(|bytes| bytes == b"abcdefgh")
        .unwrap();
    call.data[at..at + 8].copy_from_slice(&[0xff, 0xfe, 0x1b, b'[', b'2', b'J', 0xc0, 0x80]);
    assert!(matches!(send(&world, call).await, Submitted::Mined { .. }));
    send(&world, register(&entry(2, "honest"))).await;
    let page = world.chain.search_registry("", None).await.unwrap();
    assert_eq!(page.entries[0].name, "honest");
    assert!(
        page.entries[1].name.contains('\u{fffd}'),
        "{:?}",
        page.entries[1]
    );
}

#[tokio::test]
async fn a_chain_without_a_registry_says_so() {
    let world = World::new(1, &[]).await;
    let none = vec![registry_address().to_string().into(), "0x".into()];
    world.anvil.ask("anvil_setCode", none).await;
    let refused = world.chain.search_registry("", None).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ChainError::NotAContract {
                what: "registry",
                ..
            }
        ),
        "{refused}"
    );
}
