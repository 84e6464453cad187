//! Strict canonical DAG-CBOR, read and written by type.
//!
//! A [`Reader`] never builds a tree of values. Each type asks for what must come next, and everything else is an error:
//! integers and lengths in a longer form than needed, indefinite lengths, floats, unknown or unsorted keys, links of
//! another kind, and bytes that are left over. So what is read has exactly one encoding, and memory is taken only for
//! what the bytes really hold: a list is believed only as far as its items can fit into the rest of the input.
//!
//! A [`Writer`] writes the same form. Keys of a map are given in canonical order by the caller: shorter ones first, then
//! by their bytes.

use crate::Digest;

/// What stands before the 32 bytes of a link to a dag-cbor block: tag 42, a byte string of 37, and the CID's prefix.
const LINK_PREFIX: [u8; 9] = [0xd8, 0x2a, 0x58, 0x25, 0x00, 0x01, 0x71, 0x12, 0x20];
/// Bytes of a link.
pub const LINK_BYTES: usize = LINK_PREFIX.len() + 32;
/// The simple value null.
const NULL: u8 = 0xf6;

/// Major types (RFC 8949, section 3.1).
const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;

/// Why bytes are not the canonical DAG-CBOR of what was expected. `at` counts bytes from the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Something else stands there.
    #[error("byte {at} should begin {expected}")]
    Type {
        /// Where.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The bytes end too early.
    #[error("the bytes end at {at}, within an item")]
    Short {
        /// Where.
        at: usize,
    },
    /// A longer form than needed, or an indefinite length.
    #[error("the length or number at byte {at} is not in its shortest form")]
    NotShortest {
        /// Where.
        at: usize,
    },
    /// A key is missing, unknown, repeated or out of order.
    #[error("byte {at} should begin the key {expected:?}, or the map should end there")]
    Key {
        /// Where.
        at: usize,
        /// The key that should come, empty if there should be none.
        expected: &'static str,
    },
    /// More items, or longer ones, than the type allows or the bytes can hold.
    #[error("the item at byte {at} has {count} parts, more than the {max} that fit there")]
    TooMany {
        /// Where.
        at: usize,
        /// What the bytes claim.
        count: u64,
        /// How many there may be.
        max: usize,
    },
    /// Text that is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    Text {
        /// Where.
        at: usize,
    },
    /// Bytes after the end.
    #[error("bytes are left over from {at} on")]
    Trailing {
        /// Where.
        at: usize,
    },
}

/// Reads canonical DAG-CBOR from the front of some bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

/// The entries of a map that are still to come.
#[derive(Debug)]
pub struct Fields {
    left: u64,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes, at: 0 }
    }

    /// Where the next item begins.
    pub fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    /// The bytes that were read since `from`.
    pub fn since(&self, from: usize) -> &'a [u8] {
        self.all.get(from..self.at).unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CborError> {
        let rest = self.rest();
        let taken = rest
            .get(..count)
            .ok_or(CborError::Short { at: self.all.len() })?;
        self.at += count;
        Ok(taken)
    }

    /// Major type and value of an item's head, in its shortest form.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let at = self.at;
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let size = match info {
            0..=23 => return Ok((major, info.into())),
            24..=27 => 1usize << (info - 24),
            _ => return Err(CborError::NotShortest { at }),
        };
        let mut wide = [0; 8];
        wide[8 - size..].copy_from_slice(self.take(size)?);
        let value = u64::from_be_bytes(wide);
        // DAG-CBOR allows only the shortest form (RFC 8949, section 4.2.1): a number that would fit into fewer bytes
        // is refused.
        let least = match size {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        match value >= least {
            true => Ok((major, value)),
            false => Err(CborError::NotShortest { at }),
        }
    }

    fn expect(&mut self, major: u8, expected: &'static str) -> Result<u64, CborError> {
        let at = self.at;
        match self.head()? {
            (found, value) if found == major => Ok(value),
            _ => Err(CborError::Type { at, expected }),
        }
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`CborError`] when something else stands there; so do all methods of this type.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(UINT, "an unsigned integer")
    }

    /// A byte string of at most `max` bytes.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], CborError> {
        let at = self.at;
        let count = self.expect(BYTES, "a byte string")?;
        let size = bounded(at, count, max)?;
        self.take(size)
    }

    /// A byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let at = self.at;
        let wrong = CborError::Type {
            at,
            expected: "a byte string of the right length",
        };
        self.bytes(N)?.try_into().map_err(|_| wrong)
    }

    /// A byte string of 32.
    pub fn digest(&mut self) -> Result<Digest, CborError> {
        self.fixed().map(Digest)
    }

    /// A text of at most `max` bytes.
    pub fn text(&mut self, max: usize) -> Result<&'a str, CborError> {
        let at = self.at;
        let count = self.expect(TEXT, "a text")?;
        let size = bounded(at, count, max)?;
        std::str::from_utf8(self.take(size)?).map_err(|_| CborError::Text { at })
    }

    /// The head of a list of at most `max` items, each of which takes at least `least` bytes. Returns how many follow.
    pub fn list(&mut self, max: usize, least: usize) -> Result<usize, CborError> {
        let at = self.at;
        let count = self.expect(LIST, "a list")?;
        let room = self.rest().len() / least.max(1);
        bounded(at, count, max.min(room))
    }

    /// The head of a list of exactly `count` items.
    pub fn tuple(&mut self, count: u64) -> Result<(), CborError> {
        let at = self.at;
        match self.expect(LIST, "a list")? {
            found if found == count => Ok(()),
            _ => Err(CborError::Type {
                at,
                expected: "a list of the right length",
            }),
        }
    }

    /// The head of a map.
    pub fn map(&mut self) -> Result<Fields, CborError> {
        let left = self.expect(MAP, "a map")?;
        Ok(Fields { left })
    }

    /// A link to a dag-cbor block that is named by its sha2-256.
    pub fn link(&mut self) -> Result<Digest, CborError> {
        let at = self.at;
        let expected = "a link to a dag-cbor block with sha2-256";
        match self.rest().strip_prefix(&LINK_PREFIX) {
            Some(_) => self.at += LINK_PREFIX.len(),
            None => return Err(CborError::Type { at, expected }),
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(self.take(32)?);
        Ok(Digest(digest))
    }

    /// A link, or null.
    pub fn link_or_null(&mut self) -> Result<Option<Digest>, CborError> {
        if self.rest().first() == Some(&NULL) {
            self.at += 1;
            return Ok(None);
        }
        self.link().map(Some)
    }

    /// Nothing is left.
    pub fn end(&self) -> Result<(), CborError> {
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(CborError::Trailing { at: self.at }),
        }
    }
}

