//! `rings log prove`: a proof that a node belongs to a member's log, made from the nodes on the way back from a head.
//!
//! In a private ring a member that has the keys, and is asked with its token, gives what opens each of these nodes. It goes into
//! the proof, so whoever checks that needs no key.

use super::{
    reading::{domain, holders},
    steps::{find, newest, step, Step},
};
use crate::{args::ProveArgs, exit::ExitError, out::Out, place::Place};
use rings_api::Client;
use rings_protocol::{
    eip712::Domain,
    log::{path, Links, SkipProof},
    Address,
};
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
};

/// `rings log prove`
///
/// # Errors
/// Status 2 when there is no such node, or standard output is a terminal; 5 when a node on the way is not to be had.
pub async fn prove(args: ProveArgs, out: Out) -> Result<(), ExitError> {
    if io::stdout().is_terminal() {
        return Err(ExitError::usage(
            "a proof is no text for a terminal; write it into a file with `> FILE`",
        ));
    }
    let place = Place::of(&args.place).await?;
    let members = holders(&place, args.author).await?;
    let prover = Prover {
        members,
        domain: domain(&place),
        author: args.author,
    };
    let head = prover.head(&place, args.seq, out).await?;
    let proof = prover.prove(&head, args.seq).await?;
    out.note(format_args!(
        "node {} of the log of {}, from head {} ({}): {}",
        args.seq,
        args.author,
        head.node.seq(),
        head.node.cid(),
        crate::out::count(proof.nodes.len(), "node")
    ));
    if proof.nodes.iter().any(|node| node.opening.is_some()) {
        out.note("whoever gets this proof can see who wrote these nodes, when, and how they link; not what they say");
    }
    out.bytes(&proof.to_bytes())
}

/// What is needed to make a proof: members to ask, and whose log it is.
struct Prover<'a> {
    members: Vec<&'a Client>,
    domain: Domain,
    author: Address,
}

impl Prover<'_> {
    /// The head to prove it from: the one on chain if it is not before the node, else the newest one.
    async fn head(&self, place: &Place, seq: u64, out: Out) -> Result<Step, ExitError> {
        match self.on_chain(place).await {
            Ok(Some(head)) if head.node.seq() >= seq => return Ok(head),
            Ok(Some(head)) => out.note(format_args!(
                "the head on chain is node {}, before node {seq}; this proof begins at a newer head",
                head.node.seq()
            )),
            Ok(None) => out.note("the chain names no head of this log yet"),
            Err(failure) => out.note(format_args!(
                "the head on chain cannot be read ({failure}); this proof begins at the newest head"
            )),
        }
        let newest = newest(&self.members, &self.domain, self.author).await?;
        let newest = newest
            .ok_or_else(|| ExitError::usage(format!("the log of {} is empty", self.author)))?;
        match newest.node.seq() >= seq {
            true => Ok(newest),
            false => Err(ExitError::usage(format!(
                "the log of {} ends with node {}; there is no node {seq}",
                self.author,
                newest.node.seq()
            ))),
        }
    }

    async fn on_chain(&self, place: &Place) -> Result<Option<Step>, ExitError> {
        let chain = place.chain().await?;
        let digest = chain.log_head(self.domain.ring, self.author).await?;
        if digest.is_zero() {
            return Ok(None);
        }
        let found = find(&self.members, &self.domain, self.author, digest).await?;
        Ok(Some(found))
    }

    /// Fetches the nodes on the way back, each by the link of the one before, so that none can be another.
    async fn prove(&self, head: &Step, seq: u64) -> Result<SkipProof, ExitError> {
        let mut nodes = BTreeMap::from([(head.node.seq(), head.to_proof())]);
        let mut links = Links::of(&head.node);
        for next in path(head.node.seq(), seq).into_iter().skip(1) {
            let digest = links.to(next).ok_or_else(|| self.broken(links.seq))?;
            let place = (self.author, next);
            let step = step(&self.members, &self.domain, place, digest).await?;
            links = Links::of(&step.node);
            if links.seq != next {
                return Err(self.broken(next));
            }
            nodes.insert(next, step.to_proof());
        }
        let (head, author) = (head.node.seq(), self.author);
        let proof = SkipProof::make(&self.domain, author, head, seq, |seq| nodes.remove(&seq));
        proof.map_err(|error| {
            ExitError::internal("a proof cannot be made of these nodes").because(error)
        })
    }

    fn broken(&self, seq: u64) -> ExitError {
        ExitError::unavailable(format!(
            "node {seq} of the log of {} has links that lead elsewhere than they must: its author breaks the rules",
            self.author
        ))
    }
}
