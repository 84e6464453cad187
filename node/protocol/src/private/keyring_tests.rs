use super::*;
use crate::log::{ForkClaim, ForkProof, ForkProofError, Offer, Replica, Tip};
use std::convert::Infallible;

fn domain() -> Domain {
    Domain::new(31337, Address([7; 20]))
}

fn account(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

fn public(n: u8) -> PublicKey {
    account(n).public_key()
}

#[derive(Default)]
struct Nodes(Vec<LogNode>);

impl OwnLog for Nodes {
    type Error = Infallible;
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.last().map(LogNode::tip))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.get(seq as usize).map(LogNode::digest))
    }
}

fn line(text: &str) -> Vec<Message> {
    vec![Message {
        domain: "chat".into(),
        payload: text.as_bytes().to_vec().into(),
        status: "new".into(),
        kind: "Line".into(),
    }]
}

/// A keyring of a member who has approved these accounts and made the first key.
fn founder(approved: &[u8], replicas: &[u8]) -> (Keyring, Rotation, Wraps) {
    let mut keyring = Keyring::new(domain());
    for n in approved.iter().chain(replicas) {
        keyring.approve(account(*n).address());
    }
    let members: Vec<_> = approved.iter().map(|n| public(*n)).collect();
    let replicas: Vec<_> = replicas.iter().map(|n| public(*n)).collect();
    let made = keyring.rotate(1, (&members, &replicas), |bytes| *bytes = [11; 32]);
    let (rotation, wraps) = made.unwrap();
    keyring.announced(&rotation, 0);
    (keyring, rotation, wraps)
}

fn joined(n: u8, rotation: &Rotation, wraps: &Wraps) -> Keyring {
    let mut keyring = Keyring::new(domain());
    keyring.add_wrapped(wraps, &account(n)).unwrap();
    keyring.announced(rotation, 0);
    keyring
}

fn write(keyring: &Keyring, log: &mut Nodes, left: u64, text: &str, author: u8) -> LogNode {
    let node = keyring.seal(log, left, &line(text), (vec![], None), &account(author));
    log.0.push(node.unwrap());
    log.0.last().unwrap().clone()
}

/// Member 2 leaves in epoch 2, and member 1 makes a new key for member 3 and replica 4.
#[test]
fn what_each_can_read_is_shown_by_trying() {
    let (mut one, first, wraps) = founder(&[1, 2, 3], &[4]);
    let mut log = Nodes::default();
    let before = write(&one, &mut log, 0, "before", 1);
    let [mut two, mut three, mut replica] = [2, 3, 4].map(|n| joined(n, &first, &wraps));
    one.disapprove(account(2).address());
    let made = one.rotate(2, (&[public(1), public(2), public(3)], &[public(4)]), |b| {
        *b = [12; 32]
    });
    let (second, wraps) = made.unwrap();
    for keyring in [&mut one, &mut two, &mut three, &mut replica] {
        keyring.announced(&second, 1);
    }
    for (n, keyring) in [(2, &mut two), (3, &mut three), (4, &mut replica)] {
        assert_eq!(keyring.add_wrapped(&wraps, &account(n)), Ok(n != 2));
    }
    let after = write(&one, &mut log, 2, "after", 1);

    // A member reads all of it.
    for (node, text) in [(&before, "before"), (&after, "after")] {
        let opened = three.open(node.bytes()).unwrap();
        assert_eq!((&opened, three.read(&opened).unwrap()), (node, line(text)));
    }
    // The removed member keeps what it could read, and opens nothing new.
    assert_eq!(
        two.read(&two.open(before.bytes()).unwrap()).unwrap(),
        line("before")
    );
    assert!(matches!(
        two.open(after.bytes()),
        Err(PrivateOpenError::Sealed(SealedError::Key { .. }))
    ));
    // A replica without the read key checks authors and links, and reads nothing.
    let nodes = [&before, &after].map(|node| replica.open(node.bytes()).unwrap());
    assert_eq!(nodes[1].content().prev, Some(nodes[0].cid()));
    for node in &nodes {
        assert_eq!(node.author(), account(1).address());
        assert!(matches!(replica.read(node), Err(SealedError::Key { .. })));
        assert!(!node.content().body[0]
            .payload
            .windows(5)
            .any(|bytes| bytes == b"after"));
    }
    // The keeper is whom the chain obeys, and has no key: nobody has approved it. An outsider has all blocks.
    assert_eq!(wraps.of(account(9).address()), None);
    let refused = one.wrap(
        2,
        &WrappedKey::Read(ReadKey::from_bytes([12; 32], &domain())),
        &public(9),
        |bytes| *bytes = [1; 32],
    );
    assert_eq!(
        refused,
        Err(WrapError::NotApproved {
            account: account(9).address()
        })
    );
    let outsider = Keyring::new(domain());
    for node in [&before, &after] {
        assert!(outsider.open(node.bytes()).is_err());
        let seen = node.bytes();
        for part in [&account(1).address().0[..], b"chat", b"Line", b"signature"] {
            assert!(!seen.windows(part.len()).any(|bytes| bytes == part));
        }
    }
    for n in [1, 2, 4, 9] {
        let wrapped = wraps.of(account(3).address()).unwrap();
        assert_eq!(
            unwrap(&domain(), &account(n), wrapped).err(),
            Some(WrapError::Ecies)
        );
    }
}

