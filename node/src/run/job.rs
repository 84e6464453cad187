//! The job of `rings run`: program, operation and inputs, checked before anything is sent.
//!
//! [`Job::prepare`] reads what the command line names: the program (a file or a CID), the inputs, perhaps a state. It
//! checks the program against the profile, and writes the operation. From a job follow the files that a member must
//! have, the digests that must be declared, and the specification of the gate, which is the same for the same job.
//!
//! So a mistake in a program or an option is found at once and costs no gas. The same job leads to the same gate on
//! every machine, which is why its result is given at once when somebody has asked it before.

use super::content::{is_standard, Content};
use crate::{
    args::{
        values::{self, ClockTime},
        RunArgs,
    },
    exit::{Context, ExitError, ExitStatus},
};
use bytes::Bytes;
use cid::Cid;
use futures::StreamExt;
use rings_compute::{check_module, MAX_MODULE_BYTES};
use rings_protocol::{
    cids::{digest_of, normalise},
    gate::{GateInput, GateSpec},
    message::MAX_OUTPUTS,
    operation::{Mode, Operation},
    Address, Digest,
};
use rings_store::{read_file, BlockSource};
use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Output pin of the next state.
pub const STATE_PIN: u128 = 1;
/// The value of `--state` that means an empty first state.
const NEW_STATE: &str = "new";

/// A program, its operation and its inputs.
#[derive(Debug)]
pub struct Job {
    /// The program, unless the ring has it.
    pub program: ProgramSource,
    /// The operation.
    pub what: Operation,
    /// The operation, as a file.
    pub operation: Content,
    /// The state, which is the gate's first input.
    pub state: Option<StateSource>,
    /// The inputs, in order.
    pub inputs: Vec<Content>,
    /// How many output pins the gate has.
    pub outputs: u128,
}

/// Where the program is.
#[derive(Debug)]
pub enum ProgramSource {
    /// On this machine.
    Here(Content),
    /// In the ring's store, under this CID.
    There(Cid),
}

/// Where the state comes from.
#[derive(Debug)]
pub enum StateSource {
    /// From this machine.
    Here(Content),
    /// From a gate's second output pin.
    After(Address),
    /// From a request's second output.
    AfterRequest(Digest),
}

impl StateSource {
    /// The content, if it is here.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Here(content) => Some(content),
            Self::After(_) | Self::AfterRequest(_) => None,
        }
    }

    /// How a receipt names it: its CID, or the gate.
    pub fn name(&self) -> String {
        match self {
            Self::Here(content) => content.cid().to_string(),
            Self::After(gate) => gate.to_string(),
            Self::AfterRequest(request) => request.to_string(),
        }
    }

    fn input(&self) -> Result<GateInput, ExitError> {
        match self {
            Self::Here(content) => Ok(GateInput::Constant(digest(content)?)),
            Self::After(gate) => Ok(GateInput::Future {
                gate: *gate,
                pin: STATE_PIN,
            }),
            Self::AfterRequest(request) => Err(ExitError::usage(format!(
                "--state {request} is a request, and a gate takes its state from a gate; name one, or use --no-gate"
            ))),
        }
    }
}

