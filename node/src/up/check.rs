//! Checks of a ring that exists already: is it the one that is asked for, and is its chain the right one?

use super::plan::{Plan, StoreChoice};
use crate::{
    exit::{ExitError, ExitStatus},
    ringdir::{RingDir, RingFile},
};
use rings_api::shown_url;
use rings_chain::{Chain, ChainError};
use rings_store::StoreConfig;

/// Whether the store of a new ring answers. Nothing is made before, because a ring keeps its store.
///
/// # Errors
/// Status 5 when it does not.
pub(super) async fn check_store(plan: &Plan, fresh: bool) -> Result<(), ExitError> {
    let Some(StoreChoice::Kubo(url)) = &plan.store else {
        return Ok(());
    };
    if !fresh && plan.dir.find()?.is_some() {
        return Ok(());
    }
    let url = url.as_ref().to_owned();
    rings_store::open(&StoreConfig::Kubo { url }).await?;
    Ok(())
}

/// Whether `plan` fits the ring that is in this directory.
///
/// # Errors
/// One line, status 2, when it asks for something else.
pub(super) fn check_plan(plan: &Plan, file: &RingFile) -> Result<(), ExitError> {
    let (root, count) = (plan.dir.root().display(), file.members.len());
    if plan
        .members
        .is_some_and(|members| usize::from(members) != count)
    {
        return Err(ExitError::usage(format!(
            "the ring in {root} has {}; leave --members out, or start another with --dir",
            crate::out::count(count, "member")
        )));
    }
    if plan.given.is_some() && file.own_chain {
        return Err(ExitError::usage(format!(
            "the ring in {root} has a chain of its own; leave --rpc out, or start another with --dir"
        )));
    }
    plan.terms.refuse_for_ring_there(root)?;
    match &plan.store {
        Some(store) if store.to_string() != file.store => Err(ExitError::usage(format!(
            "the ring in {} keeps its blocks in {}; leave --store out, start another with --dir, or make this one anew with --fresh",
            plan.dir.root().display(),
            shown_store(&file.store)
        ))),
        _ => Ok(()),
    }
}

/// A store as it may be shown: without the parts of its URL that may be secret.
fn shown_store(store: &str) -> String {
    match store.split_once('=') {
        Some((kind, url)) => format!("{kind}={}", shown_url(url)),
        None => store.to_owned(),
    }
}

/// Whether the chain is the one on which the ring of this directory is.
///
/// # Errors
/// One line, status 5, when it is not.
pub async fn check_chain(dir: &RingDir, file: &RingFile, chain: &Chain) -> Result<(), ExitError> {
    let (root, endpoint) = (dir.root().display(), chain.endpoint());
    if chain.id() != file.chain_id {
        return Err(ExitError::unavailable(format!(
            "the ring in {root} is on chain {}, and {endpoint} serves chain {}; use the directory of a ring on that chain, or start the right chain",
            file.chain_id,
            chain.id()
        )));
    }
    let elsewhere = || {
        ExitError::new(
            ExitStatus::Unavailable,
            format!(
                "the ring in {root} ({}) is not on the chain at {endpoint}: that chain is behind, was started anew, or is another one; ask another endpoint with --rpc, or start a new ring with --dir",
                file.ring
            ),
        )
    };
    match chain.ring_state(file.ring).await {
        Ok(state) if state.engine == file.engine => Ok(()),
        Ok(_) | Err(ChainError::NotAContract { .. } | ChainError::Malformed { .. }) => {
            Err(elsewhere())
        }
        Err(error) => Err(error.into()),
    }
}
