//! What a definition, an event or an execution may have at most. Everything that others can write is refused beyond these.

/// Bytes of a document: a definition, an event, an execution, a result. It is one block of a file as `ipfs add` makes it.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// How deep data may be nested.
pub const MAX_DATA_DEPTH: usize = 32;
/// Values in one piece of data, lists and maps counted as well as what is in them.
pub const MAX_DATA_VALUES: usize = 65_536;
/// Bytes of a name: of a service, task, status, event, field or node.
pub const MAX_NAME_BYTES: usize = 64;
/// Nodes of a process.
pub const MAX_NODES: usize = 1_000;
/// Nodes on the longest way through a process.
pub const MAX_DEPTH: usize = 100;
/// Services that a process joins.
pub const MAX_SERVICES: usize = 32;
/// Tasks, and events, of a service.
pub const MAX_TASKS: usize = 256;
/// Statuses of a task.
pub const MAX_STATUSES: usize = 32;
/// Fields of an event, of a task's inputs, of a status, and names of a configuration.
pub const MAX_FIELDS: usize = 128;
/// Executions of one node with `each`.
pub const MAX_EACH: usize = 1_000;
/// Bytes of a formula (CEL).
pub const MAX_FORMULA_BYTES: usize = 1_024;
/// Nodes of a formula's syntax tree.
pub const MAX_FORMULA_NODES: usize = 256;
/// How deep a formula's parts may be nested, a loop counted [`LOOP_DEPTH`] times: it is evaluated on the stack.
pub const MAX_FORMULA_DEPTH: usize = 24;
/// What a loop counts for in the depth of a formula.
pub const LOOP_DEPTH: usize = 3;
/// What evaluating a formula may cost, in nodes visited and sixteen bytes of values made.
pub const MAX_FORMULA_COST: u64 = 1_000_000;
/// Bytes of a text that a template gives.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Bytes that a connector may write.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Seconds that one try of an external task may take, where its definition does not say it.
pub const EXTERNAL_SECONDS: u64 = 30;
/// The most that its definition may say.
pub const MAX_EXTERNAL_SECONDS: u64 = 300;
/// How often an external task is tried at most.
pub const MAX_TRIES: u64 = 10;
/// Longest pause between two tries, in seconds.
pub const MAX_PAUSE_SECONDS: u64 = 600;
/// Events that come of tasks in a row, each by a process that the one before has started: events that tasks emit, and results of other rings. So neither a
/// process can start itself for ever, nor two rings each other.
pub const MAX_EMITTED: u64 = 16;
/// The longest time for which a node waits for an event, in seconds: a year.
pub const MAX_WAIT_SECONDS: u64 = 366 * 24 * 60 * 60;
/// Shortest interval of a schedule, in seconds.
pub const MIN_INTERVAL_SECONDS: u64 = 1;
/// Scheduled events that are caught up at most after a time without blocks; older ones are left out, and counted.
pub const MAX_CAUGHT_UP: usize = 1_000;
