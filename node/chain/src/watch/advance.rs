//! From the position to a new head: checks which branch the position is on, and reads the blocks between.
//!
//! `advance` first finds out whether the position is still on the chain, and rewinds if it is not. Then it reads pages
//! towards the head: old blocks in ranges, the newest ones one by one and by their hash, so that a machine of the
//! endpoint that is behind cannot answer with nothing. From time to time it reads blocks a second time (`sweep`), and
//! goes back when events had been missed.

use super::{
    sweep::Manner,
    trail::is_canonical,
    watcher::{Stop, Watcher},
};
use crate::{
    condition::Trouble,
    convert::{digest, h256},
    error::ChainError,
    fetch,
    header::Header,
    interest::Interest,
    raw_event::RawEvent,
    types::Cursor,
};
use futures::{stream, StreamExt, TryStreamExt};
use std::time::SystemTime;
use tokio::time::Instant;

/// Blocks that are at most this far behind the head are read one by one, by their hash.
const NEAR: u64 = 12;
/// With more unread blocks than this, a reader that spares requests reads all but the head in a range.
const FEW: u64 = 4;
/// Headers that are fetched at once.
const CONCURRENT_HEADERS: usize = 8;
/// A followed gate that was resolved this many blocks ago is forgotten.
const FORGET: u64 = 4096;

impl Watcher {
    /// Reads everything up to a head.
    pub(super) async fn advance(&mut self, head: &Header) -> Result<(), Stop> {
        self.head = head.height();
        // Gates that were followed before the start come first: without their specifications it is not known whose events
        // to read.
        self.read_unread().await?;
        if !self.find_branch(head).await? {
            return Ok(());
        }
        let Some(target) = self.head.checked_sub(self.config.confirmations) else {
            return Ok(());
        };
        loop {
            // Page by page, so that the consumer stores each before the next is read, and a crash loses at most one.
            while self.next_block() <= target {
                self.read_on(target, head).await?;
            }
            self.tell_once().await?;
            // A second look may have gone back to a block whose events had been missed; then reading begins again from
            // there.
            if !self.look_again().await? {
                return Ok(());
            }
        }
    }

    /// The block after the position.
    fn next_block(&self) -> u64 {
        match self.position {
            Some(position) => position.number + 1,
            None => self.config.start_block,
        }
    }

    /// The highest block that every machine of the endpoint should have.
    fn sure(&self) -> u64 {
        self.head.saturating_sub(NEAR)
    }

    /// The highest block that is read in a range. Without work that is the one before the head, if there are several:
    /// block by block each would cost a request. A range that is not sure is read again together with the next one.
    fn range_end(&self) -> u64 {
        match self.sparing && self.next_block() + FEW <= self.head {
            true => self.head - 1,
            false => self.sure(),
        }
    }

    /// Makes sure that the position is on the chain of this head, and rewinds if it is not. Returns `false` when there is
    /// nothing to read, because the head comes from a machine of the endpoint that is behind.
    async fn find_branch(&mut self, head: &Header) -> Result<bool, Stop> {
        let Some(position) = self.position else {
            return Ok(true);
        };
        let hash = h256(position.hash);
        // The usual case costs no request: the head is the position, or its child.
        let is_parent = position.number + 1 == head.height() && hash == head.parent_hash;
        if is_parent || hash == head.hash {
            self.absence.end();
            return Ok(true);
        }
        // Reading block by block follows the links down to the position anyway.
        if position.number < head.height() && position.number >= self.range_end() {
            return Ok(true);
        }
        self.spent += 1;
        if is_canonical(&self.chain, position).await? {
            self.absence.end();
            return Ok(true);
        }
        self.change_branch(position, head).await
    }

