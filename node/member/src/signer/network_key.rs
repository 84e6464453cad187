//! The secret of a member among its peers. libp2p does more with it than to sign, so it must be on this machine.
//!
//! Where the member's key is here, it is that key, and the peer id follows from the public key on chain. Where a signer has it, it is
//! one that is made at the first start and kept in the data directory. The member announces the peer id on chain behind its addresses,
//! in a transaction of its own, which vouches for it. If the file is lost, another one is made and announced: nothing rests on it.

use super::super::{
    config::NodeConfig,
    keystore::{self, KeystoreError},
};
use rings_protocol::crypto::SecretKey;
use zeroize::Zeroizing;

/// Its file, below `[store] path`.
const NETWORK_KEY: &str = "network.key";

/// The secret for the network: that of the member's key, or else one of its own. The flag says that it is one of its own.
///
/// # Errors
/// [`KeystoreError`] when the file cannot be read, is readable by others, or cannot be written.
pub fn network_secret(
    config: &NodeConfig,
    key: Option<&SecretKey>,
) -> Result<(Zeroizing<[u8; 32]>, bool), KeystoreError> {
    if let Some(key) = key {
        return Ok((key.to_bytes(), false));
    }
    let path = config.store.path.join(NETWORK_KEY);
    let own = match path.exists() {
        true => keystore::parse_hex(&path, &keystore::read_secret(&path)?)?,
        false => {
            let key = keystore::generate();
            keystore::store_hex(&path, &key)?;
            key
        }
    };
    Ok((own.to_bytes(), true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    fn config(directory: &Path) -> NodeConfig {
        let text = "[chain]\nrpc = \"http://127.0.0.1:1\"\n[ring]\naddress = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\n[signer]\nurl = \"http://127.0.0.1:2\"\naddress = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\n[store]\npath = \".\"\n[rpc]\ntoken_file = \"token\"\n";
        NodeConfig::parse(text, &directory.join("node.toml"), |_| None).unwrap()
    }

    #[test]
    fn the_key_of_the_network_is_the_members_or_one_that_stays() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path());
        let member = keystore::generate();
        let (secret, is_its_own) = network_secret(&config, Some(&member)).unwrap();
        assert_eq!((secret, is_its_own), (member.to_bytes(), false));
        assert!(!directory.path().join(NETWORK_KEY).exists());

        let (made, is_its_own) = network_secret(&config, None).unwrap();
        assert!(is_its_own);
        let path = directory.path().join(NETWORK_KEY);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(network_secret(&config, None).unwrap().0, made);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = network_secret(&config, None).unwrap_err();
        assert!(matches!(open, KeystoreError::Permissions { .. }), "{open}");
    }
}
