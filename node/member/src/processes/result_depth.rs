//! How many events in a row have led to a result of another ring: so two rings whose results start each other come to an end.
//!
//! The ring node lists the request, or the gate, that gave the result; its inputs name the execution, and this the event that started
//! its process. All of it is named by its hash, so every member finds the same depth. What is no execution of a process has none.

use super::{error::ProcessError, keeper::Processes};
use cid::Cid;
use rings_chain::ChainError;
use rings_process::{
    document::Document,
    event::{Event, TooDeep},
    execution::Execution,
    settle, work,
};
use rings_protocol::{
    cids::node_cid,
    request::Request,
    ringlog::{gate_of_subject, Entry},
    Digest,
};
use rings_store::{BlockSource, StoreError};

impl Processes {
    /// The depth of the event that a line of another ring's ring node is, or that it is none.
    ///
    /// # Errors
    /// [`ProcessError::Store`] when a document cannot be had now; nothing is known then.
    pub(super) async fn depth_of(
        &self,
        entry: &Entry,
    ) -> Result<Result<u64, TooDeep>, ProcessError> {
        let Entry::Result { request, .. } = entry else {
            return Ok(Ok(0));
        };
        let Some(execution) = self.executed(*request).await? else {
            return Ok(Ok(0));
        };
        let Some(execution) = self.document::<Execution>(&execution).await? else {
            return Ok(Ok(0));
        };
        let event = self.document::<Event>(&execution.event).await?;
        Ok(event.map_or(Ok(0), |event| event.depth_behind()))
    }

    /// The execution for which another ring was asked a request, or a gate, if it was asked for one.
    async fn executed(&self, request: Digest) -> Result<Option<Cid>, ProcessError> {
        if let Some(gate) = gate_of_subject(request) {
            return match self.parts.chain.gate_spec(self.parts.engine, gate).await {
                Ok(spec) => Ok(settle::execution_of(&spec)),
                // It is one of another engine.
                Err(ChainError::NotAContract { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let block = self.parts.blocks.blocks(&[node_cid(request)]).await?;
        let request = block.first().map(|block| Request::from_bytes(block.data()));
        Ok(request
            .and_then(Result::ok)
            .as_ref()
            .and_then(work::execution_of))
    }

    /// A document of another ring; nothing if that is something else.
    async fn document<D: Document>(&self, cid: &Cid) -> Result<Option<D>, ProcessError> {
        match self.file(cid).await {
            Ok(bytes) => Ok(D::from_bytes(&bytes).ok()),
            // Its bytes are known, whoever gives them.
            Err(
                StoreError::TooBig { .. }
                | StoreError::NotAFile { .. }
                | StoreError::Malformed { .. }
                | StoreError::Cid(_),
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
