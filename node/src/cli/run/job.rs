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

/// A program, its operation and its inputs.
#[derive(Debug)]
pub struct Job {
    /// The program, unless the ring has it.
    pub program: Program,
    /// The operation.
    pub what: Operation,
    /// The operation, as a file.
    pub operation: Content,
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
        let mode = if args.each { Mode::Each } else { Mode::Cat };
        let operation = Operation {
            args: arguments.to_vec(),
            fuel: args.fuel,
            memory: args.memory,
            mode,
            program: program.cid(),
        };
        let bytes = operation
            .to_dag_json()
            .map_err(|error| Failure::usage("the arguments are too long").because(error))?;
        let outputs = match mode {
            Mode::Cat => 1,
            Mode::Each => inputs.len() as u128,
        };
        Ok(Self {
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
            .chain(&self.inputs)
    }

    /// The digests on the gate's input pins: the operation's, then the inputs'.
    ///
    /// # Errors
    /// Never, as our own importer makes CIDs that can go on chain.
    pub fn digests(&self) -> Result<Vec<Digest>, Failure> {
        let contents = [&self.operation].into_iter().chain(&self.inputs);
        let digests = contents.map(|content| digest_of(&content.cid()));
        let digests: Result<_, _> = digests.collect();
        digests.map_err(|error| Failure::internal("a CID cannot go on chain").because(error))
    }

    /// The gate that asks for it.
    ///
    /// # Errors
    /// As [`Job::digests`].
    pub fn spec(&self, scope: Address, ring: Address, salt: Digest) -> Result<GateSpec, Failure> {
        let digests = self.digests()?;
        let tokens = digests
            .iter()
            .map(|digest| GateInput::Token(digest.token_id()));
        Ok(GateSpec {
            scope,
            rings: vec![ring],
            inputs: tokens.collect(),
            outputs: self.outputs,
            salt,
        })
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
    async fn the_same_job_is_the_same_gate() {
        let job = |text: &'static str| async move {
            Job {
                program: Program::There(Content::memory("p", "p").await.unwrap().cid()),
                what: Operation {
                    args: Vec::new(),
                    fuel: 1,
                    memory: 65_536,
                    mode: Mode::Cat,
                    program: Content::memory("p", "p").await.unwrap().cid(),
                },
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
