//! What members have written about processes, taken in together with how far each log was read.

use super::{
    base::{
        read, ProcessState, CHANGES, CHOSEN, CURSORS, FIRST, INSTALLED, LAST, PENDING, REQUESTS,
    },
    external, listened,
    records::{Installed, RunRecord},
    runs::write_run,
};
use crate::state::{
    error::StateError,
    tables::{decode, encode, Word as Key},
};
use cid::Cid;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use rings_process::{
    document::{Document, DocumentError},
    words::{Change, Happened, Installation, Progress, Word},
};
use rings_protocol::{assembly::Choice, cids::digest_of, Address, Digest};

/// Most processes that one ring has installed.
pub const MAX_INSTALLED: u64 = 20_000;
/// Most requests that are remembered for one execution.
const MAX_REQUESTS: usize = 8;
/// Most changes of one installation that are remembered and not decided.
const MAX_CHANGES: usize = 64;

/// What was read of a member's log.
#[derive(Debug)]
pub struct Heard {
    /// Whose log.
    pub author: Address,
    /// The first node that was not read.
    pub next: u64,
    /// The words.
    pub words: Vec<Word>,
}

/// What followed.
#[derive(Debug, Default)]
pub struct News {
    /// What this member would choose, for slots for which it has not said so yet.
    pub choices: Vec<Choice>,
    /// Installations that are new, or reach further back.
    pub installed: Vec<Digest>,
    /// External executions about which a member has said something new.
    pub attempts: Vec<Cid>,
    /// Whether runs may have come to be open.
    pub has_opened: bool,
}

impl ProcessState {
    /// Takes in what was read, in one durable transaction. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn hear(&self, heard: &[Heard], now: u64) -> Result<News, StateError> {
        let news = self.database.write(|transaction| {
            let mut news = News::default();
            for Heard {
                author,
                next,
                words,
            } in heard
            {
                for word in words {
                    take(transaction, (*author, now), word, &mut news)?;
                }
                transaction.open_table(CURSORS)?.insert(author.0, next)?;
            }
            news.choices = choices(transaction)?;
            Ok(news)
        })?;
        if news.has_opened {
            self.has_opened();
        }
        Ok(news)
    }

    /// This member has said what it would choose for these slots.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn chosen(&self, slots: &[Choice]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut chosen = transaction.open_table(CHOSEN)?;
            for choice in slots {
                chosen.insert(choice.slot.0, ())?;
            }
            Ok(())
        })
    }
}

fn take(
    transaction: &WriteTransaction,
    (author, now): (Address, u64),
    word: &Word,
    news: &mut News,
) -> Result<(), StateError> {
    match word {
        Word::Installation(installation) => install(transaction, author, installation, news),
        Word::Happened(happened) => {
            news.has_opened |= happen(transaction, (author, now), happened)?;
            Ok(())
        }
        Word::Progress(progress) => ask(transaction, progress),
        Word::Change(change) => want(transaction, change),
        Word::Attempt(attempt) => {
            if external::attempt(transaction, author, attempt)? {
                news.attempts.push(attempt.execution);
            }
            Ok(())
        }
        Word::Verdict(verdict) => external::verdict(transaction, author, verdict),
        // It is for people: whether a gate is open, the chain says.
        Word::Opened(_) => Ok(()),
    }
}

/// The first block from which somebody installed it counts, so the order in which members hear of it means nothing.
fn install(
    transaction: &WriteTransaction,
    author: Address,
    installation: &Installation,
    news: &mut News,
) -> Result<(), StateError> {
    let id = installation.id().map_err(format)?;
    let mut table = transaction.open_table(INSTALLED)?;
    let installed = match read::<Installed>(&table, id)? {
        Some(held) => {
            let earliest = held.installation.clone().earliest(installation);
            if earliest == held.installation {
                return Ok(());
            }
            Installed {
                installation: earliest,
                ..held
            }
        }
        None if table.len()? >= MAX_INSTALLED => {
            tracing::warn!(%id, member = %author, "a process is not taken up: {MAX_INSTALLED} are installed");
            return Ok(());
        }
        None => Installed {
            installation: installation.clone(),
            by: author,
            activity: Default::default(),
            changes: 0,
        },
    };
    table.insert(id.0, encode(&installed)?.as_slice())?;
    transaction.open_table(PENDING)?.insert(id.0, ())?;
    listened::read_again(transaction, &installed.installation)?;
    news.installed.push(id);
    Ok(())
}

/// An event stands in a log. If it is one that every member can find itself, the word of one is not enough. Whether runs stand
/// among the open ones now.
fn happen(
    transaction: &WriteTransaction,
    (author, now): (Address, u64),
    happened: &Happened,
) -> Result<bool, StateError> {
    let event = &happened.event;
    let must_find = event.source.is_found();
    let bytes = event.to_bytes().map_err(format)?;
    let mut has_opened = false;
    for id in &happened.starts {
        has_opened |= write_run(transaction, *id, &bytes, |record| {
            let first = record.unwrap_or(RunRecord {
                must_find,
                since: now,
                ..RunRecord::default()
            });
            let mut seen_by = first.seen_by;
            if !must_find {
                seen_by.insert(author);
            }
            RunRecord {
                by: first.by.or(Some(author)),
                seen_by,
                ..first
            }
        })?;
    }
    Ok(has_opened)
}

fn ask(transaction: &WriteTransaction, progress: &Progress) -> Result<(), StateError> {
    let Ok(execution) = digest_of(&progress.execution) else {
        return Ok(());
    };
    let mut table = transaction.open_table(REQUESTS)?;
    let of_execution = (execution.0, FIRST)..=(execution.0, LAST);
    if table.range(of_execution)?.count() < MAX_REQUESTS {
        table.insert((execution.0, progress.request.0), ())?;
    }
    Ok(())
}

fn want(transaction: &WriteTransaction, change: &Change) -> Result<(), StateError> {
    let (id, number) = (change.installation.0, change.number);
    let installed = read::<Installed>(&transaction.open_table(INSTALLED)?, change.installation)?;
    let decided = installed.map_or(0, |installed| installed.changes);
    if number <= decided {
        return Ok(());
    }
    let choice = change.choice().map_err(format)?;
    let mut table = transaction.open_table(CHANGES)?;
    let of_installation = (id, 0, FIRST)..=(id, u64::MAX, LAST);
    if table.range(of_installation)?.count() >= MAX_CHANGES {
        // Those that were decided are gone; one more is not heard of.
        return Ok(());
    }
    table.insert((id, number, choice.choice.0), encode(change)?.as_slice())?;
    Ok(())
}

/// What this member would choose now, for each installation's next change: the first that it heard, for it says so once.
fn choices(transaction: &WriteTransaction) -> Result<Vec<Choice>, StateError> {
    let installed = transaction.open_table(INSTALLED)?;
    let chosen = transaction.open_table(CHOSEN)?;
    let mut choices: Vec<Choice> = Vec::new();
    for entry in transaction
        .open_table(CHANGES)?
        .range::<(Key, u64, Key)>(..)?
    {
        let (key, change) = entry?;
        let (id, number, _) = key.value();
        let record = read::<Installed>(&installed, Digest(id))?;
        if record.is_none_or(|record| record.changes + 1 != number) {
            continue;
        }
        let change: Change = decode(change.value())?;
        let choice = change.choice().map_err(format)?;
        let is_known = choices.iter().any(|other| other.slot == choice.slot);
        if !is_known && chosen.get(choice.slot.0)?.is_none() {
            choices.push(choice);
        }
    }
    Ok(choices)
}

fn format(error: DocumentError) -> StateError {
    StateError::Format(error.into())
}
