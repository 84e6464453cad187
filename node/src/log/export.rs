//! `rings log export`: a member's log as a content archive (CARv1).
//!
//! Each node names the heads of the other logs that its author had seen. So a head leads to a part of each log of the
//! ring, up to some position, and an archive with these parts holds everything that the head links to: `ipfs dag import`
//! can pin it. [`ArchivedParts::below`] finds the positions from the newest node of each part, which names the newest
//! heads, and [`Nodes`] gives the nodes page by page, each checked. So a log of any length needs the memory of a page.

use super::reading::{domain, holders, newest, Nodes};
use crate::{
    args::ExportLogArgs,
    exit::ExitError,
    out::{count, Out},
    place::Place,
    whole_file::{self, WholeFile},
};
use rings_api::{Client, GatewaySource};
use rings_protocol::{eip712::Domain, log::LogNode, Address};
use rings_store::{car_header, car_section_head, BlockSource};
use std::collections::BTreeMap;

/// What messages call it.
const WHAT: &str = "the archive";

/// `rings log export`
///
/// # Errors
/// Status 2 when the account is not a member, its log is empty, or the file cannot be written; 5 when nodes are not to be
/// had.
pub async fn export(args: ExportLogArgs, out: Out) -> Result<(), ExitError> {
    whole_file::check(&args.file, WHAT)?;
    let place = Place::of(&args.place).await?;
    let (domain, author) = (domain(&place), args.author);
    let members = holders(&place, author).await?;
    let head = newest(&members, &domain, author).await?;
    let head = head.ok_or_else(|| ExitError::usage(format!("the log of {author} is empty")))?;
    let mut parts = ArchivedParts::alone(&head);
    if !args.alone {
        let step = out.step("finding what the log refers to");
        parts.below(&members, &domain).await?;
        drop(step);
    }
    let step = out.step(format_args!("writing {}", count(parts.nodes(), "log node")));
    let mut file = WholeFile::create(&args.file, WHAT, out)?;
    // The head is the archive's root; all other nodes are below it.
    file.write(&car_header(&[head.cid()]))?;
    for newest in parts.ends.values() {
        write(&members, domain, newest, &mut file).await?;
    }
    file.keep()?;
    drop(step);
    out.note(format_args!(
        "{} from head {}",
        count(parts.nodes(), "log node"),
        head.cid()
    ));
    Ok(())
}

/// The parts of logs that an archive holds: from the first node to these.
struct ArchivedParts {
    ends: BTreeMap<Address, LogNode>,
}

impl ArchivedParts {
    fn alone(head: &LogNode) -> Self {
        Self {
            ends: BTreeMap::from([(head.author(), head.clone())]),
        }
    }

    /// Adds what these parts refer to.
    ///
    /// # Errors
    /// Status 5 when a node that is referred to is not to be had.
    async fn below(&mut self, members: &[&Client], domain: &Domain) -> Result<(), ExitError> {
        let source = GatewaySource::of(members)?;
        let mut open: Vec<LogNode> = self.ends.values().cloned().collect();
        while let Some(node) = open.pop() {
            for block in source.blocks(&node.content().refs).await? {
                let found = LogNode::open(block.data(), domain).map_err(|error| {
                    ExitError::unavailable(format!(
                        "node {} of the log of {} refers to {}, which is no log node; export the log with --alone",
                        node.seq(),
                        node.author(),
                        block.cid()
                    ))
                    .because(error)
                })?;
                let held = self.ends.get(&found.author());
                if held.is_none_or(|held| held.seq() < found.seq()) {
                    self.ends.insert(found.author(), found.clone());
                    open.push(found);
                }
            }
        }
        Ok(())
    }

    fn nodes(&self) -> usize {
        let lengths = self.ends.values().map(|end| end.seq() + 1);
        usize::try_from(lengths.sum::<u64>()).unwrap_or(usize::MAX)
    }
}

/// Writes a part, newest node first.
async fn write(
    members: &[&Client],
    domain: Domain,
    newest: &LogNode,
    file: &mut WholeFile,
) -> Result<(), ExitError> {
    let range = (newest.seq(), 0);
    let digest = Some(newest.digest());
    let mut nodes = Nodes::new(members, domain, newest.author(), range, digest);
    loop {
        let page = nodes.page().await?;
        if page.is_empty() {
            return Ok(());
        }
        for node in page {
            file.write(&car_section_head(&node.cid(), node.bytes().len()))?;
            file.write(node.bytes())?;
        }
    }
}
