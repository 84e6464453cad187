//! Whether one of the kernel's mechanisms (seccomp, Landlock) is in force. A worker reports it to its parent, which
//! shows it; a missing mechanism is no reason not to run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether one of the kernel's mechanisms (seccomp, Landlock) is in force.
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
    /// Not known, because no worker has reported it.
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
