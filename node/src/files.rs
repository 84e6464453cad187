//! `rings add` and `rings cat`: files in the ring's store.

use super::{
    args::{AddArgs, CatArgs},
    exit::{ExitError, ExitStatus},
    out::Out,
    place::Place,
    run::content::Content,
};
use futures::StreamExt;
use rings_api::{views::Added, GatewaySource};
use rings_protocol::cids::normalise;
use rings_store::{read_file, StoreError};
use std::sync::Arc;

/// `rings add`
///
/// # Errors
/// Status 2 when the file cannot be read, 5 when no member takes it.
pub async fn add(args: AddArgs, out: Out) -> Result<(), ExitError> {
    let content = Content::path(&args.file).await?;
    let place = Place::of_dir(args.dir.dir())?;
    let mut last = None;
    for client in place.members().await? {
        match content.add_to(client, None, out).await {
            Ok(()) if args.json => {
                let (cid, bytes) = (content.cid(), content.imported.bytes);
                return out.json(&Added { cid, bytes });
            }
            Ok(()) => return out.line(content.cid()),
            Err(failure) if failure.status() == ExitStatus::Usage => return Err(failure),
            // The last one ends the command, so where there is one member there is one line.
            Err(failure) => {
                if let Some(before) = last.replace(failure) {
                    out.warn(before);
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| ExitError::unavailable("the ring has no members")))
}

/// `rings cat`
///
/// # Errors
/// Status 5 when it is not in the store, or no member answers.
pub async fn cat(args: CatArgs, out: Out) -> Result<(), ExitError> {
    let cid = normalise(&args.cid).map_err(|error| {
        ExitError::usage(format!("{} cannot be in the store", args.cid)).because(error)
    })?;
    let place = Place::of(&args.place).await?;
    let members = place.members().await?;
    let mut pieces = read_file(Arc::new(GatewaySource::of(&members)?), cid);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| match error {
            StoreError::NotFound { cid: block } => ExitError::unavailable(format!(
                "no member of the ring has block {block} of {cid}; add the file with `rings add`"
            )),
            error => error.into(),
        })?;
        out.bytes(&piece)?;
    }
    Ok(())
}
