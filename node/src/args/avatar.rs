//! Options of commands for avatars: people who act without a node and without ether.

use super::{key::NewKeyArgs, place::DirArg, values::wait};
use clap::{Args, Subcommand};
use rings_protocol::Address;
use std::{path::PathBuf, time::Duration};

/// Nodes that are not on chain after which the head of a log is brought there.
const FLUSH_EACH: u64 = 100;

/// `rings avatar`
#[derive(Debug, Subcommand)]
pub enum AvatarCommand {
    /// Make an avatar: a key in a keystore. One avatar is one device; never use a copy of it on another one
    #[command(after_help = "Example: rings avatar new --out alice.json --password-file password")]
    New(NewKeyArgs),
    /// Show an avatar in its ring: its account, its log, and what the chain knows of it
    #[command(
        after_help = "Example: rings avatar show --key alice.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Show(AvatarShowArgs),
    /// Get an avatar's log, and those of its ring, back from the members that keep them, check all of it, and name members that
    /// leave something out. A restored key reads, rescues and leaves, and never appends
    #[command(
        after_help = "Status 1 when something that is on chain, or that a member has signed for, is served by nobody.\n\nExample: rings avatar restore --key alice.json --line alice.line --messages > history.json"
    )]
    Restore(AvatarRestoreArgs),
    /// Leave the ring for good: another avatar of the person goes on
    #[command(
        after_help = "Prints the transaction.\n\nExample: rings avatar leave --key alice.json --line alice.line"
    )]
    Leave(LeaveArgs),
    /// Let a further device of yours into the ring: an avatar that was made there. It is shown as one name with this one when it says
    /// the same (`rings avatar also`)
    #[command(
        after_help = "Two thirds of the ring's avatars sign it (`rings avatar approve`); the last of them brings it to the chain.\n\nExample: rings avatar add --key phone.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    )]
    Add(AddDeviceArgs),
    /// Put a device out of the ring. The key of a private ring is changed then
    #[command(
        after_help = "Example: rings avatar remove --key phone.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    )]
    Remove(DeviceArgs),
    /// Put a lost device out of the ring, and let a fresh one in, at once
    #[command(
        after_help = "Example: rings avatar recover --key phone.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --lost 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 --fresh 0x52908400098527886E0F7030069857D2E4169EE7"
    )]
    Recover(RecoverArgs),
    /// Say that another avatar of the ring is a device of yours: both are shown as one name when each says so of the other
    #[command(
        after_help = "Example: rings avatar also --key laptop.json --line my.line 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    )]
    Also(DeviceArgs),
    /// List the changes of the ring's members that were asked for, or sign one. The one who completes two thirds brings it to the chain
    #[command(
        after_help = "Example: rings avatar approve --key bob.json --line friends.line 0x3f2a91c04d"
    )]
    Approve(ApproveArgs),
}

/// Options of `avatar remove` and `avatar also`, and of `avatar add`.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// The avatar that asks for it
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// Address of the device's avatar
    pub device: Address,
    /// How long to wait for the transaction, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// Options of `avatar add`.
#[derive(Debug, Args)]
pub struct AddDeviceArgs {
    /// The device
    #[command(flatten)]
    pub device: DeviceArgs,
    /// It is somebody else's, and no device of yours
    #[arg(long)]
    pub other: bool,
}

/// Options of `avatar recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The avatar that asks for it
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// Address of the lost device's avatar
    #[arg(long, value_name = "ADDRESS")]
    pub lost: Address,
    /// Address of the avatar that takes its place
    #[arg(long, value_name = "ADDRESS")]
    pub fresh: Address,
    /// How long to wait for the transaction, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// Options of `avatar approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The avatar that signs
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// Name of the change, or how it begins; without it the open ones are listed
    pub change: Option<String>,
    /// How long to wait for the transaction, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// Which avatar, in which ring, and which replicas are asked.
#[derive(Debug, Args)]
pub struct AvatarArgs {
    /// Directory of the ring whose members keep the logs
    #[command(flatten)]
    pub dir: DirArg,
    /// Key of the avatar
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// File with the password of that key; without it the password is asked for when it is needed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Address of the avatar's ring
    #[arg(long, value_name = "ADDRESS", required_unless_present = "line")]
    pub ring: Option<Address>,
    /// File of mode 0600 with the ring's recovery line: then no ring is needed in the directory
    #[arg(long, value_name = "FILE", conflicts_with = "ring")]
    pub line: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Bytes in hexadecimal, with or without 0x.
fn hex_bytes(text: &str) -> Result<HexData, String> {
    let digits = text.trim_start_matches("0x");
    let bytes = hex::decode(digits).map(HexData);
    bytes.map_err(|_| "expected an even number of hexadecimal digits, such as 0xa9059cbb".into())
}

/// Seconds, as long as a member waits for others.
fn short_wait(text: &str) -> Result<Duration, String> {
    let wrong = || "expected seconds from 0 to 5, such as 0.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    match (0.0..=5.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(wrong()),
    }
}

/// Calldata. A type of its own, because clap takes a list of bytes for a list of values.
#[derive(Debug, Clone)]
pub struct HexData(pub Vec<u8>);

/// Options of `avatar show`.
#[derive(Debug, Args)]
pub struct AvatarShowArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
}

/// Options of `log append`.
#[derive(Debug, Args)]
pub struct AppendArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// Domain of the message: the application that reads it
    #[arg(long, default_value = "chat")]
    pub domain: String,
    /// Type of the message within its domain
    #[arg(long = "type", value_name = "TYPE", default_value = "message")]
    pub kind: String,
    /// How many members are to have signed that they hold it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub replicas: u32,
    /// How long to wait for them, in seconds, at most 5
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = short_wait)]
    pub wait: Duration,
    /// So many nodes that are not on chain bring the head of the log there with this one; 0: none do
    #[arg(long, value_name = "N", default_value_t = FLUSH_EACH)]
    pub flush_each: u64,
    /// The message; - is standard input
    pub text: String,
}

/// Options of `flush`.
#[derive(Debug, Args)]
pub struct FlushArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// What the avatar's account calls [default: nothing, so that only the head of the log moves]
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
    /// What it calls with, in hex
    #[arg(long, value_name = "HEX", value_parser = hex_bytes, requires = "to")]
    pub data: Option<HexData>,
    /// Wei that it pays from its own balance
    #[arg(long, value_name = "WEI", default_value_t = 0, requires = "to")]
    pub value: u128,
    /// The least gas that the call must get
    #[arg(long, value_name = "GAS", default_value_t = 0, requires = "to")]
    pub gas: u64,
    /// How long to wait for the transaction, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// Options of `avatar restore`.
#[derive(Debug, Args)]
pub struct AvatarRestoreArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// File with what members have signed before, from the device that is lost (AVATAR-RING.held)
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,
    /// Write the messages of all logs, in order, a line of JSON for each
    #[arg(long)]
    pub messages: bool,
}

/// Options of `avatar leave`.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// How long to wait for the transaction, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// Options of `chat`.
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// How you want to be called
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Lines instead of a screen, as where input or output is no terminal
    #[arg(long)]
    pub lines: bool,
    /// How long what was said may stay off the chain, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = wait)]
    pub flush_after: Duration,
    /// So many nodes that are not on chain bring the head of the log there; 0: none do
    #[arg(long, value_name = "N", default_value_t = FLUSH_EACH)]
    pub flush_each: u64,
}

/// Options of `replicate`.
#[derive(Debug, Args)]
pub struct ReplicateArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
    /// End it: the members keep the logs no longer, and free the space
    #[arg(long)]
    pub end: bool,
    /// How long to wait for the transaction, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}
