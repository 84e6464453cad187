//! Executions on this machine alone: in the same workers, with the same limits, as a member runs them.

use super::operation::head;
use crate::{
    exit::ExitError,
    run::content::{blocks, joined, Content},
    worker_pool,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use rings_compute::{OutputSink, Pools, Task as Computed};
use rings_member::{connectors::Connectors, execute::failure_record, task};
use rings_process::{
    data::Fields,
    execution::Execution,
    external::together,
    runners::Runners,
    service::Task,
    work::{file_of, operation, why},
};
use rings_protocol::{
    cids::sha256,
    gate::{inputs_hash, Computation},
    Address,
};
use std::{collections::BTreeMap, io, sync::Arc};

/// Files by their CIDs.
pub type Files = BTreeMap<Cid, Arc<Content>>;

/// The workers of this machine.
pub struct LocalDesk {
    pools: Pools,
    connectors: Option<Connectors>,
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
            connectors: None,
        })
    }

    /// The same, with what external tasks may use.
    ///
    /// # Errors
    /// As [`LocalDesk::open`].
    pub async fn with_connectors(connectors: Connectors) -> Result<Self, ExitError> {
        Ok(Self {
            connectors: Some(connectors),
            ..Self::open().await?
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
        values: &Fields,
    ) -> Result<Came, ExitError> {
        let Some(operation) = operation(task, &rings_compute::profile()) else {
            return Ok(self.connect(task, execution, values).await);
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

    /// Has a connector do an external task. Where each member would, this machine is the only one.
    async fn connect(&self, task: &Task, execution: &Execution, values: &Fields) -> Came {
        let Some(connectors) = &self.connectors else {
            return Err("its task is external: no connector runs here".into());
        };
        let bytes = connectors.run(task, execution, values).await?;
        if task.runners() == Runners::One {
            return Ok(bytes);
        }
        let answer = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let seen = BTreeMap::from([(Address::default(), answer)]);
        together(task, &seen).map_err(|error| error.to_string())
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
            Err(failure) => Err(why(&failure_record(failure, None))),
        })
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
