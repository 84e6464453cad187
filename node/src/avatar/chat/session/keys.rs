//! The key of a private ring, while people talk: changed when somebody has left who has it, told of when others have changed it.

use super::{ChatSession, ASK_LIMIT};
use crate::{
    avatar::{
        chat::live::Live,
        rotate::{left_out, renew, why, Membership},
    },
    exit::ExitError,
};
use rings_client::{ClientKeys, KeyNews};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The members have their turns to change the key of the ring, each so long after the one before, so that they do not all do it at
/// once.
const KEY_TURN: Duration = Duration::from_secs(3);

impl ChatSession {
    /// Sees to it that what is written now is sealed with a key that nobody has who has left.
    pub(super) async fn check_key(&mut self, live: &mut Live) -> Result<(), ExitError> {
        let is_private = self.avatar.home.secrecy.keys().is_some();
        if !is_private || (self.key_due.is_none() && Instant::now() < self.chain_due) {
            return Ok(());
        }
        match timeout(ASK_LIMIT, self.avatar.home.membership()).await {
            // Its turn does not matter now: something is to be written.
            Ok(Ok(now)) => {
                self.key_due = Some(Instant::now());
                self.change_key(&now, live).await
            }
            _ => Ok(()),
        }
    }

    /// Changes the key of the ring, if somebody has left who has it, and it is this device's turn.
    pub(super) async fn change_key(
        &mut self,
        now: &Membership,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        let me = self.me();
        let Some(keys) = self.avatar.home.secrecy.keys().cloned() else {
            return Ok(());
        };
        let why = why(&keys, now, self.key_asked);
        let may = now.members.contains(&me) && !self.avatar.log.is_restored();
        let Some(why) = why.filter(|_| may) else {
            self.key_due = None;
            return Ok(());
        };
        let readers = keys.readers(&now.members);
        let turn = readers.iter().position(|reader| *reader == me).unwrap_or(0) as u32;
        let due = *self
            .key_due
            .get_or_insert_with(|| Instant::now() + turn * KEY_TURN);
        if Instant::now() < due {
            return Ok(());
        }
        let refs = self.copies.heads_beside(me);
        let made = renew(&mut self.avatar, now, &refs).await;
        self.take_own(me, live)?;
        match made {
            Ok(made) => {
                (self.key_due, self.key_asked) = (None, false);
                live.note(format!(
                    "{why}: the ring has a new key (epoch {})",
                    made.epoch
                ));
                for member in made.left_out {
                    live.note(left_out(member));
                }
                self.gather(1, live).await;
            }
            Err(error) => {
                self.key_due = Some(Instant::now() + KEY_TURN);
                self.complain(&error.to_string(), live);
            }
        }
        Ok(())
    }

    /// Tells of keys that others have made, and keeps them with the recovery line.
    pub(super) fn take_keys(&mut self, live: &mut Live) -> Result<(), ExitError> {
        let news = self.copies.key_news();
        if news.is_empty() {
            return Ok(());
        }
        for (author, news) in news {
            let name = self.people.name(author);
            live.note(match news {
                KeyNews::Key { epoch, .. } => {
                    format!("{name} has changed the key of the ring (epoch {epoch})")
                }
                KeyNews::LeftOut { .. } => format!(
                    "{name} has changed the key of the ring, and it was not wrapped for you: ask for the new recovery line (rings ring line)"
                ),
            });
        }
        self.avatar.home.remember_keys()
    }

    pub(super) fn key_count(&self) -> usize {
        let keys = self.avatar.home.secrecy.keys();
        keys.map_or(0, ClientKeys::count)
    }
}
