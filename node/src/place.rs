//! The ring that a command looks at: that of a directory, or one that is read from the chain.
//!
//! [`Place::of`] follows the options. [`from_chain`] makes the content of a `ring.json` from the chain alone, and
//! [`locate`] adds where members answer. `rings join` and `rings deploy` use both.
//!
//! A [`Place`] has the chain and the members' clients, and gives each only when it is asked for: a command that needs
//! no member works while none answers. [`Place::chain`] checks that the endpoint serves the chain that the ring is on.
//! [`Place::members`] sorts the members that answer first to the front.

use super::{
    anvil,
    args::PlaceArgs,
    exit::{ExitError, ExitStatus},
    ringdir::{MemberEntry, RingDir, RingFile},
    up::check_chain,
    votes::answering,
};
use futures::{future::OptionFuture, stream, StreamExt, TryStreamExt};
use rings_api::{shown_url, views::Status, Client, Token};
use rings_chain::{Chain, ChainError, Contact};
use rings_network::PeerId;
use rings_protocol::Address;
use std::time::Duration;
use tokio::time::timeout;

/// Time to find out who answers at a URL that is not what it should be.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Announcements of members that are read at once.
const CONTACTS_AT_ONCE: usize = 16;

/// A ring, its chain and those of its members whose URLs are known.
#[derive(Debug)]
pub struct Place {
    /// What is known about the ring.
    pub file: RingFile,
    /// Its directory; `None` for one that is read from the chain.
    pub dir: Option<RingDir>,
    /// One for each member whose URL is known.
    pub clients: Vec<Client>,
    /// Why members that the options name cannot be asked.
    pub silent: Vec<ExitError>,
    /// The chain, if it has been connected to already.
    connected: Option<Chain>,
}

impl Place {
    /// The ring that the options name. A member that does not answer is left out, if another one does.
    ///
    /// # Errors
    /// Status 2 when there is no ring, 5 when the chain, or none of the members that are named, can be asked.
    pub async fn of(args: &PlaceArgs) -> Result<Self, ExitError> {
        let (Some(url), Some(ring)) = (&args.rpc, args.ring) else {
            return Self::of_dir(args.dir.dir());
        };
        let chain = connect(url).await?;
        let mut file = from_chain(&chain, url, ring, None).await?;
        let (mut clients, mut silent) = (Vec::with_capacity(args.members.len()), Vec::new());
        for url in &args.members {
            match locate(&mut file, url, None).await {
                Ok((client, _)) => clients.push(client),
                Err(error) if error.status() == ExitStatus::Unavailable => silent.push(error),
                Err(error) => return Err(error),
            }
        }
        if clients.is_empty() && !silent.is_empty() {
            return Err(silent.swap_remove(0));
        }
        Ok(Self {
            file,
            dir: None,
            clients,
            silent,
            connected: Some(chain),
        })
    }

    /// The ring in a directory.
    ///
    /// # Errors
    /// Status 2 when there is none.
    pub fn of_dir(dir: RingDir) -> Result<Self, ExitError> {
        let file = dir.read()?;
        Ok(Self {
            clients: dir.clients(&file)?,
            file,
            dir: Some(dir),
            silent: Vec::new(),
            connected: None,
        })
    }

    /// Its chain, checked to be the one that the ring is on.
    ///
    /// # Errors
    /// Status 5 when it cannot be reached, or is another one.
    pub async fn chain(&self) -> Result<Chain, ExitError> {
        if let Some(chain) = &self.connected {
            return Ok(chain.clone());
        }
        match &self.dir {
            Some(dir) => chain_of(dir, &self.file).await,
            None => self.file.chain().await,
        }
    }

    /// The members, those that answer first.
    ///
    /// # Errors
    /// Status 5 when none answers.
    pub async fn members(&self) -> Result<Vec<&Client>, ExitError> {
        let members = answering(&self.clients).await;
        members.ok_or_else(|| self.nobody())
    }

    /// Whether the URL of any member is known.
    pub fn knows_members(&self) -> bool {
        !self.clients.is_empty()
    }

    fn nobody(&self) -> ExitError {
        let (ring, root) = (self.file.ring, self.dir.as_ref().map(RingDir::root));
        match (root, self.clients.is_empty()) {
            (Some(root), false) => nobody_answers(root.display()),
            (Some(root), true) => ExitError::unavailable(format!(
                "{} names no URL of a member; add one with `rings join`",
                root.join("ring.json").display()
            )),
            (None, true) => ExitError::usage(format!(
                "this is not on chain, and no member of ring {ring} is known to ask; name one with --member URL"
            )),
            (None, false) => ExitError::unavailable(format!(
                "none of the members of ring {ring} that were named answers; name another with --member URL"
            )),
        }
    }
}

/// The chain of the ring in a directory, checked to be the one that the ring is on.
///
/// # Errors
/// Status 5 when it does not run, cannot be reached, or is another one.
pub async fn chain_of(dir: &RingDir, file: &RingFile) -> Result<Chain, ExitError> {
    if file.own_chain && anvil::running(dir).is_none() {
        return Err(does_not_run(dir));
    }
    let chain = file.chain().await?;
    check_chain(dir, file, &chain).await?;
    Ok(chain)
}

/// The ring of a directory has a chain of its own, which does not run.
pub fn does_not_run(dir: &RingDir) -> ExitError {
    let root = dir.root().display();
    ExitError::unavailable(format!(
        "the ring in {root} does not run; start it with `rings up`"
    ))
}

