//! The chain that `rings up` runs itself: an anvil of its own, whose state stays in the ring's directory.
//!
//! Only how it is started is anvil's; everything that is asked of it is what any Ethereum node answers.

use super::{
    failure::{Context, Failure, Status},
    process::{self, Pauses, LONGEST_PAUSE},
    ringdir::{log_end, RingDir},
};
use rings_chain::Chain;
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// The version that is looked for.
const VERSION: &str = "1.7.";
/// Chain id of our chains.
pub const CHAIN_ID: u64 = 31_337;
/// Private key of anvil's first account, which everybody knows: good for our own chain and for nothing else.
pub const DEV_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Time for it to answer.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Seconds between two saves of its state while it runs; it saves once more when it ends.
const SAVE_SECONDS: &str = "10";

/// An anvil that answers.
#[derive(Debug)]
pub struct Anvil {
    /// Its process, to be waited for.
    pub child: Child,
    /// The chain behind it.
    pub chain: Chain,
    /// Where it is.
    pub port: u16,
}

/// URL of the chain for programs.
pub fn http_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// URL of the chain for members, who are told of new blocks.
pub fn ws_url(port: u16) -> String {
    format!("ws://127.0.0.1:{port}")
}

/// The process of this ring's anvil, if it runs.
pub fn running(dir: &RingDir) -> Option<u32> {
    process::holder(&dir.anvil().join("lock"))
}

/// Starts anvil on `port` with the state in `dir`, and waits until it answers.
///
/// # Errors
/// One line with the end of its log when it does not start.
pub async fn start(dir: &RingDir, port: u16) -> Result<Anvil, Failure> {
    let program = find()?;
    let place = dir.anvil();
    fs::create_dir_all(&place).context(
        Status::Usage,
        format!("cannot make the directory {}", place.display()),
    )?;
    let mut child = spawn(&program, &place, port)?;
    match answers(&mut child, port, &place.join("log")).await {
        Ok(chain) => Ok(Anvil { child, chain, port }),
        Err(failure) => {
            if let Some(pid) = child.id() {
                process::kill(pid);
            }
            Err(failure)
        }
    }
}

fn spawn(program: &Path, place: &Path, port: u16) -> Result<Child, Failure> {
    let failed = || format!("cannot start {}; check that it can run", program.display());
    let log_path = place.join("log");
    let log = File::create(&log_path).context(
        Status::Unavailable,
        format!("cannot write {}", log_path.display()),
    )?;
    let errors = log.try_clone().context(Status::Unavailable, failed())?;
    let lock_path = place.join("lock");
    let lock = process::lock_file(&lock_path)?;
    if lock.try_lock().is_err() {
        let place = place.display();
        let what =
            format!("an anvil runs in {place} already and does not answer; run `rings down`");
        return Err(Failure::unavailable(what));
    }
    // As its standard input, which it does not read, the lock is anvil's own from now on.
    let child = Command::new(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--chain-id", &CHAIN_ID.to_string()])
        .arg("--state")
        .arg(place.join("state.json"))
        .args(["--state-interval", SAVE_SECONDS, "--silent"])
        .stdin(Stdio::from(lock))
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .context(Status::Unavailable, failed())?;
    let pid = child.id().unwrap_or_default();
    fs::write(&lock_path, format!("{pid}\n")).context(Status::Unavailable, failed())?;
    Ok(child)
}

async fn answers(child: &mut Child, port: u16, log: &Path) -> Result<Chain, Failure> {
    let deadline = Instant::now() + START_LIMIT;
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        if let Ok(chain) = Chain::connect(&ws_url(port)).await {
            return Ok(chain);
        }
        let ended = child
            .try_wait()
            .context(Status::Internal, "anvil is gone")?;
        if ended.is_some() || Instant::now() > deadline {
            let what = match ended {
                Some(status) => format!("anvil ended at once ({status})"),
                None => format!("anvil does not answer on port {port}"),
            };
            let (said, log) = (log_end(log), log.display());
            return Err(Failure::unavailable(format!("{what}: {said}; see {log}")));
        }
        pauses.next().await;
    }
}

/// An anvil of the right version: `$RINGS_ANVIL`, on PATH, or in the cache of `anvil-scripts`.
fn find() -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os("RINGS_ANVIL") {
        return Ok(named.into());
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&on_path).chain(cache());
    let candidates = directories.map(|directory| directory.join("anvil"));
    let mut candidates = candidates.filter(|path| path.is_file());
    candidates.find(|path| fits(path)).ok_or_else(|| {
        Failure::usage(format!(
            "anvil {VERSION}x is neither on PATH nor in the tool cache; run ./anvil-scripts/quickstart, which installs it, or name one in RINGS_ANVIL"
        ))
    })
}

fn cache() -> Option<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let tools = set("RINGS_TOOLS").or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        Some(cache?.join("rings").join("tools"))
    });
    Some(tools?.join("bin"))
}

fn fits(path: &Path) -> bool {
    let output = StdCommand::new(path).arg("--version").output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
        text.contains(&format!("version: {VERSION}")) || text.contains(&format!("anvil {VERSION}"))
    })
}
