//! Which peers cannot be reached, since when, and why.
//!
//! The network task notes what happens to each peer on the list; everybody else reads it ([`Reach::unreachable`]),
//! without asking the task. A peer that is away for longer than [`TELL_AFTER`] is told in the log once, again from time
//! to time, and once more when it is back.
//!
//! The reason is one line for a person: the error of the last dial, how the last connection ended, or that there is no
//! address. A version of the protocol that does not fit explains all other failures, so it is shown in their place.
//! Texts that come from a peer are made safe to show (`text.rs`).

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use libp2p::swarm::{ConnectionError, DialError};
use libp2p::PeerId as Id;

use crate::version::Shown;
use crate::PeerId;

/// How long a peer must be away before the log says so: peers that are started one after the other are not worth a line.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// How often it is told again.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// A peer on the list that is not connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Who.
    pub peer: PeerId,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// How long ago that is.
    pub duration: Duration,
    /// Why, as far as it is known here.
    pub reason: String,
}

/// What is known of the peers on the list.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<ReachState>);

/// Who is away, and which programs the others run.
#[derive(Debug, Default)]
struct ReachState {
    away: BTreeMap<PeerId, Away>,
    /// The programs of peers, as they name them.
    programs: BTreeMap<PeerId, String>,
}

/// A peer that is not connected: since when, and the newest reason.
#[derive(Debug)]
struct Away {
    since: SystemTime,
    begun: Instant,
    reason: String,
    /// The two sides do not work together. This explains all other failures.
    version: Option<String>,
    told: Option<Instant>,
}

impl Reach {
    /// The peers that are away, in the order of their names.
    pub(crate) fn unreachable(&self) -> Vec<Unreachable> {
        let state = self.lock();
        let away = state.away.iter();
        away.map(|(peer, away)| Unreachable {
            peer: *peer,
            since: milliseconds(away.since),
            duration: away.begun.elapsed(),
            reason: away.version.as_ref().unwrap_or(&away.reason).clone(),
        })
        .collect()
    }

