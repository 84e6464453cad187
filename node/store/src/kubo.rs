//! Kubo as a store, through its RPC.
//!
//! Only the endpoint's own blocks are used (`offline`): a block that is not there is absent at once, and who
//! may fetch it from where is decided elsewhere. Each block is pinned directly, by itself: Kubo's garbage
//! collector leaves it alone, and does not fail over links to blocks that Kubo does not have, as it would
//! with recursive pins on log nodes. What "durable" means is up to Kubo's datastore settings.

use crate::{block::key_of, Block, BlockStore, StoreError, StoreSize, MAX_BLOCK_BYTES};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{stream, StreamExt, TryStreamExt};
use ipfs_api_backend_hyper::{
    request::BlockPut, BackendWithGlobalOptions, Error, GlobalOptions, IpfsApi, IpfsClient,
    TryFromUri,
};
use rings_protocol::cids::{DAG_CBOR, DAG_PB};
use std::{future::Future, io::Cursor, time::Duration};
use tokio::time::timeout;

/// How long the endpoint may take for one request.
pub const KUBO_TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer we wait than the endpoint was told to take.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(2);

/// Requests under way at one time, for one call.
const CONCURRENT_REQUESTS: usize = 8;

/// How often a block is put again when it was collected before it was pinned.
const PUT_ATTEMPTS: usize = 3;

/// Blocks in a Kubo node.
pub(crate) struct Kubo {
    client: BackendWithGlobalOptions<IpfsClient>,
    /// Without credentials.
    url: String,
}

impl Kubo {
    /// Checks the URL, and that Kubo answers there.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let endpoint = Endpoint::parse(url)?;
        let options = GlobalOptions {
            offline: Some(true),
            timeout: Some(KUBO_TIMEOUT),
        };
        let client = endpoint.client()?;
        let kubo = Self {
            client: BackendWithGlobalOptions::new(client, options),
            url: endpoint.shown,
        };
        let version = kubo.ask(kubo.client.version()).await?;
        tracing::info!(url = %kubo.url, version = %version.version, "using Kubo as the store");
        Ok(kubo)
    }

    /// Waits for an answer, but not for ever.
    async fn ask<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        match timeout(KUBO_TIMEOUT + TIMEOUT_MARGIN, request).await {
            Ok(answer) => answer.map_err(|error| self.judge(error)),
            Err(late) => Err(StoreError::Unreachable {
                url: self.url.clone(),
                source: Some(late.into()),
            }),
        }
    }

    /// As [`ask`](Self::ask), where "I have not got it" is an answer too.
    async fn ask_for_block<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, StoreError> {
        match self.ask(request).await {
            Err(StoreError::Refused { message, .. }) if is_absent(&message) => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn judge(&self, error: Error) -> StoreError {
        let url = self.url.clone();
        match error {
            Error::Api(said) if said.message.contains("no space left") => {
                StoreError::DiskFull { place: url }
            }
            Error::Api(said) => StoreError::Refused {
                url,
                message: one_line(&said.message),
            },
            Error::IpfsClientError(error) => StoreError::Refused {
                url,
                message: one_line(&error.to_string()),
            },
            error => StoreError::Unreachable {
                url,
                source: Some(error.into()),
            },
        }
    }

    async fn put_block(&self, block: Block) -> Result<(), StoreError> {
        for _ in 0..PUT_ATTEMPTS {
            self.put_unpinned(&block).await?;
            if self.pin(block.cid()).await? {
                return Ok(());
            }
        }
        let message = format!("block {} is gone before it can be pinned", block.cid());
        Err(StoreError::Refused {
            url: self.url.clone(),
            message,
        })
    }

    async fn put_unpinned(&self, block: &Block) -> Result<(), StoreError> {
        let request = BlockPut {
            format: Some(format_of(block.cid())),
            mhtype: Some("sha2-256"),
            ..BlockPut::default()
        };
        let data = Cursor::new(block.data().clone());
        let answer = self
            .ask(self.client.block_put_with_options(data, request))
            .await?;
        let stored = answer
            .key
            .parse::<Cid>()
            .ok()
            .and_then(|cid| key_of(&cid).ok());
        match stored == Some(key_of(block.cid())?) {
            true => Ok(()),
            false => {
                let message = format!(
                    "it stored block {} as {}",
                    block.cid(),
                    one_line(&answer.key)
                );
                Err(StoreError::Refused {
                    url: self.url.clone(),
                    message,
                })
            }
        }
    }

    /// Whether the block is pinned now; it is not if the collector took it first.
    async fn pin(&self, cid: &Cid) -> Result<bool, StoreError> {
        let name = cid.to_string();
        match self.ask_for_block(self.client.pin_add(&name, false)).await {
            Err(StoreError::Refused { message, .. }) if message.contains("already pinned") => {
                Ok(true)
            }
            answer => answer.map(|pinned| pinned.is_some()),
        }
    }

    async fn get_block(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        key_of(cid)?;
        let name = cid.to_string();
        let Some(data) = self.ask_for_block(self.read_block(&name)).await? else {
            return Ok(None);
        };
        Block::new(*cid, data.into())
            .map(Some)
            .map_err(|_| StoreError::Corrupt { cid: *cid })
    }

    /// Reads no more than one byte beyond the longest block, which is then refused.
    async fn read_block(&self, name: &str) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        let mut chunks = self.client.block_get(name);
        while let Some(chunk) = chunks.try_next().await? {
            let room = MAX_BLOCK_BYTES + 1 - data.len();
            data.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if data.len() > MAX_BLOCK_BYTES {
                break;
            }
        }
        Ok(data)
    }
}

