//! Archives and backups as files, or as standard input and output.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    run::content::is_standard,
};
use bytes::Bytes;
use futures::{stream::BoxStream, StreamExt};
use std::path::Path;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// A file to read, or standard input.
pub(super) async fn open(path: &Path) -> Result<Box<dyn AsyncRead + Send + Unpin>, ExitError> {
    if is_standard(path) {
        return Ok(Box::new(tokio::io::stdin()));
    }
    if path.is_dir() {
        let what = format!("{} is a directory; name a file", path.display());
        return Err(ExitError::usage(what));
    }
    let file = tokio::fs::File::open(path).await.context(
        ExitStatus::Usage,
        format!("cannot read {}; check the path", path.display()),
    )?;
    Ok(Box::new(file))
}

/// Writes a stream to a file, whole or not at all, or to standard output. Says how many bytes.
pub(super) async fn write(
    path: &Path,
    pieces: BoxStream<'_, Result<Bytes, ExitError>>,
    out: Out,
) -> Result<u64, ExitError> {
    let what = format!(
        "cannot write {}; check the path and the disk",
        path.display()
    );
    if is_standard(path) {
        return copy(pieces, &mut tokio::io::stdout(), &what).await;
    }
    let step = out.step(format_args!("writing {}", path.display()));
    // The temporary file is in the same directory, because a file can only be renamed within one file system.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let file = NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))
        .context(ExitStatus::Usage, what.clone())?;
    let reopened = file
        .reopen()
        .context(ExitStatus::Unavailable, what.clone())?;
    let mut writer = tokio::fs::File::from_std(reopened);
    let bytes = copy(pieces, &mut writer, &what).await?;
    writer
        .sync_all()
        .await
        .context(ExitStatus::Unavailable, what.clone())?;
    let named = file.persist(path).map_err(|error| error.error);
    named.context(ExitStatus::Unavailable, what)?;
    drop(step);
    Ok(bytes)
}

async fn copy(
    mut pieces: BoxStream<'_, Result<Bytes, ExitError>>,
    to: &mut (impl AsyncWrite + Unpin),
    what: &str,
) -> Result<u64, ExitError> {
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        to.write_all(&piece)
            .await
            .context(ExitStatus::Unavailable, what)?;
    }
    to.flush().await.context(ExitStatus::Unavailable, what)?;
    Ok(bytes)
}
