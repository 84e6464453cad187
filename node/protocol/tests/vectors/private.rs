//! Vectors of private rings: sealed nodes, and wrapped keys.

use crate::logs::proof_kind;
use crate::vector::{
    digest, domain, hex, key, message, place, set, spoilt_vectors, File, Nodes, Vector,
};
use chacha20poly1305::{
    aead::{Aead, KeyInit, Payload},
    XChaCha20Poly1305,
};
use rings_protocol::{
    cbor::Writer,
    cids::sha256,
    eip712::Domain,
    log::{seal, ProofNode, SkipProof},
    private::{
        open_node, opening_of, seal_node, unwrap, Keyring, PrivateOpenError, ReadKey, Rotation,
        SealedError, Unsealed, WrapError, WrappedKey,
    },
};
use serde_json::{json, Value};

fn kind(error: SealedError) -> &'static str {
    match error {
        SealedError::Form(_) => "form",
        SealedError::Key { .. } => "key",
        SealedError::Open => "open",
        SealedError::Nonce => "nonce",
        SealedError::Seal => "size",
    }
}

fn read_key() -> ReadKey {
    ReadKey::from_bytes([0x42; 32], &domain())
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::new(domain());
    let (read, replica) = (read_key().name(), read_key().replica_key().name());
    keyring.add_read(read_key());
    keyring.announced(
        &Rotation {
            epoch: 1,
            read,
            replica,
            wraps: digest(1),
        },
        0,
    );
    keyring
}

fn given() -> Value {
    let mut given = place();
    given["readKey"] = hex(*read_key().to_bytes());
    given
}

fn vector(name: &str, bytes: &[u8], error: Option<&'static str>) -> Vector {
    let opened = keyring().open(bytes).map_err(|error| match error {
        PrivateOpenError::Sealed(error) => kind(error),
        PrivateOpenError::Node(_) => "node",
    });
    let shown = opened.and_then(|node| {
        let body = keyring().read(&node).map_err(|_| "body")?;
        let text: Vec<_> = body.iter().map(|message| hex(&message.payload)).collect();
        let plain = open_node(&read_key().replica_key(), bytes).map_err(kind)?;
        Ok(json!({
            "cid": node.cid().to_string(), "author": hex(node.author()), "seq": node.seq(), "payloads": text,
            "node": hex(plain), "readName": hex(read_key().name()),
            "replicaKey": hex(*read_key().replica_key().to_bytes()), "replicaName": hex(read_key().replica_key().name()),
        }))
    });
    Vector::new(name, bytes).given(given()).read(shown, error)
}

pub fn sealed() -> File {
    let mut log = Nodes::default();
    for text in ["first", "second"] {
        let node = keyring().seal(&log, 0, &[message(text)], (vec![], None), &key(1));
        log.0.push(node.unwrap());
    }
    let good = log.0[1].bytes();
    let plain = open_node(&read_key().replica_key(), good).unwrap();
    // The body of node 1 in a node 0: the author signed it, but it was sealed for another place.
    let moved = seal(
        &Nodes::default(),
        log.0[1].content().body.clone(),
        vec![],
        None,
        &domain(),
        &key(1),
    );
    let replica = read_key().replica_key();
    let moved = seal_node(&replica, moved.unwrap().bytes()).unwrap();
    let other = ReadKey::from_bytes([0x43; 32], &domain()).replica_key();
    let mut vectors = vec![
        vector("node 0", log.0[0].bytes(), None),
        vector("node 1", good, None),
        vector(
            "sealed with another key",
            &seal_node(&other, &plain).unwrap(),
            Some("key"),
        ),
        vector("another nonce", &set(good, 40, good[40] ^ 1), Some("open")),
        vector(
            "a changed box",
            &set(good, good.len() - 1, good[good.len() - 1] ^ 1),
            Some("open"),
        ),
        vector(
            "the same node with a nonce of somebody's choice",
            &resealed(&plain),
            Some("nonce"),
        ),
        vector(
            "what is sealed is no node",
            &seal_node(&replica, b"nothing").unwrap(),
            Some("node"),
        ),
        vector("a body from another place", &moved, Some("body")),
    ];
    vectors.extend(spoilt_vectors(good, vector));
    File {
        name: "sealed",
        about: "Sealed nodes of a private ring. Given are chain, ring and the read key, from which all other keys are derived.",
        fuzzed: Some("sealed"),
        vectors,
    }
}

