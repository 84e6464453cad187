//! A copy of the state database as of one moment, for backups, and what is remembered of a copy that was put back.
//!
//! A copy is marked: whoever puts it back does not know what was signed since. Before the member signs anything with it,
//! the others have to say where its log ends ([`MemberState::is_restored`]). The database of client rings is copied in the
//! same way ([`copy_database`]); what was written to it later stands in members' logs, and is read there again.

use super::{
    copying::{copy_database, Copying},
    error::StateError,
    open::{Identity, RESTORED_KEY},
    tables::{
        ASKED, CHANGED, CHOICES, DEPENDANTS, DIVERGED, DUTIES, EARLIER, ENDORSED, FORKS, GATES,
        GATES_ASKED, HELD_FROM, JOURNAL, KEPT_FROM, KEYS, LATE, LISTED, LISTED_BY, META, NODES,
        OPEN, OVER, PAST, PLACES, PROPOSED, QUESTIONS, REDO_NAME_KEY, REDO_NUMBER_KEY,
        REQUEST_JOURNAL, REQUEST_VOTES, RING_NODES, ROTATIONS, STRAY, TIPS, TRAIL, TRANSACTIONS,
        UNASKED, UNLISTED, USAGE, VOTES, WAITING,
    },
    MemberState,
};
use std::path::Path;

impl MemberState {
    /// Copies the database into the file `path`, which must be empty or absent, as it is at one moment.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn snapshot(&self, path: &Path) -> Result<(), StateError> {
        copy_database(&self.database, path, copy_all)
    }

    /// Whether this is a copy that was put back, and the others have not said yet where the own log ends.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn is_restored(&self) -> Result<bool, StateError> {
        self.database
            .read(|transaction| Ok(transaction.open_table(META)?.get(RESTORED_KEY)?.is_some()))
    }

    /// The others have said it, and all up to there is here.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn caught_up(&self) -> Result<(), StateError> {
        self.database.write(|transaction| {
            transaction.open_table(META)?.remove(RESTORED_KEY)?;
            Ok(())
        })
    }

    /// Whose it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

fn copy_all(copying: &mut Copying<'_>) -> Result<(), StateError> {
    copying.table(ASKED)?;
    copying.table(CHANGED)?;
    copying.table(CHOICES)?;
    copying.table(DEPENDANTS)?;
    copying.table(DIVERGED)?;
    copying.table(DUTIES)?;
    copying.table(EARLIER)?;
    copying.table(ENDORSED)?;
    copying.table(FORKS)?;
    copying.table(GATES)?;
    copying.table(GATES_ASKED)?;
    copying.table(HELD_FROM)?;
    copying.table(JOURNAL)?;
    copying.table(KEPT_FROM)?;
    copying.table(KEYS)?;
    copying.table(LATE)?;
    copying.table(LISTED)?;
    copying.table(LISTED_BY)?;
    copying.table(META)?;
    copying.table(NODES)?;
    copying.table(OPEN)?;
    copying.table(OVER)?;
    copying.table(PAST)?;
    copying.table(PLACES)?;
    copying.table(PROPOSED)?;
    copying.table(QUESTIONS)?;
    copying.table(REQUEST_JOURNAL)?;
    copying.table(REQUEST_VOTES)?;
    copying.table(RING_NODES)?;
    copying.table(ROTATIONS)?;
    copying.table(STRAY)?;
    copying.table(TIPS)?;
    copying.table(TRAIL)?;
    copying.table(TRANSACTIONS)?;
    copying.table(UNASKED)?;
    copying.table(UNLISTED)?;
    copying.table(USAGE)?;
    copying.table(VOTES)?;
    copying.table(WAITING)?;
    let mut meta = copying.to.open_table(META)?;
    meta.insert(RESTORED_KEY, &[1][..])?;
    // The redo log beside the original is none of the copy's.
    meta.remove(REDO_NAME_KEY)?;
    meta.remove(REDO_NUMBER_KEY)?;
    Ok(())
}
