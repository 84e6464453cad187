//! The chain that `rings up` runs itself: an anvil of its own, whose state stays in the ring's directory.
//!
//! Only starting it is specific to anvil; every request to it is one that any Ethereum node answers.
//!
//! [`start`] looks for an anvil of the right version (`$RINGS_ANVIL`, `PATH`, the tool cache), starts it in the process
//! group of the ring's guard and waits until it answers. The process is recognised by the lock file that is its
//! standard input, so a later command finds it even if the command that started it was killed. [`DEV_KEY`] is public
//! and is used on such a chain only.

use super::{
    exit::{Context, ExitError, ExitStatus},
    process::{self, Pauses, LONGEST_PAUSE},
    ringdir::{log_end, RingDir},
};
use rings_chain::Chain;
use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// The version that fits.
const VERSION: &str = "1.7.";
/// Chain id of the chains that `rings up` starts.
pub const CHAIN_ID: u64 = 31_337;
/// Private key of anvil's first account. It is public: use it only on a chain that `rings up` started.
pub const DEV_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Time for it to answer.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Seconds between two saves of its state while it runs; it saves once more when it ends.
const SAVE_SECONDS: &str = "10";

/// URL of the chain for programs.
pub fn http_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// URL of the chain for members. Over a WebSocket the chain tells them of new blocks.
pub fn ws_url(port: u16) -> String {
    format!("ws://127.0.0.1:{port}")
}

/// The process of this ring's anvil, if it runs.
pub fn running(dir: &RingDir) -> Option<u32> {
    let lock = dir.anvil().join("lock");
    // Whoever started it may have been killed before it wrote the number of the process down.
    process::holder(&lock).or_else(|| process::reader(&lock))
}

/// Forgets the chain that an interrupted start has left in `dir`. Nothing rests on it.
///
/// # Errors
/// When its files cannot be removed.
pub fn forget(dir: &RingDir) -> Result<(), ExitError> {
    let state = dir.anvil().join("state.json");
    for path in [state, dir.deploy_journal()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("cannot remove {}; check who owns it", path.display());
                return Err(ExitError::usage(what).because(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Starts anvil on `port` with the state in `dir`, in the process group `group`, and waits until it answers. Its process is
/// in `started` from the moment on in which it begins.
///
/// # Errors
/// One line with the end of its log when it does not start.
pub async fn start(
    dir: &RingDir,
    port: u16,
    group: i32,
    started: &mut Option<Child>,
) -> Result<Chain, ExitError> {
    let program = find()?;
    let place = dir.anvil();
    fs::create_dir_all(&place).context(
        ExitStatus::Usage,
        format!("cannot make the directory {}", place.display()),
    )?;
    let lock_path = place.join("lock");
    let child = started.insert(spawn(&program, &place, &lock_path, port, group)?);
    let pid = child.id().unwrap_or_default();
    fs::write(&lock_path, format!("{pid}\n")).context(
        ExitStatus::Unavailable,
        format!("cannot write {}", lock_path.display()),
    )?;
    answers(child, port, &place.join("log")).await
}

fn spawn(
    program: &Path,
    place: &Path,
    lock_path: &Path,
    port: u16,
    group: i32,
) -> Result<Child, ExitError> {
    let failed = || format!("cannot start {}; check that it can run", program.display());
    let log_path = place.join("log");
    let log = File::create(&log_path).context(
        ExitStatus::Unavailable,
        format!("cannot write {}", log_path.display()),
    )?;
    let errors = log.try_clone().context(ExitStatus::Unavailable, failed())?;
    let lock = process::lock_file(lock_path)?;
    if lock.try_lock().is_err() {
        let place = place.display();
        let what =
            format!("an anvil already runs in {place} and does not answer; run `rings down`");
        return Err(ExitError::unavailable(what));
    }
    // The locked file becomes anvil's standard input, which anvil does not read. So anvil holds the lock from now on.
    Command::new(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--chain-id", &CHAIN_ID.to_string()])
        .arg("--state")
        .arg(place.join("state.json"))
        .args(["--state-interval", SAVE_SECONDS, "--silent"])
        .stdin(Stdio::from(lock))
        .stdout(log)
        .stderr(errors)
        .process_group(group)
        .spawn()
        .context(ExitStatus::Unavailable, failed())
}

/// Waits until anvil answers. If it ends before, the error has the end of its log.
async fn answers(child: &mut Child, port: u16, log: &Path) -> Result<Chain, ExitError> {
    let deadline = Instant::now() + START_LIMIT;
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        if let Ok(chain) = Chain::connect(&ws_url(port)).await {
            return Ok(chain);
        }
        let ended = child
            .try_wait()
            .context(ExitStatus::Internal, "anvil is gone")?;
        if ended.is_some() || Instant::now() > deadline {
            let what = match ended {
                Some(status) => format!("anvil ended at once ({status})"),
                None => format!("anvil does not answer on port {port}"),
            };
            let (said, log) = (log_end(log), log.display());
            return Err(ExitError::unavailable(format!("{what}: {said}; see {log}")));
        }
        pauses.next().await;
    }
}

/// An anvil of the right version: `$RINGS_ANVIL`, on PATH, or in the cache of `anvil-scripts`.
fn find() -> Result<PathBuf, ExitError> {
    if let Some(named) = env::var_os("RINGS_ANVIL") {
        return Ok(named.into());
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&on_path).chain(cache());
    let candidates = directories.map(|directory| directory.join("anvil"));
    let mut candidates = candidates.filter(|path| path.is_file());
    candidates.find(|path| fits(path)).ok_or_else(|| {
        ExitError::usage(format!(
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
