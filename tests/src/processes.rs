//! Processes as the system sees them (Linux: from /proc).

use rustix::{
    io::Errno,
    process::{kill_process, Pid, Signal},
};
use std::{fs, path::PathBuf};

/// Sends a signal. It is not an error if the process has ended.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        match kill_process(pid, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => panic!("no signal for {}: {error}", pid.as_raw_nonzero()),
        }
    }
}

/// Whether the process runs; a zombie does not.
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != 'Z' && stat.state != 'X')
}

/// When the process started, in the system's ticks: a later process with the same number has another value.
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.started)
}

/// The processes that this one started and that run, and theirs.
pub fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<_> = pids
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.split_off(1)
}

/// Most memory that the process has had resident, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    kilobytes(pid, "VmHWM:").expect("the process runs") * 1024
}

/// Memory that the process has resident now, in bytes.
pub fn resident_memory(pid: u32) -> u64 {
    resident_if_runs(pid).expect("the process runs")
}

/// As [`resident_memory`], of a process that may end at any time.
pub(crate) fn resident_if_runs(pid: u32) -> Option<u64> {
    Some(kilobytes(pid, "VmRSS:")? * 1024)
}

/// How many files, sockets and pipes the process has open; none when it has ended.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(proc(pid).join("fd")).map_or(0, Iterator::count)
}

fn kilobytes(pid: u32, key: &str) -> Option<u64> {
    let status = fs::read_to_string(proc(pid).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

/// `/proc/PID/stat`; the fields after the name, which may hold spaces itself.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(proc(pid).join("stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn proc(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}
