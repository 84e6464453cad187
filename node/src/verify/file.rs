//! Which kind of file `rings verify` is given. Each kind has one encoding, which begins in its own way.

use super::{accusation, request};
use crate::{args::VerifyArgs, exit::ExitError, input::read_bounded, out::Out};
use rings_protocol::{
    accusation::{Accusation, MAX_ACCUSATION_BYTES},
    log::SkipProof,
    ringlog::EntryProof,
};
use std::path::Path;

/// `rings verify FILE`
///
/// # Errors
/// Status 1 when the file proves nothing, 2 when it is of no known kind.
pub async fn verify(path: &Path, args: &VerifyArgs, out: Out) -> Result<(), ExitError> {
    let bytes = read_bounded(path, MAX_ACCUSATION_BYTES)?;
    if let Ok(accusation) = Accusation::from_bytes(&bytes) {
        return match args.accuse {
            None => accusation::verify(&accusation, args, out).await,
            Some(_) => Err(ExitError::usage(
                "the file is an accusation already; --accuse is for a gate, a request or its proof",
            )),
        };
    }
    if let Ok(proof) = EntryProof::from_bytes(&bytes) {
        return request::verify_proof(proof, args, out).await;
    }
    if SkipProof::from_bytes(&bytes).is_ok() {
        return Err(ExitError::usage(format!(
            "{} proves that a node belongs to a log; check it with `rings log verify`",
            path.display()
        )));
    }
    Err(ExitError::usage(format!(
        "{} is neither the proof of a request nor an accusation, or it was changed; get it anew from whoever made it",
        path.display()
    )))
}
