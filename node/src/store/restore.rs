//! `rings restore`: puts members of a backup back whose data are lost.
//!
//! A backup has the files of each member (configuration, key, password) and its data. A member whose data are here is
//! left alone, because they are newer than any backup; files that are there are not replaced either. The data go
//! through `rings_member::restore`, which puts the state in place last. A restored member signs nothing before the
//! others have said where its log ends.

use super::{
    backup::{CONFIG, KEY, MAX_FILE_BYTES, PASSWORD},
    files::open,
};
use crate::{
    args::RestoreArgs,
    exit::ExitError,
    out::{count, Out},
    ringdir::{MemberDir, RingDir},
};
use rings_member::{
    config::{NodeConfig, StoreKind},
    keystore, restore as put_back, RestoreError, TarEntry, TarReader,
};
use rings_protocol::Address;
use rings_store::StoreConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How a recovery line begins.
const LINE: &[u8] = b"rings:";

/// What was put back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoredView {
    number: u32,
    member: Address,
    ring: Address,
    /// Position of the newest node of its log in the backup.
    head: Option<u64>,
    blocks: u64,
}

/// `rings restore`
///
/// # Errors
/// Status 2 when there are data already or the file is not a backup, 5 when a disk cannot be written.
pub async fn restore(args: RestoreArgs, out: Out) -> Result<(), ExitError> {
    let mut file = BufReader::new(open(&args.file).await?);
    // What cannot be read is told by the reader.
    let begin = file.fill_buf().await.unwrap_or_default();
    if begin.starts_with(LINE) {
        let name = args.file.display();
        return Err(ExitError::usage(format!(
            "{name} is the recovery line of a client ring, and no backup of members; `rings avatar restore --key FILE --line {name}` gets the ring's logs back"
        )));
    }
    let mut tar = TarReader::new(file);
    let dir = args.dir.dir();
    dir.create()?;
    let mut job = Job {
        dir,
        only: args.member,
        files: BTreeMap::new(),
        done: Vec::new(),
        left: Vec::new(),
    };
    let step = out.step(format_args!("restoring from {}", args.file.display()));
    while let Some(entry) = tar.next().await.map_err(RestoreError::from)? {
        job.take(&mut tar, &entry).await?;
    }
    drop(step);
    for number in &job.left {
        out.note(format_args!(
            "member {number} has data, which are newer than any backup, and was left as it is"
        ));
    }
    if job.done.is_empty() {
        return Err(ExitError::usage(
            "nothing was restored: no member of the backup was asked for that has no data here; move its data directory away if it is damaged",
        ));
    }
    match args.json {
        true => out.json(&job.done),
        false => told(&job.done, out),
    }
}

fn told(done: &[RestoredView], out: Out) -> Result<(), ExitError> {
    for member in done {
        let head = match member.head {
            Some(head) => format!("its log up to node {head}"),
            None => "an empty log".to_owned(),
        };
        out.line(format_args!(
            "{}  member {}, {head}, {}",
            member.member,
            member.number,
            count(member.blocks, "block")
        ))?;
    }
    out.note("a restored member signs nothing before two thirds of the others have said where its log ends");
    Ok(())
}

/// A restoring under way. The files of a member come before its data in the archive, so they are kept until those begin.
struct Job {
    dir: RingDir,
    only: Option<u32>,
    /// Files that came before the data of their member.
    files: BTreeMap<(u32, String), Vec<u8>>,
    done: Vec<RestoredView>,
    /// Members whose data are here.
    left: Vec<u32>,
}

impl Job {
    /// Takes one entry of the archive. A member that has a state database already is left as it is: with an older state
    /// in its place, the member could sign a second result for a computation.
    async fn take<R: AsyncRead + Unpin>(
        &mut self,
        tar: &mut TarReader<R>,
        entry: &TarEntry,
    ) -> Result<(), ExitError> {
        let (number, name) = place(entry)?;
        if self.only.is_some_and(|only| only != number) || self.left.contains(&number) {
            return Ok(());
        }
        let dir = self.dir.member(number as usize);
        if dir.data().join("state.redb").exists() && !self.is_done(number) {
            self.left.push(number);
            return Ok(());
        }
        match name {
            CONFIG | KEY | PASSWORD => {
                let content = tar.content(entry, MAX_FILE_BYTES).await;
                let content = content.map_err(RestoreError::from)?;
                self.files.insert((number, name.to_owned()), content);
            }
            _ => {
                self.write_files(number, &dir)?;
                self.restore(number, &dir, tar, entry).await?;
            }
        }
        Ok(())
    }

    fn is_done(&self, number: u32) -> bool {
        self.done.iter().any(|done| done.number == number)
    }

    async fn restore<R: AsyncRead + Unpin>(
        &mut self,
        number: u32,
        dir: &MemberDir,
        tar: &mut TarReader<R>,
        entry: &TarEntry,
    ) -> Result<(), ExitError> {
        let config = dir.config();
        let kubo = match config.is_file() {
            true => kubo(&NodeConfig::load(&config)?),
            false => None,
        };
        let restored = put_back(tar, entry, &dir.data(), kubo.as_ref()).await?;
        self.done.push(RestoredView {
            number,
            member: restored.of.member,
            ring: restored.of.ring,
            head: restored.of.head,
            blocks: restored.end.blocks,
        });
        Ok(())
    }

    /// Writes what is not there: a file that is there may be newer.
    fn write_files(&mut self, number: u32, dir: &MemberDir) -> Result<(), ExitError> {
        dir.create()?;
        for (name, path) in [
            (CONFIG, dir.config()),
            (KEY, dir.keystore()),
            (PASSWORD, dir.password()),
        ] {
            let content = self.files.remove(&(number, name.to_owned()));
            if let Some(content) = content.filter(|_| !path.exists()) {
                keystore::write_secret(&path, &content)?;
            }
        }
        Ok(())
    }
}

/// The number of the member, and the name below its directory.
fn place(entry: &TarEntry) -> Result<(u32, &str), ExitError> {
    let rest = entry.name.strip_prefix("members/");
    let parts = rest.and_then(|rest| rest.split_once('/'));
    let known = parts.and_then(|(number, name)| Some((number.parse().ok()?, name)));
    known.ok_or_else(|| {
        ExitError::usage(format!(
            "the file has an entry {}, so it is not a backup of Rings; name another",
            entry.name
        ))
    })
}

/// Where blocks go if not into the directory.
fn kubo(config: &NodeConfig) -> Option<StoreConfig> {
    match &config.store.kind {
        StoreKind::Embedded => None,
        StoreKind::Kubo { url } => Some(StoreConfig::Kubo { url: url.clone() }),
    }
}
