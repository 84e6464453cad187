//! Options of `rings key`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rings key`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and encrypt it into a keystore
    #[command(after_help = "Example: rings key new --out key.json --password-file password")]
    New(NewKeyArgs),
    /// Print the address of a key
    #[command(after_help = "Example: rings key show key.json")]
    Show(KeyArgs),
    /// Encrypt the hex of a private key into a keystore
    #[command(after_help = "Example: rings key import secret.hex --out key.json")]
    Import(ImportArgs),
    /// Decrypt a keystore into a file with the hex of the private key, of mode 0600
    #[command(after_help = "Example: rings key export key.json --out secret.hex")]
    Export(ExportArgs),
}

/// A key in a file.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// A keystore, or a file with the hex of a private key; mode 0600; - is standard input
    pub file: PathBuf,
    /// File of mode 0600 with the keystore's password; without it the password is asked for when it is needed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Options of `key new`.
#[derive(Debug, Args)]
pub struct NewKeyArgs {
    /// The keystore to write; it is never overwritten; - is standard output
    #[arg(long, value_name = "FILE", default_value = "key.json")]
    pub out: PathBuf,
    /// File of mode 0600 with the password; without it the password is asked for; - is standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Encrypt with little work (scrypt, n = 8192): for passwords that are random, and machines that are small
    #[arg(long)]
    pub light: bool,
}

/// Options of `key import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// File of mode 0600 with the hex of a private key; - is standard input
    pub hex: PathBuf,
    /// The new keystore
    #[command(flatten)]
    pub new: NewKeyArgs,
}

/// Options of `key export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The key
    #[command(flatten)]
    pub key: KeyArgs,
    /// The file to write; it is never overwritten; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
