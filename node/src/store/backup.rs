//! `rings backup`: the directory of one member or of all on this machine, while they run or not.

use super::{
    files::write,
    target::{targets, Target},
};
use crate::{
    args::BackupArgs,
    exit::{Context, ExitError, ExitStatus},
    out::{count, Out},
};
use bytes::Bytes;
use futures::{stream, StreamExt};
use rings_member::TarWriter;
use std::{fs, path::Path};

/// The files of a member beside its data: their names in a backup.
pub(super) const CONFIG: &str = "config.toml";
pub(super) const KEY: &str = "key.json";
pub(super) const PASSWORD: &str = "password";
/// Longest of these files, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// `rings backup`
///
/// # Errors
/// Status 2 for a wrong option, 5 when a member cannot be reached or a disk not be written.
pub async fn backup(args: BackupArgs, out: Out) -> Result<(), ExitError> {
    let members = targets(&args.who, out).await?;
    let mut parts = Vec::with_capacity(members.len());
    for member in &members {
        let files = files(member, args.without_keys)?;
        let files = stream::iter(files.into_iter().map(Ok));
        parts.push(files.chain(member.backup().await?).boxed());
    }
    let end = stream::iter([Ok(TarWriter::end())]);
    let pieces = stream::iter(parts).flatten().chain(end);
    let bytes = write(&args.file, pieces.boxed(), out).await?;
    let keys = match args.without_keys {
        true => "",
        false => ", with their keys: keep it secret",
    };
    out.note(format_args!(
        "{} in {bytes} bytes{keys}",
        count(members.len(), "member")
    ));
    Ok(())
}

/// The files of this machine that a backup holds beside the member's own archive: configuration, and keys unless they are
/// to stay out.
fn files(member: &Target, without_keys: bool) -> Result<Vec<Bytes>, ExitError> {
    let Some((path, config)) = &member.config else {
        return Ok(Vec::new());
    };
    let mut wanted = vec![(CONFIG, path.as_path())];
    if !without_keys {
        // A signer keeps its key itself.
        if let Some(key) = config.key.files() {
            wanted.push((KEY, &key.keystore));
            let password = key.password_file.as_deref();
            wanted.extend(password.map(|path| (PASSWORD, path)));
        }
    }
    let entries = wanted.into_iter();
    entries
        .map(|(name, path)| entry(member.number, name, path))
        .collect()
}

fn entry(number: u32, name: &str, path: &Path) -> Result<Bytes, ExitError> {
    let what = format!("cannot read {}; check who owns it", path.display());
    let content = fs::read(path).context(ExitStatus::Usage, what)?;
    Ok(TarWriter::entry(
        &format!("members/{number}/{name}"),
        &content,
    ))
}
