//! The watcher's loop: new heads, troubles, and pages that are held back.
//!
//! A [`Watcher`] has two positions: up to where events have been read, and what the consumer has been told. It waits
//! for a head, lets `advance` read up to it, and sends pages and rewinds. A page without events is held back for a
//! moment, because each page costs the consumer a durable write. The other files of this directory add methods:
//! `advance` (from a head to pages), `locate`, `sweep`, `follow`. `Stop` says why a round ended. A failure of an
//! endpoint is shown as a [`Trouble`], and the loop goes on after a pause; only the end of the consumer ends it.

use super::{
    absence::Absence,
    follow::Followed,
    rhythm::Rhythm,
    sweep::Sweep,
    trail::Trail,
    update::{Update, WatchConfig},
    work::Work,
};
use crate::{
    backoff::Backoff,
    chain::Chain,
    condition::Trouble,
    error::ChainError,
    fetch::PageSize,
    header::Header,
    heads::Heads,
    types::{Cursor, Located},
};
use std::{pin::pin, time::Duration};
use tokio::{
    sync::mpsc,
    time::{sleep_until, Instant},
};

/// Being behind the newest block for longer is shown.
const READING_LIMIT: Duration = Duration::from_secs(10);
/// Reading up to a head that takes no longer means that this is not behind any more.
const CAUGHT_UP: Duration = Duration::from_secs(1);
/// A page without events is passed on at most this often, because each costs the consumer a durable write.
const EMPTY_PAGE_INTERVAL: Duration = Duration::from_millis(250);

/// Why the watcher does not go on.
pub(super) enum Stop {
    Failed(ChainError),
    /// The endpoint answers, but serves something that cannot be followed.
    Waiting(Trouble),
    /// The consumer has gone.
    Unheard,
}

impl From<ChainError> for Stop {
    fn from(error: ChainError) -> Self {
        Self::Failed(error)
    }
}

/// The state of following one chain.
pub(super) struct Watcher {
    pub chain: Chain,
    pub config: WatchConfig,
    out: mpsc::Sender<Update>,
    /// Up to where events have been read; the trail's newest unless pages without events are held back.
    pub position: Option<Cursor>,
    /// What the consumer has been told.
    pub trail: Trail,
    /// The gates of other rings whose results are read.
    pub followed: Followed,
    /// The gates of the start whose specifications are still to be read.
    pub unread: Vec<rings_protocol::Address>,
    /// How many blocks are asked for at once.
    pub size: PageSize,
    /// Since when the endpoint does not have the position.
    pub absence: Absence,
    /// When blocks are looked at a second time.
    pub sweep: Sweep,
    /// Height of the newest head.
    pub head: u64,
    /// Requests that the newest head has cost.
    pub spent: u32,
    /// Whether it brought events.
    pub busy: bool,
    /// Whether requests are spared, because the endpoint is polled and there is no work.
    pub sparing: bool,
    /// How much there is to do, which sets the pace of polling.
    work: Work,
    /// How often blocks come, by which a chain that stands still is noticed.
    rhythm: Rhythm,
    /// Whether the next block is late, by that.
    is_late: bool,
    /// What was last shown as the reason for waiting.
    trouble: Option<Trouble>,
    /// When the newest page was told.
    last_sent: Option<Instant>,
    /// Since when reading has taken long, one head after the other.
    behind_since: Option<Instant>,
}

