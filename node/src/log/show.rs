//! `rings log show`: a page of a member's log.

use super::{
    node_text::NodeText,
    reading::{domain, holders, page},
};
use crate::{args::LogArgs, exit::ExitError, out::Out, place::Place};
use rings_protocol::private::UnsealedError;

/// `rings log show`
///
/// # Errors
/// Status 2 when the account is not a member, 5 when no member answers.
pub async fn show(args: LogArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let members = holders(&place, args.author).await?;
    let (domain, author) = (domain(&place), args.author);
    let page = page(&members, domain.ring, author, args.from, args.limit).await?;
    if args.show.json {
        return out.json(&page);
    }
    for entry in &page.nodes {
        match entry.open(&domain) {
            Ok(node) if node.author() != author => out.line(format_args!(
                "{}  {}\n    NOT BY {author}, but by {}",
                entry.seq,
                entry.cid,
                node.author()
            ))?,
            Ok(node) => out.line(NodeText(&node))?,
            Err(sealed @ UnsealedError::Sealed { .. }) => {
                out.line(format_args!("{}  {}\n    {sealed}", entry.seq, entry.cid))?
            }
            Err(error) => out.line(format_args!(
                "{}  {}\n    NOT A NODE OF THIS RING: {error}\n    {}",
                entry.seq, entry.cid, entry.node
            ))?,
        }
    }
    if page.nodes.is_empty() {
        out.note(format_args!("the log of {author} is empty"));
    }
    if let Some(from) = page.held_from {
        out.note(format_args!(
            "the member that answers holds this log from node {from} on; older nodes come from others, and links from node {from} lead to each"
        ));
    }
    if let Some(next) = page.next {
        out.note(format_args!("older nodes: --from {next}"));
    }
    Ok(())
}
