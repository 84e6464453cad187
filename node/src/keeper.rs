//! The keeper's work: `rings ring enter`, `exit`, `replace`, `settle`, `transfer`, `accept` and `renounce`.
//!
//! Each says first what it will change (`foretold.rs`), sends its transactions from the keeper's account, and then
//! shows who can change the membership now, as the chain says it.
//!
//! What the account may not do is refused here with the reason, before a transaction costs anything. Each change has a
//! random purpose in the journal, because the same change may be wanted again later.

use super::{
    args::{KeepArgs, MemberArgs, ReplaceArgs, RingCommand},
    avatar,
    exit::ExitError,
    foretold,
    out::Out,
    place::chain_of,
    process::{self, Lock},
    readers,
    ringdir::{MemberEntry, RingDir, RingFile},
    show,
    terms::KeepingView,
};
use rand::RngCore;
use rings_chain::{calls, Call, Chain, ChainError, RingState, Submitted, Submitter};
use rings_member::keystore;
use rings_protocol::{crypto::SecretKey, Address, Digest};
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

/// How long a member has to say that it is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// What is shown in the end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangedView {
    ring: Address,
    epoch: u64,
    members: Vec<Address>,
    keeping: KeepingView,
}

/// `rings ring …`
///
/// # Errors
/// Status 2 when the account cannot do this, 5 when the chain refuses.
pub async fn ring(command: RingCommand, out: Out) -> Result<(), ExitError> {
    match command {
        RingCommand::Show(args) => show::ring(args, out).await,
        RingCommand::Create(args) => avatar::create(args, out).await,
        RingCommand::Rotate(args) => avatar::rotate(args, out).await,
        RingCommand::Line(args) => avatar::show_line(&args, out),
        RingCommand::Enter(args) => {
            let ring = Ring::open(&args.keep, out).await?;
            let calls = ring.enter(args.account)?;
            ring.tell_silent(args.account).await?;
            ring.change(&args.keep, &calls).await
        }
        RingCommand::Settle(args) => member(args, out, Ring::settle).await,
        RingCommand::Exit(args) => {
            let ring = Ring::open(&args.keep, out).await?;
            let calls = ring.exit(args.account)?;
            ring.tell_silent(args.account).await?;
            ring.change(&args.keep, &calls).await
        }
        RingCommand::Replace(args) => replace(args, out).await,
        RingCommand::Private(args) => readers::private(&args, out),
        RingCommand::Approve(args) => readers::approve(&args, out),
        RingCommand::Disapprove(args) => readers::disapprove(&args, out),
        RingCommand::Transfer(args) => member(args, out, Ring::transfer).await,
        RingCommand::Accept(args) => {
            let ring = Ring::open(&args, out).await?;
            let call = calls::accept_keeper(ring.file.engine, ring.file.ring);
            ring.change(&args, &[call]).await
        }
        RingCommand::Renounce(args) => {
            let ring = Ring::open(&args, out).await?;
            ring.keeps()?;
            ring.foretell("the ring will be self-kept for good: two thirds of the members change it, and nobody else");
            let call = calls::renounce_keeper(ring.file.engine, ring.file.ring);
            ring.change(&args, &[call]).await
        }
    }
}

async fn member(
    args: MemberArgs,
    out: Out,
    calls: impl FnOnce(&Ring, Address) -> Result<Vec<Call>, ExitError>,
) -> Result<(), ExitError> {
    let ring = Ring::open(&args.keep, out).await?;
    let calls = calls(&ring, args.account)?;
    ring.change(&args.keep, &calls).await
}

async fn replace(args: ReplaceArgs, out: Out) -> Result<(), ExitError> {
    let ring = Ring::open(&args.keep, out).await?;
    let calls = ring.replace((args.old, args.new))?;
    ring.tell_silent(args.old).await?;
    ring.change(&args.keep, &calls).await
}

/// A ring, and the account that changes it.
struct Ring {
    dir: RingDir,
    file: RingFile,
    chain: Chain,
    state: RingState,
    key: SecretKey,
    out: Out,
}

