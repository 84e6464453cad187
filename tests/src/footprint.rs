//! The memory, processes and files that a member uses.

use super::processes::{children, descriptors, resident_if_runs};
use std::fmt;

/// A process and those that it has started, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Processes that run.
    pub processes: usize,
    /// Their resident memory, in bytes. Shared memory counts for each.
    pub resident: u64,
    /// Files, sockets and pipes of the process itself.
    pub descriptors: usize,
    /// And of its children.
    pub of_children: usize,
}

impl Footprint {
    /// Of this process and its children. One that ends meanwhile counts for nothing.
    pub fn of(pid: u32) -> Self {
        let children = children(pid);
        let all = children.iter().chain([&pid]);
        let resident: Vec<u64> = all.filter_map(|pid| resident_if_runs(*pid)).collect();
        Self {
            processes: resident.len(),
            resident: resident.iter().sum(),
            descriptors: descriptors(pid),
            of_children: children.iter().map(|pid| descriptors(*pid)).sum(),
        }
    }

    /// The larger of each.
    pub fn most(self, other: Self) -> Self {
        Self {
            processes: self.processes.max(other.processes),
            resident: self.resident.max(other.resident),
            descriptors: self.descriptors.max(other.descriptors),
            of_children: self.of_children.max(other.of_children),
        }
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MB in {} processes, {} + {} descriptors",
            self.resident / 1_000_000,
            self.processes,
            self.descriptors,
            self.of_children
        )
    }
}
