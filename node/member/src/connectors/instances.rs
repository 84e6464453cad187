//! The values of instances' configurations, in files that only this member's owner reads.

use rings_process::{data::Fields, document::Document, instance::Instance};
use rings_protocol::Digest;
use std::path::PathBuf;

/// A directory with `HASH.json` for each instance.
pub struct Instances(Option<PathBuf>);

impl Instances {
    /// Those in this directory; none without one.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// The values of an instance. Its hash says that all members have the same.
    ///
    /// # Errors
    /// Why they are not here, in words that are fit to be shown to anybody.
    pub fn values(&self, instance: Digest) -> Result<Fields, String> {
        let directory = self.0.as_ref();
        let directory = directory.ok_or_else(|| {
            format!("it has no values of instance {instance}: its configuration names no directory of instances")
        })?;
        let bytes = std::fs::read(directory.join(format!("{instance}.json"))).map_err(|error| {
            format!(
                "it has no values of instance {instance}: its file cannot be read ({})",
                error.kind()
            )
        })?;
        let read = Instance::from_bytes(&bytes).ok();
        let read = read.filter(|read| read.hash().ok() == Some(instance));
        let read = read.ok_or_else(|| {
            format!("it has other values than those of instance {instance}: its file was changed")
        })?;
        Ok(read.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_process::document::cid_of;

    #[test]
    fn values_that_were_changed_are_not_used_and_not_told() {
        let home = tempfile::tempdir().unwrap();
        let instance = Instance {
            config: Fields::from([("token".to_owned(), "open sesame".into())]),
            salt: Digest([7; 32]),
            service: cid_of(b"service"),
        };
        let (hash, bytes) = (instance.hash().unwrap(), instance.to_bytes().unwrap());
        let instances = Instances::new(Some(home.path().into()));
        assert!(instances
            .values(hash)
            .unwrap_err()
            .contains("entity not found"));
        let path = home.path().join(format!("{hash}.json"));
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(instances.values(hash).unwrap(), instance.config);
        let changed = String::from_utf8(bytes)
            .unwrap()
            .replace("sesame", "simsim");
        std::fs::write(&path, changed).unwrap();
        let told = instances.values(hash).unwrap_err();
        assert!(
            told.contains("was changed") && !told.contains("simsim"),
            "{told}"
        );
        assert!(Instances::new(None).values(hash).is_err());
    }
}