impl Ring {
    async fn open(args: &KeepArgs, out: Out) -> Result<Self, ExitError> {
        let dir = args.dir.dir();
        let file = dir.read()?;
        let key = match &args.key {
            Some(key) => keystore::load(key, args.password_file.as_deref())?,
            None => dir.client_of(&file)?,
        };
        let chain = chain_of(&dir, &file).await?;
        Ok(Self {
            state: chain.ring_state(file.ring).await?,
            dir,
            file,
            chain,
            key,
            out,
        })
    }

    /// Whether this account keeps the ring.
    fn keeps(&self) -> Result<(), ExitError> {
        let account = self.key.address();
        match self.state.keeping.keeper {
            Some(keeper) if keeper == account => Ok(()),
            Some(keeper) => Err(ExitError::usage(format!(
                "ring {} is kept by {keeper}, not by {account}; name the keeper's key with --key",
                self.file.ring
            ))),
            None => Err(ExitError::usage(format!(
                "ring {} is self-kept: only two thirds of its members together change it",
                self.file.ring
            ))),
        }
    }

    fn is_pending(&self, account: Address) -> bool {
        let mut pending = self.state.keeping.pending.iter();
        pending.any(|entry| entry.member == account)
    }

    /// The calls that make an account a member.
    fn enter(&self, account: Address) -> Result<Vec<Call>, ExitError> {
        let calls = self.entry(account)?;
        if self.is_pending(account) {
            self.foretell(foretold::again(account));
        }
        self.foretell(foretold::entering(&self.state, account));
        Ok(calls)
    }

    /// Without an entry delay an entry is settled at once; else anybody may settle it later.
    fn entry(&self, account: Address) -> Result<Vec<Call>, ExitError> {
        self.keeps()?;
        if self.state.members.contains(&account) {
            return Err(foretold::member_already(account));
        }
        let mut calls = vec![calls::enter(self.file.engine, self.file.ring, account)];
        if self.state.keeping.entry_delay == 0 {
            calls.push(calls::settle(self.file.ring, account));
        }
        Ok(calls)
    }

    /// The call that ends a membership, or takes an announced entry back.
    fn exit(&self, account: Address) -> Result<Vec<Call>, ExitError> {
        self.keeps()?;
        if self.is_pending(account) {
            self.foretell(foretold::taken_back(account));
        } else {
            self.refuse_stranger(account)?;
            self.foretell(foretold::leaving(&self.state, account));
        }
        Ok(vec![self.exit_call(account)])
    }

    /// The calls that put one account into the place of a member. The new one comes first, so that a ring of one member can be
    /// given to another. Its entry is not announced again, which would begin its delay anew: the command may be given twice.
    fn replace(&self, (old, new): (Address, Address)) -> Result<Vec<Call>, ExitError> {
        self.keeps()?;
        self.refuse_stranger(old)?;
        let mut calls = match self.is_pending(new) && self.state.keeping.entry_delay > 0 {
            true => Vec::new(),
            false => self.entry(new)?,
        };
        let lines = foretold::replacing(&self.state, (old, new));
        lines.iter().for_each(|line| self.foretell(line));
        calls.push(self.exit_call(old));
        Ok(calls)
    }

    fn exit_call(&self, account: Address) -> Call {
        calls::exit(self.file.engine, self.file.ring, account)
    }

    fn refuse_stranger(&self, account: Address) -> Result<(), ExitError> {
        match self.state.members.contains(&account) {
            true => Ok(()),
            false => Err(ExitError::usage(format!(
                "{account} is not a member of the ring; see `rings ring show`"
            ))),
        }
    }

    /// The call that makes an account a member whose announced entry is due.
    fn settle(&self, account: Address) -> Result<Vec<Call>, ExitError> {
        foretold::check_settle(&self.state, account)?;
        Ok(vec![calls::settle(self.file.ring, account)])
    }

