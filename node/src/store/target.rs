//! A member's store: behind a running member, or in the files of one that is down.
//!
//! A [`Target`] hides which of the two it is. A member that answers is asked over HTTP with its token; otherwise its
//! files are opened on this machine, under the lock of the data directory, so that it cannot be started meanwhile.
//! [`targets`] gives all that the options name, [`one`] the one that is meant where only one is needed.

use crate::{
    args::WhoArgs,
    exit::ExitError,
    out::Out,
    ringdir::{MemberEntry, RingDir, RingFile},
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{stream::BoxStream, StreamExt};
use rings_api::{
    shown_url, Archive, Checked, Client, ClientError, Collected, GatewaySource, ImportedArchive,
    Repaired, StoreKeeper, Token,
};
use rings_member::{
    config::{KeyConfig, NodeConfig},
    keystore, Offline,
};
use rings_protocol::Address;
use rings_store::{Block, BlockSource, StoreError};
use std::sync::Arc;
use tokio_util::io::ReaderStream;

/// Bytes of an archive that are sent at once.
const SENT_BYTES: usize = 256 * 1024;

/// The statuses of HTTP for what the caller has got wrong: a bad archive, and a block that is not there.
const CALLERS: [u16; 2] = [400, 404];

/// A member's store.
pub(super) struct Target {
    /// Whose it is.
    pub(super) member: Address,
    /// The member's number in the directory.
    pub(super) number: u32,
    /// Its configuration, if that is on this machine.
    pub(super) config: Option<(std::path::PathBuf, NodeConfig)>,
    way: Way,
}

/// How the store is reached.
enum Way {
    /// The member runs.
    Running(Box<Client>),
    /// It is down.
    Files(Box<Offline>),
}

/// Bytes of an archive.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, ExitError>>;

impl Target {
    pub(super) async fn collect(&self) -> Result<Collected, ExitError> {
        Ok(match &self.way {
            Way::Running(client) => client.collect().await?,
            Way::Files(files) => files.keeper.collect().await?,
        })
    }

    pub(super) async fn check(&self) -> Result<Checked, ExitError> {
        Ok(match &self.way {
            Way::Running(client) => client.check_store().await?,
            Way::Files(files) => files.keeper.check().await?,
        })
    }

    pub(super) async fn repair(&self) -> Result<Repaired, ExitError> {
        Ok(match &self.way {
            Way::Running(client) => client.repair().await?,
            Way::Files(files) => files.keeper.repair().await?,
        })
    }

    pub(super) async fn export(&self, roots: Vec<Cid>) -> Result<Pieces, ExitError> {
        Ok(match &self.way {
            Way::Running(client) => {
                let pieces = client.export(&roots).await.map_err(refused)?;
                pieces.map(|piece| Ok(piece?)).boxed()
            }
            Way::Files(files) => {
                let pieces = files.keeper.export(roots).await?;
                pieces.map(|piece| Ok(piece?)).boxed()
            }
        })
    }

    pub(super) async fn import(&self, archive: Archive) -> Result<ImportedArchive, ExitError> {
        Ok(match &self.way {
            Way::Running(client) => {
                let pieces = ReaderStream::with_capacity(archive, SENT_BYTES);
                client.import_archive(pieces).await.map_err(refused)?
            }
            Way::Files(files) => files.keeper.import(archive).await?,
        })
    }

    pub(super) async fn backup(&self) -> Result<Pieces, ExitError> {
        Ok(match &self.way {
            Way::Running(client) => {
                let pieces = client.backup(self.number).await?;
                pieces.map(|piece| Ok(piece?)).boxed()
            }
            Way::Files(files) => {
                let pieces = files.keeper.backup(self.number).await?;
                pieces.map(|piece| Ok(piece?)).boxed()
            }
        })
    }
}

/// A member has the same status for its caller's mistakes, whether it runs or not: an archive that is none, a block that is not
/// there.
fn refused(error: ClientError) -> ExitError {
    match &error {
        ClientError::Refused { status, line, .. } if CALLERS.contains(&status.as_u16()) => {
            ExitError::usage(line)
        }
        _ => error.into(),
    }
}

/// The stores that the options name: of one member, or of all that are known.
pub(super) async fn targets(who: &WhoArgs, out: Out) -> Result<Vec<Target>, ExitError> {
    if who.config.is_some() {
        return Ok(vec![of_config(who).await?]);
    }
    let dir = who.dir.dir();
    let file = dir.read()?;
    let named = named(who, &file)?;
    let mut found = Vec::new();
    for index in named.clone() {
        match of_member(&dir, &file, index).await? {
            Some(target) => found.push(target),
            None if named.len() == 1 => return Err(away(&file.members[index])),
            None => out.warn(away(&file.members[index])),
        }
    }
    match found.is_empty() {
        true => Err(ExitError::unavailable(
            "no member answers, and none is on this machine; start them with `rings up`",
        )),
        false => Ok(found),
    }
}

/// One store: that of the member that is named, or of the first that answers, or of the first on this machine.
pub(super) async fn one(who: &WhoArgs, out: Out) -> Result<Target, ExitError> {
    if who.config.is_some() || who.member.is_some() {
        let found = targets(who, out).await?.into_iter().next();
        return found.ok_or_else(|| ExitError::internal("no store was found"));
    }
    let dir = who.dir.dir();
    let file = dir.read()?;
    let mut here = None;
    for index in 0..file.members.len() {
        match of_member(&dir, &file, index).await? {
            Some(target) if matches!(target.way, Way::Running(_)) => return Ok(target),
            Some(target) => here = here.or(Some(target)),
            None => {}
        }
    }
    here.ok_or_else(|| {
        ExitError::unavailable(
            "no member answers, and none is on this machine; start them with `rings up`",
        )
    })
}

/// The places in `ring.json` of the members that are meant.
fn named(who: &WhoArgs, file: &RingFile) -> Result<Vec<usize>, ExitError> {
    let Some(name) = &who.member else {
        return Ok((0..file.members.len()).collect());
    };
    let by_account = name.parse::<Address>().ok().and_then(|account| {
        let mut members = file.members.iter();
        members.position(|member| member.address == account)
    });
    let by_number = name.parse::<usize>().ok();
    let index = by_account.or(by_number.filter(|index| *index < file.members.len()));
    index.map(|index| vec![index]).ok_or_else(|| {
        let shown = shown_url(name);
        ExitError::usage(format!(
            "{shown} is no member of this ring; name one by its account, or by a number below {}, not by its URL",
            file.members.len()
        ))
    })
}

fn away(member: &MemberEntry) -> ExitError {
    ExitError::unavailable(format!(
        "member {} does not answer, and its files are not here; run this on its machine with --config",
        member.address
    ))
}

/// The store of a member of the directory; `None` if it does not answer and is not here.
async fn of_member(
    dir: &RingDir,
    file: &RingFile,
    index: usize,
) -> Result<Option<Target>, ExitError> {
    let entry = &file.members[index];
    let path = dir.member(index).config();
    let config = match path.is_file() {
        true => Some((path.clone(), NodeConfig::load(&path)?)),
        false => None,
    };
    let number = u32::try_from(index).unwrap_or_default();
    if let Some(client) = dir.client_at(entry)? {
        let is_it = client
            .status()
            .await
            .is_ok_and(|status| status.member == entry.address);
        if is_it {
            return Ok(Some(Target {
                member: entry.address,
                number,
                config,
                way: Way::Running(Box::new(client)),
            }));
        }
    }
    let Some((path, config)) = config else {
        return Ok(None);
    };
    let mut others = Vec::new();
    for other in file
        .members
        .iter()
        .filter(|other| other.address != entry.address)
    {
        if let Some(client) = dir.client_at(other)? {
            if client.status().await.is_ok() {
                others.push(client);
            }
        }
    }
    let files = Offline::open(&config, gateways(&others)?).await?;
    Ok(Some(Target {
        member: entry.address,
        number,
        config: Some((path, config)),
        way: Way::Files(Box::new(files)),
    }))
}

/// The store of the node with a configuration of its own.
async fn of_config(who: &WhoArgs) -> Result<Target, ExitError> {
    let path = who.config.clone().unwrap_or_default();
    let config = NodeConfig::load(&path)?;
    let member = match &config.key {
        KeyConfig::Here(files) => {
            keystore::address(&files.keystore, files.password_file.as_deref())?
        }
        KeyConfig::Signer(signer) => signer.address,
    };
    let url = format!("http://{}", config.rpc.listen);
    let token = Token::read(&config.rpc.token_file)?;
    let client = Client::new(&url, Some(token))?;
    let is_it = client
        .status()
        .await
        .is_ok_and(|status| status.member == member);
    let way = match is_it {
        true => Way::Running(Box::new(client)),
        false => Way::Files(Box::new(Offline::open(&config, Arc::new(Nobody)).await?)),
    };
    Ok(Target {
        member,
        number: 0,
        config: Some((path, config)),
        way,
    })
}

fn gateways(others: &[Client]) -> Result<Arc<dyn BlockSource>, ExitError> {
    if others.is_empty() {
        return Ok(Arc::new(Nobody));
    }
    let others: Vec<_> = others.iter().collect();
    Ok(Arc::new(GatewaySource::of(&others)?))
}

/// Nobody who could be asked.
struct Nobody;

#[async_trait]
impl BlockSource for Nobody {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        match cids.first() {
            Some(cid) => Err(StoreError::NotFound { cid: *cid }),
            None => Ok(Vec::new()),
        }
    }
}
