//! `rings request`: requests without a gate, as members tell of them, and proofs of their results, as the chain
//! confirms them.
//!
//! `list` reads the members' logs, `show` joins what all members say of one request, `proof` gets a proof that the
//! chain confirms (`proven.rs`), and `text` writes them for people.

mod list;
mod proof;
mod show;
mod text;

use crate::{args::RequestCommand, exit::ExitError, out::Out};

/// `rings request`
///
/// # Errors
/// As the commands say.
pub async fn request(command: RequestCommand, out: Out) -> Result<(), ExitError> {
    match command {
        RequestCommand::Show(args) => show::show(args, out).await,
        RequestCommand::List(args) => list::list(args, out).await,
        RequestCommand::Proof(args) => proof::proof(args, out).await,
    }
}