    fn transfer(&self, account: Address) -> Result<Vec<Call>, ExitError> {
        self.keeps()?;
        self.foretell(format_args!(
            "{account} can take the keeping with `rings ring accept`; until then nothing changes"
        ));
        let (engine, ring) = (self.file.engine, self.file.ring);
        Ok(vec![calls::transfer_keeper(engine, ring, account)])
    }

    /// Says which members do not answer now, besides one: the signatures that are needed have to come from the others.
    async fn tell_silent(&self, besides: Address) -> Result<(), ExitError> {
        let is_asked = |entry: &&MemberEntry| {
            entry.address != besides && self.state.members.contains(&entry.address)
        };
        let mut silent = BTreeSet::new();
        for entry in self.file.members.iter().filter(is_asked) {
            let Some(client) = self.dir.client_at(entry)? else {
                continue;
            };
            match timeout(ANSWER_LIMIT, client.status()).await {
                // What it cannot reach may have no URL here.
                Ok(Ok(status)) => silent.extend(status.unreachable.iter().map(|away| away.member)),
                _ => {
                    silent.insert(entry.address);
                }
            }
        }
        silent.remove(&besides);
        if !silent.is_empty() {
            let who: Vec<_> = silent.iter().map(ToString::to_string).collect();
            let verb = if who.len() == 1 { "does" } else { "do" };
            self.foretell(format_args!("{} {verb} not answer now", who.join(", ")));
        }
        Ok(())
    }

    /// What will happen, before it does.
    fn foretell(&self, what: impl std::fmt::Display) {
        self.out.note(what);
    }

    /// Sends the calls, one behind the other, and shows the ring as it is then.
    async fn change(self, args: &KeepArgs, calls: &[Call]) -> Result<(), ExitError> {
        let step = self.out.step("changing the ring");
        let (_lock, submitter) = self.submitter(args).await?;
        // The second call needs what the first did, so they are not sent together.
        let mut sent = Ok(());
        for call in calls {
            sent = mined(&submitter, call).await;
            if sent.is_err() {
                break;
            }
        }
        submitter.shutdown().await;
        drop(step);
        sent.map_err(|error| foretold::refused(&self.state, error))?;
        let state = self.chain.ring_state(self.file.ring).await?;
        let view = ChangedView {
            ring: self.file.ring,
            epoch: state.epoch,
            keeping: KeepingView::of(&state),
            members: state.members,
        };
        match args.json {
            true => self.out.json(&view),
            false => self.out.line(format_args!(
                "ring    {}\nepoch   {}\nquorum  {} of {}\nchange  {}",
                view.ring, view.epoch, view.keeping.quorum, view.keeping.counted, view.keeping
            )),
        }
    }

    /// The journal of the directory's client is shared with `rings run`; another account has one of its own.
    async fn submitter(&self, args: &KeepArgs) -> Result<(Lock, Submitter), ExitError> {
        let waiting = || {
            self.out
                .note("waiting for another command to send its transactions");
        };
        let lock = process::wait_lock(&self.dir.client_lock(), waiting).await?;
        let journal = match self.dir.client_address(&self.file) {
            Ok(client) if client == self.key.address() => self.dir.client_journal(),
            _ => self
                .dir
                .root()
                .join(format!("keeper-{}.redb", self.key.address())),
        };
        let (chain, key) = (self.chain.clone(), self.key.clone());
        let submitter = Submitter::open_with(journal, chain, key, args.fees.submitter());
        Ok((lock, submitter.await?))
    }
}

/// A call that must succeed. The same change can be made again later, so each has a purpose of its own.
async fn mined(submitter: &Submitter, call: &Call) -> Result<(), ChainError> {
    let mut purpose = Digest::ZERO;
    rand::rngs::OsRng.fill_bytes(&mut purpose.0);
    match submitter.submit(purpose, call.clone()).await? {
        Submitted::Mined { .. } => Ok(()),
        Submitted::Reverted { reason, .. } => Err(ChainError::Reverted { reason }),
    }
}
