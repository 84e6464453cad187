//! Tar archives (POSIX ustar, with GNU sizes beyond 8 GiB), as far as backups need them: plain files, one after the
//! other.
//!
//! [`TarWriter`] gives the pieces of an archive, so that whoever streams it decides when they are written.
//! [`TarReader`] reads an archive entry by entry, and never holds more than its caller allows. It is strict: a wrong
//! checksum, an entry of another kind or an early end is an error. Any `tar` program can list and unpack a backup.

use bytes::Bytes;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Bytes of a header, and what entries are padded to.
const RECORD: usize = 512;
/// Longest name of an entry, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// The first size that has no place as octal digits.
const MAX_OCTAL: u64 = 1 << 33;

/// The pieces of an archive that is written.
#[derive(Debug, Clone, Copy)]
pub struct TarWriter;

impl TarWriter {
    /// The header of a file; `size` bytes and [`padding`](Self::padding) follow. Names are ASCII of up to 100 bytes; longer
    /// ones are cut.
    pub fn header(name: &str, size: u64) -> Bytes {
        let mut header = [0u8; RECORD];
        let name = &name.as_bytes()[..name.len().min(MAX_NAME_BYTES)];
        header[..name.len()].copy_from_slice(name);
        put(&mut header, 100, b"0000600\0");
        put(&mut header, 108, b"0000000\0");
        put(&mut header, 116, b"0000000\0");
        match size < MAX_OCTAL {
            true => put(&mut header, 124, format!("{size:011o}\0").as_bytes()),
            false => {
                header[124] = 0x80;
                put(&mut header, 128, &size.to_be_bytes());
            }
        }
        put(&mut header, 136, b"00000000000\0");
        put(&mut header, 156, b"0");
        put(&mut header, 257, b"ustar\x0000");
        let sum = checksum(&header);
        put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
        Bytes::copy_from_slice(&header)
    }

    /// What follows a file of that size.
    pub fn padding(size: u64) -> Bytes {
        Bytes::from(vec![0; padding(size)])
    }

    /// A whole entry.
    pub fn entry(name: &str, content: &[u8]) -> Bytes {
        let size = content.len() as u64;
        [&Self::header(name, size)[..], content, &Self::padding(size)]
            .concat()
            .into()
    }

    /// The end of the archive.
    pub fn end() -> Bytes {
        Bytes::from(vec![0; 2 * RECORD])
    }
}