/// A log that begins openly and is private from node 4 on, and what opens each node.
fn half_sealed() -> Vec<ProofNode> {
    let mut log = Nodes::default();
    let mut steps = Vec::new();
    for seq in 0..12 {
        let body = [message("hello")];
        let node = match seq < 4 {
            true => seal(&log, body.to_vec(), vec![], None, &domain(), &key(1)).unwrap(),
            false => {
                let sealed = keyring().seal(&log, 0, &body, (vec![], None), &key(1));
                sealed.unwrap()
            }
        };
        let block = node.bytes().to_vec();
        let opening = opening_of(&read_key().replica_key(), &block).ok();
        assert_eq!(opening.is_some(), seq >= 4);
        steps.push(ProofNode { block, opening });
        log.0.push(node);
    }
    steps
}

pub fn proofs() -> File {
    let steps = half_sealed();
    let head = sha256(&steps[11].block);
    let make = |seq: u64| {
        let node = |seq: u64| steps.get(seq as usize).cloned();
        SkipProof::make(&domain(), key(1).address(), 11, seq, node).unwrap()
    };
    let mut given = place();
    given["head"] = hex(head);
    let vector = |name: &str, bytes: &[u8], error: Option<&'static str>| {
        let open = |node: &ProofNode| Unsealed::open_proven(node, &domain());
        let verified = SkipProof::from_bytes(bytes);
        let verified = verified.and_then(|proof| proof.verify(&domain(), head, open));
        let shown = verified.map(|node| json!({"seq": node.seq(), "cid": node.cid().to_string(), "author": hex(node.author())}));
        Vector::new(name, bytes)
            .given(given.clone())
            .read(shown.map_err(proof_kind), error)
    };
    let changed = |change: &dyn Fn(&mut SkipProof)| {
        let mut proof = make(1);
        change(&mut proof);
        proof.to_bytes()
    };
    let good = make(1).to_bytes();
    let opening = steps[11].opening.unwrap().0;
    let at = good.windows(32).position(|part| part == opening).unwrap();
    // The head of a byte string of 32 bytes is 0x58 0x20.
    let short = [
        &good[..at - 2],
        &[0x58, 31],
        &opening[..31],
        &good[at + 32..],
    ]
    .concat();
    let mut vectors = vec![
        vector("node 1 of 12, which is open", &good, None),
        vector("node 5 of 12, which is sealed", &make(5).to_bytes(), None),
        vector("the head itself", &make(11).to_bytes(), None),
        vector(
            "what opens another node",
            &changed(&|proof| proof.nodes[0].opening = steps[10].opening),
            Some("node"),
        ),
        vector(
            "nothing opens the head",
            &changed(&|proof| proof.nodes[0].opening = None),
            Some("node"),
        ),
        vector(
            "nothing opens any node",
            &changed(&|proof| proof.nodes.iter_mut().for_each(|node| node.opening = None)),
            Some("node"),
        ),
        vector(
            "an opening of a node that is open",
            &changed(&|proof| proof.nodes.last_mut().unwrap().opening = steps[11].opening),
            Some("node"),
        ),
        vector("an opening of 31 bytes", &short, Some("form")),
        vector(
            "a step is missing",
            &changed(&|proof| drop(proof.nodes.remove(1))),
            Some("broken"),
        ),
        vector(
            "another chain",
            &changed(&|proof| proof.chain = 1),
            Some("elsewhere"),
        ),
    ];
    vectors.extend(spoilt_vectors(&good, vector));
    File {
        name: "sealed-proofs",
        about: "Proofs that a node belongs to a log of a private ring, for who has no key. Given are chain, ring and the digest of the log's head.",
        fuzzed: Some("files"),
        vectors,
    }
}

