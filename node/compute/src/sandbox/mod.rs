//! The sandbox that a worker puts around itself before it sees its first module.
//!
//! It has three parts, each of which would have to be broken: resource limits, which every Unix has; a filter of system
//! calls (seccomp, `system_calls.rs`), which allows no network and no other process; and Landlock (`files.rs`), which
//! allows no file but those of the cache. The last two depend on the kernel. [`enter`] puts all of them in force, for
//! the thread that calls it and those that it starts, and returns a [`Sandbox`] that says which of them are. None of it
//! can be taken back.
//!
//! A worker calls [`close_inherited`] before, which closes the files that it got from its parent, and [`grant_memory`]
//! before each run.

#[cfg(target_os = "linux")]
mod files;
mod guard;
#[cfg(target_os = "linux")]
mod system_calls;

pub use guard::Guard;

use rustix::{
    io::Errno,
    process::{getrlimit, setrlimit, Resource, Rlimit},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek},
    path::Path,
};

/// Most files a worker may have open: its pipes, and the images of cached modules.
const MAX_FILES: u64 = 256;
/// Largest file that it may write: a compiled module, or a memory image.
const MAX_FILE_BYTES: u64 = 5 << 30;
/// Writable memory that a worker may have besides the program's: the compiler's, mostly.
const OWN_MEMORY: u64 = 2 << 30;

/// Closes every file but the three standard ones: files that the parent has inherited without the close-on-exec flag
/// are not for a worker. Must be called before this process opens anything.
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

/// On other systems the flag has to be enough; the standard library sets it on every file that it opens.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_inherited() -> std::io::Result<()> {
    Ok(())
}

/// The sandbox of a worker, as the worker reports it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sandbox {
    /// The filter of system calls: no network, no other process, no program started.
    pub seccomp: Guard,
    /// Landlock: no files but those of the cache, and no TCP.
    pub landlock: Guard,
    /// Resource limits by name, in files or bytes.
    pub rlimits: Vec<(String, u64)>,
}

impl Sandbox {
    /// Whether all parts are in force.
    pub fn is_full(&self) -> bool {
        (&self.seccomp, &self.landlock) == (&Guard::Full, &Guard::Full)
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seccomp {}, Landlock {}", self.seccomp, self.landlock)?;
        for (name, limit) in &self.rlimits {
            write!(f, ", {name} {limit}")?;
        }
        Ok(())
    }
}

/// Gives up everything that a worker does not need, for this thread and those that it starts. `cache` stays readable.
///
/// # Errors
/// When the system refuses something that every system has. Whether the kernel has the rest is in the answer.
pub(crate) fn enter(cache: Option<&Path>) -> io::Result<Sandbox> {
    die_with_parent()?;
    let rlimits = [
        ("core", Resource::Core, 0),
        ("files", Resource::Nofile, MAX_FILES),
        ("file bytes", Resource::Fsize, MAX_FILE_BYTES),
    ];
    let rlimits = rlimits.map(|(name, resource, to)| Ok((name.into(), lower(resource, to)?)));
    Ok(Sandbox {
        rlimits: rlimits.into_iter().collect::<Result<_, Errno>>()?,
        // Landlock comes first, because the filter does not allow the system calls of Landlock.
        landlock: files::confine(cache),
        seccomp: system_calls::confine(),
    })
}

#[cfg(not(target_os = "linux"))]
mod files {
    pub(super) fn confine(_: Option<&std::path::Path>) -> super::guard::Guard {
        super::only_linux()
    }
}

#[cfg(not(target_os = "linux"))]
mod system_calls {
    pub(super) fn confine() -> super::guard::Guard {
        super::only_linux()
    }
}

#[cfg(not(target_os = "linux"))]
fn only_linux() -> Guard {
    Guard::Absent {
        why: "only Linux has it".into(),
    }
}

/// Bounds the process's writable memory for a run that grants `memory` bytes to the program, so that a module for which
/// the compiler needs too much memory ends this process and no other.
///
/// The limit is that of data (`RLIMIT_DATA`) and not of addresses (`RLIMIT_AS`): the engine reserves 4 GiB of addresses for
/// each memory and makes them writable as the program grows, so only `RLIMIT_DATA` counts the memory that is really used.
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

/// Lowers a limit for good, and returns its new value.
fn lower(resource: Resource, to: u64) -> Result<u64, Errno> {
    let to = getrlimit(resource).maximum.map_or(to, |hard| to.min(hard));
    setrlimit(
        resource,
        Rlimit {
            current: Some(to),
            maximum: Some(to),
        },
    )?;
    Ok(to)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with_parent() -> Result<(), Errno> {
    use rustix::process::{set_dumpable_behavior, set_parent_process_death_signal};
    use rustix::process::{DumpableBehavior, Signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)
}

/// On other systems the worker notices the end of its parent when it reads next.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_parent() -> Result<(), Errno> {
    Ok(())
}

/// Measures the memory of this process that does not belong to a file. It is opened before the sandbox is in force.
pub(crate) struct OwnMemory(Option<File>);

impl OwnMemory {
    /// Where the kernel says it.
    pub(crate) fn open() -> Self {
        Self(File::open("/proc/self/status").ok())
    }

    /// How much it is now, in bytes. 0 where that is not known.
    pub(crate) fn bytes(&mut self) -> u64 {
        let mut status = String::new();
        let read = self.0.as_mut().map(|file| {
            file.rewind()?;
            file.read_to_string(&mut status)
        });
        if !matches!(read, Some(Ok(_))) {
            return 0;
        }
        status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .map_or(0, |kibibytes: u64| kibibytes << 10)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "tests.rs"]
mod tests;
