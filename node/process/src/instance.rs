//! Instances: a service with its configuration, run by one ring.

use crate::{
    data::Fields,
    document::{Document, DocumentError},
};
use cid::Cid;
use rings_protocol::{cids::sha256, Digest};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an instance hash is made of. The values and the salt stay in the members' own files; nothing here prints them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The values of the configuration.
    pub config: Fields,
    /// 32 random bytes that the members share, so that a weak value cannot be guessed from the hash.
    pub salt: Digest,
    /// The service's hash.
    pub service: Cid,
}

impl Document for Instance {
    const WHAT: &'static str = "an instance";
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Instance of {} with {} values",
            self.service,
            self.config.len()
        )
    }
}

impl Instance {
    /// The instance hash: of service, configuration and salt.
    ///
    /// # Errors
    /// [`DocumentError::TooLong`] when the configuration is too long.
    pub fn hash(&self) -> Result<Digest, DocumentError> {
        self.to_bytes().map(|bytes| sha256(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Data, document::cid_of};

    fn instance(tariff: i64, salt: u8, service: &[u8]) -> Instance {
        Instance {
            config: Fields::from([("tariff".to_owned(), Data::Int(tariff))]),
            salt: Digest([salt; 32]),
            service: cid_of(service),
        }
    }

    #[test]
    fn service_values_and_salt_are_in_the_hash_and_no_value_is_printed() {
        let one = instance(777_777, 1, b"a");
        for other in [
            instance(777_778, 1, b"a"),
            instance(777_777, 2, b"a"),
            instance(777_777, 1, b"b"),
        ] {
            assert_ne!(one.hash().unwrap(), other.hash().unwrap());
        }
        let shown = format!("{one:?}");
        assert!(
            !shown.contains("777777") && !shown.contains("0101"),
            "{shown}"
        );
    }
}
