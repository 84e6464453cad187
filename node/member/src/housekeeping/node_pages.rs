//! The log nodes that a member holds, page by page: those of its ring, then those of client rings.

use super::roots::state_failed;
use crate::state::{ClientState, MemberState, Place};
use rings_api::StoreWorkError;
use rings_protocol::{Address, Digest};

/// Author, position and digest of a node.
pub(super) type HeldNode = (Address, u64, Digest);

/// Reads them, so many at once.
pub(super) struct NodePages<'a> {
    state: &'a MemberState,
    clients: Option<&'a ClientState>,
    size: usize,
    last: Option<(Address, u64)>,
    /// Once all nodes of the own ring were read: the last one of a client ring.
    of_clients: Option<Option<Place>>,
}

impl<'a> NodePages<'a> {
    /// From the first one on.
    pub(super) fn new(
        state: &'a MemberState,
        clients: Option<&'a ClientState>,
        size: usize,
    ) -> Self {
        Self {
            state,
            clients,
            size,
            last: None,
            of_clients: None,
        }
    }

    /// The next page, which has at least one node; `None` at the end.
    ///
    /// # Errors
    /// When a database cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<HeldNode>>, StoreWorkError> {
        if let Some(last) = self.of_clients {
            return self.next_of_clients(last);
        }
        let nodes = self.state.nodes_after(self.last, self.size);
        let nodes = nodes.map_err(state_failed)?;
        let Some((author, seq, _)) = nodes.last() else {
            self.of_clients = Some(None);
            return self.next_of_clients(None);
        };
        self.last = Some((*author, *seq));
        Ok(Some(nodes))
    }

    fn next_of_clients(
        &mut self,
        last: Option<Place>,
    ) -> Result<Option<Vec<HeldNode>>, StoreWorkError> {
        let Some(clients) = self.clients else {
            return Ok(None);
        };
        let nodes = clients.nodes_after(last, self.size);
        let nodes = nodes.map_err(state_failed)?;
        let Some((place, _)) = nodes.last() else {
            return Ok(None);
        };
        self.of_clients = Some(Some(*place));
        let held = nodes
            .into_iter()
            .map(|((_, author, seq), digest)| (author, seq, digest));
        Ok(Some(held.collect()))
    }
}