    /// The position is not on the endpoint's chain: the chain was reorganised, or the endpoint is behind, or it serves
    /// another chain.
    async fn change_branch(&mut self, position: Cursor, head: &Header) -> Result<bool, Stop> {
        self.spent += 2;
        // First the chain id: behind a URL there may be another chain since a moment ago.
        self.chain.identify().await?;
        let remains = self.trail.compare(&self.chain, self.head).await?;
        let is_little_behind = remains.is_behind && self.head + NEAR >= position.number;
        // A chain that is shorter than the trail may be behind, or may be another one.
        let doubtful = remains.is_nothing() || (remains.is_behind && !is_little_behind);
        if doubtful && !self.chain.has_code(self.config.ring).await? {
            return Err(Stop::Waiting(Trouble::OtherChain));
        }
        let is_gone = remains.is_behind
            && self
                .absence
                .is_final(head, Instant::now(), SystemTime::now());
        // A machine of the endpoint that is some blocks behind: nothing is taken back, and the next head comes soon.
        if is_little_behind && !is_gone {
            return Ok(false);
        }
        if remains.is_behind && !is_gone {
            return Err(Stop::Waiting(Trouble::Behind {
                head: self.head,
                position: position.number,
            }));
        }
        if remains.is_everything(&self.trail) {
            // Only blocks without events are gone, and nobody was told of them.
            self.position = self.trail.newest();
            return Ok(true);
        }
        self.trail.keep(remains);
        // What was on the other branch comes soon.
        self.busy = true;
        let to = self.trail.newest().map(|cursor| cursor.number);
        tracing::warn!(from = position.number, ?to, "the chain was reorganised");
        self.rewind().await?;
        Ok(true)
    }

    /// Reads one page towards `target`.
    async fn read_on(&mut self, target: u64, head: &Header) -> Result<(), Stop> {
        let (from, end) = (self.next_block(), self.range_end().min(target));
        if from <= end {
            self.read_range(from, end, target, head).await
        } else {
            self.read_near(from, target, head).await
        }
    }

    /// Reads blocks in a range, and looks again at those of the range before that were not sure.
    async fn read_range(
        &mut self,
        from: u64,
        limit: u64,
        target: u64,
        head: &Header,
    ) -> Result<(), Stop> {
        let again = self.sweep.again(from);
        let (to, mut raw) = self.page(again, limit).await?;
        // What was kept back before comes first: everything behind it has to be read again in order.
        if let Some(missed) = self.sweep.missed(from, &raw) {
            return self.go_back(missed).await;
        }
        if to < from {
            // The endpoint gives less at once than what is to be read again.
            self.sweep.give_up_unsure();
            return Ok(());
        }
        raw.retain(|event| event.place().number >= from);
        let last = self.block_below(to, head).await?;
        let events = self.locate(&raw, last).await?;
        let manner = match self.sparing {
            true => Manner::InUnsureRange,
            false => Manner::InRange,
        };
        self.sweep
            .read((from, to), self.head, manner, &raw, Instant::now());
        self.read_up_to(last, events, target).await
    }

    /// The events from `from` on, of as many blocks as the endpoint gives at once.
    async fn page(&mut self, from: u64, limit: u64) -> Result<(u64, Vec<RawEvent>), ChainError> {
        let interests = self.interests();
        self.spent += interests.len() as u32;
        fetch::page(&self.chain, &interests, &mut self.size, from, limit).await
    }

    /// A block at or below the head.
    async fn block_below(&mut self, number: u64, head: &Header) -> Result<Cursor, ChainError> {
        if number + 1 == head.height() {
            let hash = digest(head.parent_hash);
            return Ok(Cursor { number, hash });
        }
        self.spent += 1;
        let header = self.chain.header(number).await?;
        let header = header.ok_or(ChainError::NoSuchBlock { number })?;
        Ok(cursor(&header))
    }

    /// Reads the blocks up to the head one by one.
    async fn read_near(&mut self, from: u64, target: u64, head: &Header) -> Result<(), Stop> {
        let headers = self.headers(from, head).await?;
        let lowest = headers.first().map(|header| digest(header.parent_hash));
        if let Some(position) = self.position {
            // The links of the headers do not lead down to the position: it is on another branch.
            if lowest != Some(position.hash) {
                self.change_branch(position, head).await?;
                // The endpoint has the position, so it is the head that is not on its chain.
                return match self.position == Some(position) {
                    true => Err(ChainError::NoSuchBlock { number: from }.into()),
                    false => Ok(()),
                };
            }
        }
        let interests = self.interests();
        let mut raw = Vec::new();
        let mut last = None;
        for header in headers.into_iter().take_while(|h| h.height() <= target) {
            match self.read_block(&interests, &header).await {
                Ok(events) => raw.extend(events),
                // What comes before is told; this block is asked for again.
                Err(_) if last.is_some() => break,
                Err(error) => return Err(error.into()),
            }
            last = Some(header);
        }
        let last = last.ok_or(ChainError::NoSuchBlock { number: from })?;
        let last = cursor(&last);
        let events = self.locate(&raw, last).await?;
        let (read, now) = ((from, last.number), Instant::now());
        self.sweep.read(read, self.head, Manner::ByHash, &raw, now);
        self.read_up_to(last, events, target).await
    }