impl Watcher {
    pub(super) fn new(
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
            followed: Followed::new(config.ring),
            unread: config.following.clone(),
            size: PageSize::new(config.page),
            absence: Absence::default(),
            sweep: Sweep::new(config.poll),
            work: Work::of(config.ring),
            config,
            head: 0,
            spent: 0,
            busy: false,
            sparing: false,
            rhythm: Rhythm::default(),
            is_late: false,
            trouble: None,
            last_sent: None,
            behind_since: None,
        }
    }

    /// Runs until the consumer has gone.
    pub(super) async fn run(mut self) -> Stop {
        let mut heads = Heads::new(self.chain.clone(), self.config.poll);
        let mut backoff = Backoff::default();
        // The chain may have changed since the last run, so the first look does not wait for a new block.
        let mut head = self.chain.latest().await;
        loop {
            self.sparing = heads.is_sparing();
            let outcome = match head {
                Ok(head) => self.advance_and_tell(&head).await,
                Err(error) => Err(error.into()),
            };
            head = match outcome {
                Err(Stop::Unheard) => return Stop::Unheard,
                Err(stop) => {
                    self.tell_trouble(stop);
                    backoff.wait().await;
                    heads.again().await
                }
                Ok(()) => {
                    backoff.reset();
                    self.tell_health(&mut heads);
                    match self.next_head(&mut heads).await {
                        Ok(head) => head,
                        Err(stop) => return stop,
                    }
                }
            };
        }
    }

    /// Reads up to a head. If that takes long, or reading up to several heads in a row does, it is shown meanwhile.
    async fn advance_and_tell(&mut self, head: &Header) -> Result<(), Stop> {
        let (chain, before) = (self.chain.clone(), self.trouble.clone());
        let reading = Trouble::Reading {
            head: head.height(),
            position: self.position.map_or(0, |position| position.number),
        };
        let began = Instant::now();
        let since = *self.behind_since.get_or_insert(began);
        let outcome = {
            let mut advancing = pin!(self.advance(head));
            tokio::select! {
                outcome = &mut advancing => outcome,
                () = sleep_until(since + READING_LIMIT) => {
                    tracing::warn!("{reading}");
                    chain.condition().following(Some(reading));
                    let outcome = advancing.await;
                    chain.condition().following(before);
                    outcome
                }
            }
        };
        if began.elapsed() <= CAUGHT_UP {
            self.behind_since = None;
        }
        outcome
    }

    /// To be called when a head was handled without trouble: sets the pace of polling by how much there was to do.
    fn tell_health(&mut self, heads: &mut Heads) {
        if std::mem::take(&mut self.busy) {
            heads.hurry(self.work.is_open());
        }
        heads.spent(std::mem::take(&mut self.spent));
        self.set_trouble(None);
    }

    /// Shows what keeps the chain from being followed, and lets another endpoint have its turn.
    fn tell_trouble(&mut self, stop: Stop) {
        let trouble = match stop {
            Stop::Waiting(trouble) => trouble,
            Stop::Failed(error) => Trouble::Refusing {
                message: error.to_string(),
            },
            Stop::Unheard => return,
        };
        self.chain.suspect(&trouble);
        self.set_trouble(Some(trouble));
    }

    fn set_trouble(&mut self, trouble: Option<Trouble>) {
        if self.trouble == trouble {
            return;
        }
        match &trouble {
            Some(trouble) => tracing::warn!(%trouble, "the chain cannot be followed; waiting"),
            None => tracing::info!("the chain is followed again"),
        }
        self.chain.condition().following(trouble.clone());
        self.trouble = trouble;
    }

    /// The next head. Meanwhile a page that was held back is sent when it is due, blocks are looked at again, and a chain
    /// that stands still is noticed.
    async fn next_head(&mut self, heads: &mut Heads) -> Result<Result<Header, ChainError>, Stop> {
        loop {
            let (page, still) = (self.page_due(), self.rhythm.deadline());
            let still = still.filter(|_| !matches!(self.trouble, Some(Trouble::Still { .. })));
            // An endpoint that is polled is asked in any case.
            let late = self.rhythm.late();
            let late = late.filter(|_| !self.is_late && self.chain.pushes());
            let look = self.sweep.due();
            tokio::select! {
                head = heads.next() => {
                    self.note_head(&head);
                    return Ok(head);
                }
                () = self.out.closed() => return Err(Stop::Unheard),
                () = at(page) => self.send_held_back().await?,
                () = at(late) => {
                    self.is_late = true;
                    self.chain.hint();
                }
                () = at(still) => {
                    let seconds = self.rhythm.silence().as_secs();
                    let trouble = Trouble::Still { seconds };
                    self.chain.suspect(&trouble);
                    self.set_trouble(Some(trouble));
                }
                () = sleep_until(look) => match self.look_again().await {
                    // What a look cost is waited for, too.
                    Ok(false) => match std::mem::take(&mut self.spent) {
                        0 => {}
                        spent => heads.spent(spent),
                    },
                    Ok(true) => return Ok(heads.again().await),
                    Err(Stop::Failed(error)) => return Ok(Err(error)),
                    Err(stop) => return Err(stop),
                },
            }
        }
    }

    /// Notes the rhythm of the blocks, by which a chain that stands still is noticed.
    fn note_head(&mut self, head: &Result<Header, ChainError>) {
        let Ok(head) = head else { return };
        if head.height() > self.head {
            let time = head.block().timestamp;
            self.rhythm.beat(Instant::now(), head.height(), time);
            self.is_late = false;
        }
    }

    /// When the page that is held back must be sent, if there is one.
    fn page_due(&self) -> Option<Instant> {
        let held_back = self.position != self.trail.newest();
        held_back.then(|| match self.last_sent {
            Some(sent) => sent + EMPTY_PAGE_INTERVAL,
            None => Instant::now(),
        })
    }

    async fn send_held_back(&mut self) -> Result<(), Stop> {
        match self.position {
            Some(cursor) => self.send_page(Vec::new(), cursor).await,
            None => Ok(()),
        }
    }

    /// After a start the consumer is told the position even if nothing is new. Otherwise it could not tell a quiet
    /// chain from one that it does not follow.
    pub(super) async fn tell_once(&mut self) -> Result<(), Stop> {
        if let Some(cursor) = self.position {
            self.chain.has_read(cursor.number);
        }
        match self.position {
            Some(cursor) if self.last_sent.is_none() => self.send_page(Vec::new(), cursor).await,
            _ => Ok(()),
        }
    }

    /// Events were read up to a cursor, and reading goes on to `target`. Pages without events may be held back.
    pub(super) async fn read_up_to(
        &mut self,
        cursor: Cursor,
        events: Vec<Located>,
        target: u64,
    ) -> Result<(), Stop> {
        self.position = Some(cursor);
        self.chain.has_read(cursor.number);
        self.busy |= !events.is_empty();
        self.work.note(&events);
        // While many pages are read in a row, each is told, so that a restart does not read them all again.
        let hurry = !events.is_empty() || cursor.number < target;
        if hurry || self.page_due().is_some_and(|due| due <= Instant::now()) {
            self.send_page(events, cursor).await?;
        }
        Ok(())
    }

    /// Tells the consumer a page. Only then the cursor enters the trail, so a rewind never goes to one that was not told.
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

    /// Everything after the trail's newest cursor will be read again.
    pub(super) async fn rewind(&mut self) -> Result<(), Stop> {
        let to = self.trail.newest();
        let block = to.map(|cursor| cursor.number);
        self.position = to;
        self.followed.rewind(block);
        self.sweep.rewind(block);
        self.send(Update::Rewind { to }).await
    }

    async fn send(&self, update: Update) -> Result<(), Stop> {
        self.out.send(update).await.map_err(|_| Stop::Unheard)
    }
}

/// Waits until a moment, or for ever if it is `None`.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
