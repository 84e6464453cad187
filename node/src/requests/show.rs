//! `rings request show`

use super::text::RequestText;
use crate::{args::RequestArgs, exit::ExitError, out::Out, place::Place};
use futures::future::join_all;
use rings_api::views::RequestState;

/// `rings request show`
///
/// # Errors
/// Status 2 when no member that answers has heard of it, 5 when no member answers.
pub async fn show(args: RequestArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let members = place.members().await?;
    let asked = members
        .iter()
        .map(|member| member.get_request(args.request));
    let mut views = Vec::new();
    let mut last = None;
    for answer in join_all(asked).await {
        match answer {
            Ok(view) => views.push(view),
            Err(error) => last = Some(error),
        }
    }
    // The one that has come farthest knows most: each member has its own view of the others' logs.
    let best = views.into_iter().max_by_key(|view| rank(view.state));
    let Some(view) = best else {
        return Err(last.map_or_else(
            || ExitError::unavailable("no member that answers tells of requests"),
            ExitError::from,
        ));
    };
    if view.state == RequestState::Unknown {
        return Err(ExitError::usage(format!(
            "no member that answers has heard of request {}; see `rings request list`",
            args.request
        )));
    }
    match args.show.json {
        true => out.json(&view),
        false => out.line(RequestText(&view)),
    }
}

/// How far a request has come.
fn rank(state: RequestState) -> u8 {
    match state {
        RequestState::Unknown => 0,
        RequestState::Refused => 1,
        RequestState::Waiting => 2,
        RequestState::Open => 3,
        RequestState::Agreed => 4,
        RequestState::Expired => 5,
        RequestState::Listed => 6,
    }
}
