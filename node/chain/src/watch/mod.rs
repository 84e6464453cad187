//! Follows the chain: events in order from a cursor that survives restarts and reorganisations.
//!
//! The watcher asks for logs from its cursor to the head, in bounded pages, whenever there is a new head
//! (pushed over a websocket, else polled). Heads that come while it is busy are taken together. Before it
//! goes on from its cursor it makes sure that the cursor's block is still canonical, which costs nothing
//! when the new head is that block's child; if it is not, the newest cursor that still is becomes the new
//! start, and the consumer is told to forget what came after it.

mod trail;

use crate::{
    chain::{Chain, Header},
    convert::{digest, h256},
    error::ChainError,
    events::{decode, topics, Sources},
    heads::Heads,
    pages::{is_too_much, PageSize},
    rpc::Backoff,
    types::{ChainEvent, Cursor, Located},
};
use ethers_core::types::{Filter, Log, H256};
use futures::{stream, StreamExt, TryStreamExt};
use rings_protocol::Address;
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use trail::{is_canonical, Trail};

pub use trail::TRAIL_LENGTH;

/// A page without events is passed on at most so often, for each costs the consumer a durable write.
const EMPTY_PAGE_INTERVAL: Duration = Duration::from_millis(250);
/// Headers that are fetched at once for the times of their blocks.
const CONCURRENT_HEADERS: usize = 8;

/// What is followed, and how.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// The engine whose gates are followed.
    pub engine: Address,
    /// The ring whose members and results are followed.
    pub ring: Address,
    /// The first block that can matter: that of the deployment.
    pub start_block: u64,
    /// Blocks behind the head at which a block counts; 0 takes the head itself.
    pub confirmations: u64,
    /// How often an http endpoint is asked for a new head.
    pub poll: Duration,
    /// Most blocks that are asked for at once; halved where an endpoint refuses.
    pub page: u64,
}

/// What the watcher tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Everything up to a cursor.
    Page {
        /// Events since the cursor before, in the order of the chain. The first page after a start may have none, and
        /// the cursor that is known already.
        events: Vec<Located>,
        /// The position after them.
        cursor: Cursor,
        /// Height of the chain's newest block that was seen.
        head: u64,
    },
    /// Blocks were reorganised away: what came after `to` did not happen.
    Rewind {
        /// The newest cursor that still holds; `None` when none does, and all begins again.
        to: Option<Cursor>,
    },
}

/// Follows the chain until `shutdown`, or until nobody receives any more.
///
/// `trail` is what the consumer has durably processed, newest last; it should store each page's cursor and
/// its effects in one transaction, so that the cursor is durable exactly with what it caused. Outages are
/// waited for. May be dropped at any time.
///
/// # Errors
/// Only what waiting does not mend, above all [`ChainError::WrongChain`].
pub async fn watch(
    chain: Chain,
    config: WatchConfig,
    trail: Vec<Cursor>,
    out: mpsc::Sender<Update>,
    shutdown: CancellationToken,
) -> Result<(), ChainError> {
    let watcher = Watcher::new(chain, config, trail, out);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = watcher.run() => match ended {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Unheard) | Ok(()) => Ok(()),
        },
    }
}

/// Why the watcher does not go on.
enum Stop {
    Failed(ChainError),
    /// The consumer has gone.
    Unheard,
}

impl From<ChainError> for Stop {
    fn from(error: ChainError) -> Self {
        Self::Failed(error)
    }
}

struct Watcher {
    chain: Chain,
    config: WatchConfig,
    out: mpsc::Sender<Update>,
    /// Up to where logs have been read; the trail's newest unless pages without events are held back.
    position: Option<Cursor>,
    /// What the consumer has been told.
    trail: Trail,
    size: PageSize,
    /// Height of the newest head.
    head: u64,
    last_sent: Option<Instant>,
}

impl Watcher {
    fn new(
        chain: Chain,
        config: WatchConfig,
        trail: Vec<Cursor>,
        out: mpsc::Sender<Update>,
    ) -> Self {
        let trail = Trail::new(trail);
        Self {
            chain,
            out,
            position: trail.newest(),
            trail,
            size: PageSize::new(config.page),
            config,
            head: 0,
            last_sent: None,
        }
    }

