//! seccomp: the system calls that a worker makes, and no others.
//!
//! All others answer `EPERM`: sockets, starting programs, signals to other processes and their memory, mounts,
//! `io_uring`, and new system calls of later kernels.
//!
//! Some calls are allowed with certain arguments only: `clone` for threads, signals to its own threads, few commands of
//! `fcntl`. A filter cannot read arguments that stand in memory, so `clone3` answers `ENOSYS`, and the C library falls
//! back to `clone`. A forbidden call answers with an error and does not kill the process, so that a library that only
//! tries something goes on.

use super::guard::Guard;
use seccompiler::{
    apply_filter, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// Allowed with any arguments.
const ALLOWED: &[libc::c_long] = &[
    // Pipes to the parent, and files of the cache, which Landlock confines; `ftruncate` is for memory without a name.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    // Memory, also that of programs, whose machine code is mapped.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_memfd_create,
    libc::SYS_membarrier,
    // Threads of this process.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Traps of programs are signals to themselves.
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    // Time and seeds of hash tables.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_getcpu,
    // Answered below with `ENOSYS`, so that the C library falls back to the call whose arguments the filter can read.
    libc::SYS_clone3,
];

/// The older names of some of them, which newer architectures lack.
const OLDER: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Confines this thread, and those that it starts, to the list.
pub(super) fn confine() -> Guard {
    match restrict() {
        Ok(()) => Guard::Full,
        Err(error) => Guard::Absent {
            why: error.to_string(),
        },
    }
}

fn restrict() -> Result<(), Error> {
    let refused = |errno: i32| SeccompAction::Errno(errno as u32);
    // After `ENOSYS` the C library tries `clone`. If two filters answer, the refusal counts.
    let unknown = Rules::from([(libc::SYS_clone3, vec![])]);
    let filters = [
        (rules()?, refused(libc::EPERM), SeccompAction::Allow),
        (unknown, SeccompAction::Allow, refused(libc::ENOSYS)),
    ];
    let architecture = std::env::consts::ARCH.try_into()?;
    // All filters are made before the first one is in force.
    let programs = filters
        .into_iter()
        .map(|(rules, otherwise, then)| {
            let filter = SeccompFilter::new(rules, otherwise, then, architecture)?;
            Ok(BpfProgram::try_from(filter)?)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let [list, unknown] = programs.as_slice() else {
        return Ok(());
    };
    apply_filter(unknown)?;
    apply_filter(list)?;
    Ok(())
}

/// An error of any part of the library.
type Error = Box<dyn std::error::Error>;

fn rules() -> Result<Rules, seccompiler::BackendError> {
    let always = ALLOWED.iter().chain(OLDER).map(|call| (*call, vec![]));
    let mut rules: Rules = always.collect();
    let own = u64::from(std::process::id());
    // Threads, but no other process.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, only([masked(0, thread)])?);
    // Signals to its own threads: an abort.
    rules.insert(libc::SYS_tgkill, only([equal(0, own)])?);
    // Its own limits.
    rules.insert(libc::SYS_prlimit64, only([equal(0, 0), equal(0, own)])?);
    // Flags of open files, copies of them, and seals of anonymous memory files. Not the owner who gets signals about a
    // file.
    rules.insert(
        libc::SYS_fcntl,
        only(FILE_COMMANDS.map(|command| equal(1, command as u64)))?,
    );
    // The times of an open file, not those of a path.
    rules.insert(libc::SYS_utimensat, only([null(1)])?);
    // Names of threads and of memory.
    let names = [libc::PR_SET_NAME as u64, libc::PR_SET_VMA as u64];
    rules.insert(libc::SYS_prctl, only(names.map(|name| equal(0, name)))?);
    Ok(rules)
}

/// Commands of `fcntl` that are needed.
const FILE_COMMANDS: [libc::c_int; 6] = [
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_DUPFD_CLOEXEC,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

/// The call is allowed if one of these holds.
fn only<const N: usize>(
    conditions: [Condition; N],
) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    conditions
        .into_iter()
        .map(|condition| SeccompRule::new(vec![condition?]))
        .collect()
}

fn equal(argument: u8, value: u64) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// A null pointer.
fn null(argument: u8) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// All bits of `value` are set.
fn masked(argument: u8, value: u64) -> Condition {
    let set = SeccompCmpOp::MaskedEq(value);
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, set, value)
}
