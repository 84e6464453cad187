//! The files and standard input of `rings run` and `rings add`. They are hashed before anything is sent.
//!
//! A [`Content`] is a file, a pipe (kept in a temporary file) or bytes in memory, with its CID. Because the CID is
//! known first, a gate that exists already needs no upload, and the CID that a member gives back is compared with it.
//!
//! A file is read twice, once to hash and once to send, and never held in memory. If it changes in between, the CIDs
//! differ, and that is an error.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::{Out, Step},
};
use bytes::Bytes;
use cid::Cid;
use futures::{stream, Stream, StreamExt, TryStreamExt};
use rings_api::{views::Added, Client, ClientError};
use rings_store::Imported;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncRead, sync::watch, task::spawn_blocking, time::timeout};
use tokio_util::io::{ReaderStream, StreamReader};

/// How long a member that is busy is asked again, and the pause between.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// A member that takes nothing for this long, or does not say for this long that it has everything, is given up: there are
/// others.
const STALL: Duration = Duration::from_secs(15);
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Uploads of at least this many bytes show a progress bar.
const BAR_FROM: u64 = 4 * 1024 * 1024;

/// A file that may be put into the ring's store, and its CID.
#[derive(Debug)]
pub struct Content {
    /// How messages to the user name it.
    pub name: String,
    /// Its CID, and its length.
    pub imported: Imported,
    body: Body,
}

/// Where the bytes of a content are.
#[derive(Debug)]
enum Body {
    Memory(Bytes),
    Path(PathBuf),
    /// The content of a pipe, kept in a temporary file.
    Spooled(Arc<File>),
}

type Reader = Box<dyn AsyncRead + Send + Unpin>;

impl Content {
    /// Bytes in memory.
    ///
    /// # Errors
    /// None that depends on the bytes.
    pub async fn memory(name: &str, bytes: impl Into<Bytes>) -> Result<Self, ExitError> {
        Self::hashed(name.into(), Body::Memory(bytes.into())).await
    }

    /// A file, or a pipe with a name; `-` is standard input.
    ///
    /// # Errors
    /// Status 2 when it cannot be read.
    pub async fn path(path: &Path) -> Result<Self, ExitError> {
        if is_standard(path) {
            return Self::stdin().await;
        }
        let name = path.display().to_string();
        let unread = || format!("cannot read {name}; check the path");
        let kind = fs::metadata(path).context(ExitStatus::Usage, unread())?;
        if kind.is_dir() {
            return Err(ExitError::usage(format!(
                "{name} is a directory; name a file"
            )));
        }
        if kind.is_file() {
            return Self::hashed(name, Body::Path(path.into())).await;
        }
        let file = tokio::fs::File::open(path).await;
        let body = spool(file.context(ExitStatus::Usage, unread())?, &name).await?;
        Self::hashed(name, body).await
    }

    /// Standard input, to its end.
    ///
    /// # Errors
    /// Status 2 when it cannot be read.
    pub async fn stdin() -> Result<Self, ExitError> {
        let name = "standard input".to_owned();
        let body = spool(tokio::io::stdin(), &name).await?;
        Self::hashed(name, body).await
    }

    async fn hashed(name: String, body: Body) -> Result<Self, ExitError> {
        let imported = rings_store::hash(body.reader(&name).await?).await?;
        Ok(Self {
            name,
            imported,
            body,
        })
    }

    /// The CID.
    pub fn cid(&self) -> Cid {
        self.imported.cid
    }

    /// Puts it into the store of a member, for good or for `seconds`, and compares the CID that comes back. A member that takes
    /// no more uploads at this moment is asked again for a while.
    ///
    /// # Errors
    /// When the member does not take it, or names it otherwise.
    pub async fn add_to(
        &self,
        client: &Client,
        seconds: Option<u64>,
        out: Out,
    ) -> Result<(), ExitError> {
        let began = Instant::now();
        let added = loop {
            match self.send_to(client, seconds, out).await {
                Err(error) if error.is_busy() && began.elapsed() < BUSY_PATIENCE => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(ClientError::Input(error)) => {
                    let what = format!("cannot read {}", self.name);
                    return Err(ExitError::usage(what).because(error));
                }
                sent => break sent?,
            }
        };
        if added.cid == self.cid() {
            return Ok(());
        }
        let (name, ours, theirs) = (&self.name, self.cid(), added.cid);
        Err(ExitError::unavailable(format!(
            "the member at {} names {name} {theirs}, and it was {ours} when it was read; was it changed meanwhile?",
            client.url()
        )))
    }

