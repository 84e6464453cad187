//! What is asked of the ring: program, operation and inputs, checked before anything leaves this machine.

use super::content::Content;
use crate::cli::{
    args::RunArgs,
    failure::{Context, Failure, Status},
};
use bytes::Bytes;
use cid::Cid;
use futures::StreamExt;
use rings_compute::{check_module, MAX_MODULE_BYTES};
use rings_protocol::{
    cids::{digest_of, normalise},
    gate::{GateInput, GateSpec},
    operation::{Mode, Operation},
    Address, Digest,
};
use rings_store::{read_file, BlockSource};
use std::{
    fs,
    io::{self, IsTerminal},
    path::Path,
    sync::Arc,
};

/// Output pin of the next state.
pub const STATE_PIN: u128 = 1;
/// What `--state` says when there is none yet.
const NEW_STATE: &str = "new";

/// A program, its operation and its inputs.
#[derive(Debug)]
pub struct Job {
    /// The program, unless the ring has it.
    pub program: Program,
    /// The operation.
    pub what: Operation,
    /// The operation, as a file.
    pub operation: Content,
    /// The state, which is the gate's first input.
    pub state: Option<State>,
    /// The inputs, in order.
    pub inputs: Vec<Content>,
    /// How many output pins the gate has.
    pub outputs: u128,
}

/// Where the program is.
#[derive(Debug)]
pub enum Program {
    /// On this machine.
    Here(Content),
    /// In the ring's store, under this CID.
    There(Cid),
}

/// Where the state comes from.
#[derive(Debug)]
pub enum State {
    /// From this machine.
    Here(Content),
    /// From a gate's second output pin.
    After(Address),
}

impl State {
    /// The content, if it is here.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Here(content) => Some(content),
            Self::After(_) => None,
        }
    }

    /// How a receipt names it: its CID, or the gate.
    pub fn name(&self) -> String {
        match self {
            Self::Here(content) => content.cid().to_string(),
            Self::After(gate) => gate.to_string(),
        }
    }

    fn input(&self) -> Result<GateInput, Failure> {
        match self {
            Self::Here(content) => Ok(GateInput::Token(digest(content)?.token_id())),
            Self::After(gate) => Ok(GateInput::Output {
                gate: *gate,
                pin: STATE_PIN,
            }),
        }
    }
}

impl Program {
    /// Its CID.
    pub fn cid(&self) -> Cid {
        match self {
            Self::Here(content) => content.cid(),
            Self::There(cid) => *cid,
        }
    }
}

impl Job {
    /// Reads and checks what the command line names.
    ///
    /// # Errors
    /// Status 2, with the file and what is wrong with it.
    pub async fn prepare(args: &RunArgs) -> Result<Self, Failure> {
        let (name, arguments) = args
            .program
            .split_first()
            .ok_or_else(|| Failure::usage("no program; name a WASM file"))?;
        let program = program(name).await?;
        let inputs = inputs(args).await?;
        let state = match &args.state {
            Some(state) => Some(self::state(state).await?),
            None => None,
        };
        let mode = if args.each { Mode::Each } else { Mode::Cat };
        let operation = Operation {
            args: arguments.to_vec(),
            fuel: args.fuel,
            memory: args.memory,
            mode,
            output: args.max_output,
            program: program.cid(),
            stack: args.stack,
            state: state.is_some(),
        };
        let bytes = operation
            .to_dag_json()
            .map_err(|error| Failure::usage("the arguments are too long").because(error))?;
        let outputs = operation
            .outputs(inputs.len() + usize::from(state.is_some()))
            .ok_or_else(|| Failure::usage("--state and --each exclude each other"))?;
        Ok(Self {
            state,
            program,
            operation: Content::memory("the operation", bytes).await?,
            what: operation,
            inputs,
            outputs,
        })
    }

    /// All that a member must have.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        let program = match &self.program {
            Program::Here(content) => Some(content),
            Program::There(_) => None,
        };
        program
            .into_iter()
            .chain([&self.operation])
            .chain(self.state.as_ref().and_then(State::content))
            .chain(&self.inputs)
    }

    /// The digests of what must be declared: the operation's, then the inputs'.
    ///
    /// # Errors
    /// Never, as our own importer makes CIDs that can go on chain.
    pub fn digests(&self) -> Result<Vec<Digest>, Failure> {
        let state = self.state.as_ref().and_then(State::content);
        let contents = [&self.operation].into_iter().chain(state);
        contents.chain(&self.inputs).map(digest).collect()
    }

    /// The gate that asks for it.
    ///
    /// # Errors
    /// As [`Job::digests`].
    pub fn spec(&self, scope: Address, ring: Address, salt: Digest) -> Result<GateSpec, Failure> {
        let token = |content| Ok(GateInput::Token(digest(content)?.token_id()));
        let operation = [token(&self.operation)];
        let state = self.state.as_ref().map(State::input);
        let inputs = self.inputs.iter().map(token);
        let inputs = operation.into_iter().chain(state).chain(inputs);
        Ok(GateSpec {
            scope,
            rings: vec![ring],
            inputs: inputs.collect::<Result<_, Failure>>()?,
            outputs: self.outputs,
            salt,
        })
    }
}

