//! The keys and tokens in a ring's directory, and the clients of its members that use them.

use super::{
    disk::{private_directory, replace},
    ring_file::{MemberEntry, RingFile},
    RingDir,
};
use crate::exit::ExitError;
use rings_api::{Client, Token};
use rings_member::keystore;
use rings_protocol::{crypto::SecretKey, Address};
use std::path::PathBuf;

impl RingDir {
    /// The account of `rings run`.
    ///
    /// # Errors
    /// When its key cannot be read.
    pub fn client(&self) -> Result<SecretKey, ExitError> {
        Ok(keystore::load(&self.client_key(), None)?)
    }

    /// The account that asks for gates of this ring: that of the directory, or the one that `ring.json` names.
    ///
    /// # Errors
    /// When its key cannot be read.
    pub fn client_of(&self, file: &RingFile) -> Result<SecretKey, ExitError> {
        match &file.client {
            Some(client) => Ok(keystore::load(
                &client.key,
                client.password_file.as_deref(),
            )?),
            None => self.client(),
        }
    }

    /// The address of that account; often no password is needed for it.
    ///
    /// # Errors
    /// When its key cannot be read.
    pub fn client_address(&self, file: &RingFile) -> Result<Address, ExitError> {
        Ok(match &file.client {
            Some(client) => keystore::address(&client.key, client.password_file.as_deref())?,
            None => keystore::address(&self.client_key(), None)?,
        })
    }

    /// A client of each member whose URL is known, with its token if that is there.
    ///
    /// # Errors
    /// When a token is there and cannot be used.
    pub fn clients(&self, file: &RingFile) -> Result<Vec<Client>, ExitError> {
        let members = file.members.iter();
        let clients = members.map(|member| self.client_at(member));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        Ok(clients.into_iter().flatten().collect())
    }

    /// A client of a member, if its URL is known.
    ///
    /// # Errors
    /// When its token is there and cannot be used.
    pub fn client_at(&self, member: &MemberEntry) -> Result<Option<Client>, ExitError> {
        if member.rpc_url.is_empty() {
            return Ok(None);
        }
        let token = self.member_token(member)?;
        Ok(Some(Client::new(&member.rpc_url, token)?))
    }

    /// The token of a member, if it is there.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub fn member_token(&self, member: &MemberEntry) -> Result<Option<Token>, ExitError> {
        let own = self.token_of(member.address);
        let path = if own.exists() { own } else { self.token() };
        match path.exists() {
            true => Ok(Some(Token::read(&path)?)),
            false => Ok(None),
        }
    }

    /// The bearer token of one member, where members have different ones.
    fn token_of(&self, member: Address) -> PathBuf {
        self.root.join("tokens").join(member.to_string())
    }

    /// Keeps the token of a member, in place of an earlier one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_token(&self, member: Address, token: &Token) -> Result<(), ExitError> {
        private_directory(&self.root.join("tokens"))?;
        // Temporary files are made for their owner only, and keep that mode under their new name.
        replace(&self.token_of(member), token.expose().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ring_file::example, *};
    use std::fs;

    #[test]
    fn each_member_has_its_own_token_where_there_is_one() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().into()));
        let (token, member) = (Token::generate(), Address([4; 20]));
        dir.write_token(member, &token).unwrap();
        dir.write_token(member, &token).unwrap();
        let mode = fs::metadata(dir.token_of(member)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let mut file = example();
        assert_eq!(dir.clients(&file).unwrap().len(), 1);
        file.members[0].rpc_url.clear();
        assert!(dir.clients(&file).unwrap().is_empty());
        assert_eq!(file.located(), 0);
    }
}
