//! `rings verify`: repeats results, and checks what proves them.
//!
//! Of a gate, `gate.rs` reads the question and the result from the chain, runs the program again, and compares what the
//! members voted in their logs; `history.rs` does so for a service from its first state on, and `request.rs` for a request
//! without a gate, whose result a proof shows. `accuse.rs` writes a file that
//! proves a member's other vote, and `accusation.rs` checks one. `file.rs` tells which kind of file there is.

mod accusation;
mod accuse;
mod file;
mod gate;
mod history;
mod request;
mod request_report;

use crate::{
    args::{Subject, VerifyArgs},
    exit::ExitError,
    out::Out,
};

/// `rings verify`
///
/// # Errors
/// Status 1 when what is looked at is wrong, 5 when it cannot be repeated.
pub async fn verify(args: VerifyArgs, out: Out) -> Result<(), ExitError> {
    match &args.subject {
        Subject::Gate(gate) if args.history => history::verify(*gate, &args, out).await,
        Subject::Gate(gate) => gate::verify(*gate, &args, out).await,
        _ if args.history => Err(ExitError::usage("--history is for a gate; name one")),
        Subject::Request(request) => request::verify(*request, &args, out).await,
        Subject::File(path) => file::verify(path, &args, out).await,
    }
}
