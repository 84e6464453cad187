//! The memory and processor time of an idle member.

use crate::exit::{Context, ExitError, ExitStatus};
use std::{fs, io, time::Duration};

/// Time for running work to end before the measurement.
const SETTLE: Duration = Duration::from_secs(5);
/// How long the members are watched.
const WATCH: Duration = Duration::from_secs(10);
/// Kernel ticks per second in /proc, the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// The most that any member uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Idle {
    /// Resident memory.
    pub resident_mib: f64,
    /// The part of it that is the member's own: the pages of the program file are shared by all members of a machine.
    pub own_mib: f64,
    /// Processor time, in percent of a core.
    pub percent: f64,
}

/// Watches processes for a while.
///
/// # Errors
/// When one of them has gone.
pub async fn watch(pids: &[u32]) -> Result<Idle, ExitError> {
    tokio::time::sleep(SETTLE).await;
    let before = pids
        .iter()
        .map(|pid| ticks(*pid))
        .collect::<Result<Vec<_>, _>>()?;
    tokio::time::sleep(WATCH).await;
    let mut idle = Idle::default();
    for (pid, before) in pids.iter().zip(before) {
        let used = (ticks(*pid)? - before) as f64 / TICKS;
        idle.percent = idle.percent.max(100.0 * used / WATCH.as_secs_f64());
        idle.resident_mib = idle.resident_mib.max(memory(*pid, "VmRSS:")?);
        idle.own_mib = idle.own_mib.max(memory(*pid, "RssAnon:")?);
    }
    Ok(idle)
}

/// Processor time used so far: fields 14 and 15 of /proc/PID/stat, behind the name in parentheses.
fn ticks(pid: u32) -> Result<u64, ExitError> {
    let text = read(pid, "stat")?;
    let fields = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    Ok(fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum())
}

/// One of the figures in /proc/PID/status, in MiB.
fn memory(pid: u32, name: &str) -> Result<f64, ExitError> {
    let text = read(pid, "status")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    let kib = line
        .split_whitespace()
        .next()
        .and_then(|number| number.parse::<f64>().ok());
    let missing = || io::Error::other(format!("no {name}"));
    Ok(kib
        .ok_or_else(missing)
        .context(ExitStatus::Internal, "cannot read a member's memory")?
        / 1024.0)
}

fn read(pid: u32, file: &str) -> Result<String, ExitError> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).context(
        ExitStatus::Internal,
        format!("cannot look at process {pid}"),
    )
}
