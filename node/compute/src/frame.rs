//! The protocol between parent and worker: frames of a tag, a length and a payload.
//!
//! ```text
//! parent → worker                      worker → parent
//! Hello {cache, fuel}                  Ready {protocol, profile, sandbox}
//! Run {task} | Second {task}           NeedModule | NeedInput | NeedState | Output bytes | NextState bytes
//!                                      Done {report} | Fault {fault}
//! Module bytes | Abandon               (answers to NeedModule)
//! Compile bytes                        Output bytes … Compiled {how it ended}
//! Input bytes | End | Abandon          (answers to NeedInput and NeedState)
//! ```
//! The worker sends no request before the last one is answered, so that the two ends cannot block each other.

use crate::{
    bounds::MAX_MODULE_BYTES,
    fault::Fault,
    outcome::{Failure, Notes, Outcome, Reason},
    sandbox::Sandbox,
    trap::trap_name,
};
use bytes::Bytes;
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
    sync::Arc,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Most bytes of a program's input or output in one frame.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Most bytes of an encoded message: a task's arguments are the longest.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes before the payload: tag, and length as little-endian 32-bit number.
const HEADER: usize = 5;

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $max:expr;)*) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Tag { $($(#[$doc])* $name = $value,)* }

        impl Tag {
            fn parse(byte: u8) -> Option<Self> {
                match byte { $($value => Some(Self::$name),)* _ => None }
            }

            /// Longest payload, in bytes.
            fn limit(self) -> usize {
                match self { $(Self::$name => $max,)* }
            }
        }
    };
}

tags! {
    /// First frame to a worker.
    Hello = 1, MAX_MESSAGE;
    /// Run a task.
    Run = 2, MAX_MESSAGE;
    /// The module that was asked for.
    Module = 3, MAX_MODULE_BYTES;
    /// A piece of input.
    Input = 4, CHUNK;
    /// The input has ended.
    End = 5, 0;
    /// What was asked for is not available: abandon the run.
    Abandon = 6, 0;
    /// Run a task on the second engine.
    Second = 7, MAX_MESSAGE;
    /// Compile this module.
    Compile = 8, MAX_MODULE_BYTES;
    /// First frame from a worker.
    Ready = 17, MAX_MESSAGE;
    /// The compiled module is not here: send the bytes.
    NeedModule = 18, 0;
    /// The program reads: send input.
    NeedInput = 19, 0;
    /// A piece of output, or of a compiled module.
    Output = 20, CHUNK;
    /// The run is complete.
    Done = 21, MAX_MESSAGE;
    /// The run could not be completed.
    Fault = 22, MAX_MESSAGE;
    /// The program reads its state: send a piece.
    NeedState = 23, 0;
    /// A piece of the next state.
    NextState = 24, CHUNK;
    /// The module is compiled, or cannot be.
    Compiled = 25, MAX_MESSAGE;
}

/// Payload of [`Tag::Hello`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Where compiled modules may be kept.
    pub cache: Option<PathBuf>,
    /// The fuel that has to pay for a module that is compiled for the cache. Older parents and workers do not know it.
    #[serde(default)]
    pub fuel: Option<u64>,
}

/// The version of this protocol. Worker programs of several versions run side by side, so this number rises when a frame
/// changes in a way that an older program does not understand.
pub(crate) const PROTOCOL: u32 = 1;

/// Payload of [`Tag::Ready`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Which version of this protocol the worker speaks: [`PROTOCOL`].
    #[serde(default)]
    pub protocol: u32,
    /// The worker's [`crate::profile`].
    pub profile: String,
    /// Which parts of the sandbox are in force.
    #[serde(default)]
    pub sandbox: Sandbox,
}

/// Payload of [`Tag::Compiled`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Compiled {
    /// All of it has been sent.
    All,
    /// The module is outside the profile, for this reason.
    OutsideProfile(String),
    /// The engine could not prepare it.
    Failed(String),
    /// Compiling it costs so much fuel, more than [`Hello::fuel`].
    Unpaid(u64),
}