/// Connects to the chain behind a URL that a person has given.
///
/// # Errors
/// Status 2 when a member answers there, 5 when the chain cannot be reached.
pub async fn connect(url: &str) -> Result<Chain, ExitError> {
    let error = match Chain::connect(url).await {
        Ok(chain) => return Ok(chain),
        Err(error) => error,
    };
    // Whoever mixes the two URLs up is told so; whatever goes wrong with that question, the first error counts.
    let member = Client::new(url, None).ok();
    let asked = member.map(|member| async move { timeout(ASK_LIMIT, member.status()).await });
    match OptionFuture::from(asked).await {
        Some(Ok(Ok(status))) => Err(ExitError::usage(format!(
            "{} is the URL of a member of ring {}, not of a chain; give it with --member, and with --rpc that of an Ethereum node",
            shown_url(url),
            status.ring
        ))),
        _ => Err(error.into()),
    }
}

/// Who answers at the URL of a member.
async fn identify(client: &Client, url: &str) -> Result<Status, ExitError> {
    let error = match client.status().await {
        Ok(status) => return Ok(status),
        Err(error) => error,
    };
    // A chain knows no method of members; what else answers is no chain.
    match timeout(ASK_LIMIT, Chain::connect(url)).await {
        Ok(Ok(chain)) => Err(ExitError::usage(format!(
            "{} is the URL of chain {}, not of a member; give it with --rpc, and with --member that of a member, such as http://127.0.0.1:7545",
            shown_url(url),
            chain.id()
        ))),
        _ => Err(error.into()),
    }
}

/// No member of the ring in this directory answers.
pub fn nobody_answers(root: impl std::fmt::Display) -> ExitError {
    ExitError::unavailable(format!(
        "no member of the ring in {root} answers; start them with `rings up`"
    ))
}

/// What `ring.json` says about a ring that is on the chain behind `url`, without the URLs of its members. Without `scope`,
/// it is the first one of the ring's engine, or the zero address if the endpoint does not know it any more.
///
/// # Errors
/// Status 2 when there is no ring, 5 when the chain cannot be asked.
pub async fn from_chain(
    chain: &Chain,
    url: &str,
    ring: Address,
    scope: Option<Address>,
) -> Result<RingFile, ExitError> {
    let state = match chain.ring_state(ring).await {
        Err(
            ChainError::NotAContract { .. }
            | ChainError::Malformed { .. }
            | ChainError::Reverted { .. },
        ) => {
            return Err(ExitError::usage(format!(
                "there is no ring at {ring} on chain {} at {}; check the address and the URL",
                chain.id(),
                chain.endpoint()
            )));
        }
        state => state?,
    };
    let (block, first_scope) = match chain.ring_origin(state.engine, ring).await {
        Err(error) if error.is_transient() => return Err(error.into()),
        // An endpoint that does not keep old events may refuse to search for them.
        Err(_) => (None, None),
        Ok(origin) => origin,
    };
    let members = stream::iter(state.members.clone())
        .map(|member| member_entry(chain, ring, member))
        .buffered(CONTACTS_AT_ONCE);
    Ok(RingFile {
        chain_id: chain.id(),
        rpc_url: url.to_owned(),
        engine: state.engine,
        scope: scope.or(first_scope).unwrap_or_default(),
        ring,
        members: members.try_collect().await?,
        start_block: block.unwrap_or_default(),
        ..RingFile::empty()
    })
}

async fn member_entry(
    chain: &Chain,
    ring: Address,
    address: Address,
) -> Result<MemberEntry, ExitError> {
    let contact = chain.contact(ring, address).await?;
    Ok(MemberEntry {
        address,
        peer_id: contact.as_ref().map(peer_id).unwrap_or_default(),
        rpc_url: String::new(),
        pid: None,
    })
}

fn peer_id(contact: &Contact) -> String {
    // The contract has checked that the key is that of the member's address.
    let key = contact.public_key.compressed();
    let id = PeerId::of_member(&key, &contact.multiaddress);
    id.map_or_else(|_| String::new(), |id| id.to_string())
}

/// Asks the member at `url` who it is, and writes the URL beside it in `file`. Gives a client of it, and its account.
///
/// # Errors
/// Status 5 when it does not answer, 2 when it works for another ring.
pub async fn locate(
    file: &mut RingFile,
    url: &str,
    token: Option<Token>,
) -> Result<(Client, Address), ExitError> {
    let client = Client::new(url, token)?;
    let status = identify(&client, url).await?;
    let shown = shown_url(url);
    if (status.ring, status.chain_id) != (file.ring, file.chain_id) {
        return Err(ExitError::usage(format!(
            "the member at {shown} works for ring {} on chain {}, not for {} on chain {}; name a member of this ring",
            status.ring, status.chain_id, file.ring, file.chain_id
        )));
    }
    let entry = file
        .members
        .iter_mut()
        .find(|entry| entry.address == status.member);
    let Some(entry) = entry else {
        return Err(ExitError::usage(format!(
            "the node at {shown} has the account {}, which is not a member of ring {}; name a member",
            status.member, file.ring
        )));
    };
    entry.rpc_url = url.trim_end_matches('/').to_owned();
    entry.peer_id = status.peer_id;
    Ok((client, status.member))
}
