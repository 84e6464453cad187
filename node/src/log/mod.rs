//! `rings log`: a member's log, looked at and proven.
//!
//! `reading.rs` finds who can be asked, and gets pages and single nodes; each node is opened here, so its signature,
//! author and place are checked, and no member is trusted. `show.rs` and `follow.rs` print nodes, in the words of
//! `node_text.rs` and `happening.rs`. `prove.rs` writes a proof that a node belongs to the log, from the nodes that `steps.rs`
//! gets, and `check.rs` checks one. `export.rs` writes an archive of the log.

mod check;
mod export;
mod follow;
mod happening;
mod node_text;
mod prove;
mod reading;
mod show;
mod steps;

use crate::{args::LogCommand, avatar, exit::ExitError, out::Out};

pub use happening::{outcome_views, views};

/// `rings log`
///
/// # Errors
/// As the commands say.
pub async fn log(command: LogCommand, out: Out) -> Result<(), ExitError> {
    match command {
        LogCommand::Show(args) => show::show(args, out).await,
        LogCommand::Follow(args) => follow::follow(args, out).await,
        LogCommand::Prove(args) => prove::prove(args, out).await,
        LogCommand::Verify(args) => check::verify(args, out).await,
        LogCommand::Export(args) => export::export(args, out).await,
        LogCommand::Append(args) => avatar::append(args, out).await,
    }
}