    async fn send_to(
        &self,
        client: &Client,
        seconds: Option<u64>,
        out: Out,
    ) -> Result<Added, ClientError> {
        let reader = self.body.open().await.map_err(ClientError::Input)?;
        let step = self.bar(out);
        let (moved, moves) = watch::channel(());
        let pieces = ReaderStream::with_capacity(reader, READ_BYTES).inspect_ok(move |piece| {
            moved.send_replace(());
            step.iter()
                .for_each(|step| step.advance(piece.len() as u64))
        });
        let sending = client.add_for(pieces, seconds);
        tokio::select! {
            sent = sending => sent,
            () = stalled(moves) => Err(ClientError::Stalled {
                url: client.url(),
                seconds: STALL.as_secs(),
            }),
        }
    }

    /// Its bytes, in pieces.
    ///
    /// # Errors
    /// Status 2 when it cannot be read any more.
    pub async fn pieces(
        &self,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static, ExitError> {
        let reader = self.body.reader(&self.name).await?;
        Ok(ReaderStream::with_capacity(reader, READ_BYTES))
    }

    /// All its bytes, for contents that are known to be small.
    ///
    /// # Errors
    /// As [`Content::pieces`].
    pub async fn bytes(&self) -> Result<Bytes, ExitError> {
        if let Body::Memory(bytes) = &self.body {
            return Ok(bytes.clone());
        }
        let pieces: Vec<Bytes> = self
            .pieces()
            .await?
            .try_collect()
            .await
            .context(ExitStatus::Usage, format!("cannot read {}", self.name))?;
        Ok(pieces.concat().into())
    }

    fn bar(&self, out: Out) -> Option<Step> {
        let bytes = self.imported.bytes;
        (bytes >= BAR_FROM).then(|| out.transfer(format_args!("adding {}", self.name), bytes))
    }
}

/// Returns when the member has taken nothing for [`STALL`], or has not answered for that time after the last piece.
async fn stalled(mut moves: watch::Receiver<()>) {
    while let Ok(moved) = timeout(STALL, moves.changed()).await {
        if moved.is_err() {
            return tokio::time::sleep(STALL).await;
        }
    }
}

/// How many blocks these contents have together, as a member counts them.
pub fn blocks<'a>(contents: impl Iterator<Item = &'a Content>) -> u64 {
    contents.fold(0, |sum, content| {
        content.imported.shape().blocks.saturating_add(sum)
    })
}

/// The bytes of all inputs, one after the other.
///
/// # Errors
/// Status 2 when one cannot be read any more.
pub async fn joined(
    inputs: &[&Content],
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + Unpin, ExitError> {
    let mut pieces = Vec::with_capacity(inputs.len());
    for input in inputs {
        pieces.push(input.pieces().await?);
    }
    Ok(stream::iter(pieces).flatten().boxed())
}

/// Whether the name of a file stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Tries whether a file can be written in this place, and leaves it as it is.
///
/// # Errors
/// What the system says when it cannot.
pub fn check_place(path: &Path) -> io::Result<()> {
    if is_standard(path) {
        return Ok(());
    }
    match fs::metadata(path) {
        Ok(kind) if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => fs::OpenOptions::new().write(true).open(path).map(drop),
        Err(_) => {
            let parent = path.parent();
            let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
            tempfile::tempfile_in(parent.unwrap_or(Path::new("."))).map(drop)
        }
    }
}

impl Body {
    async fn open(&self) -> io::Result<Reader> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Self::Path(path) => Box::new(tokio::fs::File::open(path).await?),
            Self::Spooled(file) => Box::new(from_start(file.clone())),
        })
    }

    async fn reader(&self, name: &str) -> Result<Reader, ExitError> {
        let what = format!("cannot read {name}; check the path");
        self.open().await.context(ExitStatus::Usage, what)
    }
}

