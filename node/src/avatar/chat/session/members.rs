//! Who is in the ring, while people talk: changes that somebody wants, and the signatures of two thirds.

use super::ChatSession;
use crate::{
    avatar::{
        act::send,
        chat::live::Live,
        devices::{described, find, signed, wished, Wish},
        rotate::Membership,
    },
    exit::ExitError,
};
use rings_client::{Changes, Digest, LogMessage, MembersChange};
use rings_protocol::Address;

/// Messages about changes that are kept for when the members have changed.
const KEPT: usize = 256;

impl ChatSession {
    /// The chain says who is a member now. Changes of an earlier epoch are void.
    pub(super) fn see_members(&mut self, now: &Membership, live: &mut Live) {
        if self
            .changes
            .as_ref()
            .is_some_and(|(epoch, _)| *epoch == now.ring_epoch)
        {
            return;
        }
        let changes = Changes::new(*self.copies.domain(), now.members.clone(), now.ring_epoch);
        self.changes = Some((now.ring_epoch, changes));
        for (author, message) in self.about_members.clone() {
            self.hear_change(author, &message, live);
        }
    }

    /// Takes what a node says about changes of the members.
    pub(super) fn hear_changes(
        &mut self,
        author: Address,
        messages: &[LogMessage],
        live: &mut Live,
    ) {
        for message in messages {
            if MembersChange::from_message(message).is_some() {
                self.about_members.push_back((author, message.clone()));
                while self.about_members.len() > KEPT {
                    self.about_members.pop_front();
                }
                self.hear_change(author, message, live);
            }
        }
    }

    fn hear_change(&mut self, author: Address, message: &LogMessage, live: &mut Live) {
        let Some((_, changes)) = &mut self.changes else {
            return;
        };
        let Some(name) = changes.hear(author, message) else {
            return;
        };
        let Some(open) = changes.get(name) else {
            return;
        };
        let text = described(&self.people, name, open, changes.needed());
        let me = self.avatar.address();
        match author == me {
            true => live.note(text),
            false => live.note(format!("{text}; to sign it too: /approve {name}")),
        }
    }

    /// Asks for a change of the members, or says that another avatar is of the same person.
    ///
    /// # Errors
    /// When it cannot be written here.
    pub(in crate::avatar::chat) async fn wish(
        &mut self,
        wish: Wish,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        let now = match self.avatar.home.membership().await {
            Ok(now) => now,
            Err(error) => {
                live.note(error.to_string());
                return Ok(());
            }
        };
        self.see_members(&now, live);
        let of = (self.copies.domain(), &self.avatar.key);
        let messages = match wished(wish, of, &now, &self.people) {
            Ok(messages) => messages,
            Err(error) => {
                live.note(error.to_string());
                return Ok(());
            }
        };
        let mut names = messages.iter().filter_map(|message| {
            let (change, _) = MembersChange::from_message(message)?;
            Some(change.digest(self.copies.domain(), &now.members))
        });
        let name = names.next_back();
        self.write_all(messages, live).await?;
        if let Wish::Also(other) | Wish::Add(other) | Wish::Recover { fresh: other, .. } = wish {
            live.note(format!(
                "{other} is shown as one person with you when it says the same: /also {}",
                self.me()
            ));
        }
        match name {
            Some(name) => self.settle(name, live).await,
            None => Ok(()),
        }
    }

    /// Signs a change whose name begins so, and brings it to the chain if it is the last signature that was missing.
    ///
    /// # Errors
    /// When it cannot be written here.
    pub(in crate::avatar::chat) async fn approve(
        &mut self,
        wanted: &str,
        live: &mut Live,
    ) -> Result<(), ExitError> {
        let now = self.avatar.home.membership().await;
        let (Some((_, changes)), Ok(now)) = (&self.changes, now) else {
            live.note("the chain cannot be asked now; try again");
            return Ok(());
        };
        let name = match find(changes, wanted) {
            Ok(name) => name,
            Err(error) => {
                live.note(error.to_string());
                return Ok(());
            }
        };
        let me = self.avatar.address();
        let open = changes
            .get(name)
            .filter(|open| !open.signed.contains_key(&me));
        if let Some(change) = open.map(|open| open.change.clone()) {
            let message = signed(&change, (self.copies.domain(), &self.avatar.key), &now)?;
            self.write_all(vec![message], live).await?;
        }
        self.settle(name, live).await
    }

    /// Brings a change to the chain, if enough have signed it.
    async fn settle(&mut self, name: Digest, live: &mut Live) -> Result<(), ExitError> {
        let changes = self.changes.as_ref().map(|(_, changes)| changes);
        let Some(call) = changes.and_then(|changes| changes.ready(name)) else {
            return Ok(());
        };
        let sent = async {
            self.avatar.refresh().await?;
            send(&mut self.avatar, call, None).await
        };
        match sent.await {
            Ok(_) => live.note("enough have signed: the change is on its way to the chain"),
            Err(error) => live.note(format!("the change does not get to the chain now: {error}")),
        }
        Ok(())
    }
}
