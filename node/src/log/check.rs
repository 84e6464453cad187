//! `rings log verify`: what a proof of `rings log prove` shows, without the log, and whether the chain names its head.
//!
//! A [`SkipProof`] is checked without asking anybody, and without the keys of a private ring: its nodes are signed by one
//! author and link from a head back to the node that is proven. That the head is the author's is then asked of the chain, if a ring is named: it names the
//! head now, did so before, or never did. An endpoint may not keep the events that say so; then the answer is that it
//! is not known.

use super::{happening::happenings, node_text::written};
use crate::{
    args::VerifyLogArgs,
    exit::{ExitError, ExitStatus},
    input::read_bounded,
    out::{count, Out},
    place::Place,
};
use cid::Cid;
use rings_chain::Chain;
use rings_protocol::{
    cids::{node_cid, sha256},
    eip712::Domain,
    log::{LogNode, ProofNode, SkipProof, MAX_LOG_PROOF_BYTES},
    private::Unsealed,
    Address, Digest,
};
use serde::Serialize;

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogReport {
    chain_id: u64,
    ring: Address,
    author: Address,
    /// The node that is proven.
    node: NodePlace,
    /// Seconds since 1970, as the author says.
    time: Option<u64>,
    /// What it says, for people.
    happened: Vec<String>,
    /// The head from which it is proven.
    head: NodePlace,
    /// How many nodes the proof has.
    nodes: usize,
    /// What the chain says; `null` when it was not asked.
    chain: Option<OnChain>,
    #[serde(skip)]
    written: String,
}

/// A node's place in its log.
#[derive(Debug, Clone, Copy, Serialize)]
struct NodePlace {
    seq: u64,
    #[serde(serialize_with = "text")]
    cid: Cid,
}

/// What the chain says about the head of a proof and its author.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OnChain {
    /// Whether the author is a member now.
    member: bool,
    named: Named,
    /// The first block in which the chain named the head, if it was another one's turn since.
    block: Option<u64>,
}

/// Whether the chain names a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Named {
    /// It is the head on chain.
    Now,
    /// It was, and the log has moved on.
    Before,
    /// It never was.
    Never,
    /// It is not now; whether it was, the endpoint does not tell.
    NotNow,
}

/// `rings log verify`
///
/// # Errors
/// Status 1 when nothing is proven, 2 when it is no proof.
pub async fn verify(args: VerifyLogArgs, out: Out) -> Result<(), ExitError> {
    let bytes = read_bounded(&args.file, MAX_LOG_PROOF_BYTES)?;
    let proof = SkipProof::from_bytes(&bytes).map_err(|error| {
        let name = args.file.display();
        ExitError::usage(format!("{name} is not a proof of `rings log prove`")).because(error)
    })?;
    let (node, head) = proven(&proof)?;
    let mut report = LogReport::of(&proof, &node, &head);
    if args.show.place.is_named() {
        let place = Place::of(&args.show.place).await?;
        same_ring(&proof, &place)?;
        report.chain = Some(OnChain::ask(&place.chain().await?, &proof, head.digest()).await?);
    }
    match args.show.json {
        true => out.json(&report)?,
        false => report.tell(out)?,
    }
    match report.chain.as_ref().map(|chain| chain.named) {
        Some(Named::Never | Named::NotNow) => Err(ExitError::new(
            ExitStatus::Internal,
            format!(
                "the chain does not name head {} of this proof; make one anew with `rings log prove` when it names a later head",
                report.head.cid
            ),
        )),
        _ => Ok(()),
    }
}

/// The node that is proven, and the head that it is proven from.
fn proven(proof: &SkipProof) -> Result<(LogNode, LogNode), ExitError> {
    let domain = Domain::new(proof.chain, proof.ring);
    let wrong = || ExitError::internal("the proof proves nothing");
    let first = proof.nodes.first().ok_or_else(wrong)?;
    let open = |node: &ProofNode| Unsealed::open_proven(node, &domain);
    let node = proof.verify(&domain, sha256(&first.block), open);
    let node = node.map_err(|error| wrong().because(error))?;
    let head = open(first).map_err(|error| wrong().because(error))?;
    Ok((node, head))
}

/// A proof can only be compared with the ring and chain that it names.
fn same_ring(proof: &SkipProof, place: &Place) -> Result<(), ExitError> {
    let file = &place.file;
    match (file.ring, file.chain_id) == (proof.ring, proof.chain) {
        true => Ok(()),
        false => Err(ExitError::usage(format!(
            "the proof is about ring {} on chain {}, not about {} on chain {}; name that ring",
            proof.ring, proof.chain, file.ring, file.chain_id
        ))),
    }
}

impl OnChain {
    async fn ask(chain: &Chain, proof: &SkipProof, head: Digest) -> Result<Self, ExitError> {
        let member = chain.is_member(proof.ring, proof.author).await?;
        let answer = |named, block| Self {
            member,
            named,
            block,
        };
        if chain.log_head(proof.ring, proof.author).await? == head {
            return Ok(answer(Named::Now, None));
        }
        match chain.head_moved(proof.ring, proof.author, head).await {
            Ok(Some(block)) => Ok(answer(Named::Before, Some(block))),
            Ok(None) => Ok(answer(Named::Never, None)),
            Err(error) if error.is_transient() => Err(error.into()),
            // An endpoint that does not keep old events may refuse to search for them.
            Err(_) => Ok(answer(Named::NotNow, None)),
        }
    }
}

impl LogReport {
    fn of(proof: &SkipProof, node: &LogNode, head: &LogNode) -> Self {
        let place = |node: &LogNode| NodePlace {
            seq: node.seq(),
            cid: node_cid(node.digest()),
        };
        Self {
            chain_id: proof.chain,
            ring: proof.ring,
            author: proof.author,
            node: place(node),
            time: node.content().time,
            happened: happenings(node),
            head: place(head),
            nodes: proof.nodes.len(),
            chain: None,
            written: written(node),
        }
    }

    fn tell(&self, out: Out) -> Result<(), ExitError> {
        out.line(format_args!(
            "proven    node {} of the log of {}",
            self.node.seq, self.author
        ))?;
        out.line(format_args!(
            "node      {}  {}",
            self.node.cid, self.written
        ))?;
        for line in &self.happened {
            out.line(format_args!("          {line}"))?;
        }
        out.line(format_args!(
            "head      node {}  {}, by {}",
            self.head.seq,
            self.head.cid,
            count(self.nodes, "node")
        ))?;
        out.line(format_args!(
            "ring      {} on chain {}",
            self.ring, self.chain_id
        ))?;
        match &self.chain {
            Some(chain) => chain.tell(out),
            None => out.line(format_args!(
                "chain     not asked; to ask it, give --rpc URL --ring {}",
                self.ring
            )),
        }
    }
}

impl OnChain {
    fn tell(&self, out: Out) -> Result<(), ExitError> {
        let named = match (self.named, self.block) {
            (Named::Now, _) => "names this head now".to_owned(),
            (Named::Before, Some(block)) => {
                format!("named this head in block {block}, and names a later one now")
            }
            (Named::Before, None) => "named this head before".to_owned(),
            (Named::Never, _) => "NEVER NAMED THIS HEAD".to_owned(),
            (Named::NotNow, _) => {
                "DOES NOT NAME THIS HEAD now; its endpoint does not tell whether it did".to_owned()
            }
        };
        out.line(format_args!("chain     {named}"))?;
        out.line(match self.member {
            true => "author    is a member now",
            false => "author    is no member now",
        })
    }
}

fn text<S: serde::Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}
