//! The signed words of replicas that they hold logs. They are kept: they convict a replica that says later that it never had them.

use super::place::Home;
use crate::{
    exit::{Context, ExitError, ExitStatus},
    ringdir::replace,
};
use rings_api::{client_rings::HeldView, HexBytes};
use rings_client::{held_by, Digest, Domain, Evidence, HeldError};
use rings_protocol::Address;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The newest word of each replica on each log of a ring, in a file.
#[derive(Debug)]
pub(super) struct Words {
    path: PathBuf,
    words: BTreeMap<(Address, Address), HeldWord>,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldWord {
    replica: Address,
    avatar: Address,
    head: Digest,
    signature: HexBytes,
}

impl Words {
    /// Reads the file; there may be none yet.
    ///
    /// # Errors
    /// Status 2 when it cannot be read.
    pub(super) fn open(path: PathBuf) -> Result<Self, ExitError> {
        let what = || {
            format!(
                "{} cannot be read as words of replicas; move it away",
                path.display()
            )
        };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.context(ExitStatus::Usage, what())?,
        };
        let words = text.lines().map(serde_json::from_str::<HeldWord>);
        let words: Result<Vec<_>, _> = words.collect();
        let words = words.context(ExitStatus::Usage, what())?;
        Ok(Self {
            words: words
                .into_iter()
                .map(|word| ((word.replica, word.avatar), word))
                .collect(),
            path,
        })
    }

    /// Checks what replicas have answered, and keeps their words. Says who has signed.
    ///
    /// # Errors
    /// Status 5 when somebody has signed in the name of another.
    pub(super) fn take(
        &mut self,
        home: &Home,
        avatar: Address,
        held: &HeldView,
    ) -> Result<Vec<Address>, ExitError> {
        let by = check(home, avatar, held);
        let by = by.map_err(|error| ExitError::unavailable(error.to_string()).because(error))?;
        let is_news = |replica: &Address| {
            let known = self.words.get(&(*replica, avatar));
            known.is_none_or(|word| word.head != held.head)
        };
        if !by.iter().any(is_news) {
            return Ok(by);
        }
        for one in &held.held {
            let word = HeldWord {
                replica: one.replica,
                avatar,
                head: held.head,
                signature: one.signature.clone(),
            };
            self.words.insert((one.replica, avatar), word);
        }
        self.write().map(|()| by)
    }

    fn write(&self) -> Result<(), ExitError> {
        let mut text = String::new();
        for word in self.words.values() {
            let line = serde_json::to_string(word);
            text.push_str(
                &line.context(ExitStatus::Internal, "a replica's word cannot be written")?,
            );
            text.push('\n');
        }
        replace(&self.path, text.as_bytes())
    }

    /// The words whose signatures are right, for whoever judges replicas by them.
    pub(super) fn known(&self, keeper: &Domain, ring: Address) -> Vec<Evidence> {
        let words = self.words.values().filter(|word| {
            let log = (ring, word.avatar, word.head);
            held_by(keeper, word.replica, log, &word.signature.0).is_ok()
        });
        let known = words.map(|word| Evidence::Word {
            replica: word.replica,
            author: word.avatar,
            head: word.head,
        });
        known.collect()
    }
}

/// Who has signed that it holds a log up to the head that is named.
///
/// # Errors
/// When one of them has not signed that.
pub(super) fn check(
    home: &Home,
    avatar: Address,
    held: &HeldView,
) -> Result<Vec<Address>, HeldError> {
    let keeper = home.keeper_domain();
    let log = (home.domain.ring, avatar, held.head);
    let signed = held.held.iter().map(|by| {
        let checked = held_by(&keeper, by.replica, log, &by.signature.0);
        checked.map(|()| by.replica)
    });
    signed.collect()
}

/// Where the words about logs of a ring are, that replicas have given to an avatar.
pub(super) fn path(log: &Path) -> PathBuf {
    log.with_extension("held")
}