/// Reads a file from its start, with a position of its own: a copy of the descriptor would share the position with a reader
/// that was given up, and whose last read still runs.
fn from_start(file: Arc<File>) -> impl AsyncRead + Send + Unpin {
    let pieces = stream::try_unfold((file, 0), |(file, at)| async move {
        let (file, piece) = spawn_blocking(move || read_at(&file, at).map(|piece| (file, piece)))
            .await
            .map_err(io::Error::other)??;
        let next = at + piece.len() as u64;
        Ok::<_, io::Error>((!piece.is_empty()).then_some((piece, (file, next))))
    });
    StreamReader::new(pieces.boxed())
}

/// What stands at this place, [`READ_BYTES`] at most; nothing at the end.
fn read_at(file: &File, at: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; READ_BYTES];
    let read = loop {
        match file.read_at(&mut piece, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    piece.truncate(read);
    Ok(piece.into())
}

/// Copies a stream into a temporary file. It is read twice: for its CID, and for the member.
async fn spool(mut from: impl AsyncRead + Unpin, name: &str) -> Result<Body, ExitError> {
    let kept = async {
        let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
        tokio::io::copy(&mut from, &mut file).await?;
        file.sync_data().await?;
        Ok::<_, io::Error>(Body::Spooled(Arc::new(file.into_std().await)))
    };
    let what = format!("cannot keep {name}; is there space for temporary files?");
    kept.await.context(ExitStatus::Unavailable, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn all(content: &Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut reader = content.body.reader("x").await.unwrap();
        reader.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn the_same_bytes_have_the_same_cid_from_wherever_they_come() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hello");
        fs::write(&path, "hello worlds\n").unwrap();
        let file = Content::path(&path).await.unwrap();
        let memory = Content::memory("m", "hello worlds\n").await.unwrap();
        let body = spool(&b"hello worlds\n"[..], "s").await.unwrap();
        let spooled = Content::hashed("s".into(), body).await.unwrap();
        for content in [&file, &memory, &spooled] {
            assert_eq!(content.cid(), memory.cid());
            assert_eq!(all(content).await, b"hello worlds\n");
            assert_eq!(all(content).await, b"hello worlds\n", "a second time");
        }
    }

    #[tokio::test]
    async fn a_reader_that_was_given_up_does_not_move_the_next_one() {
        let long: Vec<u8> = (0..3 * READ_BYTES + 1).map(|at| (at / 7) as u8).collect();
        let content = Content {
            name: "s".into(),
            imported: rings_store::hash(&long[..]).await.unwrap(),
            body: spool(&long[..], "s").await.unwrap(),
        };
        let mut given_up = content.body.reader("s").await.unwrap();
        given_up.read_u8().await.unwrap();
        let mut next = content.body.reader("s").await.unwrap();
        assert_eq!(next.read_u8().await.unwrap(), long[0]);
        given_up.read_exact(&mut vec![0; READ_BYTES]).await.unwrap();
        let mut rest = Vec::new();
        next.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, long[1..]);
    }

    #[test]
    fn a_place_is_tried_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        check_place(&file).unwrap();
        assert!(!file.exists());
        fs::write(&file, "kept").unwrap();
        check_place(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"kept");
        check_place(Path::new("-")).unwrap();
        check_place(Path::new("/dev/null")).unwrap();
        for wrong in [directory.path(), &directory.path().join("no/file")] {
            assert!(check_place(wrong).is_err(), "{}", wrong.display());
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_mistake_of_usage() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Content::path(&directory.path().join("no"))
            .await
            .unwrap_err();
        assert_eq!(missing.status(), ExitStatus::Usage);
        assert!(missing.to_string().contains("No such file"), "{missing}");
        let folder = Content::path(directory.path()).await.unwrap_err();
        assert!(folder.to_string().contains("directory"), "{folder}");
    }
}
