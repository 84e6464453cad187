//! The JSON-RPC methods about processes: each call of [`ProcessKeeper`](crate::ProcessKeeper).

use super::{
    calls::{parse, token, Calls},
    node_api::ApiError,
    openrpc,
    processes::{
        page, ExecutionParams, GetProcessParams, InstallationParams, ListExecutionsParams,
        ListInstancesParams, ListProcessesParams, ProcessState,
    },
    registry::{SearchRegistryParams, MAX_SEARCH_BYTES},
};
use jsonrpsee::{core::RegisterMethodError, server::RpcModule};

fn limit(limit: Option<u32>) -> Result<usize, ApiError> {
    page(limit).map_err(|reason| ApiError::InvalidParams { reason })
}

/// Adds them.
pub(super) fn register(module: &mut RpcModule<Calls>) -> Result<(), RegisterMethodError> {
    module.register_async_method(
        openrpc::CREATE_PROCESS,
        |params, calls, extensions| async move {
            let asked = parse(&params)?;
            token(&extensions)?;
            let call = async { calls.api.processes().await?.create(asked).await };
            calls.run(call).await
        },
    )?;
    module.register_async_method(openrpc::EMIT, |params, calls, extensions| async move {
        let event = parse(&params)?;
        token(&extensions)?;
        let call = async { calls.api.processes().await?.emit(event).await };
        calls.run(call).await
    })?;
    for (name, to) in [
        (openrpc::PAUSE_PROCESS, ProcessState::Paused),
        (openrpc::RESUME_PROCESS, ProcessState::Active),
        (openrpc::CANCEL_PROCESS, ProcessState::Cancelled),
    ] {
        module.register_async_method(name, move |params, calls, extensions| async move {
            let InstallationParams { installation } = parse(&params)?;
            token(&extensions)?;
            let call = async { calls.api.processes().await?.change(installation, to).await };
            calls.run(call).await
        })?;
    }
    readers(module)
}

/// The methods that only read.
fn readers(module: &mut RpcModule<Calls>) -> Result<(), RegisterMethodError> {
    module.register_async_method(openrpc::LIST_PROCESSES, |params, calls, _| async move {
        let which: ListProcessesParams = parse(&params)?;
        let limit = limit(which.limit)?;
        let call = async { calls.api.processes().await?.list(which.from, limit).await };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::LIST_INSTANCES, |params, calls, _| async move {
        let which: ListInstancesParams = parse(&params)?;
        let limit = limit(which.limit)?;
        let call = async {
            let processes = calls.api.processes().await?;
            processes.instances(which.from, limit).await
        };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::GET_PROCESS, |params, calls, _| async move {
        let which: GetProcessParams = parse(&params)?;
        let page = (which.before, limit(which.limit)?);
        let call = async {
            let processes = calls.api.processes().await?;
            processes.get(which.installation, page).await
        };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::LIST_EXECUTIONS, |params, calls, _| async move {
        let which: ListExecutionsParams = parse(&params)?;
        let limit = limit(which.limit)?;
        let call = async {
            let processes = calls.api.processes().await?;
            processes.executions(which.event, limit).await
        };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::GET_EXECUTION, |params, calls, _| async move {
        let ExecutionParams { execution } = parse(&params)?;
        let call = async { calls.api.processes().await?.execution(execution).await };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::SEARCH_REGISTRY, |params, calls, _| async move {
        let which: SearchRegistryParams = parse(&params)?;
        if which
            .text
            .as_ref()
            .is_some_and(|text| text.len() > MAX_SEARCH_BYTES)
        {
            let reason = format!("text has more than {MAX_SEARCH_BYTES} bytes; no name is so long");
            return Err(ApiError::InvalidParams { reason }.into());
        }
        calls.run(calls.api.search_registry(which)).await
    })?;
    Ok(())
}
