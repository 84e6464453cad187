//! `rings request list`: the newest requests in the members' logs.
//!
//! Each request stands in the log of the member that brought it. The newest nodes of all logs are read, and how far each
//! request is, a member tells.

use super::text::state;
use crate::{
    args::RequestListArgs,
    ballots::{search, Depth},
    exit::ExitError,
    out::Out,
    place::Place,
};
use futures::future::join_all;
use rings_api::views::RequestState;
use rings_protocol::{eip712::Domain, log::LogNode, request::Request, Address, Digest};
use serde::Serialize;

/// A request in a log; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    request: Digest,
    author: Address,
    /// Seconds since 1970 when its log node was written, as the author says.
    time: Option<u64>,
    state: Option<RequestState>,
}

/// `rings request list`
///
/// # Errors
/// Status 5 when no member answers.
pub async fn list(args: RequestListArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let members = place.members().await?;
    let domain = Domain::new(place.file.chain_id, place.file.ring);
    let authors = place.file.members.iter().map(|entry| entry.address);
    let depth = Depth::Until(args.limit as usize);
    let found = authors.map(|author| {
        search(&members, &domain, author, depth, move |node| {
            in_node(node, author)
        })
    });
    let mut lines: Vec<Line> = join_all(found).await.into_iter().flatten().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.time));
    lines.truncate(args.limit as usize);
    for line in &mut lines {
        let view = members[0].get_request(line.request).await;
        line.state = view.ok().map(|view| view.state);
    }
    if args.show.json {
        return out.json(&lines);
    }
    for line in &lines {
        let time = line.time.map_or_else(
            || "no time".into(),
            |time| crate::when::When(time).to_string(),
        );
        let state = line.state.map_or("not known", state);
        out.line(format_args!(
            "{}  {time}  {}  {state}",
            line.request, line.author
        ))?;
    }
    if lines.is_empty() {
        out.note("no request stands in the newest nodes of the members' logs");
    }
    Ok(())
}

fn in_node(node: &LogNode, author: Address) -> Vec<Line> {
    let requests = node.content().body.iter();
    let requests = requests.filter_map(|message| Request::from_message(message).ok().flatten());
    let lines = requests.filter_map(|request| {
        Some(Line {
            request: request.digest().ok()?,
            author,
            time: node.content().time,
            state: None,
        })
    });
    lines.collect()
}
