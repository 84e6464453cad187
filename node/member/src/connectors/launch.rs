//! How a connector's program is started.

use std::{ffi::OsString, path::PathBuf};

/// How a program is started: through a program that ends it when this process is gone, and its first arguments.
pub type Launcher = (PathBuf, Vec<OsString>);

/// This program, which has the kernel end a connector when this process is gone
/// ([`become_connector`](super::become_connector)).
pub fn launcher() -> Option<Launcher> {
    let program = std::env::current_exe().ok()?;
    Some((program, vec!["connector".into()]))
}
