//! `rings add` and `rings cat`: files in the ring's store.

use super::{
    args::{AddArgs, CatArgs},
    failure::{Failure, Status},
    out::Out,
    ringdir::RingDir,
    run::{content::Content, votes::answering},
};
use crate::http::{Client, GatewaySource};
use futures::StreamExt;
use rings_protocol::cids::normalise;
use rings_store::{read_file, StoreError};
use std::{path::Path, sync::Arc};

/// `rings add`
///
/// # Errors
/// Status 2 when the file cannot be read, 5 when no member takes it.
pub async fn add(args: AddArgs, out: Out) -> Result<(), Failure> {
    let content = match args.file == Path::new("-") {
        true => Content::stdin().await?,
        false => Content::path(&args.file).await?,
    };
    let dir = args.dir.dir();
    let clients = dir.clients(&dir.read()?)?;
    for client in members(&dir, &clients).await? {
        match content.add_to(client, out).await {
            Ok(()) => return out.line(content.cid()),
            Err(failure) if failure.status() == Status::Usage => return Err(failure),
            Err(failure) => out.failure(&failure),
        }
    }
    Err(Failure::unavailable(
        "no member took the file; see `rings status`",
    ))
}

/// `rings cat`
///
/// # Errors
/// Status 5 when it is not in the store, or no member answers.
pub async fn cat(args: CatArgs, out: Out) -> Result<(), Failure> {
    let cid = normalise(&args.cid).map_err(|error| {
        Failure::usage(format!("{} cannot be in the store", args.cid)).because(error)
    })?;
    let dir = args.dir.dir();
    let clients = dir.clients(&dir.read()?)?;
    let members = members(&dir, &clients).await?;
    let urls: Vec<_> = members.iter().map(|member| member.url()).collect();
    let mut pieces = read_file(Arc::new(GatewaySource::new(&urls)?), cid);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| match error {
            StoreError::NotFound { cid: block } => Failure::unavailable(format!(
                "block {block} of {cid} is at no member of the ring; add the file with `rings add`"
            )),
            error => error.into(),
        })?;
        out.bytes(&piece)?;
    }
    Ok(())
}

/// The members, those that answer first.
///
/// # Errors
/// When none answers.
pub async fn members<'a>(dir: &RingDir, clients: &'a [Client]) -> Result<Vec<&'a Client>, Failure> {
    let members = answering(clients).await;
    members.ok_or_else(|| {
        let root = dir.root().display();
        Failure::unavailable(format!(
            "no member of the ring in {root} answers; start them with `rings up`"
        ))
    })
}
