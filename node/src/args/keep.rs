//! Options of `rings ring`: looking at a ring, and its keeper's work.

use super::{
    avatar::AvatarArgs,
    make::FeeArgs,
    place::{DirArg, ShowArgs},
};
use clap::{Args, Subcommand};
use rings_protocol::Address;
use std::path::PathBuf;

/// `rings ring`
#[derive(Debug, Subcommand)]
pub enum RingCommand {
    /// Show the ring and its members
    #[command(after_help = "Example: rings ring show --json")]
    Show(ShowArgs),
    /// Make a ring of people on the engine of the ring in DIR: self-kept, and without ether of their own
    #[command(
        after_help = "Prints its address, and on a terminal the recovery line, which is also in DIR/avatars. Whoever has that line can read the ring.\n\nExample: rings ring create --members people.txt"
    )]
    Create(CreateRingArgs),
    /// Change the key of a private client ring: what is written from then on can be read by its members only, and not by who has
    /// left. It happens by itself when somebody has left; do it after a device was stolen, or a recovery line
    #[command(
        after_help = "Prints the name of the new key. It is wrapped for the members that have written; others need the new recovery line.\n\nExample: rings ring rotate --key alice.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Rotate(RotateArgs),
    /// Print the recovery line of a client ring, with all keys that are known here. Whoever has it can read the ring
    #[command(
        after_help = "Example: rings ring line --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed > new.line"
    )]
    Line(LineArgs),
    /// Let an account in, as the keeper: it is a member when the entry delay is over and anybody has settled it
    #[command(after_help = "Example: rings ring enter 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    Enter(MemberArgs),
    /// Make an account a member whose announced entry is due; anybody can
    #[command(
        after_help = "Example: rings ring settle 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Settle(MemberArgs),
    /// Put a member out, or take an announced entry back, as the keeper
    #[command(after_help = "Example: rings ring exit 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    Exit(MemberArgs),
    /// Put a member out that is lost, and let another account in, as the keeper
    #[command(
        after_help = "Example: rings ring replace 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    )]
    Replace(ReplaceArgs),
    /// Offer the keeping to another account, which takes it with `rings ring accept`
    #[command(
        after_help = "Example: rings ring transfer 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Transfer(MemberArgs),
    /// Take the keeping that was offered to this account
    #[command(after_help = "Example: rings ring accept --key key.json")]
    Accept(KeepArgs),
    /// Make the ring in DIR private: its members seal their logs for each other, and nobody else can read them
    #[command(
        after_help = "Writes [ring] readers into the members' configurations. What was written before stays readable.\n\nExample: rings down && rings ring private && rings up"
    )]
    Private(PrivateArgs),
    /// Let an account read the ring in DIR: its members give it their keys, as soon as it is a member too
    #[command(
        after_help = "Example: rings ring approve 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Approve(ReaderArgs),
    /// Give an account no further keys of the ring in DIR
    #[command(
        after_help = "It keeps the keys that it has. Each change of the membership makes a new key.\n\nExample: rings ring disapprove 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Disapprove(ReaderArgs),
    /// Give the keeping up for good: from then on only two thirds of the members change the membership
    #[command(after_help = "Example: rings ring renounce")]
    Renounce(KeepArgs),
}

/// Who changes the ring.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Key of the account that sends the transaction [default: the one that `rings run` uses here]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// File with the password of that key; without it the password is asked for when it is needed
    #[arg(long, value_name = "FILE", requires = "key")]
    pub password_file: Option<PathBuf>,
    /// Most that is paid for gas
    #[command(flatten)]
    pub fees: FeeArgs,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `ring private`.
#[derive(Debug, Args)]
pub struct PrivateArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
}

/// Who may read a ring.
#[derive(Debug, Args)]
pub struct ReaderArgs {
    /// The account
    pub account: Address,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
}

/// Whom it is about.
#[derive(Debug, Args)]
pub struct MemberArgs {
    /// The account
    pub account: Address,
    /// Who changes the ring
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// Options of `ring replace`.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The member that goes
    pub old: Address,
    /// The account that comes
    pub new: Address,
    /// Who changes the ring
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// Options of `ring create`.
#[derive(Debug, Args)]
pub struct CreateRingArgs {
    /// File with the members' addresses, one per line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub members: PathBuf,
    /// Let everybody read its logs; without it they are sealed with a new key, which is in the recovery line
    #[arg(long)]
    pub open: bool,
    /// Who makes it
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// Options of `ring rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The avatar
    #[command(flatten)]
    pub avatar: AvatarArgs,
}

/// Options of `ring line`.
#[derive(Debug, Args)]
pub struct LineArgs {
    /// Directory of the ring whose members keep the logs
    #[command(flatten)]
    pub dir: DirArg,
    /// Address of the client ring
    #[arg(long, value_name = "ADDRESS")]
    pub ring: Address,
}
