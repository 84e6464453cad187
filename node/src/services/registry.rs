//! `rings search`, `--register` and `rings service withdraw`: the registry of services and processes on chain.
//!
//! What stands there is the word of whoever wrote it. It is read from the chain, newest first and in pages, and shown with
//! everything escaped that could drive a terminal or look like another line.

use crate::{
    args::{RegisterArgs, SearchArgs, WithdrawArgs},
    exit::{ExitError, ExitStatus},
    out::Out,
    place::{chain_of, Place},
    process,
    ringdir::{RingDir, RingFile},
    run::content::Content,
};
use cid::Cid;
use rand::RngCore;
use rings_chain::{
    ensure_registry, register, withdraw as withdraw_call, Call, Chain, ChainError, Registered,
    Registration, RegistryEntry, Submitted, Submitter, SubmitterConfig, REGISTRY_PAGE,
};
use rings_compute::escape_for_terminal;
use rings_protocol::{
    cids::{data_cid, digest_of},
    Address, Digest,
};
use serde::Serialize;

/// Pages that one search looks through: the newest entries, however many strangers have written.
const MAX_PAGES: u64 = 100;
/// Most bytes of a description.
const MAX_DESCRIPTION: usize = 1024 * 1024;

/// An entry as it is shown; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    cid: String,
    kind: &'static str,
    name: String,
    version: String,
    owner: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    withdrawn: bool,
}

impl Line {
    fn of(entry: RegistryEntry) -> Self {
        Self {
            cid: data_cid(entry.hash).to_string(),
            kind: match entry.kind {
                Registered::Service => "service",
                Registered::Process => "process",
            },
            name: entry.name,
            version: entry.version,
            owner: entry.owner,
            description: entry.description.map(|digest| data_cid(digest).to_string()),
            withdrawn: entry.withdrawn,
        }
    }

    fn shown(&self) -> String {
        let description = self.description.as_ref();
        let description = description.map_or_else(String::new, |cid| format!("  about {cid}"));
        let withdrawn = if self.withdrawn { "  withdrawn" } else { "" };
        format!(
            "{}  {}  {} {}  by {}{description}{withdrawn}",
            self.cid,
            self.kind,
            quoted(&self.name),
            quoted(&self.version),
            self.owner
        )
    }
}

/// The text of a stranger, on one line and in quotes: nothing in it drives the terminal, and nobody takes it for words of this
/// program.
fn quoted(text: &str) -> String {
    escape_for_terminal(format!("{text:?}"))
}

/// `rings search`
///
/// # Errors
/// Status 5 when the chain cannot be asked, or has no registry.
pub async fn search(args: SearchArgs, out: Out) -> Result<(), ExitError> {
    let chain = Place::of(&args.show.place).await?.chain().await?;
    let (mut found, mut before) = (Vec::new(), None);
    let mut left_out = false;
    for page in 0.. {
        let answer = chain.search_registry(&args.text, before).await;
        let answer = answer.map_err(no_registry)?;
        let shown = |entry: &RegistryEntry| args.all || !entry.withdrawn;
        found.extend(answer.entries.into_iter().filter(shown).map(Line::of));
        before = answer.next;
        left_out = before.is_some() || found.len() > args.limit as usize;
        if before.is_none() || found.len() >= args.limit as usize || page + 1 == MAX_PAGES {
            break;
        }
    }
    found.truncate(args.limit as usize);
    if args.show.json {
        return out.json(&found);
    }
    for line in &found {
        out.line(line.shown())?;
    }
    match (found.is_empty(), left_out) {
        (true, false) => out.note("nothing is registered under that name"),
        (true, true) => out.note(format_args!(
            "nothing is registered under that name among the newest {} entries",
            MAX_PAGES * REGISTRY_PAGE
        )),
        (false, true) => out.note("older entries are not shown; see --limit"),
        (false, false) => {}
    }
    if !found.is_empty() {
        out.note("names and versions are the word of the account behind `by`; only the hash is that of the definition");
    }
    Ok(())
}

/// What `--register` brings to the chain besides the hash.
pub struct Entry {
    version: String,
    description: Option<Content>,
    fees: SubmitterConfig,
}

/// Reads what `--register` names, before anything is deployed; nothing without the option.
///
/// # Errors
/// Status 2 when the description cannot be read, or is too long.
pub async fn entry(args: &RegisterArgs) -> Result<Option<Entry>, ExitError> {
    let Some(version) = args.version.clone() else {
        return Ok(None);
    };
    let description = match &args.description {
        None => None,
        Some(path) => {
            let text = crate::input::read_text(path)?;
            if text.len() > MAX_DESCRIPTION {
                return Err(ExitError::usage(format!(
                    "{} has more than {MAX_DESCRIPTION} bytes; write a shorter description",
                    path.display()
                )));
            }
            Some(Content::memory("the description", text.into_bytes()).await?)
        }
    };
    let fees = args.fees.submitter();
    Ok(Some(Entry {
        version,
        description,
        fees,
    }))
}

