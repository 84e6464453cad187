//! The OpenRPC document, which `rpc.discover` gives: methods, and schemas derived from the types that are sent.
//!
//! The schemas come from the types in `views.rs` and `params.rs` by schemars, so that document and answers cannot
//! differ; the doc comments of those types are the descriptions. A copy is committed as `openrpc.json`, and a test
//! compares the two. Objects are closed: a client may rely on no other property, and a wrong parameter is refused.

use super::{
    client_rings::{
        AppendParams, ClientRingsParams, ClientRingsView, FlushParams, HeldView, MessageParams,
        MessageView, ReplicateParams,
    },
    notices::{Notice, SubscribeParams, UnsubscribeParams},
    params::{DigestParams, GateParams, LogParams, NoParams, RequestParams, RingParams},
    processes::{
        CreateProcessParams, EmitParams, EmittedView, ExecutionParams, ExecutionView,
        ExecutionsView, GetProcessParams, InstallationParams, InstancesView, ListExecutionsParams,
        ListInstancesParams, ListProcessesParams, ProcessRunsView, ProcessView, ProcessesView,
    },
    registry::{RegistryView, SearchRegistryParams},
    schema,
    views::{GateView, LogPage, ProofView, RequestView, RequestedView, RingView, Status},
};
use schemars::{
    generate::SchemaSettings, transform::RecursiveTransform, JsonSchema, Schema, SchemaGenerator,
};
use serde_json::{json, Value};

/// Version of the OpenRPC specification that the document follows; its schemas are those of JSON Schema, draft 7.
const OPENRPC: &str = "1.3.2";
/// Where schemas stand in the document.
const SCHEMAS: &str = "/components/schemas";

/// The names of the methods. Those of client rings have the names of the messages that they take.
pub(super) const STATUS: &str = "rings_status";
pub(super) const GET_RING: &str = "rings_getRing";
pub(super) const GET_GATE: &str = "rings_getGate";
pub(super) const GET_LOG: &str = "rings_getLog";
pub(super) const REQUEST: &str = "rings_request";
pub(super) const GET_REQUEST: &str = "rings_getRequest";
pub(super) const GET_PROOF: &str = "rings_getProof";
pub(super) const FLUSH: &str = "FlushToRing";
pub(super) const APPEND: &str = "AppendToRing";
pub(super) const REPLICATE: &str = "ReplicateRing";
pub(super) const GET_MESSAGE: &str = "rings_getMessage";
pub(super) const GET_CLIENT_RINGS: &str = "rings_getClientRings";
pub(super) const CREATE_PROCESS: &str = "rings_createProcess";
pub(super) const PAUSE_PROCESS: &str = "rings_pauseProcess";
pub(super) const RESUME_PROCESS: &str = "rings_resumeProcess";
pub(super) const CANCEL_PROCESS: &str = "rings_cancelProcess";
pub(super) const LIST_PROCESSES: &str = "rings_listProcesses";
pub(super) const LIST_INSTANCES: &str = "rings_listInstances";
pub(super) const GET_PROCESS: &str = "rings_getProcess";
pub(super) const EMIT: &str = "rings_emit";
pub(super) const LIST_EXECUTIONS: &str = "rings_listExecutions";
pub(super) const GET_EXECUTION: &str = "rings_getExecution";
pub(super) const SEARCH_REGISTRY: &str = "rings_searchRegistry";
pub(super) const SUBSCRIBE: &str = "rings_subscribe";
pub(super) const UNSUBSCRIBE: &str = "rings_unsubscribe";
pub(super) const DISCOVER: &str = "rpc.discover";
/// The method of the notifications that a subscription sends.
pub(super) const NOTIFICATION: &str = "rings_subscription";

/// The methods that need the member's token.
pub(super) const NEED_TOKEN: [&str; 6] = [
    REQUEST,
    CREATE_PROCESS,
    PAUSE_PROCESS,
    RESUME_PROCESS,
    CANCEL_PROCESS,
    EMIT,
];