    /// The program that a peer says it is.
    pub(crate) fn program(&self, peer: &PeerId) -> Option<String> {
        self.lock().programs.get(peer).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, ReachState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new list of peers. `new` are those that were not on it before, with whether there is an address to dial.
    pub(crate) fn list(&self, new: &[(Id, bool)], gone: &[Id]) {
        let mut state = self.lock();
        for peer in gone {
            state.away.remove(&PeerId(*peer));
            state.programs.remove(&PeerId(*peer));
        }
        for (peer, can_be_dialed) in new {
            let reason = match can_be_dialed {
                true => "it has not been connected yet",
                false => NO_ADDRESS,
            };
            state.away.insert(PeerId(*peer), Away::new(reason.into()));
        }
    }

    /// Peers without an address to dial, from now on: it depends on them to connect.
    pub(crate) fn without_address(&self, peers: &HashSet<Id>) {
        for (peer, away) in &mut self.lock().away {
            let is_without = peers.contains(&peer.0);
            if is_without {
                away.reason = NO_ADDRESS.into();
            } else if away.reason == NO_ADDRESS {
                away.reason = "its new address has not been dialed yet".into();
            }
        }
    }

    /// A peer is connected and has subscribed.
    pub(crate) fn reached(&self, peer: Id) {
        let away = self.lock().away.remove(&PeerId(peer));
        if let Some(away) = away.filter(|away| away.told.is_some()) {
            let seconds = away.begun.elapsed().as_secs();
            tracing::info!(%peer, seconds, "a member can be reached again");
        }
    }

    /// A peer that was connected is not any more.
    pub(crate) fn lost(&self, peer: Id, reason: String) {
        let mut state = self.lock();
        state
            .away
            .entry(PeerId(peer))
            .or_insert_with(|| Away::new(reason));
    }

    /// Another attempt to connect with a peer that is away has failed.
    pub(crate) fn failed(&self, peer: Id, reason: String) {
        if let Some(away) = self.lock().away.get_mut(&PeerId(peer)) {
            away.reason = reason;
        }
    }

    /// A peer has said which program it is, and whether that one works together with this one.
    pub(crate) fn introduced(&self, peer: Id, program: &str, differs: Option<String>) {
        let mut state = self.lock();
        let program = Shown(program).to_string();
        state.programs.insert(PeerId(peer), program);
        if let Some(away) = state.away.get_mut(&PeerId(peer)) {
            away.version = differs;
        }
    }

    /// Tells in the log who is away for long.
    pub(crate) fn tell(&self) {
        for (peer, away) in &mut self.lock().away {
            let is_told = |at: Instant| at.elapsed() < TELL_AGAIN;
            if away.begun.elapsed() < TELL_AFTER || away.told.is_some_and(is_told) {
                continue;
            }
            away.told = Some(Instant::now());
            let reason = away.version.as_ref().unwrap_or(&away.reason);
            let seconds = away.begun.elapsed().as_secs();
            tracing::warn!(%peer, seconds, reason, "a member cannot be reached");
        }
    }
}

/// What it means when a connection ends before both sides have subscribed.
const REFUSED: &str =
    "before the peers had met: it may not know this member yet, or work for another ring";

const NO_ADDRESS: &str =
    "it has announced no address that can be dialed, so it has to dial this member";

impl Away {
    fn new(reason: String) -> Self {
        Self {
            since: SystemTime::now(),
            begun: Instant::now(),
            reason,
            version: None,
            told: None,
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Why a dial failed, in one line.
pub(crate) fn dial_reason(error: &DialError) -> String {
    match error {
        DialError::Transport(tried) => {
            let mut text = String::new();
            for (address, error) in tried {
                let separator = if text.is_empty() { "" } else { "; " };
                // Writing into a string does not fail.
                write!(text, "{separator}{address}: {}", innermost(error)).unwrap_or_default();
            }
            text
        }
        DialError::WrongPeerId { obtained, address } => {
            format!("{address}: another peer answers there ({obtained})")
        }
        DialError::LocalPeerId { address } => {
            format!("{address}: this member itself answers there")
        }
        error => innermost(error),
    }
}

/// Why a connection ended, in one line.
pub(crate) fn end_reason(cause: Option<&ConnectionError>, was_ready: bool) -> String {
    let how = match cause {
        Some(error) => format!("the connection was lost ({})", innermost(error)),
        None => "the connection was closed".into(),
    };
    match was_ready {
        true => how,
        false => format!("{how} {REFUSED}"),
    }
}

/// The words of the first cause of an error, without line breaks.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string().replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::TransportError;
    use std::io;

    #[test]
    fn a_peer_is_away_until_it_is_reached_and_again_when_it_is_lost() {
        let (reach, peer) = (Reach::default(), Id::random());
        reach.list(&[(peer, true)], &[]);
        reach.failed(peer, "refused".into());
        let away = reach.unreachable();
        assert_eq!(away.len(), 1);
        assert_eq!(away[0].reason, "refused");
        assert!(away[0].since > 1_600_000_000_000);

        reach.reached(peer);
        reach.failed(peer, "a second dial".into());
        assert!(reach.unreachable().is_empty());
        reach.lost(peer, "closed".into());
        reach.lost(peer, "closed again".into());
        assert_eq!(reach.unreachable()[0].reason, "closed");
        reach.list(&[], &[peer]);
        assert!(reach.unreachable().is_empty());
    }

    #[test]
    fn a_difference_of_versions_explains_what_follows_from_it() {
        let (reach, peer) = (Reach::default(), Id::random());
        reach.list(&[(peer, false)], &[]);
        assert_eq!(reach.unreachable()[0].reason, NO_ADDRESS);
        reach.without_address(&HashSet::new());
        reach.introduced(peer, "rings 9\n", Some("upgrade".into()));
        reach.failed(peer, "the connection was closed".into());
        assert_eq!(reach.unreachable()[0].reason, "upgrade");
        assert_eq!(reach.program(&PeerId(peer)).as_deref(), Some("rings 9"));
        reach.introduced(peer, "rings 1", None);
        assert_eq!(reach.unreachable()[0].reason, "the connection was closed");
    }

    #[test]
    fn the_reason_of_a_dial_is_one_line_with_its_address() {
        let refused = io::Error::other(io::Error::new(
            io::ErrorKind::ConnectionRefused,
            "refused\nat once",
        ));
        let address = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let error = DialError::Transport(vec![(address, TransportError::Other(refused))]);
        assert_eq!(dial_reason(&error), "/ip4/10.0.0.1/tcp/1: refused at once");
    }
}
