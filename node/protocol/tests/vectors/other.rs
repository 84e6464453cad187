//! Vectors of what stands in logs (messages, requests), and of what is signed.

use crate::vector::{digest, domain, hex, key, set, spoilt, spoilt_vectors, swap, File, Vector};
use rings_protocol::{
    assembly::{Choice, Endorsement, Proposal},
    gate::{Computation, FAILURE_PIN},
    message::{Message, MessageError, Outputs, Vote},
    private::Rotation,
    request::{Request, RequestError, RequestInput, RequestKey, RequestVote},
    ringlog::Outcome,
    Address, Digest,
};
use serde_json::{json, Value};

pub fn digests() -> File {
    let computation = Computation {
        gate: Address([0x22; 20]),
        inputs: digest(0x55),
    };
    let outputs = domain().outputs(
        computation,
        7,
        &[0, FAILURE_PIN],
        &[digest(0x33), digest(0x44)],
    );
    let outputs = outputs.digest();
    let node = domain().log_node(7, digest(0x22), digest(0x33)).digest();
    let moves = [
        (Address([3; 20]), Digest::ZERO, digest(6)),
        (Address([4; 20]), digest(5), digest(7)),
    ];
    let ring_node = domain().ring_node(digest(1), digest(2), 7, &moves).digest();
    let of = |name: &str, message: Value, digest: Digest| {
        let signed = key(0x46).sign(&digest).unwrap().to_bytes();
        let expect = json!({"digest": hex(digest), "signer": hex(key(0x46).address()), "signature": hex(signed)});
        let given =
            json!({"chain": 31337, "ring": hex(domain().ring), "type": name, "message": message});
        Vector::new(name, Vec::<u8>::new())
            .given(given)
            .read(Ok(expect), None)
    };
    let (zero, two) = (hex(Digest::ZERO), hex(digest(2)));
    File {
        name: "digests",
        about: "What members sign, by EIP-712, and signatures of it. The domain is {name: Ring, version: 1}, chain and ring. No bytes are read.",
        fuzzed: None,
        vectors: vec![
            of("LogNode", json!({"seq": 7, "prev": hex(digest(0x22)), "content": hex(digest(0x33))}), node),
            of("Outputs", json!({
                "gate": hex(Address([0x22; 20])), "inputs": hex(digest(0x55)), "epoch": 7,
                "pins": ["0", FAILURE_PIN.to_string()], "cids": [hex(digest(0x33)), hex(digest(0x44))],
            }), outputs),
            of("RingNode", json!({
                "prev": hex(digest(1)), "cid": two, "epoch": 7,
                "members": [hex(Address([3; 20])), hex(Address([4; 20]))],
                "prevHeads": [zero, hex(digest(5))], "heads": [hex(digest(6)), hex(digest(7))],
            }), ring_node),
        ],
    }
}

fn request() -> Request {
    Request {
        ring: domain().ring,
        chain: domain().chain_id,
        profile: "wasmtime 48".into(),
        operation: digest(2),
        inputs: vec![
            RequestInput::Data(digest(3)),
            RequestInput::Output {
                request: digest(4),
                pin: 1,
            },
        ],
        nonce: 7,
        until: 300,
    }
}