/// The document. None of its methods changes anything, except `rings_request`, `rings_emit`, those that create, pause, resume
/// and cancel processes, `FlushToRing`, `AppendToRing` and `ReplicateRing`.
pub(super) fn document() -> Value {
    let mut document = Document::new();
    document.method::<NoParams, Status>(STATUS, "What this member is doing now");
    document.method::<RingParams, RingView>(GET_RING, "A ring and its members");
    document
        .method::<GateParams, GateView>(GET_GATE, "A gate, the votes seen for it, and its result");
    document.method::<LogParams, LogPage>(
        GET_LOG,
        "A page of a member's log, or of an avatar's in a client ring that is kept, newest first",
    );
    document.method::<RequestParams, RequestedView>(
        REQUEST,
        "Asks a request of the ring; needs the member's token",
    );
    document.method::<DigestParams, RequestView>(
        GET_REQUEST,
        "A request, the votes seen for it, and its result",
    );
    document
        .method::<DigestParams, ProofView>(GET_PROOF, "The proof that a ring node lists a request");
    document.method::<FlushParams, MessageView>(
        FLUSH,
        "Bring what an avatar signed, and the log nodes behind it, to its ring",
    );
    document.method::<AppendParams, HeldView>(
        APPEND,
        "Have an avatar's log nodes kept, without a transaction",
    );
    document.method::<ReplicateParams, MessageView>(
        REPLICATE,
        "Have the logs of a client ring kept by this member's ring",
    );
    document.method::<MessageParams, Option<MessageView>>(
        GET_MESSAGE,
        "What became of a FlushToRing; null if it was never seen here",
    );
    document.method::<ClientRingsParams, ClientRingsView>(
        GET_CLIENT_RINGS,
        "The client rings whose logs this member keeps, with the heads of their logs",
    );
    processes(&mut document);
    document.method::<SubscribeParams, u64>(
        SUBSCRIBE,
        "Be told of heads, gates or messages by notifications rings_subscription {subscription, result}, each result a Notice; in a WebSocket session only",
    );
    document.method::<UnsubscribeParams, bool>(
        UNSUBSCRIBE,
        "End a subscription; false if this session has none of that number",
    );
    document.result::<Notice>();
    document.method::<NoParams, schema::OpenRPC>(DISCOVER, "This document");
    document.finish()
}

/// The methods about processes.
fn processes(document: &mut Document) {
    document.method::<CreateProcessParams, ProcessView>(
        CREATE_PROCESS,
        "Have the ring run a process; needs the member's token",
    );
    document.method::<InstallationParams, ProcessView>(
        PAUSE_PROCESS,
        "Let a process wait, once the ring has decided it; needs the member's token",
    );
    document.method::<InstallationParams, ProcessView>(
        RESUME_PROCESS,
        "Let a process that waits go on, once the ring has decided it; needs the member's token",
    );
    document.method::<InstallationParams, ProcessView>(
        CANCEL_PROCESS,
        "End a process for good, once the ring has decided it; needs the member's token",
    );
    document.method::<ListProcessesParams, ProcessesView>(
        LIST_PROCESSES,
        "The processes that the ring runs",
    );
    document
        .method::<GetProcessParams, ProcessRunsView>(GET_PROCESS, "A process and its newest runs");
    document.method::<EmitParams, EmittedView>(
        EMIT,
        "Tell the ring of an event, which starts processes; needs the member's token",
    );
    document.method::<ListInstancesParams, InstancesView>(
        LIST_INSTANCES,
        "The instances of services that processes of the ring use",
    );
    document.method::<ListExecutionsParams, ExecutionsView>(
        LIST_EXECUTIONS,
        "The executions that are under way, and those that have ended last",
    );
    document.method::<ExecutionParams, Option<ExecutionView>>(
        GET_EXECUTION,
        "An execution; null if this member does not know of it",
    );
    document.method::<SearchRegistryParams, RegistryView>(
        SEARCH_REGISTRY,
        "A page of the chain's registry of services and processes, newest first: the word of those who registered them",
    );
}

/// The document while it is put together.
struct Document {
    methods: Vec<Value>,
    params: SchemaGenerator,
    results: SchemaGenerator,
}

impl Document {
    fn new() -> Self {
        Self {
            methods: Vec::new(),
            params: settings().for_deserialize().into_generator(),
            results: settings().for_serialize().into_generator(),
        }
    }

    /// Adds the method that takes `P`, an object, and answers with `R`.
    fn method<P: JsonSchema, R: JsonSchema>(&mut self, name: &str, summary: &str) {
        let schema = self.params.root_schema_for::<P>();
        let result = self.results.subschema_for::<R>();
        self.methods.push(json!({
            "name": name,
            "summary": summary,
            "paramStructure": "by-name",
            "params": params(&schema),
            "result": { "name": "result", "schema": result },
        }));
    }

    /// Adds the schema of something that is sent without being the answer of a method.
    fn result<R: JsonSchema>(&mut self) {
        self.results.subschema_for::<R>();
    }

    fn finish(mut self) -> Value {
        let mut schemas = self.params.take_definitions(true);
        schemas.extend(self.results.take_definitions(true));
        json!({
            "openrpc": OPENRPC,
            "info": {
                "title": "Rings member",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "MIT OR Apache-2.0" },
            },
            "methods": self.methods,
            "components": { "schemas": schemas },
        })
    }
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft07()
        .with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        })
        .with_transform(RecursiveTransform(close))
}

/// Says of each object that it has no other properties than those described.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".into(), false.into());
    }
}

/// The properties of an object as parameters, those that are required first.
fn params(object: &Schema) -> Vec<Value> {
    let properties = object.get("properties").and_then(Value::as_object);
    let required = object.get("required").and_then(Value::as_array);
    let is_required = |name: &String| {
        required.is_some_and(|required| required.iter().any(|other| other == name.as_str()))
    };
    let mut params: Vec<_> = properties.into_iter().flatten().collect();
    params.sort_by_key(|(name, _)| !is_required(name));
    let param = |(name, schema): (&String, &Value)| {
        json!({
            "name": name,
            "summary": schema.get("description"),
            "required": is_required(name),
            "schema": schema,
        })
    };
    params.into_iter().map(param).collect()
}
