//! What an execution is for a ring, or for one machine: an operation, the pieces of standard input, and a request.
//!
//! A program reads the execution (one line of JSON), a line end, and the bytes of the file that one of its inputs names, if
//! there is one. It writes its answer. All of it follows from the execution alone, and so does the request, but for the
//! time until when it may be listed. That is counted in windows of [`WINDOW`] ring nodes, so that whoever asks within one
//! window asks the same request: a member that takes over from another one does not make the ring compute again.

use crate::{
    bounds::MAX_DOCUMENT_BYTES,
    data::Data,
    document::{cid_of, Document},
    execution::Execution,
    service::{Task, TASK_FUEL, TASK_MEMORY},
};
use cid::Cid;
use rings_protocol::{
    cids::{data_cid, digest_of},
    eip712::Domain,
    operation::{FailureRecord, Mode, Operation, Reason},
    request::{Request, RequestInput},
    Digest,
};

/// What stands between the execution and the file.
pub const LINE_END: &str = "\n";
/// Ring nodes in a window. A request stays open for at least one, and for less than two.
pub const WINDOW: u64 = 1_000;
/// Bytes of a failed program's standard error that are shown.
const SHOWN_BYTES: usize = 512;

/// What is computed for an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The operation.
    pub operation: Operation,
    /// The documents that have to be in a ring's store: the operation, the execution, a line end.
    pub documents: Vec<Vec<u8>>,
    /// The CIDs on the inputs, the operation first.
    pub inputs: Vec<Cid>,
}

/// The operation of a task; nothing if the task is external.
pub fn operation(task: &Task, profile: &str) -> Option<Operation> {
    Some(Operation {
        args: task.args.clone(),
        fuel: task.fuel.unwrap_or(TASK_FUEL),
        memory: task.memory.unwrap_or(TASK_MEMORY),
        mode: Mode::Cat,
        output: Some(MAX_DOCUMENT_BYTES as u64),
        profile: profile.to_owned(),
        program: task.program?,
        stack: None,
        state: false,
        time: 0,
    })
}

/// The CID of the file that an execution reads, or why what stands there is none.
///
/// # Errors
/// Why there is none, in words.
pub fn file_of(task: &Task, execution: &Execution) -> Result<Option<Cid>, String> {
    let Some(input) = task.file() else {
        return Ok(None);
    };
    match execution.inputs.get(input) {
        Some(Data::Text(text)) => {
            let cid = text
                .parse::<Cid>()
                .map_err(|_| format!("input {input} is {text:?}, and not the CID of a file"))?;
            Ok(Some(cid))
        }
        _ => Err(format!("input {input} is no text")),
    }
}

/// Why a ring computes nothing for an external task.
fn external(task: &Task) -> String {
    let connector = task.external.as_deref().unwrap_or_default();
    format!("its task is external: connector {connector} does it, and no program")
}

impl Work {
    /// The work of an execution.
    ///
    /// # Errors
    /// Why nothing can be computed, in words: the same for everybody, so the execution has failed.
    pub fn of(task: &Task, execution: &Execution, profile: &str) -> Result<Self, String> {
        let operation = operation(task, profile).ok_or_else(|| external(task))?;
        let file = file_of(task, execution)?;
        let documents = vec![
            operation.to_dag_json().map_err(|error| error.to_string())?,
            execution.to_bytes().map_err(|error| error.to_string())?,
            LINE_END.as_bytes().to_vec(),
        ];
        let mut inputs: Vec<_> = documents.iter().map(|bytes| cid_of(bytes)).collect();
        inputs.extend(file);
        Ok(Self {
            operation,
            documents,
            inputs,
        })
    }

    /// The request to a ring whose next ring node is `next`.
    ///
    /// # Errors
    /// When an input is no file.
    pub fn request(&self, domain: &Domain, next: u64) -> Result<Request, String> {
        let digest = |cid: &Cid| {
            digest_of(cid).map_err(|_| format!("{cid} does not name a file as `ipfs add` makes it"))
        };
        let (operation, inputs) = match self.inputs.split_first() {
            Some((operation, inputs)) => (digest(operation)?, inputs),
            None => return Err("there is no operation".into()),
        };
        let inputs = inputs.iter().map(|cid| digest(cid).map(RequestInput::Data));
        Ok(Request {
            ring: domain.ring,
            chain: domain.chain_id,
            profile: self.operation.profile.clone(),
            operation,
            inputs: inputs.collect::<Result<_, _>>()?,
            nonce: 0,
            until: until(next),
        })
    }
}

