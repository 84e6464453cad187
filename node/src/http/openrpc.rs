//! The OpenRPC document: one table of methods, from which `rpc.discover` and `openrpc.json` are made.

use serde_json::{json, Map, Value};

/// Version of the OpenRPC specification that the document follows.
const OPENRPC: &str = "1.3.2";

pub(super) const STATUS: &str = "rings_status";
pub(super) const GET_RING: &str = "rings_getRing";
pub(super) const GET_GATE: &str = "rings_getGate";
pub(super) const GET_LOG: &str = "rings_getLog";
pub(super) const DISCOVER: &str = "rpc.discover";

/// One method that anyone may call.
pub(super) struct Method {
    pub(super) name: &'static str,
    summary: &'static str,
    params: &'static [Param],
    /// Name of the result's schema.
    result: &'static str,
}

struct Param {
    name: &'static str,
    summary: &'static str,
    schema: &'static str,
    required: bool,
}

const RING: Param = Param {
    name: "ring",
    summary: "the ring's contract",
    schema: "Address",
    required: true,
};

/// All methods. None of them changes anything.
pub(super) const METHODS: &[Method] = &[
    Method {
        name: STATUS,
        summary: "What this member is doing now",
        params: &[],
        result: "Status",
    },
    Method {
        name: GET_RING,
        summary: "A ring and its members",
        params: &[RING],
        result: "Ring",
    },
    Method {
        name: GET_GATE,
        summary: "A gate, the votes seen for it, and its result",
        params: &[Param {
            name: "gate",
            summary: "the gate's contract",
            schema: "Address",
            required: true,
        }],
        result: "Gate",
    },
    Method {
        name: GET_LOG,
        summary: "A page of a member's log, newest first",
        params: &[
            RING,
            Param {
                name: "member",
                summary: "the account whose log it is",
                schema: "Address",
                required: true,
            },
            Param {
                name: "from",
                summary: "sequence number to begin at; the head when it is not given",
                schema: "Count",
                required: false,
            },
            Param {
                name: "limit",
                summary: "nodes in the page, from 1 to 256; 50 when it is not given",
                schema: "Count",
                required: false,
            },
        ],
        result: "Log",
    },
    Method {
        name: DISCOVER,
        summary: "This document",
        params: &[],
        result: "OpenRPC",
    },
];

/// The document.
pub(super) fn document() -> Value {
    let methods: Vec<_> = METHODS.iter().map(Method::to_json).collect();
    json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "Rings member",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": methods,
        "components": { "schemas": schemas() },
    })
}

impl Method {
    fn to_json(&self) -> Value {
        let params: Vec<_> = self.params.iter().map(Param::to_json).collect();
        json!({
            "name": self.name,
            "summary": self.summary,
            "paramStructure": "by-name",
            "params": params,
            "result": { "name": "result", "schema": reference(self.result) },
        })
    }
}

impl Param {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "summary": self.summary,
            "required": self.required,
            "schema": reference(self.schema),
        })
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A schema of a property: `Name`, `Name?` (or null), `[Name]`, `[Name]?`.
fn property(text: &str) -> Value {
    if let Some(inner) = text.strip_suffix('?') {
        return json!({ "oneOf": [property(inner), { "type": "null" }] });
    }
    let list = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match list {
        Some(inner) => json!({ "type": "array", "items": reference(inner) }),
        None => reference(text),
    }
}

/// An object of which all properties are there.
fn object(properties: &[(&str, &str)]) -> Value {
    let names: Vec<_> = properties.iter().map(|(name, _)| name).collect();
    let shapes = properties
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), property(shape)));
    json!({
        "type": "object",
        "properties": shapes.collect::<Map<_, _>>(),
        "required": names,
        "additionalProperties": false,
    })
}

/// The same, with one more property that may be absent.
fn object_and_maybe(properties: &[(&str, &str)], name: &str, shape: &str) -> Value {
    let mut schema = object(properties);
    schema["properties"][name] = property(shape);
    schema
}

fn schemas() -> Value {
    let mut all = scalars();
    for (name, schema) in objects() {
        all[name] = schema;
    }
    all
}

