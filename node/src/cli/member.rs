//! `rings node`: one member in this process.

use super::{args::NodeArgs, failure::Failure, signals::Signals};
use crate::{
    config::{LogFormat, NodeConfig},
    node::{self, Faults},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
const LOG_FILTER: &str = "info";

/// Runs a member until it is asked to end.
///
/// # Errors
/// When the configuration is wrong, or the member cannot run.
pub async fn run(args: NodeArgs, faults: Faults) -> Result<(), Failure> {
    let config = NodeConfig::load(&args.config)?;
    log_to_stderr(config.log.format);
    let mut signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let running = node::run(config, faults, shutdown.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return Ok(ended?),
        () = signals.next() => shutdown.cancel(),
    }
    Ok(running.await?)
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // It can only fail when somebody set a subscriber before, which is then the one to use.
    drop(set);
}
