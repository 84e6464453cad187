//! `rings join`: a directory for a ring that others run, from the chain alone.
//!
//! Contracts, members and their peer ids are read from the chain (`place.rs`). Where members answer is not on the
//! chain: it is given by `--member`, and each member that is named is asked who it is. Doing it again adds what is new
//! and keeps what was known. The directory gets a client key of its own, unless another key is named.

use super::{
    args::JoinArgs,
    exit::ExitError,
    input::read_text,
    out::{count, Out},
    place::{connect, from_chain, locate},
    ringdir::{ClientFile, RingDir, RingFile},
    run::content::is_standard,
    terms::KeepingView,
};
use rings_api::{shown_url, Token};
use rings_member::keystore;
use rings_protocol::Address;
use serde::Serialize;
use std::path::Path;

/// What `rings join` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JoinedView {
    chain_id: u64,
    engine: Address,
    scope: Address,
    ring: Address,
    /// The account that asks for gates from this directory, and pays for them.
    client: Address,
    /// Members, and how many of them can be asked.
    members: usize,
    located: usize,
    keeping: KeepingView,
}

/// `rings join`
///
/// # Errors
/// Status 2 when the ring, a token or a key cannot be used, 5 when chain or member cannot be reached.
pub async fn join(args: JoinArgs, out: Out) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let tokens = tokens(&args)?;
    let known = dir.find()?;
    refuse_another(&dir, known.as_ref(), &args)?;
    let chain = connect(&args.rpc).await?;
    let mut file = from_chain(&chain, &args.rpc, args.ring, args.scope).await?;
    if file.scope == Address::default() {
        return Err(ExitError::usage(format!(
            "the chain at {} does not tell the first scope of engine {}; name one with --scope",
            chain.endpoint(),
            file.engine
        )));
    }
    keep(&mut file, known);
    // Everything that a person may have got wrong on the chain's side has been found by now, so the directory may be
    // changed.
    dir.create()?;
    for (url, token) in args.members.iter().zip(tokens) {
        let (client, member) = locate(&mut file, url, token.clone()).await?;
        if let Some(token) = token {
            if !client.token_fits().await? {
                let url = shown_url(url);
                return Err(ExitError::usage(format!("the token for {url} is not the one of member {member}; give the one in the file that `[rpc] token_file` of its configuration names")));
            }
            dir.write_token(member, &token)?;
        }
    }
    let client = client(&args, &dir, &mut file)?;
    dir.write(&file)?;
    let state = chain.ring_state(file.ring).await?;
    let view = JoinedView {
        chain_id: file.chain_id,
        engine: file.engine,
        scope: file.scope,
        ring: file.ring,
        client,
        members: file.members.len(),
        located: file.located(),
        keeping: KeepingView::of(&state),
    };
    tell(&view, &dir, args.json, out)
}

fn tell(view: &JoinedView, dir: &RingDir, json: bool, out: Out) -> Result<(), ExitError> {
    if json {
        return out.json(view);
    }
    out.line(format_args!(
        "chain   {}\nengine  {}\nscope   {}\nring    {} of {}, {} of them with a URL\n        {}\nclient  {}",
        view.chain_id,
        view.engine,
        view.scope,
        view.ring,
        count(view.members, "member"),
        view.located,
        view.keeping,
        view.client
    ))?;
    out.note(format_args!(
        "`rings run` in {} asks from account {}: it needs ether, and members compute its gates if it keeps the ring, is a member, or is in their [ring] requesters",
        dir.root().display(),
        view.client
    ));
    Ok(())
}

/// One token for each member, or one for all; none where none is given.
fn tokens(args: &JoinArgs) -> Result<Vec<Option<Token>>, ExitError> {
    let read = |path: &Path| match is_standard(path) {
        true => Ok(Token::new(&read_text(path)?)?),
        false => Ok::<_, ExitError>(Token::read(path)?),
    };
    let count = args.members.len();
    match args.tokens.as_slice() {
        [] => Ok(vec![None; count]),
        [one] => Ok(vec![Some(read(one)?); count]),
        many if many.len() == count => many.iter().map(|path| read(path).map(Some)).collect(),
        many => Err(ExitError::usage(format!(
            "there are {count} --member and {} --token; give one token for each member, or one for all",
            many.len()
        ))),
    }
}

/// A directory keeps its ring.
fn refuse_another(
    dir: &RingDir,
    known: Option<&RingFile>,
    args: &JoinArgs,
) -> Result<(), ExitError> {
    match known {
        Some(file) if file.ring != args.ring => Err(ExitError::usage(format!(
            "{} is the directory of ring {}; name another with --dir",
            dir.root().display(),
            file.ring
        ))),
        Some(file) if file.own_chain => Err(ExitError::usage(format!(
            "the ring in {} runs on this machine, and needs no joining; see `rings status`",
            dir.root().display()
        ))),
        _ => Ok(()),
    }
}

/// Takes over what was known before and is not on chain.
fn keep(file: &mut RingFile, known: Option<RingFile>) {
    let Some(known) = known else {
        return;
    };
    for entry in &mut file.members {
        let before = known
            .members
            .iter()
            .find(|old| old.address == entry.address);
        if let Some(before) = before {
            entry.rpc_url.clone_from(&before.rpc_url);
            if entry.peer_id.is_empty() {
                entry.peer_id.clone_from(&before.peer_id);
            }
        }
    }
    file.client = known.client;
    file.store = known.store;
}

/// The account that asks for gates: that of `--key`, or one of the directory's own.
fn client(args: &JoinArgs, dir: &RingDir, file: &mut RingFile) -> Result<Address, ExitError> {
    if let Some(key) = &args.key {
        file.client = Some(ClientFile::new(key, args.password_file.as_deref())?);
    }
    if file.client.is_none() && !dir.client_key().exists() {
        keystore::store_hex(&dir.client_key(), &keystore::generate())?;
    }
    dir.client_address(file)
}