pub fn requests() -> File {
    let vector = |name: &str, bytes: &[u8], error: Option<&'static str>| {
        let read = Request::from_bytes(bytes).map(|request| {
            let inputs = request.inputs.iter().map(|input| match input {
                RequestInput::Data(data) => json!({"data": hex(data)}),
                RequestInput::Output { request, pin } => json!({"request": hex(request), "pin": pin}),
            });
            let resolved = request.resolve(|_, _| Some(digest(0x77))).unwrap();
            json!({
                "digest": hex(request.digest().unwrap()), "ring": hex(request.ring), "chain": request.chain,
                "profile": request.profile, "operation": hex(request.operation), "inputs": inputs.collect::<Vec<_>>(),
                "nonce": request.nonce, "until": request.until, "resolvedHash": hex(resolved.hash),
            })
        });
        let kind = |error| match error {
            RequestError::TooLong { .. } => "size",
            RequestError::Form(_) | RequestError::Pin { .. } => "form",
        };
        Vector::new(name, bytes).read(read.map_err(kind), error)
    };
    let bytes = |request: Request| request.to_bytes().unwrap();
    let good = bytes(request());
    let mut vectors = vec![
        vector("data and an output of another request", &good, None),
        vector(
            "no inputs",
            &bytes(Request {
                inputs: vec![],
                ..request()
            }),
            None,
        ),
        vector(
            "the largest numbers",
            &bytes(Request {
                nonce: 1 << 53,
                until: 1 << 53,
                ..request()
            }),
            None,
        ),
        vector(
            "an unknown key",
            &swap(&good, b"enonce", b"enonse"),
            Some("form"),
        ),
        vector(
            "an output pin that no request has",
            &swap(&good, b"\x04\x01gprofile", b"\x04\x19\x01\x2cgprofile"),
            Some("form"),
        ),
        vector(
            "an input of an unknown kind",
            &swap(&good, b"\x82\x00\x58", b"\x82\x02\x58"),
            Some("form"),
        ),
        vector(
            "a ring of 21 bytes",
            &swap(&good, b"dring\x54", b"dring\x55"),
            Some("form"),
        ),
        vector(
            "a long nonce",
            &swap(&good, b"enonce\x07", b"enonce\x18\x07"),
            Some("form"),
        ),
    ];
    vectors.extend(spoilt_vectors(&good, vector));
    File {
        name: "requests",
        about: "Requests without a gate. The resolved hash is for outputs of other requests that are all 0x77….",
        fuzzed: Some("request"),
        vectors,
    }
}

/// Reads the payload of a message of one kind, and shows it.
fn payload(kind: &str, bytes: &[u8]) -> Result<Value, &'static str> {
    let message = Message {
        domain: "rings".into(),
        payload: bytes.to_vec().into(),
        status: String::new(),
        kind: kind.into(),
    };
    let shown = match kind {
        "Vote" => Vote::from_message(&message).map(|vote| vote.map(|vote| {
            let outputs = vote.outputs.iter();
            let outputs: Vec<_> = outputs.map(|(pin, cid)| json!([pin.to_string(), hex(cid)])).collect();
            json!({
                "gate": hex(vote.gate), "epoch": vote.epoch, "inputs": hex(vote.inputs), "fuel": vote.fuel,
                "profile": vote.profile, "outputs": outputs, "signature": hex(vote.signature.to_bytes()),
            })
        })),
        "RequestVote" => RequestVote::from_message(&message).map(|vote| vote.map(|vote| {
            json!({
                "request": hex(vote.key.request), "inputs": hex(vote.key.inputs), "fuel": vote.fuel,
                "profile": vote.profile, "entry": hex(vote.entry().to_bytes()),
            })
        })),
        "Proposal" => Proposal::from_message(&message).map(|proposal| proposal.map(|proposal| {
            let before: Vec<_> = proposal.before.iter().map(hex).collect();
            json!({"node": hex(proposal.node()), "before": before})
        })),
        "Endorsement" => Endorsement::from_message(&message).map(|given| given.map(|given| {
            json!({"node": hex(given.node), "signed": hex(given.signed), "signature": hex(given.signature.to_bytes())})
        })),
        "Choice" => Choice::from_message(&message).map(|choice| {
            choice.map(|choice| json!({"slot": hex(choice.slot), "choice": hex(choice.choice)}))
        }),
        _ => Rotation::from_message(&message).map(|made| made.map(|made| {
            json!({"epoch": made.epoch, "read": hex(made.read), "replica": hex(made.replica), "wraps": hex(made.wraps)})
        })),
    };
    shown
        .map(|shown| shown.expect("it is of this kind"))
        .map_err(|_: MessageError| "form")
}

