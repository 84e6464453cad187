//! Opening a store: which kind, and where it is.

use crate::{disk::Disk, embedded::Embedded, kubo::Kubo, BlockStore, StoreError};
use std::{path::PathBuf, sync::Arc};

/// Which store to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// The database in this file, made if it is not there; its directory must be.
    Embedded {
        /// The database file.
        path: PathBuf,
    },
    /// The RPC endpoint of a Kubo node.
    Kubo {
        /// `http://[user:password@]host:port`.
        url: String,
    },
}

/// Opens the store; for Kubo, asks the endpoint whether it is there.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::CorruptDatabase`], [`StoreError::ForeignDatabase`],
/// [`StoreError::LaterFormat`], [`StoreError::ForeignOwner`], [`StoreError::Denied`], [`StoreError::DiskFull`],
/// [`StoreError::Io`]; for Kubo [`StoreError::Url`], [`StoreError::Unreachable`], [`StoreError::Refused`].
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn BlockStore>, StoreError> {
    match config {
        StoreConfig::Embedded { path } => Ok(Arc::new(Embedded::open(path.clone()).await?)),
        StoreConfig::Kubo { url } => Ok(Arc::new(Kubo::open(url).await?)),
    }
}

/// Opens an embedded store on a disk that is no file. The program never does that; tests do, with a disk that fails.
///
/// # Errors
/// As [`open`].
pub async fn open_on(disk: Arc<dyn Disk>) -> Result<Arc<dyn BlockStore>, StoreError> {
    Ok(Arc::new(Embedded::open_on(disk).await?))
}