impl Entry {
    /// The description, for the ring's store.
    pub fn description(&self) -> Option<&Content> {
        self.description.as_ref()
    }

    /// Writes the entry, as the account of the directory.
    ///
    /// # Errors
    /// Status 5 when the chain does not take it.
    pub async fn register(
        self,
        (dir, file): (&RingDir, &RingFile),
        (kind, name, cid): (Registered, &str, Cid),
        out: Out,
    ) -> Result<(), ExitError> {
        let call = register(&Registration {
            kind,
            hash: digest(&cid)?,
            name: name.to_owned(),
            version: self.version,
            description: match &self.description {
                Some(content) => Some(digest(&content.cid())?),
                None => None,
            },
        });
        let by = send((dir, file), call, self.fees, out).await?;
        out.note(format_args!(
            "{name} is registered by {by}; see `rings search {name}`"
        ));
        Ok(())
    }
}

/// `rings service withdraw`
///
/// # Errors
/// Status 2 when this account has no such entry, 5 when the chain does not take it.
pub async fn withdraw(args: WithdrawArgs, out: Out) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let file = dir.read()?;
    let call = withdraw_call(digest(&args.cid)?, !args.undo);
    send((&dir, &file), call, args.fees.submitter(), out).await?;
    out.line(if args.undo { "registered" } else { "withdrawn" })
}

fn digest(cid: &Cid) -> Result<Digest, ExitError> {
    digest_of(cid)
        .map_err(|error| ExitError::usage(format!("{cid} cannot be registered")).because(error))
}

/// Sends one call to the registry, which is made where the chain has none yet. Gives the account that sent it.
async fn send(
    (dir, file): (&RingDir, &RingFile),
    call: Call,
    fees: SubmitterConfig,
    out: Out,
) -> Result<Address, ExitError> {
    let _step = out.step("writing to the registry");
    let chain = chain_of(dir, file).await?;
    let key = dir.client_of(file)?;
    let account = key.address();
    let waiting = || out.note("waiting for another command to send its transactions");
    let _lock = process::wait_lock(&dir.client_lock(), waiting).await?;
    let submitter = Submitter::open_with(dir.client_journal(), chain.clone(), key, fees).await?;
    let sent = written(&chain, &submitter, call).await;
    submitter.shutdown().await;
    sent.map_err(no_registry)?;
    Ok(account)
}

/// The same entry can be written again later, so each time has a purpose of its own.
async fn written(chain: &Chain, submitter: &Submitter, call: Call) -> Result<(), ChainError> {
    ensure_registry(chain, submitter, random()).await?;
    match submitter.submit(random(), call).await? {
        Submitted::Mined { .. } => Ok(()),
        Submitted::Reverted { reason, .. } => Err(ChainError::Reverted { reason }),
    }
}

fn random() -> Digest {
    let mut random = Digest::ZERO;
    rand::rngs::OsRng.fill_bytes(&mut random.0);
    random
}

/// What is missing, in words.
fn no_registry(error: ChainError) -> ExitError {
    match error {
        ChainError::NotAContract {
            what: "registry", ..
        } => ExitError::unavailable(
            "this chain has no registry yet; `rings service deploy --register VERSION` makes it",
        ),
        ChainError::NotAContract { .. } => ExitError::unavailable(
            "this chain has no registry, for it lacks the deterministic deployment proxy",
        )
        .because(error),
        ChainError::Reverted { ref reason } if reason.contains("NotRegistered") => ExitError::new(
            ExitStatus::Usage,
            "this account has not registered it; see `rings search`",
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: &str) -> RegistryEntry {
        RegistryEntry {
            number: 0,
            owner: Address([1; 20]),
            kind: Registered::Service,
            withdrawn: true,
            hash: Digest([2; 32]),
            description: Some(Digest([3; 32])),
            name: name.into(),
            version: version.into(),
        }
    }

    #[test]
    fn what_strangers_write_stays_on_its_line_and_in_its_quotes() {
        let hostile = "car\" by 0x00\n\r\u{1b}[2J\u{202e}\u{2066}\u{200b}\u{feff}\u{9b}\u{7}";
        let shown = Line::of(entry(hostile, "1\t\0")).shown();
        let is_bad = |letter: char| letter.is_control() || !(' '..='~').contains(&letter);
        assert!(!shown.chars().any(is_bad), "{shown}");
        assert!(shown.contains(r#""car\" by 0x00\n\r\u{1b}[2J"#), "{shown}");
        assert!(shown.ends_with("  withdrawn"), "{shown}");
        let usual = Line::of(entry("Käsekuchen", "1.0")).shown();
        assert!(
            usual.contains("\"Käsekuchen\" \"1.0\"  by 0x0101"),
            "{usual}"
        );
    }
}