fn of(kind: &str, name: &str, bytes: &[u8], error: Option<&'static str>) -> Vector {
    let name = format!("{kind}: {name}");
    Vector::new(name, bytes)
        .given(json!({"type": kind}))
        .read(payload(kind, bytes), error)
}

pub fn messages() -> File {
    let computation = Computation {
        gate: Address([9; 20]),
        inputs: digest(8),
    };
    let outputs = Outputs::new([(FAILURE_PIN, digest(2)), (0, digest(1))]).unwrap();
    let signed = domain()
        .outputs(computation, 3, &outputs.pins(), &outputs.cids())
        .digest();
    let vote = Vote {
        epoch: 3,
        fuel: 1_000_000,
        gate: computation.gate,
        inputs: computation.inputs,
        outputs,
        profile: "wasmtime 48".into(),
        signature: key(1).sign(&signed).unwrap(),
    };
    let request_vote = |outcome: Outcome| RequestVote {
        fuel: 17,
        key: RequestKey {
            request: digest(1),
            inputs: digest(2),
        },
        outcome,
        profile: "wasmtime 48".into(),
    };
    let proposal = Proposal {
        header: vec![0x8a, 1],
        before: vec![Digest::ZERO, digest(5)],
    };
    let endorsement = Endorsement {
        node: digest(1),
        signed: digest(2),
        signature: key(1).sign(&digest(2)).unwrap(),
    };
    let choice = Choice {
        slot: digest(1),
        choice: digest(2),
    };
    let rotation = Rotation {
        epoch: 3,
        read: digest(1),
        replica: digest(2),
        wraps: digest(3),
    };
    let made = [
        ("Vote", vote.to_message().unwrap()),
        (
            "RequestVote",
            request_vote(Outcome::Outputs(vec![digest(3), digest(4)]))
                .to_message()
                .unwrap(),
        ),
        (
            "RequestVote",
            request_vote(Outcome::Failure(digest(5)))
                .to_message()
                .unwrap(),
        ),
        ("Proposal", proposal.to_message()),
        ("Endorsement", endorsement.to_message()),
        ("Choice", choice.to_message()),
        ("Rotation", rotation.to_message()),
    ];
    let mut vectors = Vec::new();
    for (place, (kind, message)) in made.iter().enumerate() {
        vectors.push(of(kind, &format!("good {place}"), &message.payload, None));
    }
    vectors.extend(bad_messages(&made));
    File {
        name: "messages",
        about: "Payloads of the messages that Rings defines. Given is the message's type; its domain is \"rings\".",
        fuzzed: Some("message"),
        vectors,
    }
}

fn bad_messages(made: &[(&str, Message)]) -> Vec<Vector> {
    let good = |place: usize| &made[place].1.payload[..];
    let endorsement = good(4);
    let last = endorsement.len() - 1;
    let cases = [
        (0, "a long head", spoilt(good(0))[3].1.clone()),
        (
            0,
            "a pin of 11 bytes",
            swap(good(0), b"\x82\x4c", b"\x82\x4b"),
        ),
        (0, "an output twice", swap(good(0), &[0xff; 12], &[0; 12])),
        (0, "v is 300", swap(good(0), b"av\x18", b"av\x19\x01")),
        (
            1,
            "no output",
            swap(good(1), b"\x82\x58\x20\x03", b"\x80\x58\x20\x03"),
        ),
        (
            2,
            "an outcome of an unknown kind",
            swap(good(2), b"\x82\x01", b"\x82\x02"),
        ),
        (3, "left over", spoilt(good(3))[2].1.clone()),
        (
            4,
            "v is 0 or 1",
            set(endorsement, last, endorsement[last] - 27),
        ),
        (5, "an unknown key", swap(good(5), b"dslot", b"dslut")),
        (
            6,
            "bytes for a link",
            swap(good(6), b"\xd8\x2a\x58\x25", b"\x58\x25\x00\x00"),
        ),
    ];
    let cases = cases.iter();
    cases
        .map(|(place, name, bytes)| of(made[*place].0, name, bytes, Some("form")))
        .collect()
}
