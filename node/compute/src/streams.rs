//! What a run reads and writes, on the parent's side.
//!
//! An input stream gives the program's input, and an [`OutputSink`] takes its output piece by piece. `Streams` holds the two of a run, or the four of a run with a state,
//! and cuts what it reads into pieces that fit a frame (`frame.rs`). The program waits while a sink is busy, so nothing
//! is collected in memory.

use crate::{
    frame::{Tag, CHUNK},
    worker_handle::Broken,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{stream::BoxStream, Stream, StreamExt};
use std::io;

/// Where a program's standard output goes.
#[async_trait]
pub trait OutputSink: Send {
    /// Takes the next piece, at most 256 KiB. The program waits until this returns.
    ///
    /// # Errors
    /// Ends the run with [`ComputeError::Output`](crate::ComputeError::Output).
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error>;

    /// The run did not succeed, so what was written is not part of a result and is not needed. Called at most once, at
    /// the end. A sink that keeps output on disk removes it here.
    async fn discard(&mut self) {}
}

#[async_trait]
impl OutputSink for Vec<u8> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.extend_from_slice(&bytes);
        Ok(())
    }
}

/// What a program reads and writes.
pub(crate) struct Streams<'a> {
    input: Pieces<'a>,
    output: &'a mut dyn OutputSink,
    /// The state, and where the next one goes.
    state: Option<(Pieces<'a>, &'a mut dyn OutputSink)>,
}

type Pieces<'a> = Chunks<BoxStream<'a, io::Result<Bytes>>>;

impl<'a> Streams<'a> {
    /// Without a state.
    pub(crate) fn new(
        input: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'a,
        output: &'a mut dyn OutputSink,
    ) -> Self {
        Self {
            input: Chunks::new(input.boxed()),
            output,
            state: None,
        }
    }

    /// With a state, and a place for the next one.
    pub(crate) fn with_state(
        self,
        state: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'a,
        next: &'a mut dyn OutputSink,
    ) -> Self {
        Self {
            state: Some((Chunks::new(state.boxed()), next)),
            ..self
        }
    }

    /// The next piece of what the worker asks for.
    pub(crate) async fn read(&mut self, question: Tag) -> io::Result<Option<Bytes>> {
        match (question, &mut self.state) {
            (Tag::NeedInput, _) => self.input.next().await,
            (_, Some((state, _))) => state.next().await,
            (_, None) => Ok(None),
        }
    }

    /// Passes on what the worker has sent.
    pub(crate) async fn write(&mut self, tag: Tag, bytes: Bytes) -> Result<(), Broken> {
        let written = match (tag, &mut self.state) {
            (Tag::Output, _) => self.output.write(bytes).await,
            (_, Some((_, next))) => next.write(bytes).await,
            (_, None) => return Err(Broken::Protocol("a state of a run without one".into())),
        };
        written.map_err(Broken::Output)
    }

    /// Tells the sinks that what was written is not needed.
    pub(crate) async fn discard(&mut self) {
        self.output.discard().await;
        if let Some((_, next)) = &mut self.state {
            next.discard().await;
        }
    }
}

/// A stream in pieces that fit a frame.
struct Chunks<I> {
    stream: I,
    rest: Bytes,
}

impl<I: Stream<Item = io::Result<Bytes>> + Unpin> Chunks<I> {
    fn new(stream: I) -> Self {
        Self {
            stream,
            rest: Bytes::new(),
        }
    }

    /// The next piece, at most [`CHUNK`] bytes; empty ones are passed over, because to a program they would mean the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.rest.is_empty() {
            match self.stream.next().await.transpose()? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        Ok(Some(self.rest.split_to(self.rest.len().min(CHUNK))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_fit_a_frame_and_none_is_empty() {
        let pieces = [0, CHUNK + 1, 0, 5].map(|length| Ok(Bytes::from(vec![1; length])));
        let mut chunks = Chunks::new(futures::stream::iter(pieces));
        let mut lengths = Vec::new();
        while let Some(chunk) = chunks.next().await.unwrap() {
            lengths.push(chunk.len());
        }
        assert_eq!(lengths, [CHUNK, 1, 5]);
        assert!(chunks.next().await.unwrap().is_none()); // at the end it stays
    }
}