fn scalars() -> Value {
    json!({
        "Address": { "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" },
        "Digest": { "type": "string", "pattern": "^0x[0-9a-f]{64}$" },
        "Bytes": { "type": "string", "pattern": "^0x([0-9a-f]{2})*$" },
        "Cid": { "type": "string" },
        "Text": { "type": "string" },
        "Flag": { "type": "boolean" },
        "Count": { "type": "integer", "minimum": 0 },
        "Uint96": {
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^0x[0-9a-f]+$" },
            ],
            "description": "a number, in hexadecimal above 2^53",
        },
        "Pin": {
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^(0x[0-9a-f]+|failure)$" },
            ],
            "description": "a number, in hexadecimal above 2^53; failure for the failure record",
        },
        "State": { "enum": ["unknown", "waiting", "ready", "declined", "resolved", "failed"] },
        "DagJson": { "description": "any value of DAG-JSON" },
        "OpenRPC": { "type": "object" },
    })
}

fn objects() -> Vec<(&'static str, Value)> {
    vec![
        ("Status", status()),
        (
            "Store",
            object(&[("kind", "Text"), ("blocks", "Count"), ("bytes", "Count")]),
        ),
        ("Head", object(&[("seq", "Count"), ("cid", "Cid")])),
        ("Ring", ring()),
        ("Member", member()),
        ("Gate", gate()),
        ("Data", object(&[("cid", "Cid")])),
        ("Future", object(&[("gate", "Address"), ("pin", "Pin")])),
        (
            "Input",
            json!({ "oneOf": [reference("Data"), reference("Future")] }),
        ),
        (
            "Result",
            object(&[("pin", "Pin"), ("tokenId", "Digest"), ("cid", "Cid")]),
        ),
        ("Output", object(&[("pin", "Pin"), ("cid", "Cid")])),
        ("Vote", vote()),
        (
            "Times",
            object(&[
                ("compute", "Count?"),
                ("quorum", "Count?"),
                ("register", "Count?"),
            ]),
        ),
        ("Log", object(&[("nodes", "[Node]"), ("next", "Count?")])),
        (
            "Node",
            object(&[
                ("cid", "Cid"),
                ("seq", "Count"),
                ("bytes", "Bytes"),
                ("node", "DagJson"),
            ]),
        ),
    ]
}

fn status() -> Value {
    object(&[
        ("version", "Text"),
        ("engine", "Text"),
        ("chainId", "Count"),
        ("block", "Count"),
        ("following", "Flag"),
        ("member", "Address"),
        ("peerId", "Text"),
        ("peers", "Count"),
        ("ring", "Address"),
        ("epoch", "Count"),
        ("head", "Head?"),
        ("store", "Store"),
    ])
}

fn ring() -> Value {
    object(&[
        ("ring", "Address"),
        ("engine", "Address"),
        ("keeper", "Address"),
        ("epoch", "Count"),
        ("quorum", "Count"),
        ("ringNodeHead", "Digest"),
        ("members", "[Member]"),
    ])
}

fn member() -> Value {
    object(&[
        ("address", "Address"),
        ("peerId", "Text?"),
        ("multiaddress", "Text?"),
        ("connected", "Flag"),
        ("lastSeen", "Count?"),
        ("head", "Head?"),
        ("diverged", "[Address]"),
    ])
}

fn gate() -> Value {
    let properties = [
        ("gate", "Address"),
        ("state", "State"),
        ("scope", "Address?"),
        ("rings", "[Address]"),
        ("inputs", "[Input]"),
        ("outputs", "Uint96"),
        ("epoch", "Count"),
        ("quorum", "Count"),
        ("result", "[Result]?"),
        ("votes", "[Vote]"),
        ("silent", "[Address]"),
        ("transaction", "Digest?"),
        ("block", "Count?"),
        ("milliseconds", "Times"),
    ];
    object_and_maybe(&properties, "reason", "Text")
}

fn vote() -> Value {
    object(&[
        ("member", "Address"),
        ("epoch", "Count"),
        ("result", "Digest"),
        ("outputs", "[Output]"),
        ("agrees", "Flag?"),
        ("engine", "Text"),
        ("fuel", "Count"),
    ])
}