/// Its digest, as it goes on chain.
///
/// # Errors
/// Never, as our own importer makes CIDs that can go on chain.
pub fn digest(content: &Content) -> Result<Digest, Failure> {
    digest_of(&content.cid())
        .map_err(|error| Failure::internal("a CID cannot go on chain").because(error))
}

/// The state that `--state` names.
async fn state(name: &str) -> Result<State, Failure> {
    if name == NEW_STATE {
        return Ok(State::Here(
            Content::memory("the empty state", Bytes::new()).await?,
        ));
    }
    match name.parse() {
        Ok(gate) => Ok(State::After(gate)),
        Err(_) => Ok(State::Here(Content::path(Path::new(name)).await?)),
    }
}

/// The WASM file `name`, or the CID `name` when there is no such file.
async fn program(name: &str) -> Result<Program, Failure> {
    let path = Path::new(name);
    if !path.exists() {
        let cid: Cid = name.parse().map_err(|_| {
            Failure::usage(format!(
                "there is no file {name}, and it is not a CID; name a WASM file"
            ))
        })?;
        let cid = normalise(&cid).map_err(|error| {
            Failure::usage(format!("{name} cannot be a program")).because(error)
        })?;
        return Ok(Program::There(cid));
    }
    let unread = || format!("cannot read {name}; check the path");
    let length = fs::metadata(path).context(Status::Usage, unread())?.len();
    if length > MAX_MODULE_BYTES as u64 {
        return Err(too_long(name));
    }
    let bytes = fs::read(path).context(Status::Usage, unread())?;
    check(name, &bytes)?;
    Ok(Program::Here(Content::memory(name, bytes).await?))
}

fn too_long(name: &str) -> Failure {
    Failure::usage(format!(
        "{name} has more than {MAX_MODULE_BYTES} bytes; strip the program"
    ))
}

fn check(name: &str, bytes: &[u8]) -> Result<(), Failure> {
    check_module(bytes).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// Reads and checks a program that is in the ring's store.
///
/// # Errors
/// Status 2 when it is not a program, 5 when it is not there.
pub async fn read_program(source: Arc<dyn BlockSource>, cid: Cid) -> Result<Bytes, Failure> {
    let name = cid.to_string();
    let mut pieces = read_file(source, cid);
    let mut bytes: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        length += piece.len();
        if length > MAX_MODULE_BYTES {
            return Err(too_long(&name));
        }
        bytes.push(piece);
    }
    let bytes = bytes.concat();
    check(&name, &bytes)?;
    Ok(bytes.into())
}

/// The files of `--input`, else standard input when it is not a terminal.
async fn inputs(args: &RunArgs) -> Result<Vec<Content>, Failure> {
    let mut inputs = Vec::with_capacity(args.inputs.len());
    for path in &args.inputs {
        inputs.push(Content::path(path).await?);
    }
    if inputs.is_empty() && !io::stdin().is_terminal() {
        inputs.push(Content::stdin().await?);
    }
    if inputs.is_empty() && args.each {
        let what =
            "--each runs the program once per input, and there is none; name files with --input";
        return Err(Failure::usage(what));
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_program_is_named_before_anything_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text.wasm");
        fs::write(&text, "hello").unwrap();
        let missing = directory.path().join("missing.wasm");
        for (path, told) in [(&text, "not a WASM module"), (&missing, "there is no file")] {
            let failure = program(path.to_str().unwrap()).await.unwrap_err();
            assert_eq!(failure.status(), Status::Usage);
            let line = failure.to_string();
            assert!(
                line.contains(told) && line.contains(path.to_str().unwrap()),
                "{line}"
            );
        }
        let cid = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
        assert_eq!(program(cid).await.unwrap().cid().to_string(), cid);
    }

    #[tokio::test]
    async fn a_state_is_a_file_a_gate_or_nothing_yet() {
        let new = state("new").await.unwrap();
        assert_eq!(new.content().unwrap().imported.bytes, 0);
        let gate = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        match state(gate).await.unwrap().input().unwrap() {
            GateInput::Output { gate: from, pin } => {
                assert_eq!((from.to_string().as_str(), pin), (gate, STATE_PIN));
            }
            GateInput::Token(_) => panic!("a token"),
        }
        let missing = state("no/such/file").await.unwrap_err();
        assert_eq!(missing.status(), Status::Usage);
    }

    #[tokio::test]
    async fn the_same_job_is_the_same_gate() {
        let job = |text: &'static str| async move {
            Job {
                program: Program::There(Content::memory("p", "p").await.unwrap().cid()),
                what: Operation {
                    args: Vec::new(),
                    fuel: 1,
                    memory: 65_536,
                    mode: Mode::Cat,
                    output: None,
                    program: Content::memory("p", "p").await.unwrap().cid(),
                    stack: None,
                    state: false,
                },
                state: None,
                operation: Content::memory("o", "o").await.unwrap(),
                inputs: vec![Content::memory("i", text).await.unwrap()],
                outputs: 1,
            }
        };
        let spec = |job: &Job| {
            job.spec(Address([1; 20]), Address([2; 20]), Digest::ZERO)
                .unwrap()
        };
        let (a, b, c) = (job("x").await, job("x").await, job("y").await);
        assert_eq!(spec(&a), spec(&b));
        assert_ne!(spec(&a), spec(&c));
        assert_eq!(spec(&a).inputs.len(), 2);
        assert_eq!(a.contents().count(), 2, "the program is there already");
    }
}
