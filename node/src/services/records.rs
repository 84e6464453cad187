//! What `rings process dev` leaves behind: documents and results by their CIDs, so that `rings trace` can go from a result back
//! to its event.
//!
//! `documents/CID` is a document or the output of a program; whoever reads it hashes it again. `results/CID` names the result
//! of an execution.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    ringdir::replace,
};
use cid::Cid;
use rings_process::{bounds::MAX_DOCUMENT_BYTES, document::cid_of};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where they are kept unless another place is named.
pub const DEFAULT_RECORDS: &str = ".rings-dev";

/// The directory of the records.
#[derive(Debug, Clone)]
pub struct Records {
    root: PathBuf,
}

impl Records {
    /// Those in this directory, which need not be there yet.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Makes the directories.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(&self) -> Result<(), ExitError> {
        for name in ["documents", "results"] {
            let path = self.root.join(name);
            let what = format!(
                "cannot make the directory {}; name another with --records",
                path.display()
            );
            fs::create_dir_all(&path).context(ExitStatus::Usage, what)?;
        }
        Ok(())
    }

    fn document(&self, cid: &Cid) -> PathBuf {
        self.root.join("documents").join(cid.to_string())
    }

    fn result_of(&self, execution: &Cid) -> PathBuf {
        self.root.join("results").join(execution.to_string())
    }

    /// Keeps a document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> Result<Cid, ExitError> {
        let cid = cid_of(bytes);
        let path = self.document(&cid);
        if !path.exists() {
            replace(&path, bytes)?;
        }
        Ok(cid)
    }

    /// Keeps the result of an execution.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_result(&self, execution: &Cid, bytes: &[u8]) -> Result<(), ExitError> {
        let cid = self.keep(bytes)?;
        replace(&self.result_of(execution), cid.to_string().as_bytes())
    }

    /// A document, hashed again.
    ///
    /// # Errors
    /// Status 2 when it is not here, 1 when it is another one.
    pub fn get(&self, cid: &Cid) -> Result<Vec<u8>, ExitError> {
        let path = self.document(cid);
        let shown = path.display();
        let length = fs::metadata(&path).map(|kind| kind.len());
        let length = length.context(
            ExitStatus::Usage,
            format!("{cid} is not among the records; name others with --records"),
        )?;
        let wrong = || {
            ExitError::internal(format!("{shown} is not what its name says: it was changed; delete it, and run the process again"))
        };
        if length > MAX_DOCUMENT_BYTES as u64 {
            return Err(wrong());
        }
        let bytes = fs::read(&path).context(
            ExitStatus::Usage,
            format!("cannot read {shown}; check who owns it"),
        )?;
        match cid_of(&bytes) == *cid {
            true => Ok(bytes),
            false => Err(wrong()),
        }
    }

    /// What an execution gave, if that is known.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn result(&self, execution: &Cid) -> Result<Option<Cid>, ExitError> {
        let path = self.result_of(execution);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(ExitError::usage(format!(
                    "cannot read {}; check who owns it",
                    path.display()
                ))
                .because(error))
            }
        };
        let cid = text.trim().parse::<Cid>();
        cid.map(Some).map_err(|error| {
            ExitError::usage(format!(
                "{} names no result; delete it, and run the process again",
                path.display()
            ))
            .because(error)
        })
    }

    /// Whether an execution is among them.
    pub fn has(&self, execution: &Cid) -> bool {
        self.document(execution).exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of processes and the ring's store name a document alike.
    #[tokio::test]
    async fn a_document_has_the_cid_that_the_store_gives_it() {
        for length in [0, 1, 127, 128, 16_383, 16_384, MAX_DOCUMENT_BYTES] {
            let bytes = vec![b'x'; length];
            let stored = rings_store::hash(bytes.as_slice()).await.unwrap();
            assert_eq!(cid_of(&bytes), stored.cid, "{length}");
        }
    }

    #[test]
    fn a_record_that_was_changed_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::new(directory.path());
        records.create().unwrap();
        let cid = records.keep(b"one").unwrap();
        assert_eq!(records.get(&cid).unwrap(), b"one");
        records.keep_result(&cid, b"two").unwrap();
        assert_eq!(records.result(&cid).unwrap(), Some(cid_of(b"two")));
        assert_eq!(records.result(&cid_of(b"two")).unwrap(), None);
        fs::write(records.document(&cid), "One").unwrap();
        let told = records.get(&cid).unwrap_err();
        assert_eq!(told.status(), ExitStatus::Internal);
        assert!(told.to_string().contains("was changed"), "{told}");
        assert_eq!(
            records.get(&cid_of(b"three")).unwrap_err().status(),
            ExitStatus::Usage
        );
    }
}
