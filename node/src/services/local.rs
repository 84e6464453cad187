//! Executions on this machine alone: in the same workers, with the same limits, as a member runs them.

use super::operation::{file_of, head, operation};
use crate::{
    exit::ExitError,
    run::content::{blocks, joined, Content},
    worker_pool,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use rings_compute::{OutputSink, Pools, Task as Computed};
use rings_member::{execute::failure_record, task};
use rings_process::{execution::Execution, service::Task};
use rings_protocol::{
    cids::sha256,
    gate::{inputs_hash, Computation},
    operation::Reason,
    Address,
};
use std::{collections::BTreeMap, io, sync::Arc};

/// Bytes of a failed program's standard error that are shown.
const SHOWN_BYTES: usize = 512;

/// Files by their CIDs.
pub type Files = BTreeMap<Cid, Arc<Content>>;

/// The workers of this machine.
pub struct LocalDesk {
    pools: Pools,
}

/// What came of a program: what it wrote, or why it failed.
pub type Came = Result<Vec<u8>, String>;

impl LocalDesk {
    /// Starts the workers.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn open() -> Result<Self, ExitError> {
        Ok(Self {
            pools: worker_pool::open().await?,
        })
    }

    /// Stops the workers.
    pub async fn close(self) {
        self.pools.shutdown().await;
    }

    /// Runs an execution. The outer error is one of this machine.
    ///
    /// # Errors
    /// When this machine cannot run the program to its end.
    pub async fn run(
        &self,
        task: &Task,
        execution: &Execution,
        files: &Files,
    ) -> Result<Came, ExitError> {
        let Some(operation) = operation(task) else {
            let connector = task.external.as_deref().unwrap_or_default();
            return Ok(Err(format!(
                "its task is external (connector {connector}), which is not built yet"
            )));
        };
        let Some(program) = files.get(&operation.program) else {
            return Ok(Err(format!(
                "its program {} is not here",
                operation.program
            )));
        };
        let head = head(execution).await?;
        let mut inputs: Vec<&Content> = head.iter().collect();
        match file_of(task, execution).map(|file| file.map(|cid| (cid, files.get(&cid)))) {
            Err(what) => return Ok(Err(what)),
            Ok(None) => {}
            Ok(Some((_, Some(file)))) => inputs.push(file),
            Ok(Some((cid, None))) => {
                return Ok(Err(format!(
                    "the file {cid} is not here; name it in the event as @PATH"
                )))
            }
        }
        let module = program.bytes().await?;
        let nowhere = Computation {
            gate: Address::default(),
            inputs: inputs_hash(&[]),
        };
        let computed = Computed {
            blocks: blocks(inputs.iter().copied()),
            ..task::task(nowhere, &operation, sha256(&module))
        };
        self.compute(&computed, module, &inputs).await
    }

    async fn compute(
        &self,
        computed: &Computed,
        module: Bytes,
        inputs: &[&Content],
    ) -> Result<Came, ExitError> {
        let (mut written, mut no_state) = (Written::default(), Written::default());
        let standard = (joined(inputs).await?, &mut written as &mut dyn OutputSink);
        let state = (joined(&[]).await?, &mut no_state as &mut dyn OutputSink);
        let ran = self
            .pools
            .own()
            .run_with_state(computed, module, standard, state)
            .await;
        let outcome = ran.map_err(|error| {
            ExitError::unavailable("this machine could not run the program to its end")
                .because(error)
        })?;
        Ok(match outcome.result {
            Ok(()) => Ok(written.0),
            Err(failure) => {
                let record = failure_record(failure, None);
                Err(why(record.reason, record.code, record.trap, &record.stderr))
            }
        })
    }
}

/// Why a program failed, in words.
pub fn why(reason: Reason, code: Option<u32>, trap: Option<String>, stderr: &[u8]) -> String {
    let why = match reason {
        Reason::Exit => format!("it ended with exit status {}", code.unwrap_or_default()),
        Reason::Trap => format!("it trapped ({})", trap.unwrap_or_default()),
        Reason::Fuel => "it used all its fuel; give the task more".into(),
        Reason::Memory => "it needed more memory than it may have; give the task more".into(),
        Reason::Input => "the program or an input is malformed".into(),
    };
    let said = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(SHOWN_BYTES)..]);
    match said.trim() {
        "" => why,
        said => format!("{why}, and said: {said}"),
    }
}

/// What a program writes. The operation's limit of output is its bound.
#[derive(Default)]
struct Written(Vec<u8>);

#[async_trait]
impl OutputSink for Written {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}
