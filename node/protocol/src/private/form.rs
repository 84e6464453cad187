//! How the nodes of a ring's logs are written and read: as they are, or sealed with the keys of a private ring.
//!
//! Whoever handles logs asks a [`LogForm`] to open what comes, and need not know more: the messages of a node are readable in
//! it, if the key is held. Before a ring was made private its members wrote open nodes, so those are read in every ring.

use super::{
    keyring::{Keyring, PrivateOpenError},
    seal::{node_key, SealedError},
};
use crate::{
    eip712::Domain,
    log::{LogNode, NodeError},
    message::Message,
    Digest,
};

/// How the nodes of a ring are written and read.
#[derive(Debug, Clone)]
pub enum LogForm {
    /// As they are signed.
    Open(Domain),
    /// Sealed with these keys.
    Private(Box<Keyring>),
}

/// Why a node cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The key is not held, so nothing is known about the node.
    #[error("it is sealed with key {name}, which nobody has given to this member; ask one of those that may read the ring to approve it")]
    Locked {
        /// The replica key's name.
        name: Digest,
    },
    /// It is no node of this ring.
    #[error("it is not a log node of this ring")]
    Node(#[from] NodeError),
    /// It is sealed, and not in the one form that a node has.
    #[error("its seal is not the one that a log node has")]
    Sealed(#[from] PrivateOpenError),
    /// What is in the seal cannot be read.
    #[error("what is sealed in it cannot be read")]
    Body(#[from] SealedError),
}

impl LogForm {
    /// Opens a node: checks its signature, and makes its messages readable if the read key is held.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn open(&self, bytes: &[u8]) -> Result<LogNode, FormError> {
        let Ok(name) = node_key(bytes) else {
            return Ok(LogNode::open(bytes, self.domain())?);
        };
        let Self::Private(keys) = self else {
            return Err(FormError::Locked { name });
        };
        if !keys.opens(name) {
            return Err(FormError::Locked { name });
        }
        let node = keys.open(bytes)?;
        match keys.read(&node) {
            Ok(body) => Ok(node.with_body(body)),
            // Who has the replica key alone sees order and authors.
            Err(SealedError::Key { .. }) => Ok(node),
            Err(error) => Err(error.into()),
        }
    }

    /// The messages of a node that was opened here before, as [`LogForm::open`] makes them readable. Where the log is open, the
    /// signature is not checked again ([`LogNode::messages_again`]).
    ///
    /// # Errors
    /// [`FormError`].
    pub fn messages_again(&self, bytes: &[u8]) -> Result<Vec<Message>, FormError> {
        match self {
            Self::Open(_) if node_key(bytes).is_err() => Ok(LogNode::messages_again(bytes)?),
            _ => Ok(self.open(bytes)?.content().body.clone()),
        }
    }

    /// Chain and ring.
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Open(domain) => domain,
            Self::Private(keys) => keys.domain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::SecretKey,
        log::{OwnLog, Tip},
        private::{ReadKey, Rotation},
        Address,
    };
    use std::convert::Infallible;

    struct Empty;

    impl OwnLog for Empty {
        type Error = Infallible;
        fn tip(&self) -> Result<Option<Tip>, Infallible> {
            Ok(None)
        }
        fn digest_at(&self, _: u64) -> Result<Option<Digest>, Infallible> {
            Ok(None)
        }
    }

    fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    fn keys() -> Keyring {
        let (mut keys, key) = (
            Keyring::new(domain()),
            ReadKey::from_bytes([5; 32], &domain()),
        );
        let rotation = Rotation {
            epoch: 1,
            read: key.name(),
            replica: key.replica_key().name(),
            wraps: Digest::ZERO,
        };
        keys.add_read(key);
        keys.announced(&rotation, 0);
        keys
    }

    fn messages() -> Vec<Message> {
        vec![Message {
            domain: "chat".into(),
            payload: b"hello".to_vec().into(),
            status: "new".into(),
            kind: "Line".into(),
        }]
    }

    #[test]
    fn a_node_is_readable_to_who_has_the_keys_and_locked_to_others() {
        let author = SecretKey::from_bytes(&[1; 32]).unwrap();
        let sealed = keys().seal(&Empty, 1, &messages(), (vec![], None), &author);
        let sealed = sealed.unwrap();
        let private = LogForm::Private(Box::new(keys()));
        let node = private.open(sealed.bytes()).unwrap();
        assert_eq!(node.content().body, messages());
        assert_eq!(private.messages_again(sealed.bytes()).unwrap(), messages());
        assert_eq!(
            (node.digest(), node.author()),
            (sealed.digest(), author.address())
        );

        let mut replica = Keyring::new(domain());
        replica.add_replica(ReadKey::from_bytes([5; 32], &domain()).replica_key());
        let node = LogForm::Private(Box::new(replica))
            .open(sealed.bytes())
            .unwrap();
        assert_eq!(node, sealed);

        let stranger = LogForm::Private(Box::new(Keyring::new(domain())));
        for form in [stranger, LogForm::Open(domain())] {
            let locked = form.open(sealed.bytes());
            assert!(
                matches!(locked, Err(FormError::Locked { .. })),
                "{locked:?}"
            );
            let locked = form.messages_again(sealed.bytes());
            assert!(
                matches!(locked, Err(FormError::Locked { .. })),
                "{locked:?}"
            );
        }
    }

    #[test]
    fn open_nodes_are_read_in_every_ring() {
        let author = SecretKey::from_bytes(&[1; 32]).unwrap();
        let open = crate::log::seal(&Empty, messages(), vec![], None, &domain(), &author);
        let open = open.unwrap();
        let forms = [LogForm::Private(Box::new(keys())), LogForm::Open(domain())];
        for form in forms {
            assert_eq!(form.open(open.bytes()).unwrap(), open);
            assert!(matches!(form.open(b"junk"), Err(FormError::Node(_))));
            assert_eq!(form.messages_again(open.bytes()).unwrap(), messages());
            let junk = form.messages_again(b"junk");
            assert!(matches!(junk, Err(FormError::Node(_))));
        }
    }

    #[test]
    fn what_was_unsealed_is_the_node_in_its_block() {
        let author = SecretKey::from_bytes(&[1; 32]).unwrap();
        let sealed = keys().seal(&Empty, 1, &messages(), (vec![], None), &author);
        let sealed = sealed.unwrap();
        let unsealed = keys().unseal(sealed.bytes()).unwrap();
        let node = unsealed.open(sealed.bytes(), &domain()).unwrap();
        let direct = LogForm::Private(Box::new(keys())).open(sealed.bytes());
        assert_eq!(node, direct.unwrap());
        let mut changed = unsealed;
        *changed.node.last_mut().unwrap() ^= 1;
        let other = changed.open(sealed.bytes(), &domain());
        assert!(other.map_or(true, |node| node.author() != author.address()));
    }
}