/// The execution for which a request was asked, if it has the form of such a request.
pub fn execution_of(request: &Request) -> Option<Cid> {
    let of = |input: &RequestInput| match input {
        RequestInput::Data(digest) => Some(*digest),
        RequestInput::Output { .. } => None,
    };
    let [execution, line_end, ..] = request.inputs.as_slice() else {
        return None;
    };
    execution_before(of(execution)?, of(line_end)?)
}

/// The execution with this digest, if a line end follows it.
pub(crate) fn execution_before(execution: Digest, line_end: Digest) -> Option<Cid> {
    let is_line_end = data_cid(line_end) == cid_of(LINE_END.as_bytes());
    is_line_end.then(|| data_cid(execution))
}

/// The last ring node that may list a request which is asked when the next one is `next`.
pub fn until(next: u64) -> u64 {
    let window = next / WINDOW;
    window
        .saturating_add(2)
        .saturating_mul(WINDOW)
        .saturating_sub(1)
}

/// Why a program failed, in words.
pub fn why(record: &FailureRecord) -> String {
    let why = match record.reason {
        Reason::Exit => format!(
            "it ended with exit status {}",
            record.code.unwrap_or_default()
        ),
        Reason::Trap => format!(
            "it trapped ({})",
            record.trap.as_deref().unwrap_or_default()
        ),
        Reason::Fuel => "it used all its fuel; give the task more".into(),
        Reason::Memory => "it needed more memory than it may have; give the task more".into(),
        Reason::Input => "the program or an input is malformed".into(),
    };
    let stderr = &record.stderr;
    let said = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(SHOWN_BYTES)..]);
    match said.trim() {
        "" => why,
        said => format!("{why}, and said: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Fields, execution::VERSION, shape::Record};
    use proptest::prelude::*;
    use rings_protocol::Address;
    use std::collections::BTreeMap;

    fn task() -> Task {
        Task {
            about: String::new(),
            args: vec!["--fast".into()],
            emits: BTreeMap::new(),
            external: None,
            fuel: Some(7),
            inputs: Record::default(),
            memory: None,
            program: Some(cid_of(b"program")),
            retry: None,
            run: None,
            seconds: None,
            statuses: BTreeMap::from([("done".into(), Record::default())]),
            with: Fields::new(),
        }
    }

    fn execution() -> Execution {
        Execution {
            awaits: None,
            each: None,
            event: cid_of(b"event"),
            inputs: Fields::new(),
            node: "n".into(),
            parents: Vec::new(),
            process: cid_of(b"process"),
            service: cid_of(b"service"),
            task: "t".into(),
            version: VERSION,
        }
    }

    #[test]
    fn the_inputs_are_the_operation_the_execution_and_a_line_end() {
        let work = Work::of(&task(), &execution(), "p").unwrap();
        assert_eq!(work.inputs[1], execution().cid().unwrap());
        assert_eq!(work.inputs[2], cid_of(b"\n"));
        let named: Vec<_> = work.documents.iter().map(|bytes| cid_of(bytes)).collect();
        assert_eq!(named, work.inputs);
        // From the request, the execution is found again.
        let domain = Domain::new(1, Address([1; 20]));
        let request = work.request(&domain, 5).unwrap();
        assert_eq!(execution_of(&request), Some(execution().cid().unwrap()));
        let plain = Request {
            inputs: request.inputs[..1].to_vec(),
            ..request
        };
        assert_eq!(execution_of(&plain), None, "somebody's own computation");
        let external = Task {
            external: Some("mail".into()),
            program: None,
            ..task()
        };
        let told = Work::of(&external, &execution(), "p").unwrap_err();
        assert!(told.contains("connector mail"), "{told}");
    }

    proptest! {
        /// Whoever asks within one window asks the same request, and it stays open for at least a window.
        #[test]
        fn a_window_has_one_request(next in 0u64..1 << 40, later in 0u64..WINDOW) {
            let domain = Domain::new(1, Address([1; 20]));
            let work = Work::of(&task(), &execution(), "p").unwrap();
            let digest = |next| work.request(&domain, next).unwrap().digest().unwrap();
            let same = next / WINDOW == (next + later) / WINDOW;
            prop_assert_eq!(digest(next) == digest(next + later), same);
            let open = until(next) - next;
            prop_assert!((WINDOW..2 * WINDOW).contains(&open), "{}", open);
        }
    }
}