/// Payload of [`Tag::Done`]: an [`Outcome`], encoded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunReport {
    failure: Option<ReportedFailure>,
    fuel: u64,
    memory: u64,
    output: u64,
    #[serde(default)]
    notes: Notes,
    /// Whether the worker's memory has grown, so that it should be replaced.
    pub retire: bool,
}

/// A failure as it goes over the pipe: the worker's own types are not part of the protocol.
#[derive(Debug, Serialize, Deserialize)]
struct ReportedFailure {
    reason: ReportedReason,
    stderr: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
enum ReportedReason {
    Exit(u32),
    Trap(String),
    Fuel,
    Memory,
    Input,
}

/// Payload of [`Tag::Fault`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ReportedFault {
    /// The parent has sent [`Tag::Abandon`].
    Abandoned,
    /// See [`Fault::Memory`].
    Memory(String),
    /// See [`Fault::Compile`].
    Compile(String),
    /// See [`Fault::ModuleHash`].
    ModuleHash,
    /// See [`Fault::Internal`].
    Internal(String),
}

impl RunReport {
    /// A report of that outcome.
    pub(crate) fn new(outcome: Outcome, retire: bool) -> Self {
        Self {
            failure: outcome.result.err().map(|failure| ReportedFailure {
                reason: failure.reason.into(),
                stderr: failure.stderr.into(),
            }),
            fuel: outcome.fuel,
            memory: outcome.memory,
            output: outcome.output,
            notes: outcome.notes,
            retire,
        }
    }
}

impl From<Reason> for ReportedReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Exit { code } => Self::Exit(code),
            Reason::Trap { trap } => Self::Trap(trap.into()),
            Reason::Fuel => Self::Fuel,
            Reason::Memory => Self::Memory,
            Reason::Input => Self::Input,
        }
    }
}

impl TryFrom<ReportedReason> for Reason {
    type Error = String;

    fn try_from(reason: ReportedReason) -> Result<Self, String> {
        Ok(match reason {
            ReportedReason::Exit(code) => Self::Exit { code },
            ReportedReason::Trap(name) => Self::Trap {
                trap: trap_name(&name).ok_or_else(|| format!("an unknown trap {name:.40}"))?,
            },
            ReportedReason::Fuel => Self::Fuel,
            ReportedReason::Memory => Self::Memory,
            ReportedReason::Input => Self::Input,
        })
    }
}

impl TryFrom<RunReport> for Outcome {
    type Error = String;

    fn try_from(report: RunReport) -> Result<Self, String> {
        let failure = report
            .failure
            .map(|failure| {
                Ok::<_, String>(Failure::new(
                    failure.reason.try_into()?,
                    failure.stderr.into(),
                ))
            })
            .transpose()?;
        Ok(Self {
            result: failure.map_or(Ok(()), Err),
            fuel: report.fuel,
            memory: report.memory,
            output: report.output,
            notes: report.notes,
        })
    }
}

impl From<Fault> for ReportedFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Abandoned => Self::Abandoned,
            Fault::Memory(what) => Self::Memory(what),
            Fault::Compile(what) => Self::Compile(what),
            Fault::ModuleHash => Self::ModuleHash,
            Fault::Closed(what) | Fault::Internal(what) => Self::Internal(what),
        }
    }
}

/// Encodes a payload.
///
/// # Errors
/// When it is too long for a frame.
pub(crate) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    serde_ipld_dagcbor::to_vec(value).map_err(io::Error::other)
}

/// Decodes a payload.
///
/// # Errors
/// When it does not decode as the payload of that tag.
pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_ipld_dagcbor::from_slice(payload)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

fn header(tag: Tag, length: usize) -> io::Result<[u8; HEADER]> {
    if length > tag.limit() {
        let what = format!("{length} bytes are too long for {tag:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let [a, b, c, d] = (length as u32).to_le_bytes();
    Ok([tag as u8, a, b, c, d])
}

/// Reads tag and length. Each tag has a limit of its own, so no length takes more memory than that message may need.
fn parse_header(header: [u8; HEADER]) -> io::Result<(Tag, usize)> {
    let [tag, a, b, c, d] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    match Tag::parse(tag) {
        Some(tag) if length <= tag.limit() => Ok((tag, length)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame {tag} of {length} bytes"),
        )),
    }
}

/// The worker's end of the two pipes. Its calls block; clones share the pipes.
#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    input: Arc<File>,
    output: Arc<File>,
}

