//! What a worker gives up before it looks at its first module.
//!
//! Three walls, one behind the other: resource limits, which every Unix has; a filter of system calls
//! (seccomp), which leaves no network and no other process; and Landlock, which leaves no file but the cache. The last two
//! depend on the kernel, and [`Sandbox`] says which are in force.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod system_calls;

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

/// Whether one of the kernel's walls stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Guard {
    /// All of it.
    Full,
    /// As much of it as this kernel knows.
    Partial,
    /// None of it.
    Absent {
        /// Why.
        why: String,
    },
    /// Not known: no worker has said.
    #[default]
    Unknown,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("in force"),
            Self::Partial => f.write_str("in force as far as this kernel knows it"),
            Self::Absent { why } => write!(f, "absent ({why})"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What a worker has given up, by its own account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sandbox {
    /// The filter of system calls: no network, no other process, no program started.
    pub seccomp: Guard,
    /// The wall around files: none but those of the cache, and no TCP.
    pub landlock: Guard,
    /// Resource limits by name, in files or bytes.
    pub rlimits: Vec<(String, u64)>,
}

impl Sandbox {
    /// Whether all walls stand.
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

/// Gives up all that a worker does not need, for this thread and those that it starts. `cache` stays readable.
///
/// # Errors
/// When the system refuses what every system has. What only some kernels have is in the answer.
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
        // In this order: the filter of system calls does not let Landlock's pass.
        landlock: files::confine(cache),
        seccomp: system_calls::confine(),
    })
}

#[cfg(not(target_os = "linux"))]
mod files {
    pub(super) fn confine(_: Option<&std::path::Path>) -> super::Guard {
        super::only_linux()
    }
}

#[cfg(not(target_os = "linux"))]
mod system_calls {
    pub(super) fn confine() -> super::Guard {
        super::only_linux()
    }
}

#[cfg(not(target_os = "linux"))]
fn only_linux() -> Guard {
    Guard::Absent {
        why: "only Linux has it".into(),
    }
}

/// Bounds the process's writable memory for a run that grants `memory` bytes to the program, so that a
/// module which makes the compiler hungry ends this process and no other.
///
/// The limit is that of data (`RLIMIT_DATA`) and not of addresses (`RLIMIT_AS`): the engine reserves 4 GiB of addresses for
/// each memory and makes them writable as the program grows, so that only the former counts what is really had.
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

/// Lowers a limit for good; gives what it is now.
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

/// Elsewhere the end of the parent is seen when the worker next reads.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_parent() -> Result<(), Errno> {
    Ok(())
}

/// Memory of this process that is not of a file. Opened before files can no more be opened.
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
