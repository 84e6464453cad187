//! What each fuzz target does with bytes. `node/protocol/tests/corpus.rs` includes this file, to replay the corpus.

use rings_protocol::{
    accusation::Accusation,
    assembly::{Choice, Endorsement, Proposal},
    cids::sha256,
    crypto::SecretKey,
    eip712::Domain,
    log::{ForkClaim, LogNode, Offer, Replica, SkipProof},
    message::{Message, Vote},
    private::{unwrap, Keyring, LogForm, ReadKey, Rotation, Unsealed, Wraps},
    request::{Request, RequestVote},
    ringlog::{Entry, EntryProof, Header, RingNode},
    wire::{encode, Response, WireRequest},
    Address, Digest,
};

fn domain() -> Domain {
    Domain::new(31337, Address([0x11; 20]))
}

/// A log node.
pub fn node(bytes: &[u8]) {
    if let Ok(node) = LogNode::open(bytes, &domain()) {
        assert_eq!(node.bytes(), bytes);
        assert_eq!(node.digest(), sha256(bytes));
    }
}

/// An entry of a ring node.
pub fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::from_bytes(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
}

/// The header of a ring node; and the same bytes as a page of entries and of heads.
pub fn header(bytes: &[u8]) {
    if let Ok(header) = Header::from_bytes(bytes) {
        assert_eq!(header.to_bytes().as_deref(), Ok(bytes));
    }
    let digest = sha256(bytes);
    let around = Header {
        entries_root: digest,
        heads_root: digest,
        members_hash: digest,
        epoch: 0,
        number: 0,
        prev: None,
        skip: None,
        entry_pages: vec![digest],
        head_pages: vec![digest],
    };
    if let Ok(header) = around.to_bytes() {
        // No page is both, so it is refused; it must not panic or take much memory.
        assert!(RingNode::open(&header, |_| Some(bytes.to_vec())).is_err());
    }
}

/// The payload of each message that Rings defines.
pub fn message(bytes: &[u8]) {
    let of = |kind: &str| Message {
        domain: "rings".into(),
        payload: bytes.to_vec().into(),
        status: String::new(),
        kind: kind.into(),
    };
    let mut again = Vec::new();
    again.extend(
        Vote::from_message(&of("Vote"))
            .ok()
            .flatten()
            .and_then(|it| it.to_message().ok()),
    );
    let vote = RequestVote::from_message(&of("RequestVote")).ok().flatten();
    again.extend(vote.and_then(|it| it.to_message().ok()));
    again.extend(
        Request::from_message(&of("Request"))
            .ok()
            .flatten()
            .and_then(|it| it.to_message().ok()),
    );
    again.extend(
        Proposal::from_message(&of("Proposal"))
            .ok()
            .flatten()
            .map(|it| it.to_message()),
    );
    again.extend(
        Endorsement::from_message(&of("Endorsement"))
            .ok()
            .flatten()
            .map(|it| it.to_message()),
    );
    again.extend(
        Choice::from_message(&of("Choice"))
            .ok()
            .flatten()
            .map(|it| it.to_message()),
    );
    again.extend(
        Rotation::from_message(&of("Rotation"))
            .ok()
            .flatten()
            .map(|it| it.to_message()),
    );
    for message in again {
        assert_eq!(message.payload, bytes, "{}", message.kind);
    }
}

/// A request.
pub fn request(bytes: &[u8]) {
    if let Ok(request) = Request::from_bytes(bytes) {
        assert_eq!(request.to_bytes().as_deref(), Ok(bytes));
    }
}

/// A sealed node, wrapped keys, and a block of them.
pub fn sealed(bytes: &[u8]) {
    let mut keyring = Keyring::new(domain());
    keyring.add_read(ReadKey::from_bytes([0x42; 32], &domain()));
    if let Ok(node) = keyring.open(bytes) {
        assert_eq!(node.bytes(), bytes);
        // Whether the body opens depends on the author's honesty; it must not panic.
        drop(keyring.read(&node));
    }
    // As a running member opens what comes, readable or not.
    let form = LogForm::Private(Box::new(keyring));
    if let Ok(node) = form.open(bytes) {
        assert_eq!((node.bytes(), node.digest()), (bytes, sha256(bytes)));
    }
    if let Ok(wraps) = Wraps::from_bytes(bytes) {
        assert_eq!(wraps.to_block().1, bytes);
    }
    if let Ok(key) = SecretKey::from_bytes(&[1; 32]) {
        drop(unwrap(&domain(), &key, bytes));
    }
}

/// Proof files: of entries, of nodes, of forks, and accusations.
pub fn files(bytes: &[u8]) {
    if let Ok(proof) = EntryProof::from_bytes(bytes) {
        assert_eq!(proof.to_bytes(), bytes);
        let anchor = proof.headers.first().map(|header| sha256(header));
        drop(proof.verify(anchor.unwrap_or_default()));
    }
    if let Ok(proof) = SkipProof::from_bytes(bytes) {
        assert_eq!(proof.to_bytes(), bytes);
        let head = proof
            .nodes
            .first()
            .map(|node| sha256(&node.block))
            .unwrap_or_default();
        drop(proof.verify(&domain(), head, |node| {
            Unsealed::open_proven(node, &domain())
        }));
    }
    if let Ok(claim) = ForkClaim::from_bytes(bytes) {
        assert_eq!(claim.to_bytes(), bytes);
        if let Ok(author) = claim.verify(&domain()) {
            assert_ne!(author, Address::ZERO);
        }
    }
    if let Ok(accusation) = Accusation::from_bytes(bytes) {
        assert_eq!(accusation.to_bytes().ok().as_deref(), Some(bytes));
        drop(accusation.verify());
    }
}

/// What members ask each other, and the answers. Nodes of an answer are offered to a log, as a member does that is behind.
pub fn sync(bytes: &[u8]) {
    if let Ok(request) = WireRequest::decode(bytes) {
        assert_eq!(encode(&request).ok().as_deref(), Some(bytes));
    }
    if let Ok(response) = Response::decode(bytes) {
        assert_eq!(encode(&response).ok().as_deref(), Some(bytes));
        if let Response::Nodes(nodes) = response {
            take_range(nodes.iter().map(|node| &node[..]));
        }
    }
}

/// Follows the log of whoever signed the first node.
fn take_range<'a>(nodes: impl Iterator<Item = &'a [u8]>) {
    let (mut replica, mut held, mut author) = (Replica::default(), Vec::<Digest>::new(), None);
    for bytes in nodes {
        let Ok(node) = LogNode::open(bytes, &domain()) else {
            return;
        };
        if *author.get_or_insert(node.author()) != node.author() {
            return;
        }
        let at = |seq: u64| held.get(usize::try_from(seq).ok()?).copied();
        let before = held.last().copied().unwrap_or_default();
        match replica.offer(&node, at) {
            Offer::Next => assert_eq!(node.signed().prev, before),
            Offer::Held | Offer::Taken { .. } => continue,
            Offer::Gap { .. } | Offer::Unlinked => return,
        }
        replica.advance(&node);
        held.push(node.digest());
        assert_eq!(replica.next_seq(), held.len() as u64);
    }
}