/// Node 1 sealed by somebody who has the replica key, with a nonce of its own choice.
fn resealed(plain: &[u8]) -> Vec<u8> {
    let replica = read_key().replica_key();
    let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&domain().separator().0), &*replica.to_bytes());
    let mut cipher_key = [0; 32];
    hkdf.expand(b"rings/1/replica/cipher", &mut cipher_key)
        .unwrap();
    let mut aad = Writer::default();
    aad.list(4).text("rings/1/node").uint(domain().chain_id);
    aad.bytes(&domain().ring.0).bytes(&replica.name().0);
    let payload = Payload {
        msg: plain,
        aad: &aad.finish(),
    };
    let cipher = XChaCha20Poly1305::new(&cipher_key.into());
    let sealed = cipher.encrypt(&[9; 24].into(), payload).unwrap();
    let mut writer = Writer::default();
    writer
        .list(3)
        .bytes(&replica.name().0)
        .bytes(&[9; 24])
        .bytes(&sealed);
    writer.finish()
}

pub fn wraps() -> File {
    let mut keyring = Keyring::new(domain());
    keyring.approve(key(1).address());
    let mut count = 100;
    // Fixed numbers, so that the vectors are the same each time. Real ones are random.
    let mut random = |bytes: &mut [u8; 32]| {
        count += 1;
        *bytes = [count; 32];
    };
    let mut wrap = |wrapped: WrappedKey| {
        let made = keyring.wrap(3, &wrapped, &key(1).public_key(), &mut random);
        made.unwrap().1
    };
    let good = &wrap(WrappedKey::Read(read_key()));
    let replica = wrap(WrappedKey::Replica(read_key().replica_key()));
    let mut abroad = Keyring::new(Domain::new(1, domain().ring));
    abroad.approve(key(1).address());
    let abroad = abroad.wrap(
        3,
        &WrappedKey::Read(read_key()),
        &key(1).public_key(),
        |bytes| *bytes = [99; 32],
    );
    let abroad = abroad.unwrap().1;
    let vector = |name: &str, bytes: &[u8], account: u8, error: Option<&'static str>| {
        let mut given = place();
        given["secret"] = hex(*key(account).to_bytes());
        let read = unwrap(&domain(), &key(account), bytes).map(|(epoch, wrapped)| match wrapped {
            WrappedKey::Read(key) => {
                json!({"kind": "read", "epoch": epoch, "key": hex(*key.to_bytes())})
            }
            WrappedKey::Replica(key) => {
                json!({"kind": "replica", "epoch": epoch, "key": hex(*key.to_bytes())})
            }
        });
        let kind = |error| match error {
            WrapError::Ecies => "open",
            WrapError::Form(_) => "form",
            WrapError::Elsewhere { .. } => "elsewhere",
            WrapError::NotApproved { .. } => "approval",
        };
        Vector::new(name, bytes)
            .given(given)
            .read(read.map_err(kind), error)
    };
    File {
        name: "wraps",
        about: "Keys wrapped by ECIES on secp256k1. Given are chain, ring and the private key of the account.",
        fuzzed: None,
        vectors: vec![
            vector("a read key", good, 1, None),
            vector("a replica key", &replica, 1, None),
            vector("for somebody else", good, 2, Some("open")),
            vector("for another chain", &abroad, 1, Some("elsewhere")),
            vector("changed", &set(good, good.len() - 1, good[good.len() - 1] ^ 1), 1, Some("open")),
            vector("cut", &good[..good.len() - 1], 1, Some("open")),
            vector("empty", &[], 1, Some("open")),
        ],
    }
}
