//! Where the events of a trace come from, looked up: logs of contracts on the chain, messages in signed log nodes, results in ring
//! nodes that the chain names.

use super::ring_records::RingRecords;
use crate::exit::ExitError;
use cid::Cid;
use rings_process::{
    data::Fields,
    event::{Event, Source},
    event_origin::EventReader,
    origin::LogReader,
};
use rings_protocol::{
    cids::{digest_of, node_cid},
    Address,
};

/// Checks an event that every member can find itself: what its source names is there, and says the same.
///
/// # Errors
/// Status 1 when it does not, 5 when nobody answers.
pub async fn check(
    ring: &RingRecords,
    (id, event): (&Cid, &Event),
    reader: Option<EventReader>,
) -> Result<(), ExitError> {
    let (found, place) = match &event.source {
        Source::Chain {
            contract,
            index,
            transaction,
            ..
        } => {
            let log = ring.log_of(*transaction, *index).await?;
            let reader = reader.as_ref().and_then(logs);
            let read = log.zip(reader).and_then(|(log, reader)| {
                let is_its =
                    log.contract == reader.contract && log.contract.to_string() == *contract;
                reader.read(&log.topics, &log.data).ok()?.filter(|_| is_its)
            });
            let place = format!("on the chain: log {index} of transaction {transaction} is not there, or says something else; a reorganisation may have taken it away");
            (read, place)
        }
        Source::Message {
            log,
            node,
            place,
            position,
            ring: of,
            ..
        } => {
            let read = message(ring, (*of, *log, *position), (node, *place), reader).await?;
            let place = format!("a message of log {log}: node {node} does not have that author and position, or says something else");
            (read, place)
        }
        Source::Result {
            line,
            node,
            ring: of,
            ..
        } => {
            let read = result(ring, *of, (node, *line), reader).await?;
            let place = format!("a result of ring {of}: ring node {node} is not on the chain, or lists something else");
            (read, place)
        }
        _ => return Ok(()),
    };
    match found.as_ref() == Some(&event.data) {
        true => Ok(()),
        false => Err(ExitError::internal(format!("event {id} is not {place}"))),
    }
}

fn logs(reader: &EventReader) -> Option<&LogReader> {
    match reader {
        EventReader::Log(reader) => Some(reader),
        EventReader::Message(_) | EventReader::Result(_) => None,
    }
}

/// What a message says, of a node whose author has signed it at that position.
async fn message(
    records: &RingRecords,
    (ring, author, position): (Address, Address, u64),
    (node, place): (&Cid, u64),
    reader: Option<EventReader>,
) -> Result<Option<Fields>, ExitError> {
    let Some(EventReader::Message(reader)) = reader else {
        return Ok(None);
    };
    let is_its_ring = reader.ring().unwrap_or(records.ring()) == ring;
    let node = records.log_node(ring, node).await?;
    let is_its = is_its_ring && node.author() == author && node.seq() == position;
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    let message = node.content().body.get(place).filter(|_| is_its);
    Ok(message.and_then(|message| reader.read((author, position), message).ok()?))
}

/// What a line of a ring node says, which the chain names.
async fn result(
    records: &RingRecords,
    ring: Address,
    (node, line): (&Cid, u64),
    reader: Option<EventReader>,
) -> Result<Option<Fields>, ExitError> {
    let Some(EventReader::Result(reader)) = reader.filter(|reader| match reader {
        EventReader::Result(reader) => reader.ring == ring,
        _ => false,
    }) else {
        return Ok(None);
    };
    let Ok(digest) = digest_of(node) else {
        return Ok(None);
    };
    if node_cid(digest) != *node {
        return Ok(None);
    }
    let node = records.ring_node(ring, digest).await?;
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let entry = node
        .as_ref()
        .and_then(|node| Some((node.number(), node.entries().get(line)?)));
    Ok(entry.and_then(|(number, entry)| reader.read(number, entry).ok()?))
}