impl ProgramSource {
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
    pub async fn prepare(args: &RunArgs) -> Result<Self, ExitError> {
        let (name, arguments) = args
            .program
            .split_first()
            .ok_or_else(|| ExitError::usage("no program; name a WASM file"))?;
        let takers = standard_input_takers(args, name);
        if takers > 1 {
            return Err(ExitError::usage(
                "standard input (-) is named more than once, and can be read once; name files for the rest",
            ));
        }
        let program = program(name).await?;
        let inputs = inputs(args, takers == 0).await?;
        let state = match &args.state {
            Some(state) => Some(self::state(state).await?),
            None => None,
        };
        let mode = if args.each { Mode::Each } else { Mode::Cat };
        if args.each && inputs.len() > MAX_OUTPUTS {
            return Err(ExitError::usage(format!(
                "--each makes one output of each input, and there are {} inputs; a gate has at most {MAX_OUTPUTS} outputs, so split them over several runs",
                inputs.len()
            )));
        }
        let operation = Operation {
            args: arguments.to_vec(),
            fuel: args.fuel,
            memory: args.memory,
            mode,
            output: args.max_output,
            profile: rings_compute::profile(),
            program: program.cid(),
            stack: args.stack,
            state: state.is_some(),
            time: clock(args.time)?,
        };
        let bytes = operation
            .to_dag_json()
            .map_err(|error| ExitError::usage("the arguments are too long").because(error))?;
        let outputs = operation
            .outputs(inputs.len() + usize::from(state.is_some()))
            .ok_or_else(|| ExitError::usage("--state and --each exclude each other"))?;
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
            ProgramSource::Here(content) => Some(content),
            ProgramSource::There(_) => None,
        };
        program
            .into_iter()
            .chain([&self.operation])
            .chain(self.state.as_ref().and_then(StateSource::content))
            .chain(&self.inputs)
    }

    /// The digests of what must be declared: the operation's, then the inputs'.
    ///
    /// # Errors
    /// Never, as our own importer makes CIDs that can go on chain.
    pub fn digests(&self) -> Result<Vec<Digest>, ExitError> {
        let state = self.state.as_ref().and_then(StateSource::content);
        let contents = [&self.operation].into_iter().chain(state);
        contents.chain(&self.inputs).map(digest).collect()
    }

    /// The gate that asks for it.
    ///
    /// # Errors
    /// As [`Job::digests`].
    pub fn spec(&self, scope: Address, ring: Address, salt: Digest) -> Result<GateSpec, ExitError> {
        let token = |content| Ok(GateInput::Constant(digest(content)?));
        let operation = [token(&self.operation)];
        let state = self.state.as_ref().map(StateSource::input);
        let inputs = self.inputs.iter().map(token);
        let inputs = operation.into_iter().chain(state).chain(inputs);
        Ok(GateSpec {
            scope,
            rings: vec![ring],
            inputs: inputs.collect::<Result<_, ExitError>>()?,
            outputs: self.outputs,
            salt,
        })
    }
}

/// Its digest, as it goes on chain.
///
/// # Errors
/// Never, as our own importer makes CIDs that can go on chain.
pub fn digest(content: &Content) -> Result<Digest, ExitError> {
    digest_of(&content.cid())
        .map_err(|error| ExitError::internal("a CID cannot go on chain").because(error))
}

/// What the program's clock shows; 0, which means that it is not set, unless `--time` says otherwise.
fn clock(time: Option<ClockTime>) -> Result<u64, ExitError> {
    match time {
        None => Ok(0),
        Some(ClockTime::Unix(time)) => Ok(time),
        Some(ClockTime::Now) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map(|since| since.as_secs()).map_err(|error| {
                ExitError::internal(
                    "this machine's clock is before 1970; set it, or give --time in seconds",
                )
                .because(error)
            })
        }
    }
}

/// How many of the files that are named are standard input.
fn standard_input_takers(args: &RunArgs, program: &str) -> usize {
    let state = args.state.as_deref().map(Path::new);
    let named = args.inputs.iter().map(PathBuf::as_path).chain(state);
    let named = named.chain([Path::new(program)]);
    named.filter(|path| is_standard(path)).count()
}

/// The state that `--state` names.
async fn state(name: &str) -> Result<StateSource, ExitError> {
    if name == NEW_STATE {
        return Ok(StateSource::Here(
            Content::memory("the empty state", Bytes::new()).await?,
        ));
    }
    if let Ok(gate) = name.parse() {
        return Ok(StateSource::After(gate));
    }
    match name.parse() {
        Ok(request) => Ok(StateSource::AfterRequest(request)),
        Err(_) => Ok(StateSource::Here(Content::path(Path::new(name)).await?)),
    }
}

