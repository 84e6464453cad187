//! All 46 functions of WASI preview 1, and what each does.
//!
//! [`Implementation`] joins a name, the function, and one line that says what it answers. Names that are in the table
//! of signatures but not here answer `ENOSYS`. Both engines build their linkers from this table, and the table in
//! `docs/programs.md` is compared with it by a test, so the three cannot differ.
//!
//! To add a function, add it here with its line; the signature is in `signatures.rs` already. It changes what programs
//! get, so it changes the profile.

use super::{
    args,
    call::{Arguments, Function},
    clock,
    errno::{Answer, Errno},
    fd,
    memory::Guest,
    poll, process,
    signatures::{Signature, SIGNATURES},
};

/// A function that this host implements.
pub(super) struct Implementation {
    /// The function's name.
    pub(super) name: &'static str,
    function: Function,
    /// What it answers, for the documentation.
    answer: &'static str,
}

const fn implemented(
    name: &'static str,
    function: Function,
    answer: &'static str,
) -> Implementation {
    Implementation {
        name,
        function,
        answer,
    }
}

/// The functions that this host implements. All others in [`SIGNATURES`] answer [`Errno::NOSYS`].
pub(super) const FUNCTIONS: &[Implementation] = &[
    implemented(
        "args_get",
        args::args_get,
        "the arguments, each ended by a zero byte",
    ),
    implemented(
        "args_sizes_get",
        args::args_sizes_get,
        "how many arguments, and how many bytes",
    ),
    implemented(
        "environ_get",
        args::environ_get,
        "nothing: the environment is empty",
    ),
    implemented("environ_sizes_get", args::environ_sizes_get, "0 and 0"),
    implemented(
        "clock_res_get",
        clock::clock_res_get,
        "one second, for clocks 0 to 3; `EINVAL` for others",
    ),
    implemented(
        "clock_time_get",
        clock::clock_time_get,
        "the operation's time and what the program has slept, for clocks 0 to 3; `EINVAL` for others",
    ),
    implemented(
        "fd_close",
        fd::fd_close,
        "closes an open descriptor for good; `EBADF` for others",
    ),
    implemented(
        "fd_fdstat_get",
        fd::fd_fdstat_get,
        "for open descriptors: of unknown type, without flags; `EBADF` for others",
    ),
    implemented(
        "fd_filestat_get",
        fd::fd_filestat_get,
        "for open descriptors: of unknown type, all else 0; `EBADF` for others",
    ),
    implemented(
        "fd_prestat_get",
        fd::fd_prestat_get,
        "`EBADF`: no directory is open",
    ),
    implemented(
        "fd_prestat_dir_name",
        fd::fd_prestat_get,
        "`EBADF`: no directory is open",
    ),
    implemented(
        "fd_read",
        fd::fd_read,
        "fills all buffers unless the stream ends, on 0 and 3; `EBADF` on others",
    ),
    implemented(
        "fd_seek",
        fd::fd_seek,
        "`ESPIPE` on open descriptors; `EBADF` on others",
    ),
    implemented(
        "fd_tell",
        fd::fd_seek,
        "`ESPIPE` on open descriptors; `EBADF` on others",
    ),
    implemented(
        "fd_write",
        fd::fd_write,
        "takes all of it, on 1, 2 and 4; `EBADF` on others",
    ),
    implemented(
        "poll_oneoff",
        poll::poll_oneoff,
        "at once: streams are ready; if there are only clocks, time moves to the first deadline",
    ),
    implemented(
        "proc_exit",
        process::proc_exit,
        "ends the run with that status",
    ),
    implemented(
        "random_get",
        process::random_get,
        "the next bytes of the seed's ChaCha20 stream",
    ),
    implemented("sched_yield", process::sched_yield, "success"),
];

/// What all others answer.
const ABSENT: &str = "`ENOSYS`, whatever the arguments";

fn absent(_: &mut Guest<'_>, _: &Arguments) -> Answer {
    Err(Errno::NOSYS.into())
}

/// Every function of the standard with what it does.
pub(super) fn functions() -> impl Iterator<Item = (&'static Signature, Function)> {
    SIGNATURES.iter().map(|signature| {
        let function = known(signature).map_or(absent as Function, |known| known.function);
        (signature, function)
    })
}

fn known(signature: &Signature) -> Option<&'static Implementation> {
    FUNCTIONS.iter().find(|known| known.name == signature.name)
}

/// Every function that a program may import: its name, its type, and in words what it answers.
pub fn imports() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    SIGNATURES.iter().map(|signature| {
        let answer = known(signature).map_or(ABSENT, |known| known.answer);
        (signature.name, signature.to_string(), answer)
    })
}
