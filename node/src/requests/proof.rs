//! `rings request proof`

use crate::{
    args::RequestProofArgs,
    exit::ExitError,
    out::Out,
    place::Place,
    proven,
    whole_file::{self, WholeFile},
};

/// What messages call the file.
const WHAT: &str = "the proof";

/// `rings request proof`
///
/// # Errors
/// Status 2 when no ring node lists the request, 5 when no member gives a proof that the chain confirms.
pub async fn proof(args: RequestProofArgs, out: Out) -> Result<(), ExitError> {
    whole_file::check(&args.file, WHAT)?;
    let place = Place::of(&args.place).await?;
    let members = place.members().await?;
    let chain = place.chain().await?;
    let proven = proven::fetch(&chain, place.file.ring, &members, args.request).await?;
    WholeFile::put(&args.file, WHAT, &proven.proof.to_bytes(), out)?;
    out.note(match proven.is_lasting() {
        true => format!(
            "listed by ring node {}, proven from ring node {}, which the chain names for good",
            proven.ring_node.number, proven.anchor.number
        ),
        false => format!(
            "listed by ring node {}; the chain names ring node {} until a hundred more are there: get the proof anew then",
            proven.ring_node.number, proven.anchor.number
        ),
    });
    Ok(())
}
