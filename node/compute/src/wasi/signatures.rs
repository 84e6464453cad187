//! The types of all functions of WASI preview 1, as its definition (witx) gives them. An import with another type is
//! outside the profile.

use std::fmt;

/// The module that programs import WASI preview 1 from.
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// One function's type, in short: `i` is i32, `l` is i64.
pub(crate) struct Signature {
    /// The function's name.
    pub name: &'static str,
    params: &'static str,
    results: &'static str,
}

const fn function(name: &'static str, params: &'static str) -> Signature {
    Signature {
        name,
        params,
        results: "i",
    }
}

/// All 46 functions, by name.
pub(super) const SIGNATURES: &[Signature] = &[
    function("args_get", "ii"),
    function("args_sizes_get", "ii"),
    function("clock_res_get", "ii"),
    function("clock_time_get", "ili"),
    function("environ_get", "ii"),
    function("environ_sizes_get", "ii"),
    function("fd_advise", "illi"),
    function("fd_allocate", "ill"),
    function("fd_close", "i"),
    function("fd_datasync", "i"),
    function("fd_fdstat_get", "ii"),
    function("fd_fdstat_set_flags", "ii"),
    function("fd_fdstat_set_rights", "ill"),
    function("fd_filestat_get", "ii"),
    function("fd_filestat_set_size", "il"),
    function("fd_filestat_set_times", "illi"),
    function("fd_pread", "iiili"),
    function("fd_prestat_dir_name", "iii"),
    function("fd_prestat_get", "ii"),
    function("fd_pwrite", "iiili"),
    function("fd_read", "iiii"),
    function("fd_readdir", "iiili"),
    function("fd_renumber", "ii"),
    function("fd_seek", "ilii"),
    function("fd_sync", "i"),
    function("fd_tell", "ii"),
    function("fd_write", "iiii"),
    function("path_create_directory", "iii"),
    function("path_filestat_get", "iiiii"),
    function("path_filestat_set_times", "iiiilli"),
    function("path_link", "iiiiiii"),
    function("path_open", "iiiiillii"),
    function("path_readlink", "iiiiii"),
    function("path_remove_directory", "iii"),
    function("path_rename", "iiiiii"),
    function("path_symlink", "iiiii"),
    function("path_unlink_file", "iii"),
    function("poll_oneoff", "iiii"),
    Signature {
        name: "proc_exit",
        params: "i",
        results: "",
    },
    function("proc_raise", "i"),
    function("random_get", "ii"),
    function("sched_yield", ""),
    function("sock_accept", "iii"),
    function("sock_recv", "iiiiii"),
    function("sock_send", "iiiii"),
    function("sock_shutdown", "ii"),
];

/// The type of a function, if WASI preview 1 has one of that name.
pub(crate) fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|signature| signature.name == name)
}

/// Names of all functions that a program may import.
pub fn import_names() -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().map(|signature| signature.name)
}

impl Signature {
    /// Parameters as the validator writes them.
    pub(crate) fn params(&self) -> Vec<wasmparser::ValType> {
        self.params.chars().map(parsed).collect()
    }

    /// Results as the validator writes them.
    pub(crate) fn results(&self) -> Vec<wasmparser::ValType> {
        self.results.chars().map(parsed).collect()
    }

    /// Parameters and results in an engine's own words: `long` for i64, `short` for i32.
    pub(super) fn translated<T: Clone>(&self, short: T, long: T) -> (Vec<T>, Vec<T>) {
        let translate = |types: &str| {
            types
                .chars()
                .map(|ty| if ty == 'l' { &long } else { &short })
                .cloned()
                .collect()
        };
        (translate(self.params), translate(self.results))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: Vec<wasmparser::ValType>| {
            let names: Vec<_> = types.iter().map(ToString::to_string).collect();
            names.join(" ")
        };
        write!(f, "({}) -> ({})", list(self.params()), list(self.results()))
    }
}

fn parsed(short: char) -> wasmparser::ValType {
    match short {
        'l' => wasmparser::ValType::I64,
        _ => wasmparser::ValType::I32,
    }
}
