//! Kubo as a store, through its RPC.
//!
//! Only the endpoint's own blocks are used (`offline`): if a block is not there, the answer is "absent" at once, because
//! this project fetches missing blocks itself. [`Kubo::seek`] alone lets the endpoint ask its peers, for a short time. Each block is pinned directly, by itself, so Kubo's garbage collector
//! keeps it. Recursive pins would not do: the collector fails when a log node links to a block that Kubo does not have. A
//! file that is whole is pinned by its name as well, recursively, so that `ipfs pin ls` shows what a person knows it by.
//! How durable a block is depends on Kubo's datastore settings.
//!
//! A draft's blocks are put without a pin, and pinned when it is kept. So what somebody else has pinned meanwhile is not
//! removed with the draft, even if another member uses the same endpoint.
//!
//! Blocks are put and pinned as raw bytes. Kubo keeps blocks by their hash, so they are found under any codec, and it
//! does not look into a raw block: it would refuse to pin a dag-pb block that it cannot decode, and then a member with
//! Kubo could not find out that an input is malformed, as all other members do.

use crate::{
    block::{key_of, Key},
    draft::{Draft, Marks},
    Block, BlockStore, StoreError, StoreSize, MAX_BLOCK_BYTES,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{stream, StreamExt, TryStreamExt};
use ipfs_api_backend_hyper::{
    request::BlockPut, BackendWithGlobalOptions, Error, GlobalOptions, IpfsApi, IpfsClient,
    TryFromUri,
};
use rings_protocol::{
    cids::{cid_of, digest_of, DAG_CBOR, RAW},
    Digest,
};
use std::{future::Future, io::Cursor, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the endpoint may take for one request.
pub const KUBO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the endpoint may ask its peers for one block.
pub const KUBO_SEEK_TIMEOUT: Duration = Duration::from_secs(3);

/// How much longer we wait than the endpoint was told to take.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(2);

/// Requests under way at one time, for one call.
const CONCURRENT_REQUESTS: usize = 8;

/// How often a block is put again when it was collected before it was pinned.
const PUT_ATTEMPTS: usize = 3;

/// Blocks in a Kubo node.
pub(crate) struct Kubo {
    client: BackendWithGlobalOptions<IpfsClient>,
    /// The same endpoint, which may ask its peers.
    wide: BackendWithGlobalOptions<IpfsClient>,
    /// Without credentials.
    url: String,
    /// Blocks that only drafts hold.
    marks: Arc<Marks>,
}

impl Kubo {
    /// Checks the URL, and that Kubo answers there.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let endpoint = Endpoint::parse(url)?;
        let options = GlobalOptions {
            offline: Some(true),
            timeout: Some(KUBO_TIMEOUT),
        };
        let wide = GlobalOptions {
            offline: None,
            timeout: Some(KUBO_SEEK_TIMEOUT),
        };
        let kubo = Self {
            client: BackendWithGlobalOptions::new(endpoint.client()?, options),
            wide: BackendWithGlobalOptions::new(endpoint.client()?, wide),
            url: endpoint.shown,
            marks: Arc::default(),
        };
        let version = kubo.ask(kubo.client.version()).await?;
        tracing::info!(url = %kubo.url, version = %version.version, "using Kubo as the store");
        Ok(kubo)
    }

    /// Waits for an answer, at most for the timeout.
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

    /// As [`ask`](Self::ask), but "not found" is an answer and not an error.
    async fn ask_for_block<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, StoreError> {
        match self.ask(request).await {
            Err(StoreError::Refused { message, .. }) if is_absent(&message) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// What an error of the client means. That the disk is full is only in the words of the answer.
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

    /// Puts and pins a block. Between the two, Kubo's collector may take it; then both are done again.
    async fn put_block(&self, block: Block) -> Result<(), StoreError> {
        for _ in 0..PUT_ATTEMPTS {
            self.put_unpinned(&block).await?;
            if self.pin(block.cid()).await? {
                return Ok(());
            }
        }
        Err(self.collected(block.cid()))
    }

    fn collected(&self, cid: &Cid) -> StoreError {
        StoreError::Refused {
            url: self.url.clone(),
            message: format!("block {cid} was collected before it could be pinned"),
        }
    }

    /// Pins a block of a draft. Its bytes are no longer held here, so one that was collected is an error.
    async fn keep_block(&self, cid: Cid) -> Result<(), StoreError> {
        match self.pin(&cid).await? {
            true => Ok(()),
            false => Err(self.collected(&cid)),
        }
    }

    /// Removes a block, unless somebody has pinned it.
    async fn remove(&self, cid: Cid) -> Result<(), StoreError> {
        let name = cid.to_string();
        // A block that is pinned, and one that is gone already, are named in the answer, which is no error.
        let removed = self.ask_for_block(self.client.block_rm(&name)).await?;
        if let Some(why) = removed.and_then(|removed| removed.error) {
            tracing::debug!(block = %cid, "not removed: {}", one_line(&why));
        }
        Ok(())
    }

    /// Removes the blocks of discarded drafts.
    async fn sweep(&self) -> Result<(), StoreError> {
        let gone = self
            .marks
            .take_given_up()
            .into_iter()
            .map(|key| Ok(raw_of(&key)));
        stream::iter(gone)
            .try_for_each_concurrent(CONCURRENT_REQUESTS, |cid| self.remove(cid))
            .await
    }

    /// Notes blocks in a draft, and whether they are new.
    async fn claim(&self, draft: &mut Draft, blocks: &[Block]) -> Result<(), StoreError> {
        let there = stream::iter(blocks.to_vec()).map(|block| async move {
            let raw = raw_cid(block.cid())?;
            let name = raw.to_string();
            let found = self.ask_for_block(self.client.block_stat(&name)).await?;
            Ok::<_, StoreError>((key_of(&raw)?, found.is_none()))
        });
        let there: Vec<_> = there.buffered(CONCURRENT_REQUESTS).try_collect().await?;
        draft.claim(there);
        Ok(())
    }

    /// Puts a block, and compares the name that Kubo gives it with its own.
    async fn put_unpinned(&self, block: &Block) -> Result<(), StoreError> {
        let raw = raw_cid(block.cid())?;
        let request = BlockPut {
            format: Some("raw"),
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
        match stored == Some(key_of(&raw)?) {
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

    /// Whether the block is pinned now; it is not if the collector took it first. Log nodes are pinned by their own names,
    /// so that `ipfs pin ls` shows them; one that is not what its name says is pinned as raw bytes.
    async fn pin(&self, cid: &Cid) -> Result<bool, StoreError> {
        let raw = raw_cid(cid)?;
        if cid.codec() == DAG_CBOR {
            match self.pin_as(cid, false).await {
                Err(StoreError::Refused { .. }) => {}
                answer => return answer,
            }
        }
        self.pin_as(&raw, false).await
    }

    /// Pins under exactly this name. That it is pinned already is as good.
    async fn pin_as(&self, cid: &Cid, below: bool) -> Result<bool, StoreError> {
        let name = cid.to_string();
        match self.ask_for_block(self.client.pin_add(&name, below)).await {
            Err(StoreError::Refused { message, .. }) if message.contains("already pinned") => {
                Ok(true)
            }
            answer => answer.map(|pinned| pinned.is_some()),
        }
    }

    /// Somebody relies on the blocks: they are not removed with a draft.
    fn release<'a>(&self, cids: impl IntoIterator<Item = &'a Cid>) -> Result<(), StoreError> {
        let keys = cids.into_iter().map(|cid| key_of(&raw_cid(cid)?));
        self.marks.release(&keys.collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    async fn get_block(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.release([cid])?;
        let name = cid.to_string();
        let Some(data) = self.ask_for_block(read_block(&self.client, &name)).await? else {
            return Ok(None);
        };
        Block::new(*cid, data.into())
            .map(Some)
            .map_err(|_| StoreError::Corrupt { cid: *cid })
    }
}

/// Reads no more than one byte beyond the longest block, which is then refused.
async fn read_block(
    client: &BackendWithGlobalOptions<IpfsClient>,
    name: &str,
) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    let mut chunks = client.block_get(name);
    while let Some(chunk) = chunks.try_next().await? {
        let room = MAX_BLOCK_BYTES + 1 - data.len();
        data.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if data.len() > MAX_BLOCK_BYTES {
            break;
        }
    }
    Ok(data)
}

/// The name of the same bytes as a raw block.
fn raw_cid(cid: &Cid) -> Result<Cid, StoreError> {
    Ok(cid_of(RAW, digest_of(cid)?))
}

/// The raw block with that key.
fn raw_of(key: &Key) -> Cid {
    let mut digest = Digest::default();
    digest.0.copy_from_slice(&key[1..]);
    cid_of(RAW, digest)
}

fn is_absent(message: &str) -> bool {
    message.contains("not found") || message.contains("could not find")
}

/// An endpoint's text is not trusted: it is cut to one line of bounded length.
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
        self.release(blocks.iter().map(Block::cid))?;
        let puts = stream::iter(blocks.into_iter().map(Ok));
        puts.try_for_each_concurrent(CONCURRENT_REQUESTS, |block| self.put_block(block))
            .await
    }

    fn draft(&self) -> Draft {
        self.marks.draft()
    }

    async fn put_draft(&self, draft: &mut Draft, blocks: Vec<Block>) -> Result<(), StoreError> {
        if draft.is_full() {
            return self.put(blocks).await;
        }
        self.claim(draft, &blocks).await?;
        let puts = stream::iter(blocks.into_iter().map(Ok));
        puts.try_for_each_concurrent(CONCURRENT_REQUESTS, |block| async move {
            self.put_unpinned(&block).await
        })
        .await
    }

    async fn keep(&self, draft: Draft) -> Result<(), StoreError> {
        let cids: Vec<_> = draft.blocks().map(raw_of).map(Ok).collect();
        stream::iter(cids)
            .try_for_each_concurrent(CONCURRENT_REQUESTS, |cid| self.keep_block(cid))
            .await?;
        draft.kept();
        Ok(())
    }

    async fn discard(&self, draft: Draft) -> Result<(), StoreError> {
        drop(draft);
        self.sweep().await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_block(cid).await?.map(Block::into_data))
    }

    /// Kubo says of a block that none of its peers gave in time that the deadline is over, and, when it runs without a network,
    /// that it is not found.
    async fn seek(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let name = cid.to_string();
        let data = match self.ask(read_block(&self.wide, &name)).await {
            Ok(data) => data,
            Err(StoreError::Refused { message, .. }) => {
                tracing::debug!(%cid, message, "Kubo found a block with none of its peers");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Block::new(*cid, data.into())
            .map(Some)
            .map_err(|_| StoreError::Corrupt { cid: *cid })
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.release([cid])?;
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

    /// All of its blocks are pinned one by one already, so a failure loses nothing but the name in `ipfs pin ls`.
    async fn name_file(&self, root: &Cid) -> Result<(), StoreError> {
        match self.pin_as(root, true).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(%root, "a file is not whole, and not pinned by its name"),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(%root, error = cause, "a file is not pinned by its name; its blocks are");
            }
        }
        Ok(())
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
        // A password may hold an `@`, a host cannot: so the last one divides them.
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
