//! An embedded store in a directory of its own.

use rings_store::{open, BlockStore, StoreConfig, StoreError};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// Opens the store in this file, or makes it.
pub async fn open_at(path: &Path) -> Result<Arc<dyn BlockStore>, StoreError> {
    open(&StoreConfig::Embedded {
        path: path.to_path_buf(),
    })
    .await
}

/// A file that is not there yet, and the directory that goes when it is dropped.
pub fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("blocks.redb");
    (directory, path)
}
