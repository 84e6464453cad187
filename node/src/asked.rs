//! What was asked in a request, and what its inputs resolved to, as the members' blocks and answers tell. Both are checked
//! against digests, so no member is trusted.

use super::exit::ExitError;
use rings_api::{
    views::{RequestInputView, RequestView},
    Client, GatewaySource,
};
use rings_protocol::{
    cids::{digest_of, node_cid},
    gate::inputs_hash,
    request::{Request, RequestInput},
    Digest,
};
use rings_store::BlockSource;
use std::collections::BTreeMap;

/// A request by its digest: its block, or what a member tells of it.
///
/// # Errors
/// Status 5 when no member has it.
pub async fn request_of(members: &[&Client], digest: Digest) -> Result<Request, ExitError> {
    let blocks = GatewaySource::of(members)?
        .blocks(&[node_cid(digest)])
        .await;
    if let Some(block) = blocks.ok().and_then(|blocks| blocks.into_iter().next()) {
        if let Ok(request) = Request::from_bytes(block.data()) {
            return Ok(request);
        }
    }
    for member in members {
        let told = member
            .get_request(digest)
            .await
            .ok()
            .and_then(|view| told(&view));
        if let Some(request) = told.filter(|request| request.digest() == Ok(digest)) {
            return Ok(request);
        }
    }
    Err(ExitError::unavailable(format!(
        "no member that answers has what request {digest} asks; ask another one with --member URL"
    )))
}

/// The request as a member tells of it, if it knows all of it.
fn told(view: &RequestView) -> Option<Request> {
    let input = |input: &RequestInputView| match input {
        RequestInputView::Data { cid } => digest_of(cid).ok().map(RequestInput::Data),
        RequestInputView::Output { request, pin } => Some(RequestInput::Output {
            request: *request,
            pin: *pin,
        }),
    };
    Some(Request {
        ring: view.ring,
        chain: view.chain_id,
        profile: view.profile.clone()?,
        operation: digest_of(&view.operation?).ok()?,
        inputs: view.inputs.iter().map(input).collect::<Option<_>>()?,
        nonce: view.nonce?,
        until: view.until?,
    })
}

/// What those inputs of a request held that are outputs of others, in their order. `inputs` is their hash.
///
/// # Errors
/// Status 5 when no member tells what fits the hash.
pub async fn tokens_of(
    members: &[&Client],
    request: &Request,
    inputs: Digest,
) -> Result<Vec<Digest>, ExitError> {
    for member in members {
        if let Some(tokens) = tokens_at(member, request).await {
            if inputs_hash(&tokens) == inputs {
                return Ok(tokens);
            }
        }
    }
    Err(ExitError::unavailable(
        "no member that answers has the results that the request takes as inputs; ask another one with --member URL",
    ))
}

/// What a request's inputs held, as one member knows it; nothing if it does not know all of them.
async fn tokens_at(member: &Client, request: &Request) -> Option<Vec<Digest>> {
    let mut results: BTreeMap<Digest, BTreeMap<u128, Digest>> = BTreeMap::new();
    let mut tokens = Vec::new();
    for input in &request.inputs {
        let RequestInput::Output { request, pin } = input else {
            continue;
        };
        if !results.contains_key(request) {
            let view = member.get_request(*request).await.ok()?;
            let outputs = view.result.unwrap_or_default();
            let outputs = outputs
                .iter()
                .map(|output| Some((output.pin.0, digest_of(&output.cid).ok()?)));
            results.insert(*request, outputs.collect::<Option<_>>()?);
        }
        tokens.push(*results.get(request)?.get(&u128::from(*pin))?);
    }
    Some(tokens)
}