#[test]
fn nobody_gets_a_key_because_the_chain_lists_it() {
    let mut keyring = Keyring::new(domain());
    keyring.approve(account(1).address());
    let made = keyring.rotate(1, (&[public(1), public(9)], &[public(8)]), |bytes| {
        *bytes = [1; 32]
    });
    let (_, wraps) = made.unwrap();
    let accounts: Vec<_> = wraps.accounts().collect();
    assert_eq!(accounts, [account(1).address()]);
}

#[test]
fn two_rotations_at_once_settle_to_one_key_and_lose_nothing() {
    let (mut one, first, wraps) = founder(&[1, 2], &[]);
    let mut two = joined(2, &first, &wraps);
    two.approve(account(1).address());
    two.approve(account(2).address());
    let members = [public(1), public(2)];
    let (by_one, wraps_one) = one
        .rotate(2, (&members, &[]), |bytes| *bytes = [21; 32])
        .unwrap();
    let (by_two, wraps_two) = two
        .rotate(2, (&members, &[]), |bytes| *bytes = [22; 32])
        .unwrap();
    one.announced(&by_one, 5);
    two.announced(&by_two, 5);
    // Each writes with its own before it hears of the other's.
    let (mut log_one, mut log_two) = (Nodes::default(), Nodes::default());
    let from_one = write(&one, &mut log_one, 2, "one", 1);
    let from_two = write(&two, &mut log_two, 2, "two", 2);
    one.add_wrapped(&wraps_two, &account(1)).unwrap();
    two.add_wrapped(&wraps_one, &account(2)).unwrap();
    one.announced(&by_two, 6);
    two.announced(&by_one, 6);
    assert_eq!(one.current(), two.current());
    assert_eq!(one.current(), Some((2, by_one.read.min(by_two.read))));
    for keyring in [&one, &two] {
        for (node, text) in [(&from_one, "one"), (&from_two, "two")] {
            let opened = keyring.open(node.bytes()).unwrap();
            assert_eq!(keyring.read(&opened).unwrap(), line(text));
        }
    }
    let next = write(&two, &mut log_two, 2, "next", 2);
    assert_eq!(
        one.read(&one.open(next.bytes()).unwrap()).unwrap(),
        line("next")
    );
}