impl Pipe {
    /// An end that reads from `input` and writes to `output`.
    pub(crate) fn new(input: File, output: File) -> Self {
        Self {
            input: Arc::new(input),
            output: Arc::new(output),
        }
    }

    /// Sends a frame.
    pub(crate) fn send(&self, tag: Tag, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEADER + payload.len());
        frame.extend_from_slice(&header(tag, payload.len())?);
        frame.extend_from_slice(payload);
        (&*self.output).write_all(&frame)
    }

    /// Receives a frame, or `None` when the parent has closed its end between frames.
    pub(crate) fn receive(&self) -> io::Result<Option<(Tag, Vec<u8>)>> {
        let mut header = [0; HEADER];
        if (&*self.input).read(&mut header[..1])? == 0 {
            return Ok(None);
        }
        (&*self.input).read_exact(&mut header[1..])?;
        let (tag, length) = parse_header(header)?;
        let mut payload = vec![0; length];
        (&*self.input).read_exact(&mut payload)?;
        Ok(Some((tag, payload)))
    }
}

/// Sends a frame to a worker.
pub(crate) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    tag: Tag,
    payload: &[u8],
) -> io::Result<()> {
    let header = header(tag, payload.len())?;
    if payload.len() < MAX_MESSAGE {
        return to.write_all(&[&header, payload].concat()).await;
    }
    to.write_all(&header).await?;
    to.write_all(payload).await
}

/// Begins a frame whose payload follows in pieces, with [`send_piece`].
pub(crate) async fn send_header(
    to: &mut (impl AsyncWrite + Unpin),
    tag: Tag,
    length: usize,
) -> io::Result<()> {
    to.write_all(&header(tag, length)?).await
}

/// Sends a part of a payload.
pub(crate) async fn send_piece(to: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> io::Result<()> {
    to.write_all(piece).await
}

/// Receives a frame from a worker.
pub(crate) async fn receive(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Tag, Bytes)> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await?;
    let (tag, length) = parse_header(header)?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    Ok((tag, payload.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_travel_both_ways() {
        let (mut one, mut other) = tokio::io::duplex(64);
        let payload = vec![7; 1000];
        let sent = tokio::spawn(async move { send(&mut one, Tag::Output, &payload).await });
        let (tag, received) = receive(&mut other).await.unwrap();
        assert_eq!((tag, received.len()), (Tag::Output, 1000));
        sent.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn too_long_and_unknown_frames_are_refused() {
        assert!(header(Tag::Input, CHUNK + 1).is_err());
        let mut long: &[u8] = &[Tag::Output as u8, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            receive(&mut long).await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert!(receive(&mut [99, 0, 0, 0, 0].as_slice()).await.is_err());
    }

    #[test]
    fn every_outcome_survives_the_journey() {
        for reason in [
            Reason::Exit { code: 7 },
            Reason::Trap {
                trap: "unreachable",
            },
            Reason::Fuel,
            Reason::Memory,
            Reason::Input,
        ] {
            let outcome = Outcome {
                result: Err(Failure::new(reason, vec![1, 2, 255])),
                fuel: u64::MAX,
                memory: 1 << 32,
                output: 5,
                notes: Notes {
                    unset_clock: true,
                    outside_profile: Some("has it".into()),
                },
            };
            let bytes = encode(&RunReport::new(outcome.clone(), false)).unwrap();
            let report: RunReport = decode(&bytes).unwrap();
            assert_eq!(Outcome::try_from(report).unwrap(), outcome);
        }
    }

    #[test]
    fn an_invented_trap_is_refused() {
        assert!(Reason::try_from(ReportedReason::Trap("boom".into())).is_err());
    }
}