    async fn run(mut self) -> Result<(), Stop> {
        let mut heads = self.chain.heads(self.config.poll);
        let mut backoff = Backoff::default();
        // The chain may have moved on, or back, while nobody looked: do not wait for the next block.
        let mut head = self.chain.latest().await;
        loop {
            let outcome = match head {
                Ok(head) => self.advance(&head).await,
                Err(error) => Err(error.into()),
            };
            match outcome {
                Ok(()) => {
                    backoff.reset();
                    head = self.next_head(&mut heads).await?;
                }
                Err(Stop::Failed(error)) if error.is_transient() => {
                    tracing::warn!(%error, "the chain cannot be followed; trying again");
                    backoff.wait().await;
                    head = self.chain.latest().await;
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// The next head; meanwhile a page that was held back is sent when it is due.
    async fn next_head(&mut self, heads: &mut Heads) -> Result<Result<Header, ChainError>, Stop> {
        loop {
            let due = self.due();
            tokio::select! {
                head = heads.next() => return Ok(head),
                () = self.out.closed() => return Err(Stop::Unheard),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(cursor) = self.position {
                        self.send_page(Vec::new(), cursor).await?;
                    }
                }
            }
        }
    }

    /// When the page that is held back must be sent, if there is one.
    fn due(&self) -> Option<Instant> {
        let held_back = self.position != self.trail.newest();
        held_back.then(|| match self.last_sent {
            Some(sent) => sent + EMPTY_PAGE_INTERVAL,
            None => Instant::now(),
        })
    }

    /// Reads everything up to a head.
    async fn advance(&mut self, head: &Header) -> Result<(), Stop> {
        self.head = head.height();
        if !self.holds(head).await? {
            self.rewind().await?;
        }
        let Some(target) = self.head.checked_sub(self.config.confirmations) else {
            return Ok(());
        };
        loop {
            let from = match self.position {
                Some(position) => position.number + 1,
                None => self.config.start_block,
            };
            if from > target {
                return self.tell_once().await;
            }
            self.read_page(from, target, head).await?;
        }
    }

    /// After a start the consumer is told where it stands even if nothing is new: else it could not tell a chain
    /// that rests from one that it does not follow.
    async fn tell_once(&mut self) -> Result<(), Stop> {
        match self.position {
            Some(cursor) if self.last_sent.is_none() => self.send_page(Vec::new(), cursor).await,
            _ => Ok(()),
        }
    }

    /// Whether the position is on the chain of this head.
    async fn holds(&self, head: &Header) -> Result<bool, ChainError> {
        let Some(position) = self.position else {
            return Ok(true);
        };
        let hash = h256(position.hash);
        let is_parent = position.number + 1 == head.height() && hash == head.parent_hash;
        if is_parent || hash == head.hash {
            return Ok(true);
        }
        is_canonical(&self.chain, position).await
    }

    async fn rewind(&mut self) -> Result<(), Stop> {
        self.trail.rewind(&self.chain).await?;
        let to = self.trail.newest();
        tracing::warn!(to = ?to.map(|cursor| cursor.number), "the chain was reorganised");
        self.position = to;
        self.send(Update::Rewind { to }).await
    }

    /// Reads one page that begins at `from` and does not pass `target`.
    async fn read_page(&mut self, from: u64, target: u64, head: &Header) -> Result<(), Stop> {
        let to = self.size.end(from, target);
        let last = self.canonical(to, head).await?;
        let logs = match self.fetch(from, &last).await {
            Ok(logs) => logs,
            Err(error) if is_too_much(&error) && self.size.shrink(to - from + 1) => {
                tracing::debug!(%error, from, to, "halving the page");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.size.succeeded();
        let events = self.locate(logs).await?;
        let cursor = Cursor {
            number: to,
            hash: digest(last.hash),
        };
        self.position = Some(cursor);
        let hurry = !events.is_empty() || to < target;
        if hurry || self.due().is_some_and(|due| due <= Instant::now()) {
            self.send_page(events, cursor).await?;
        }
        Ok(())
    }

    /// The header at a height, which is often that of the head.
    async fn canonical(&self, number: u64, head: &Header) -> Result<Header, ChainError> {
        if number == head.height() {
            return Ok(head.clone());
        }
        let header = self.chain.header(number).await?;
        header.ok_or(ChainError::NoSuchBlock { number })
    }

    /// Logs from a height up to a block; a single block that is too much for one answer comes in parts.
    async fn fetch(&self, from: u64, last: &Header) -> Result<Vec<Log>, ChainError> {
        let whole = self.fetch_topics(from, last, topics()).await;
        match &whole {
            Err(error) if is_too_much(error) && from == last.height() => {}
            _ => return whole,
        }
        let mut logs = Vec::new();
        for topic in topics() {
            logs.extend(self.fetch_topics(from, last, vec![topic]).await?);
        }
        Ok(logs)
    }

    /// Logs with one of these first topics. One block is named by its hash: an endpoint that does not have
    /// it says so, where it would answer a number that it has not reached with nothing.
    async fn fetch_topics(
        &self,
        from: u64,
        last: &Header,
        topics: Vec<H256>,
    ) -> Result<Vec<Log>, ChainError> {
        let filter = Filter::new().topic0(topics);
        let filter = if from == last.height() {
            filter.at_block_hash(last.hash)
        } else {
            filter.from_block(from).to_block(last.height())
        };
        self.chain.logs(&filter).await
    }

    /// Decodes logs, keeps those that concern us, and adds the times of their blocks.
    async fn locate(&self, logs: Vec<Log>) -> Result<Vec<Located>, ChainError> {
        let sources = Sources {
            engine: self.config.engine,
            ring: self.config.ring,
        };
        let mut events: Vec<_> = logs
            .iter()
            .filter(|log| log.removed != Some(true))
            .filter_map(|log| Some((Place::of(log)?, decode(sources, log)?)))
            .collect();
        events.sort_by_key(|(place, _)| (place.number, place.log_index));
        let headers = self.headers(&events).await?;
        let located = events.into_iter().filter_map(|(place, event)| {
            Some(Located {
                block: headers.get(&place.block)?.block(),
                transaction: digest(place.transaction),
                log_index: place.log_index,
                event,
            })
        });
        Ok(located.collect())
    }

    /// The headers of the blocks that carried events.
    async fn headers(
        &self,
        events: &[(Place, ChainEvent)],
    ) -> Result<BTreeMap<H256, Header>, ChainError> {
        let blocks: BTreeMap<H256, u64> = events.iter().map(|(p, _)| (p.block, p.number)).collect();
        let fetches: Vec<_> = blocks
            .into_iter()
            .map(|(hash, number)| async move {
                let header = self.chain.header_of(number, hash).await?;
                Ok::<_, ChainError>((hash, header))
            })
            .collect();
        stream::iter(fetches)
            .buffer_unordered(CONCURRENT_HEADERS)
            .try_collect()
            .await
    }

    async fn send_page(&mut self, events: Vec<Located>, cursor: Cursor) -> Result<(), Stop> {
        let head = self.head;
        self.send(Update::Page {
            events,
            cursor,
            head,
        })
        .await?;
        self.trail.push(cursor);
        self.last_sent = Some(Instant::now());
        Ok(())
    }

    async fn send(&self, update: Update) -> Result<(), Stop> {
        self.out.send(update).await.map_err(|_| Stop::Unheard)
    }
}

/// Where a log stands; pending ones stand nowhere.
struct Place {
    number: u64,
    block: H256,
    transaction: H256,
    log_index: u64,
}

impl Place {
    fn of(log: &Log) -> Option<Self> {
        Some(Self {
            number: log.block_number?.as_u64(),
            block: log.block_hash?,
            transaction: log.transaction_hash?,
            log_index: log.log_index?.as_u64(),
        })
    }
}
