//! The log nodes that a member holds, page by page.

use super::roots::state_failed;
use crate::state::MemberState;
use rings_api::StoreWorkError;
use rings_protocol::{Address, Digest};

/// Author, position and digest of a node.
pub(super) type HeldNode = (Address, u64, Digest);

/// Reads them, so many at once.
pub(super) struct NodePages<'a> {
    state: &'a MemberState,
    size: usize,
    last: Option<(Address, u64)>,
}

impl<'a> NodePages<'a> {
    /// From the first one on.
    pub(super) fn new(state: &'a MemberState, size: usize) -> Self {
        Self {
            state,
            size,
            last: None,
        }
    }

    /// The next ones, which are never none; nothing at the end.
    ///
    /// # Errors
    /// When the state database cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<HeldNode>>, StoreWorkError> {
        let nodes = self.state.nodes_after(self.last, self.size);
        let nodes = nodes.map_err(state_failed)?;
        let Some((author, seq, _)) = nodes.last() else {
            return Ok(None);
        };
        self.last = Some((*author, *seq));
        Ok(Some(nodes))
    }
}
