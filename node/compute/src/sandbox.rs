//! What a worker gives up before it looks at its first module.

use rustix::{
    io::Errno,
    process::{getrlimit, setrlimit, Resource, Rlimit},
};

/// Most files a worker may have open: its pipes, and the images of cached modules.
const MAX_FILES: u64 = 256;
/// Largest file that it may write: a compiled module, or a memory image.
const MAX_FILE_BYTES: u64 = 5 << 30;
/// Writable memory that a worker may have besides the program's: the compiler's, mostly.
const OWN_MEMORY: u64 = 2 << 30;

/// Closes every file but the three standard ones: what this process's parent has inherited without the
/// close-on-exec flag is not for a worker. Must be called before this process opens anything.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // Closing by number is unsafe because somebody may own the number; see below.
pub(crate) fn close_inherited() -> std::io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(std::io::Error::other(
            "a worker must begin before any thread is started",
        ));
    }
    let numbers: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in numbers {
        // SAFETY: this process has one thread, which is here, and has opened nothing, so that nobody owns these.
        // The directory above was one of them; it is closed already, and closing it again is harmless.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

/// Elsewhere it is left to the flag, which the standard library sets on all that it opens.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_inherited() -> std::io::Result<()> {
    Ok(())
}

/// Lowers the process's limits, and ties its life to its parent's.
///
/// # Errors
/// When the system refuses.
pub(crate) fn enter() -> Result<(), Errno> {
    die_with_parent()?;
    lower(Resource::Core, 0)?;
    lower(Resource::Nofile, MAX_FILES)?;
    lower(Resource::Fsize, MAX_FILE_BYTES)
}

/// Bounds the process's writable memory for a run that grants `memory` bytes to the program, so that a
/// module which makes the compiler hungry ends this process and no other.
///
/// # Errors
/// When the system refuses.
pub(crate) fn grant_memory(memory: u64) -> Result<(), Errno> {
    let wanted = memory.saturating_add(OWN_MEMORY);
    let limit = getrlimit(Resource::Data);
    let current = limit.maximum.map_or(wanted, |hard| wanted.min(hard));
    setrlimit(
        Resource::Data,
        Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        },
    )
}

fn lower(resource: Resource, to: u64) -> Result<(), Errno> {
    let to = getrlimit(resource).maximum.map_or(to, |hard| to.min(hard));
    setrlimit(
        resource,
        Rlimit {
            current: Some(to),
            maximum: Some(to),
        },
    )
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with_parent() -> Result<(), Errno> {
    use rustix::process::{set_dumpable_behavior, set_parent_process_death_signal};
    use rustix::process::{DumpableBehavior, Signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)
}

/// Elsewhere the end of the parent is seen when the worker next reads.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_parent() -> Result<(), Errno> {
    Ok(())
}

/// Memory of this process that is not of a file, in bytes. 0 where that is not known.
pub(crate) fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .map_or(0, |kibibytes: u64| kibibytes << 10)
}
