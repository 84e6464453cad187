//! Reads the members' logs, the own one too, for words about processes.
//!
//! How far each log was read is on disk, with what was found. What is read twice changes nothing. A malformed word is named and
//! passed over, so that one member cannot stop the reading.

use super::{error::ProcessError, keeper::Processes};
use crate::{
    clock,
    state::{Heard, News},
};
use rings_process::words::Word;
use rings_protocol::{
    cids::node_cid,
    log::Tip,
    private::{body_key, FormError},
    Address,
};
use rings_store::BlockSource;
use std::collections::BTreeMap;

/// Nodes of a log that are read at once.
const PAGE: usize = 256;
/// Nodes of a log after which what they say is taken in, so that memory does not grow with a log.
const NODES_AT_ONCE: u64 = 4_096;
/// Nodes after which the place in a log is written down although they said nothing about processes.
const REMEMBER_AFTER: u64 = 1_024;

/// How far a log was read, and how far the disk knows of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    next: u64,
    written: u64,
}

/// How far each log was read.
pub(super) type Places = BTreeMap<Address, Place>;

impl Processes {
    /// Reads what is new in all logs, and takes it in.
    pub(super) async fn hear(&self, places: &mut Places) -> Result<News, ProcessError> {
        let mut news = News::default();
        let mut heard = Vec::new();
        for (author, tip) in self.parts.logs.tips()? {
            let place = match places.get(&author) {
                Some(place) => *place,
                None => {
                    let next = self.state.cursor(author)?;
                    let written = next;
                    Place { next, written }
                }
            };
            heard.extend(self.read_log((author, tip), place).await?);
            places.entry(author).or_insert(place);
        }
        heard.retain(
            |Heard {
                 author,
                 next,
                 words,
             }| {
                let Some(place) = places.get_mut(author) else {
                    return false;
                };
                place.next = *next;
                !words.is_empty() || *next - place.written >= REMEMBER_AFTER
            },
        );
        if heard.is_empty() {
            return Ok(news);
        }
        let taken = tokio::task::block_in_place(|| self.state.hear(&heard, clock::milliseconds()));
        match taken {
            Ok(taken) => {
                self.users().add(&self.state, &taken.installed);
                self.changed().extend(taken.installed.iter().copied());
                news = taken;
            }
            Err(error) => {
                // Read again from what is on disk.
                places.retain(|author, _| heard.iter().all(|log| log.author != *author));
                return Err(error.into());
            }
        }
        for log in &heard {
            if let Some(place) = places.get_mut(&log.author) {
                place.written = log.next;
            }
        }
        if heard.iter().any(|log| !log.words.is_empty()) {
            self.taken.send_modify(|taken| *taken += 1);
        }
        Ok(news)
    }

    /// What is new in a log; nothing if nothing is.
    async fn read_log(
        &self,
        (author, tip): (Address, Tip),
        place: Place,
    ) -> Result<Option<Heard>, ProcessError> {
        let (mut next, mut words) = (place.next, Vec::new());
        let form = self.parts.keys.form();
        'log: while next <= tip.seq && next - place.next < NODES_AT_ONCE {
            let digests = self.parts.logs.nodes(author, next, PAGE)?;
            let cids: Vec<_> = digests.into_iter().map(node_cid).collect();
            let blocks = self.parts.blocks.blocks(&cids).await?;
            if blocks.is_empty() {
                break;
            }
            for block in &blocks {
                // It was opened before it came into the index, by whose digest the block was read.
                let messages = match form.messages_again(block.data()) {
                    Ok(messages) if body_key(&messages).is_none() => messages,
                    // It is read when somebody has given the key.
                    Ok(_) | Err(FormError::Locked { .. }) => break 'log,
                    Err(error) => return Err(ProcessError::Node(error.to_string())),
                };
                for message in &messages {
                    match Word::from_message(message) {
                        Ok(word) => words.extend(word),
                        Err(error) => {
                            tracing::warn!(member = %author, %error, "a word about processes is malformed");
                        }
                    }
                }
                next += 1;
            }
        }
        if next <= tip.seq && next > place.next {
            // The rest is read by the next step.
            self.parts.words.notify_one();
        }
        Ok((next > place.next).then_some(Heard {
            author,
            next,
            words,
        }))
    }
}