    /// The wanted events of one block, if it may contain any.
    async fn read_block(
        &mut self,
        interests: &[Interest],
        header: &Header,
    ) -> Result<Vec<RawEvent>, ChainError> {
        let (hash, number) = (header.hash, header.height());
        let mut events = Vec::new();
        for interest in wanted(interests, header) {
            self.spent += 1;
            self.sweep.asked(number, Instant::now());
            events.extend(fetch::block(&self.chain, interest.clone(), hash, number).await?);
        }
        Ok(events)
    }

    /// The headers from a height up to the head, each the parent of the next.
    async fn headers(&mut self, from: u64, head: &Header) -> Result<Vec<Header>, ChainError> {
        let chain = self.chain.clone();
        let below = (from..head.height()).rev().map(|number| {
            let chain = chain.clone();
            async move {
                let header = chain.header(number).await?;
                header.ok_or(ChainError::NoSuchBlock { number })
            }
        });
        self.spent += (head.height() - from) as u32;
        let below: Vec<Header> = stream::iter(below)
            .buffered(CONCURRENT_HEADERS)
            .try_collect()
            .await?;
        let mut headers = vec![head.clone()];
        for header in below {
            let above = headers.last().map(|above| above.parent_hash);
            if above != Some(header.hash) {
                // Reorganised in between, or answers of machines on two branches: the next head tells.
                let number = header.height();
                return Err(ChainError::NoSuchBlock { number });
            }
            headers.push(header);
        }
        headers.reverse();
        Ok(headers)
    }

    fn interests(&self) -> Vec<Interest> {
        let mut interests = vec![
            Interest::requests(self.config.engine, self.config.ring),
            Interest::ring(self.config.ring),
        ];
        interests.extend(self.followed.interests());
        interests
    }

    /// Looks again at blocks that were read, when it is time for it. If an event had been missed, it goes back to that
    /// block and returns `true`: everything after it is read again.
    pub(super) async fn look_again(&mut self) -> Result<bool, Stop> {
        let read = self.position.map_or(0, |position| position.number);
        let sure = self.sure().min(read);
        self.followed.forget(sure.saturating_sub(FORGET));
        let now = Instant::now();
        let mut missed = None;
        if let Some((from, to)) = self.sweep.begin_soon(now) {
            let events = self.pages(from, to.min(read)).await?;
            missed = self.sweep.missed(u64::MAX, &events);
        } else if let Some(from) = self.sweep.begin_unsure(now) {
            let events = self.pages(from, read).await?;
            missed = self.sweep.missed(u64::MAX, &events);
        } else if let Some((from, to)) = self.sweep.begin(sure, now) {
            let events = self.pages(from, to).await?;
            missed = self.sweep.end(to, &events);
        }
        match missed {
            Some(missed) => self.go_back(missed).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// The events of these blocks, in as many pages as it takes.
    async fn pages(&mut self, mut from: u64, to: u64) -> Result<Vec<RawEvent>, ChainError> {
        let mut events = Vec::new();
        while from <= to {
            let (end, raw) = self.page(from, to).await?;
            events.extend(raw);
            from = end + 1;
        }
        Ok(events)
    }

    /// Goes back to a block whose events had been missed.
    async fn go_back(&mut self, missed: u64) -> Result<(), Stop> {
        tracing::warn!(
            block = missed,
            "the endpoint had kept events back; reading them now"
        );
        self.trail.forget_from(missed);
        self.rewind().await?;
        self.busy = true;
        Ok(())
    }
}

/// The interests of which a block may contain events.
fn wanted<'a>(
    interests: &'a [Interest],
    header: &Header,
) -> impl Iterator<Item = &'a Interest> + 'a {
    let bloom = header.trusted_bloom();
    interests
        .iter()
        .filter(move |interest| bloom.is_none_or(|bloom| interest.may_be_in(&bloom)))
}

fn cursor(header: &Header) -> Cursor {
    Cursor {
        number: header.height(),
        hash: digest(header.hash),
    }
}
