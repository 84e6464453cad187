//! The part of the client that works on a member's store: collecting, checking, archives, backups. Archives are
//! streamed in both directions.

use super::{
    client::{Client, ClientError},
    store_work::{Checked, Collected, ImportedArchive, Repaired},
};
use bytes::Bytes;
use cid::Cid;
use futures::{Stream, TryStreamExt};
use serde::de::DeserializeOwned;
use std::io;

/// Bytes of an archive.
pub type Pieces = futures::stream::BoxStream<'static, Result<Bytes, ClientError>>;

impl Client {
    /// Lets the member remove what nobody needs.
    ///
    /// # Errors
    /// [`ClientError::NoToken`], [`ClientError::Refused`] and those of the connection.
    pub async fn collect(&self) -> Result<Collected, ClientError> {
        self.work("store/gc").await
    }

    /// Lets the member hash all its blocks.
    ///
    /// # Errors
    /// As [`Client::collect`].
    pub async fn check_store(&self) -> Result<Checked, ClientError> {
        self.work("store/check").await
    }

    /// Lets the member fetch what is damaged or missing.
    ///
    /// # Errors
    /// As [`Client::collect`].
    pub async fn repair(&self) -> Result<Repaired, ClientError> {
        self.work("store/repair").await
    }

    /// All blocks of the member, or those below these roots, as an archive.
    ///
    /// # Errors
    /// As [`Client::collect`]; also while it is read.
    pub async fn export(&self, roots: &[Cid]) -> Result<Pieces, ClientError> {
        let roots: Vec<_> = roots.iter().map(|root| format!("root={root}")).collect();
        self.download(&format!("store/export?{}", roots.join("&")))
            .await
    }

    /// What the member must not lose, as a tar archive without its end. The names of its entries begin with `members/` and
    /// the number.
    ///
    /// # Errors
    /// As [`Client::export`].
    pub async fn backup(&self, number: u32) -> Result<Pieces, ClientError> {
        self.download(&format!("backup?member={number}")).await
    }

    /// Puts the blocks of an archive into the member's store.
    ///
    /// # Errors
    /// As [`Client::collect`].
    pub async fn import_archive(
        &self,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<ImportedArchive, ClientError> {
        let path = "store/import";
        let request = self.authorised(reqwest::Method::POST, path)?;
        let response = self.send(request.body(Self::body(archive))).await?;
        self.read(path, response).await
    }

    async fn work<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.authorised(reqwest::Method::POST, path)?;
        let response = self.send(request).await?;
        self.read(path, response).await
    }

    async fn download(&self, path: &str) -> Result<Pieces, ClientError> {
        let request = self.authorised(reqwest::Method::GET, path)?;
        let response = self.send(request).await?;
        let client = self.clone();
        let pieces = response.bytes_stream();
        Ok(Box::pin(pieces.map_err(move |error| client.broken(error))))
    }
}
