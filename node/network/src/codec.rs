//! Requests and responses on a stream: opaque bytes behind a length.
//!
//! A request is its length (32 bits, big endian) and its bytes. A response is one status byte; if that is [`ANSWER`],
//! length and bytes follow.
//!
//! A length beyond the limit ends the stream, and at most [`FIRST_ALLOCATION`] bytes are allocated before any data has
//! come. So a peer cannot take memory by announcing much and sending little. "Busy" and "declined" are statuses of
//! their own, so that the other side knows whether to ask again later or somebody else.

use std::io;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response;
use libp2p::StreamProtocol;

/// The first byte of a response.
const ANSWER: u8 = 0;
const BUSY: u8 = 1;
const DECLINED: u8 = 2;

/// At most this many bytes are allocated before any have arrived, even if the sender announces a greater length.
const FIRST_ALLOCATION: usize = 64 * 1024;

/// A peer's response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Response {
    /// The answer.
    Answer(Bytes),
    /// Too many requests at once.
    Busy,
    /// No answer will come.
    Declined,
}

/// Reads and writes the frames, none longer than its limit.
#[derive(Debug, Clone)]
pub(crate) struct OpaqueCodec {
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
}

impl request_response::Codec for OpaqueCodec {
    type Protocol = StreamProtocol;
    type Request = Bytes;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.request_bytes).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_array::<1, T>(io).await?[0] {
            ANSWER => read_frame(io, self.response_bytes)
                .await
                .map(Response::Answer),
            BUSY => Ok(Response::Busy),
            DECLINED => Ok(Response::Declined),
            other => Err(invalid(format!("unknown status {other} of a response"))),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        data: Bytes,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &[], &data).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Response,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match response {
            Response::Answer(data) => write_frame(io, &[ANSWER], &data).await,
            Response::Busy => io.write_all(&[BUSY]).await,
            Response::Declined => io.write_all(&[DECLINED]).await,
        }
    }
}

async fn read_array<const N: usize, T>(io: &mut T) -> io::Result<[u8; N]>
where
    T: AsyncRead + Unpin + Send,
{
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads a length and as many bytes. Memory grows with the bytes that come, not with the length that is announced.
async fn read_frame<T>(io: &mut T, limit: usize) -> io::Result<Bytes>
where
    T: AsyncRead + Unpin + Send,
{
    let announced = u32::from_be_bytes(read_array(io).await?);
    let length = usize::try_from(announced).unwrap_or(usize::MAX);
    if length > limit {
        return Err(invalid(format!(
            "{length} bytes announced, more than the limit of {limit}"
        )));
    }
    let mut data = Vec::with_capacity(length.min(FIRST_ALLOCATION));
    io.take(announced.into()).read_to_end(&mut data).await?;
    if data.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(data.into())
}

/// The prefix, the length and the data. Short messages are written in one piece: one frame of the multiplexer and of
/// the encryption instead of two.
async fn write_frame<T>(io: &mut T, prefix: &[u8], data: &[u8]) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let length = u32::try_from(data.len()).map_err(|_| invalid("more than 4 GiB".to_owned()))?;
    let mut head = Vec::with_capacity(prefix.len() + 4 + data.len().min(FIRST_ALLOCATION));
    head.extend_from_slice(prefix);
    head.extend_from_slice(&length.to_be_bytes());
    if data.len() <= FIRST_ALLOCATION {
        head.extend_from_slice(data);
        return io.write_all(&head).await;
    }
    io.write_all(&head).await?;
    io.write_all(data).await
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use libp2p::request_response::Codec;
    use proptest::prelude::*;

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");
    const LIMIT: usize = 1000;

    fn codec() -> OpaqueCodec {
        OpaqueCodec {
            request_bytes: LIMIT,
            response_bytes: LIMIT,
        }
    }

    fn read_request(bytes: &[u8]) -> io::Result<Bytes> {
        block_on(codec().read_request(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    fn read_response(bytes: &[u8]) -> io::Result<Response> {
        block_on(codec().read_response(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    fn write_response(response: Response) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        block_on(codec().write_response(&PROTOCOL, &mut out, response)).unwrap();
        out.into_inner()
    }

    #[test]
    fn responses_round_trip() {
        let answer = Response::Answer(Bytes::from_static(b"answer"));
        for response in [answer, Response::Busy, Response::Declined] {
            assert_eq!(
                read_response(&write_response(response.clone())).unwrap(),
                response
            );
        }
    }

    #[test]
    fn the_wire_format_is_fixed() {
        let mut out = Cursor::new(Vec::new());
        block_on(codec().write_request(&PROTOCOL, &mut out, Bytes::from_static(b"ab"))).unwrap();
        assert_eq!(out.into_inner(), [0, 0, 0, 2, b'a', b'b']);
        let answer = write_response(Response::Answer(Bytes::from_static(b"c")));
        assert_eq!(answer, [0, 0, 0, 0, 1, b'c']);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_reading_on() {
        let too_long = (LIMIT as u32 + 1).to_be_bytes();
        assert_eq!(
            read_request(&too_long).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let bomb = read_response(&[ANSWER, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
        assert_eq!(bomb.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_cut_frame_and_an_unknown_status_are_errors() {
        let cut = read_request(&[0, 0, 0, 9, 1]).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(
            read_response(&[]).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(
            read_response(&[7]).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    proptest! {
        #[test]
        fn requests_round_trip(data in proptest::collection::vec(any::<u8>(), 0..=LIMIT)) {
            let mut out = Cursor::new(Vec::new());
            block_on(codec().write_request(&PROTOCOL, &mut out, data.clone().into())).unwrap();
            prop_assert_eq!(read_request(&out.into_inner()).unwrap(), Bytes::from(data));
        }

        #[test]
        fn no_bytes_do_harm(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(request) = read_request(&data) {
                prop_assert!(request.len() <= data.len());
            }
            if let Ok(Response::Answer(answer)) = read_response(&data) {
                prop_assert!(answer.len() <= data.len());
            }
        }
    }
}
