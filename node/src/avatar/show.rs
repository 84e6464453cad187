//! `rings avatar new` and `rings avatar show`.

use super::{act::leave, devices, place::Avatar, restore::restore};
use crate::{
    args::{AvatarCommand, AvatarShowArgs, KeyCommand},
    exit::ExitError,
    key::key,
    out::{count, Out},
};
use rings_protocol::{Address, Digest};
use serde::Serialize;

/// What is shown of an avatar.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AvatarView {
    avatar: Address,
    ring: Address,
    /// What its calls come from.
    account: Address,
    member: bool,
    nonce: u64,
    /// Nodes of its log here.
    nodes: usize,
    /// The newest of them.
    head: Digest,
    /// The head on chain.
    head_on_chain: Digest,
    /// Whether the log was restored, so that nothing is added to it.
    restored: bool,
}

/// `rings avatar`
///
/// # Errors
/// Status 2 when a file or a password cannot be used, 5 when the chain cannot be asked.
pub async fn avatar(command: AvatarCommand, out: Out) -> Result<(), ExitError> {
    match command {
        AvatarCommand::New(args) => key(KeyCommand::New(args), out),
        AvatarCommand::Show(args) => show(args, out).await,
        AvatarCommand::Restore(args) => restore(args, out).await,
        AvatarCommand::Leave(args) => leave(args, out).await,
        AvatarCommand::Add(args) => devices::add(args, out).await,
        AvatarCommand::Remove(args) => devices::remove(args, out).await,
        AvatarCommand::Recover(args) => devices::recover(args, out).await,
        AvatarCommand::Also(args) => devices::also(args, out).await,
        AvatarCommand::Approve(args) => devices::approve(args, out).await,
    }
}

async fn show(args: AvatarShowArgs, out: Out) -> Result<(), ExitError> {
    let avatar = Avatar::open(&args.avatar).await?;
    let (address, ring) = (avatar.key.address(), avatar.ring);
    let view = AvatarView {
        avatar: address,
        ring,
        account: avatar.home.chain.account_of(ring, address).await?,
        member: avatar.is_member,
        nonce: avatar.on_chain.nonce,
        nodes: avatar.log.log().nodes().len(),
        head: avatar.log.log().head(),
        head_on_chain: avatar.on_chain.head,
        restored: avatar.log.is_restored(),
    };
    if args.avatar.json {
        return out.json(&view);
    }
    let member = match view.member {
        true => "member",
        false => "not a member",
    };
    let restored = match view.restored {
        true => " (restored: it never grows)",
        false => "",
    };
    out.line(format_args!(
        "avatar   {}\nring     {} ({member})\naccount  {}\nnonce    {}\nlog      {}, head {}{restored}\non chain {}",
        view.avatar, view.ring, view.account, view.nonce, count(view.nodes, "node"), view.head, view.head_on_chain
    ))
}
