//! seccomp: the system calls that a worker makes, and no others.
//!
//! What is not on the list answers `EPERM`: sockets, starting programs, signals to and memory of other processes,
//! mounts, `io_uring`, and whatever a later kernel brings.

use super::Guard;
use seccompiler::{
    apply_filter, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// Allowed whatever the arguments.
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
    libc::SYS_fcntl,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_utimensat,
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
    // Answered below with "no such call", so that the C library falls back to the one that can be looked into.
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
    // Where the C library hears "no such call" it tries `clone`. Of two answers, the refusal counts.
    let unknown = Rules::from([(libc::SYS_clone3, vec![])]);
    let filters = [
        (rules()?, refused(libc::EPERM), SeccompAction::Allow),
        (unknown, SeccompAction::Allow, refused(libc::ENOSYS)),
    ];
    let architecture = std::env::consts::ARCH.try_into()?;
    // All are made before the first is in force.
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

/// Whichever part of the library refuses.
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
    // Names of threads and of memory.
    let names = [libc::PR_SET_NAME as u64, libc::PR_SET_VMA as u64];
    rules.insert(libc::SYS_prctl, only(names.map(|name| equal(0, name)))?);
    Ok(rules)
}

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

/// All bits of `value` are set.
fn masked(argument: u8, value: u64) -> Condition {
    let set = SeccompCmpOp::MaskedEq(value);
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, set, value)
}