#[test]
fn an_old_key_seals_nothing_and_is_refused_after_a_grace() {
    let (mut one, first, _) = founder(&[1], &[]);
    let log = Nodes::default();
    let stale = one.seal(&log, 2, &line("x"), (vec![], None), &account(1));
    assert!(matches!(stale, Err(PrivateSealError::Rotate { epoch: 2 })));
    assert!(one.is_fresh(first.replica, u64::MAX, 0));
    let (second, _) = one
        .rotate(2, (&[public(1)], &[]), |bytes| *bytes = [2; 32])
        .unwrap();
    one.announced(&second, 100);
    assert!(one.is_fresh(first.replica, 149, 50) && !one.is_fresh(first.replica, 150, 50));
    assert!(one.is_fresh(second.replica, u64::MAX, 0));
    let mut other = Keyring::new(domain());
    other.announced(&second, 0);
    let missing = other.seal(&log, 2, &line("x"), (vec![], None), &account(1));
    assert!(matches!(missing, Err(PrivateSealError::NoKey { .. })));
}

/// The same signed node under two keys has two names. It is one node: held already, and never a fork.
#[test]
fn two_encodings_of_one_signed_node_are_one_node() {
    let (mut one, ..) = founder(&[1], &[]);
    let mut log = Nodes::default();
    let node = write(&one, &mut log, 0, "x", 1);
    let read = ReadKey::from_bytes([99; 32], &domain());
    let first = ReadKey::from_bytes([11; 32], &domain());
    let plain = open_node(&first.replica_key(), node.bytes()).unwrap();
    let again = seal_node(&read.replica_key(), &plain).unwrap();
    one.add_read(read);
    let twin = one.open(&again).unwrap();
    assert_ne!(twin.digest(), node.digest());
    let proof = ForkProof::new(node.clone(), twin.clone());
    assert_eq!(proof, Err(ForkProofError::SameContent));
    let replica = Replica::new(Some(node.tip()));
    let held = node.digest();
    assert_eq!(
        replica.offer(&twin, |_| Some(held)),
        Offer::Taken { held },
        "the digests alone do not say what it is"
    );
}

#[test]
fn a_fork_is_proven_without_showing_content() {
    let (one, ..) = founder(&[1], &[]);
    let fork = |text: &str| write(&one, &mut Nodes::default(), 0, text, 1);
    let proof = ForkProof::new(fork("secret a"), fork("secret b")).unwrap();
    let bytes = ForkClaim::of(&proof, &domain()).to_bytes();
    let claim = ForkClaim::from_bytes(&bytes).unwrap();
    assert_eq!(claim.verify(&domain()), Ok(account(1).address()));
    assert!(
        bytes.len() < 320,
        "digests and signatures, and nothing else"
    );
}

#[test]
fn a_node_of_another_ring_does_not_open() {
    let (one, ..) = founder(&[1], &[]);
    let node = write(&one, &mut Nodes::default(), 0, "x", 1);
    let elsewhere = Domain::new(1, Address([7; 20]));
    let mut other = Keyring::new(elsewhere);
    other.add_read(ReadKey::from_bytes([11; 32], &elsewhere));
    assert!(other.open(node.bytes()).is_err());
}

#[test]
fn where_every_epoch_has_a_key_nobody_can_stop_the_others() {
    let (mut one, first, _) = founder(&[1], &[]);
    let log = Nodes::default();
    let seal =
        |keys: &Keyring, epoch| keys.seal_in(&log, epoch, &line("x"), (vec![], None), &account(1));
    assert!(seal(&one, 1).is_ok());
    assert!(matches!(
        seal(&one, 2),
        Err(PrivateSealError::Rotate { epoch: 2 })
    ));
    // Keys that nobody has, of this epoch with the least name, and of one that never comes.
    for epoch in [1, u64::MAX] {
        let rotation = Rotation {
            epoch,
            read: Digest::ZERO,
            replica: Digest([1; 32]),
            wraps: Digest::ZERO,
        };
        one.announced(&rotation, 0);
    }
    assert_eq!(one.of_epoch(1).unwrap().name(), first.read);
    assert!(seal(&one, 1).is_ok() && seal(&one, u64::MAX).is_err());
    assert_eq!(one.epoch_of(first.read), 1);
    let (second, _) = one
        .rotate(2, (&[public(1)], &[]), |bytes| *bytes = [2; 32])
        .unwrap();
    one.announced(&second, 0);
    let node = seal(&one, 2).unwrap();
    assert_eq!(node_key(node.bytes()), Ok(second.replica));
}
