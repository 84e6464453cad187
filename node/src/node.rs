//! `rings node`: one member in this process, and its log.
//!
//! Lines go to standard error, as text or JSON. The level is that of `RUST_LOG`, else of `--log-level`, else of
//! `[log] level`. With JSON, the error with which the member ends is a line of JSON too.

use super::{args::NodeArgs, exit::ExitError, signals::Signals};
use rings_member::{
    config::{meant, LogConfig, LogFormat, LogLevel, NodeConfig},
    Faults,
};
use std::{env, io};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The variable that can name a level for each part of the program.
const FILTER_VARIABLE: &str = "RUST_LOG";
/// The words in it that are levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Runs a member until it is asked to end. `heap` says whether the heap has its settings.
///
/// # Errors
/// When the configuration is wrong, or the member cannot run.
pub async fn run(args: NodeArgs, faults: Faults, heap: io::Result<()>) -> Result<(), ExitError> {
    let config = NodeConfig::load(&args.config)?;
    let LogConfig { format, level } = config.log;
    let directives = env::var(FILTER_VARIABLE).ok();
    log_to_stderr(format, filter(directives, args.log_level.unwrap_or(level))?);
    if let Err(error) = heap {
        tracing::warn!(%error, "the heap keeps its usual settings, and more memory");
    }
    let ended = follow(config, faults).await;
    match (ended, format) {
        (Err(failure), LogFormat::Json) => Err(in_json(failure)),
        (ended, _) => ended,
    }
}

/// Runs the member until it fails or a signal comes. After a signal it is waited for, because it stops its parts in
/// order.
async fn follow(config: NodeConfig, faults: Faults) -> Result<(), ExitError> {
    let mut signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let running = rings_member::run(config, faults, shutdown.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return Ok(ended?),
        () = signals.next() => shutdown.cancel(),
    }
    Ok(running.await?)
}

/// What is logged: `directives` are those of `RUST_LOG`, which count when they are not empty.
fn filter(directives: Option<String>, level: LogLevel) -> Result<EnvFilter, ExitError> {
    let given = directives.filter(|directives| !directives.trim().is_empty());
    let Some(directives) = given else {
        return Ok(EnvFilter::new(level.name()));
    };
    let wrong = || {
        ExitError::usage(format!(
            "the environment variable {FILTER_VARIABLE} is {directives:?}, which is no filter; give a level such as debug, or parts such as info,rings_network=debug"
        ))
    };
    // A word that is no level would be taken for the name of a part of the program.
    if directives
        .split(',')
        .any(|word| meant(word.trim(), LEVELS).is_some())
    {
        return Err(wrong());
    }
    EnvFilter::try_new(&directives).map_err(|error| wrong().because(error))
}

/// Writes the error as a line of the log, so that every line can be read by a program.
fn in_json(failure: ExitError) -> ExitError {
    let status = failure.status();
    let causes = failure.causes();
    tracing::error!(status = status as u8, causes = ?causes, "{failure}");
    ExitError::said(status)
}

fn log_to_stderr(format: LogFormat, filter: EnvFilter) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // It can only fail when a subscriber has been set before; then that one is used.
    drop(set);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitStatus;

    #[test]
    fn the_variable_wins_and_its_mistakes_are_told() {
        let shown = |directives: Option<&str>| {
            filter(directives.map(Into::into), LogLevel::Warn).map(|filter| filter.to_string())
        };
        assert_eq!(shown(None).unwrap(), "warn");
        assert_eq!(shown(Some(" ")).unwrap(), "warn");
        let parts = shown(Some("info,rings_network=debug")).unwrap();
        assert!(parts.contains("rings_network=debug"), "{parts}");
        for mistake in ["rings=loud", "debgu", "info,wran"] {
            let wrong = shown(Some(mistake)).unwrap_err();
            assert_eq!(wrong.status(), ExitStatus::Usage);
            assert!(wrong.to_string().contains(mistake), "{wrong}");
        }
    }
}