impl Fields {
    /// Whether `key` comes next. If so, it is read, and its value follows.
    pub fn has(&mut self, reader: &mut Reader<'_>, key: &'static str) -> bool {
        let mut ahead = reader.clone();
        let found = self.left > 0 && ahead.text(key.len()) == Ok(key);
        if found {
            reader.at = ahead.at;
            self.left -= 1;
        }
        found
    }

    /// `key` must come next.
    pub fn key(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Result<(), CborError> {
        match self.has(reader, key) {
            true => Ok(()),
            false => Err(CborError::Key {
                at: reader.at,
                expected: key,
            }),
        }
    }

    /// No further key comes.
    pub fn end(&self, reader: &Reader<'_>) -> Result<(), CborError> {
        match self.left {
            0 => Ok(()),
            _ => Err(CborError::Key {
                at: reader.at,
                expected: "",
            }),
        }
    }
}

fn bounded(at: usize, count: u64, max: usize) -> Result<usize, CborError> {
    let size = usize::try_from(count).ok().filter(|size| *size <= max);
    size.ok_or(CborError::TooMany { at, count, max })
}

/// Writes canonical DAG-CBOR.
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A writer whose buffer has room for `bytes` bytes at first; it grows if there are more.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written since `from`.
    pub fn since(&self, from: usize) -> &[u8] {
        self.0.get(from..).unwrap_or_default()
    }

    fn head(&mut self, major: u8, value: u64) -> &mut Self {
        let major = major << 5;
        let wide = value.to_be_bytes();
        let (info, size) = match value {
            0..=23 => (wide[7], 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.0.push(major | info);
        self.0.extend_from_slice(&wide[8 - size..]);
        self
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(UINT, value)
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(BYTES, bytes.len() as u64);
        self.raw(bytes)
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head(TEXT, text.len() as u64);
        self.raw(text.as_bytes())
    }

    /// Begins a list, whose `items` items must follow.
    pub fn list(&mut self, items: usize) -> &mut Self {
        self.head(LIST, items as u64)
    }

    /// Begins a map, whose `entries` keys and values must follow, in canonical order of the keys.
    pub fn map(&mut self, entries: usize) -> &mut Self {
        self.head(MAP, entries as u64)
    }

    /// A link to a dag-cbor block.
    pub fn link(&mut self, digest: Digest) -> &mut Self {
        self.raw(&LINK_PREFIX).raw(&digest.0)
    }

    /// A link, or null.
    pub fn link_or_null(&mut self, digest: Option<Digest>) -> &mut Self {
        match digest {
            Some(digest) => self.link(digest),
            None => self.raw(&[NULL]),
        }
    }

    /// Bytes that are canonical DAG-CBOR already.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
#[path = "cbor_tests.rs"]
mod tests;