fn put(header: &mut [u8; RECORD], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

fn padding(size: u64) -> usize {
    // Both are below the size of a record.
    (RECORD - (size % RECORD as u64) as usize) % RECORD
}

/// The sum of the bytes, those of the sum itself as spaces.
fn checksum(header: &[u8; RECORD]) -> u32 {
    let own = 148..156;
    let bytes = header.iter().enumerate();
    bytes
        .map(|(at, byte)| match own.contains(&at) {
            true => u32::from(b' '),
            false => u32::from(*byte),
        })
        .sum()
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// It is not one, or it is damaged.
    #[error("it is not a backup of Rings, or it is damaged ({reason}); use another one")]
    Format {
        /// What is wrong.
        reason: &'static str,
    },
    /// An entry is longer than it may be.
    #[error("its entry {name} has {size} bytes, and at most {limit} are read; it is not a backup of Rings")]
    TooLong {
        /// The entry.
        name: String,
        /// Its length in bytes.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// It cannot be read, or what was read cannot be written.
    #[error("it cannot be read or written out; check the file and the disk")]
    Io(#[from] io::Error),
}

/// Reads an archive, entry by entry.
pub struct TarReader<R> {
    input: R,
    /// Bytes of the current entry that were not read, and its padding.
    left: u64,
    pad: usize,
}

impl<R: AsyncRead + Unpin> TarReader<R> {
    /// An archive from its beginning.
    pub fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            pad: 0,
        }
    }

    /// The next file; `None` at the end. What is left of the one before is passed over.
    ///
    /// # Errors
    /// [`TarError`]; also when the archive has no end.
    pub async fn next(&mut self) -> Result<Option<TarEntry>, TarError> {
        self.pass_over().await?;
        let mut header = [0u8; RECORD];
        self.fill(&mut header).await?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let wrong = |reason| TarError::Format { reason };
        let sum = octal(&header[148..156]).ok_or_else(|| wrong("a header without a sum"))?;
        if sum != u64::from(checksum(&header)) {
            return Err(wrong("a header whose sum is wrong"));
        }
        let size = size(&header).ok_or_else(|| wrong("a header without a size"))?;
        let name = header[..MAX_NAME_BYTES].split(|byte| *byte == 0).next();
        let name = std::str::from_utf8(name.unwrap_or_default());
        let name = name
            .map_err(|_| wrong("a name that is no text"))?
            .to_owned();
        (self.left, self.pad) = (size, padding(size));
        Ok(Some(TarEntry { name, size }))
    }

    /// The content of the current file, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`TarError`].
    pub async fn content(&mut self, entry: &TarEntry, limit: u64) -> Result<Vec<u8>, TarError> {
        if self.left > limit {
            return Err(TarError::TooLong {
                name: entry.name.clone(),
                size: self.left,
                limit,
            });
        }
        // Bounded by the limit.
        let mut content = vec![0; self.left as usize];
        self.fill(&mut content).await?;
        self.left = 0;
        Ok(content)
    }

    /// Writes the content of the current file to `out`.
    ///
    /// # Errors
    /// [`TarError`].
    pub async fn copy(&mut self, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), TarError> {
        let wanted = self.left;
        let copied = tokio::io::copy(&mut (&mut self.input).take(wanted), out).await?;
        self.left = 0;
        match copied == wanted {
            true => Ok(()),
            false => Err(ends_early()),
        }
    }

    async fn pass_over(&mut self) -> Result<(), TarError> {
        let rest = std::mem::take(&mut self.left) + std::mem::take(&mut self.pad) as u64;
        let mut sink = tokio::io::sink();
        let passed = tokio::io::copy(&mut (&mut self.input).take(rest), &mut sink).await?;
        match passed == rest {
            true => Ok(()),
            false => Err(ends_early()),
        }
    }

    async fn fill(&mut self, out: &mut [u8]) -> Result<(), TarError> {
        match self.input.read_exact(out).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ends_early()),
            Err(error) => Err(error.into()),
        }
    }
}

fn ends_early() -> TarError {
    TarError::Format {
        reason: "it ends early",
    }
}

fn size(header: &[u8; RECORD]) -> Option<u64> {
    if header[124] & 0x80 == 0 {
        return octal(&header[124..136]);
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[128..136]);
    Some(u64::from_be_bytes(bytes))
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(|c| c == '\0' || c == ' ');
    u64::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn entries_come_back_and_a_cut_is_noticed() {
        let long = vec![7; 1500];
        let archive = [
            TarWriter::entry("a", b""),
            TarWriter::entry("b/c", &long),
            TarWriter::entry("d", &[1; 512]),
            TarWriter::end(),
        ]
        .concat();
        let mut reader = TarReader::new(&archive[..]);
        let a = reader.next().await.unwrap().unwrap();
        assert_eq!((a.name.as_str(), a.size), ("a", 0));
        let b = reader.next().await.unwrap().unwrap();
        assert_eq!(reader.content(&b, 1500).await.unwrap(), long);
        let d = reader.next().await.unwrap().unwrap();
        assert!(matches!(
            reader.content(&d, 511).await,
            Err(TarError::TooLong { size: 512, .. })
        ));
        assert_eq!(reader.next().await.unwrap(), None);
        for cut in [0, 511, 513, 1600, archive.len() - 1024] {
            let mut reader = TarReader::new(&archive[..cut]);
            let ended = loop {
                match reader.next().await {
                    Ok(Some(_)) => {}
                    ended => break ended,
                }
            };
            assert!(
                matches!(ended, Err(TarError::Format { .. })),
                "{cut}: {ended:?}"
            );
        }
    }

    #[test]
    fn large_sizes_have_a_place() {
        for size in [0, 511, MAX_OCTAL - 1, MAX_OCTAL, 1 << 40] {
            let header = TarWriter::header("x", size);
            let header: &[u8; RECORD] = header[..].try_into().unwrap();
            assert_eq!(super::size(header), Some(size));
        }
    }
}