/// The WASM file `name`, standard input, or the CID `name` when there is no such file.
async fn program(name: &str) -> Result<ProgramSource, ExitError> {
    let path = Path::new(name);
    if is_standard(path) {
        return standard_program().await;
    }
    if !path.exists() {
        let cid = values::cid(name).map_err(|_| {
            ExitError::usage(format!(
                "there is no file {name}, and it is not a CID; name a WASM file"
            ))
        })?;
        let cid = normalise(&cid).map_err(|error| {
            ExitError::usage(format!("{name} cannot be a program")).because(error)
        })?;
        return Ok(ProgramSource::There(cid));
    }
    let unread = || format!("cannot read {name}; check the path");
    let length = fs::metadata(path)
        .context(ExitStatus::Usage, unread())?
        .len();
    if length > MAX_MODULE_BYTES as u64 {
        return Err(too_long(name));
    }
    let bytes = fs::read(path).context(ExitStatus::Usage, unread())?;
    check(name, &bytes)?;
    Ok(ProgramSource::Here(Content::memory(name, bytes).await?))
}

/// A program that comes from standard input.
async fn standard_program() -> Result<ProgramSource, ExitError> {
    let name = "standard input";
    let mut bytes = Vec::new();
    let read = io::stdin()
        .take(MAX_MODULE_BYTES as u64 + 1)
        .read_to_end(&mut bytes);
    read.context(ExitStatus::Usage, "cannot read standard input")?;
    if bytes.len() > MAX_MODULE_BYTES {
        return Err(too_long(name));
    }
    check(name, &bytes)?;
    Ok(ProgramSource::Here(Content::memory(name, bytes).await?))
}

fn too_long(name: &str) -> ExitError {
    ExitError::usage(format!(
        "{name} has more than {MAX_MODULE_BYTES} bytes; strip the program"
    ))
}

fn check(name: &str, bytes: &[u8]) -> Result<(), ExitError> {
    check_module(bytes).map_err(|error| ExitError::usage(format!("{name}: {error}")))
}

/// Reads and checks a program that is in the ring's store.
///
/// # Errors
/// Status 2 when it is not a program, 5 when it is not there.
pub async fn read_program(source: Arc<dyn BlockSource>, cid: Cid) -> Result<Bytes, ExitError> {
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

/// The files of `--input`, else standard input when it is not a terminal and `is_free`: nothing else reads it.
async fn inputs(args: &RunArgs, is_free: bool) -> Result<Vec<Content>, ExitError> {
    let mut inputs = Vec::with_capacity(args.inputs.len());
    for path in &args.inputs {
        inputs.push(Content::path(path).await?);
    }
    if inputs.is_empty() && is_free && !io::stdin().is_terminal() {
        inputs.push(Content::stdin().await?);
    }
    if inputs.is_empty() && args.each {
        let what =
            "--each runs the program once per input, and there is none; name files with --input";
        return Err(ExitError::usage(what));
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
            assert_eq!(failure.status(), ExitStatus::Usage);
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
            GateInput::Future { gate: from, pin } => {
                assert_eq!((from.to_string().as_str(), pin), (gate, STATE_PIN));
            }
            GateInput::Constant(_) => panic!("a constant"),
        }
        let missing = state("no/such/file").await.unwrap_err();
        assert_eq!(missing.status(), ExitStatus::Usage);
    }

    #[tokio::test]
    async fn the_same_job_is_the_same_gate() {
        let job = |text: &'static str| async move {
            Job {
                program: ProgramSource::There(Content::memory("p", "p").await.unwrap().cid()),
                what: Operation {
                    args: Vec::new(),
                    fuel: 1,
                    memory: 65_536,
                    mode: Mode::Cat,
                    output: None,
                    profile: "p".into(),
                    program: Content::memory("p", "p").await.unwrap().cid(),
                    stack: None,
                    state: false,
                    time: 0,
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
