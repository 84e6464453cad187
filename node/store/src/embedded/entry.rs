//! One block in a pack: how many bytes are stored, how many it has, and the bytes, compressed where that saves something.

/// Bytes before the block: two lengths (big-endian).
const HEADER_BYTES: usize = 4;

/// A block as it lies in a pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Its bytes, or what is left of them after compression.
    pub stored: &'a [u8],
    /// How many bytes the block has.
    pub length: usize,
    /// Where the next one begins.
    pub end: usize,
}

impl<'a> Entry<'a> {
    /// The entry that begins at `offset`, if a whole one is there.
    pub fn at(pack: &'a [u8], offset: usize) -> Option<Self> {
        let (header, rest) = pack.get(offset..)?.split_first_chunk::<HEADER_BYTES>()?;
        let [a, b, c, d] = *header;
        let stored = rest.get(..usize::from(u16::from_be_bytes([a, b])))?;
        Some(Self {
            stored,
            length: usize::from(u16::from_be_bytes([c, d])),
            end: offset + HEADER_BYTES + stored.len(),
        })
    }

    /// The bytes of the block, which nobody has hashed. `dictionary` is the first block of the pack.
    pub fn content(&self, dictionary: &[u8]) -> Option<Vec<u8>> {
        if self.stored.len() == self.length {
            return Some(self.stored.to_vec());
        }
        let content =
            lz4_flex::block::decompress_with_dict(self.stored, self.length, dictionary).ok()?;
        (content.len() == self.length).then_some(content)
    }
}

/// A block of less than 64 KiB as it lies in a pack behind the first one, which is the dictionary; or as the first one.
pub(super) fn encode(data: &[u8], dictionary: Option<&[u8]>) -> Vec<u8> {
    let compressed =
        dictionary.map(|dictionary| lz4_flex::block::compress_with_dict(data, dictionary));
    let stored = match &compressed {
        Some(compressed) if compressed.len() < data.len() => compressed.as_slice(),
        _ => data,
    };
    let lengths = [stored.len() as u16, data.len() as u16];
    let mut bytes = Vec::with_capacity(HEADER_BYTES + stored.len());
    for length in lengths {
        bytes.extend_from_slice(&length.to_be_bytes());
    }
    bytes.extend_from_slice(stored);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_what_is_alike_takes_little_room() {
        let first: Vec<u8> = (0..200u8).collect();
        let mut pack = encode(&first, None);
        assert_eq!(pack.len(), 204);
        for (data, most) in [
            (first.clone(), 20),
            (first[50..].to_vec(), 20),
            (vec![0; 4096], 60),
            (Vec::new(), 4),
            (
                (0..100u8).map(|n| n.wrapping_mul(n) ^ (n >> 3)).collect(),
                104,
            ),
        ] {
            let offset = pack.len();
            pack.extend(encode(&data, Some(&first)));
            assert!(pack.len() <= offset + most, "{}", pack.len() - offset);
            let entry = Entry::at(&pack, offset).unwrap();
            assert_eq!(entry.content(&first), Some(data));
            assert_eq!(entry.end, pack.len());
        }
        assert!(Entry::at(&pack, pack.len()).is_none());
        assert!(Entry::at(&pack[..pack.len() - 1], pack.len() - 104).is_none());
    }

    #[test]
    fn damaged_entries_are_no_blocks_and_take_no_memory() {
        let first = [7; 300];
        let whole = encode(&[7; 280], Some(&first));
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let content = Entry::at(&bytes, 0).and_then(|entry| entry.content(&first));
                assert!(content.is_none_or(|content| content.len() <= usize::from(u16::MAX)));
            }
        }
    }
}