/// What Kubo calls the codec of this CID; `v0` stands for dag-pb under a CIDv0.
fn format_of(cid: &Cid) -> &'static str {
    match cid.codec() {
        DAG_PB => "v0",
        DAG_CBOR => "dag-cbor",
        _ => "raw",
    }
}

fn is_absent(message: &str) -> bool {
    message.contains("not found") || message.contains("could not find")
}

/// What an endpoint says is not ours: it goes into one line of bounded length.
fn one_line(message: &str) -> String {
    const MOST: usize = 300;
    message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST)
        .collect()
}

#[async_trait]
impl BlockStore for Kubo {
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError> {
        let puts = stream::iter(blocks.into_iter().map(Ok));
        puts.try_for_each_concurrent(CONCURRENT_REQUESTS, |block| self.put_block(block))
            .await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_block(cid).await?.map(Block::into_data))
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        key_of(cid)?;
        let name = cid.to_string();
        Ok(self
            .ask_for_block(self.client.block_stat(&name))
            .await?
            .is_some())
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        let answer = self.ask(self.client.stats_repo()).await?;
        Ok(StoreSize {
            blocks: answer.num_objects,
            bytes: answer.repo_size,
        })
    }

    fn kind(&self) -> &'static str {
        "kubo"
    }

    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let gets = stream::iter(cids.to_vec()).map(|cid| async move { self.get_block(&cid).await });
        gets.buffered(CONCURRENT_REQUESTS).try_collect().await
    }
}

/// A checked URL, taken apart.
struct Endpoint {
    shown: String,
    credentials: Option<(String, String)>,
}

impl Endpoint {
    fn parse(url: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (credentials, host) = rest
            .rsplit_once('@')
            .map_or((None, rest), |(user, host)| (Some(user), host));
        let host = host.trim_end_matches('/');
        let wrong = |reason| StoreError::Url {
            url: format!("{scheme}://{host}"),
            reason,
        };
        match scheme {
            "http" => {}
            "https" => {
                return Err(wrong(
                    "TLS is not supported; use a tunnel to the node's own port",
                ))
            }
            _ => return Err(wrong("it must begin with http://")),
        }
        if host.is_empty() || host.contains(['/', '?', '#']) {
            return Err(wrong("it must have a host and no path"));
        }
        let credentials = match credentials.map(|user| user.split_once(':')) {
            Some(None) => return Err(wrong("credentials are user:password")),
            credentials => credentials.flatten(),
        };
        let credentials =
            credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Ok(Self {
            shown: format!("http://{host}"),
            credentials,
        })
    }

    fn client(&self) -> Result<IpfsClient, StoreError> {
        let invalid = |_| StoreError::Url {
            url: self.shown.clone(),
            reason: "the host is not valid",
        };
        let client = IpfsClient::from_str(&self.shown).map_err(invalid)?;
        Ok(match &self.credentials {
            Some((user, password)) => client.with_credentials(user, password),
            None => client,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, shown) in [
            ("http://127.0.0.1:5001", "http://127.0.0.1:5001"),
            ("http://kubo:5001/", "http://kubo:5001"),
            ("http://user:secret@kubo:5001", "http://kubo:5001"),
            ("http://[::1]:5001", "http://[::1]:5001"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.shown, shown);
            endpoint.client().map(drop).unwrap();
        }
        for wrong in [
            "",
            "kubo:5001",
            "ftp://kubo",
            "https://kubo:5001",
            "http://",
            "http://kubo/api",
            "http://u@kubo",
        ] {
            assert!(
                matches!(Endpoint::parse(wrong), Err(StoreError::Url { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let error = Endpoint::parse("https://user:secret@kubo")
            .map(drop)
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[test]
    fn what_kubo_says_when_a_block_is_not_there() {
        assert!(is_absent(
            "block was not found locally (offline): ipld: could not find Qm"
        ));
        assert!(!is_absent("context deadline exceeded"));
        assert_eq!(one_line("a\nb"), "a b");
    }
}
