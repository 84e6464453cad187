//! The calls about processes to a member: the client's side of `processes.rs`.

use super::{
    client::{Client, ClientError},
    openrpc,
    processes::{
        CreateProcessParams, EmitParams, EmittedView, ExecutionParams, ExecutionView,
        ExecutionsView, GetProcessParams, InstallationParams, InstancesView, ListExecutionsParams,
        ListInstancesParams, ListProcessesParams, ProcessRunsView, ProcessView, ProcessesView,
    },
    registry::{RegistryView, SearchRegistryParams},
};
use cid::Cid;
use rings_protocol::Digest;
use serde_json::json;

impl Client {
    /// `rings_createProcess`; shows the token.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn create_process(
        &self,
        asked: &CreateProcessParams,
    ) -> Result<ProcessView, ClientError> {
        self.call(openrpc::CREATE_PROCESS, json!(asked)).await
    }

    /// `rings_pauseProcess`; shows the token.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn pause_process(&self, installation: Digest) -> Result<ProcessView, ClientError> {
        self.call(
            openrpc::PAUSE_PROCESS,
            json!(InstallationParams { installation }),
        )
        .await
    }

    /// `rings_resumeProcess`; shows the token.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn resume_process(&self, installation: Digest) -> Result<ProcessView, ClientError> {
        self.call(
            openrpc::RESUME_PROCESS,
            json!(InstallationParams { installation }),
        )
        .await
    }

    /// `rings_cancelProcess`; shows the token.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn cancel_process(&self, installation: Digest) -> Result<ProcessView, ClientError> {
        self.call(
            openrpc::CANCEL_PROCESS,
            json!(InstallationParams { installation }),
        )
        .await
    }

    /// `rings_emit`; shows the token.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn emit(&self, event: &EmitParams) -> Result<EmittedView, ClientError> {
        self.call(openrpc::EMIT, json!(event)).await
    }

    /// `rings_listProcesses`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn list_processes(
        &self,
        which: &ListProcessesParams,
    ) -> Result<ProcessesView, ClientError> {
        self.call(openrpc::LIST_PROCESSES, json!(which)).await
    }

    /// `rings_listInstances`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn list_instances(
        &self,
        which: &ListInstancesParams,
    ) -> Result<InstancesView, ClientError> {
        self.call(openrpc::LIST_INSTANCES, json!(which)).await
    }

    /// `rings_getProcess`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn get_process(
        &self,
        which: &GetProcessParams,
    ) -> Result<ProcessRunsView, ClientError> {
        self.call(openrpc::GET_PROCESS, json!(which)).await
    }

    /// `rings_listExecutions`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn list_executions(
        &self,
        which: &ListExecutionsParams,
    ) -> Result<ExecutionsView, ClientError> {
        self.call(openrpc::LIST_EXECUTIONS, json!(which)).await
    }

    /// `rings_searchRegistry`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn search_registry(
        &self,
        which: &SearchRegistryParams,
    ) -> Result<RegistryView, ClientError> {
        self.call(openrpc::SEARCH_REGISTRY, json!(which)).await
    }

    /// `rings_getExecution`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn get_execution(
        &self,
        execution: Cid,
    ) -> Result<Option<ExecutionView>, ClientError> {
        self.call(openrpc::GET_EXECUTION, json!(ExecutionParams { execution }))
            .await
    }
}
