//! Blocks over HTTP, from trustless gateways. None of them has to be trusted, because every block is hashed.
//!
//! It is the [`BlockSource`] of commands of the command line: they ask the gateways that they are given, which are
//! mostly members. A gateway that gives something else than was asked for is passed over.

use super::{
    client::{Client, ClientError},
    format::RAW_TYPE,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cid::Cid;
use futures::{stream, StreamExt, TryStreamExt};
use reqwest::{Response, StatusCode};
use rings_store::{Block, BlockSource, StoreError, MAX_BLOCK_BYTES};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Blocks that are asked for at one moment.
const CONCURRENT_BLOCKS: usize = 16;
/// Time for one block from one gateway.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(40);

/// Several gateways as one source: when one fails or does not have the block, the next one is asked.
#[derive(Debug)]
pub struct GatewaySource {
    gateways: Vec<Client>,
    /// The gateway that gave the last block; it is asked first.
    preferred: AtomicUsize,
}

impl GatewaySource {
    /// A source of the gateways at these URLs (`http://host:port`), in order of preference.
    ///
    /// # Errors
    /// [`ClientError::Url`], also when there is no URL, and [`ClientError::Setup`].
    pub fn new<T: AsRef<str>>(urls: &[T]) -> Result<Self, ClientError> {
        let gateways: Vec<_> = urls
            .iter()
            .map(|url| Client::new(url.as_ref(), None))
            .collect::<Result<_, _>>()?;
        Self::from_clients(gateways)
    }

    /// The gateways of these members, in order of preference.
    ///
    /// # Errors
    /// [`ClientError::Url`] when there is no member.
    pub fn of(members: &[&Client]) -> Result<Self, ClientError> {
        Self::from_clients(members.iter().map(|member| (*member).clone()).collect())
    }

    fn from_clients(gateways: Vec<Client>) -> Result<Self, ClientError> {
        if gateways.is_empty() {
            return Err(ClientError::Url { url: String::new() });
        }
        Ok(Self {
            gateways,
            preferred: AtomicUsize::new(0),
        })
    }

    /// Asks the gateways one after the other, beginning with the one that gave the last block. Each block is hashed, so
    /// it does not matter who gives it.
    async fn block(&self, cid: Cid) -> Result<Block, StoreError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut worst = StoreError::NotFound { cid };
        for turn in 0..self.gateways.len() {
            let index = (first + turn) % self.gateways.len();
            match from_one(&self.gateways[index], cid).await {
                Ok(block) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(block);
                }
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => {
                    tracing::debug!(%cid, %error, "a gateway did not give a block");
                    worst = error;
                }
            }
        }
        Err(worst)
    }
}

#[async_trait]
impl BlockSource for GatewaySource {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        let blocks = stream::iter(cids.to_vec()).map(|cid| self.block(cid));
        blocks.buffered(CONCURRENT_BLOCKS).try_collect().await
    }
}

async fn from_one(gateway: &Client, cid: Cid) -> Result<Block, StoreError> {
    let url = &gateway.url();
    let fetching = async {
        let path = format!("ipfs/{cid}?format=raw");
        let response = gateway
            .get(&path, RAW_TYPE)
            .await
            .map_err(|error| unreachable(url, error))?;
        match response.status() {
            StatusCode::OK => Block::new(cid, read(url, cid, response).await?),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(StoreError::NotFound { cid }),
            status => Err(StoreError::Refused {
                url: url.to_owned(),
                message: status.to_string(),
            }),
        }
    };
    match tokio::time::timeout(BLOCK_TIMEOUT, fetching).await {
        Ok(fetched) => fetched,
        Err(elapsed) => Err(unreachable(url, elapsed)),
    }
}

/// The body, if it is no larger than a block may be.
async fn read(url: &str, cid: Cid, mut response: Response) -> Result<Bytes, StoreError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(url, error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BLOCK_BYTES {
            let (length, limit) = (bytes.len(), MAX_BLOCK_BYTES);
            return Err(StoreError::TooLarge { cid, length, limit });
        }
    }
    Ok(bytes.freeze())
}

fn unreachable(
    url: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Unreachable {
        url: url.to_owned(),
        source: Some(source.into()),
    }
}
