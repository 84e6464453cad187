//! A block: bytes under the CID that they hash to.
//!
//! A [`Block`] cannot be made without hashing, so the type carries the proof: whoever holds one need not check it
//! again, and whoever has only bytes cannot pass them as a block. Inside a store a block goes by its [`Key`], codec and
//! digest, which CIDv0 and CIDv1 of one dag-pb block have in common. No block is longer than [`MAX_BLOCK_BYTES`].

use crate::StoreError;
use bytes::Bytes;
use cid::Cid;
use rings_protocol::cids::{self, DAG_CBOR, DAG_PB};

/// The longest block that is accepted, in bytes: what bitswap carries (2 MiB).
pub const MAX_BLOCK_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that have been hashed, and the CID they hash to. A `Block` cannot be made without hashing, so
/// nobody who holds one has to check it again.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    data: Bytes,
}

impl Block {
    /// Hashes `data` and compares with `cid`.
    ///
    /// # Errors
    /// [`StoreError::Cid`] for another hash, an unknown codec or bytes that do not hash to it; [`StoreError::TooLarge`]
    /// beyond [`MAX_BLOCK_BYTES`].
    pub fn new(cid: Cid, data: Bytes) -> Result<Self, StoreError> {
        check_length(&cid, data.len())?;
        cids::verify(&cid, &data)?;
        Ok(Self { cid, data })
    }

    /// The block of these bytes of DAG-CBOR (CIDv1). Whoever reads it must check that the bytes are canonical.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn dag_cbor(data: Bytes) -> Result<Self, StoreError> {
        Self::of(DAG_CBOR, data)
    }

    /// The block of these bytes of DAG-PB (CIDv0).
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn dag_pb(data: Bytes) -> Result<Self, StoreError> {
        Self::of(DAG_PB, data)
    }

    fn of(codec: u64, data: Bytes) -> Result<Self, StoreError> {
        let cid = cids::cid_of(codec, cids::sha256(&data));
        check_length(&cid, data.len())?;
        Ok(Self { cid, data })
    }

    /// Its CID.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// Its bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Its bytes, without the CID.
    pub fn into_data(self) -> Bytes {
        self.data
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({}, {} bytes)", self.cid, self.data.len())
    }
}

fn check_length(cid: &Cid, length: usize) -> Result<(), StoreError> {
    if length > MAX_BLOCK_BYTES {
        return Err(StoreError::TooLarge {
            cid: *cid,
            length,
            limit: MAX_BLOCK_BYTES,
        });
    }
    Ok(())
}

/// Length of a [`Key`].
pub(crate) const KEY_BYTES: usize = 33;

/// Codec and digest: what CIDv0 and CIDv1 of the same dag-pb block have in common.
pub(crate) type Key = [u8; KEY_BYTES];

/// The key of a CID.
pub(crate) fn key_of(cid: &Cid) -> Result<Key, StoreError> {
    let digest = cids::digest_of(cid)?;
    let mut key = [0; KEY_BYTES];
    // `digest_of` accepts three codecs, all below 128.
    key[0] = cid.codec() as u8;
    key[1..].copy_from_slice(&digest.0);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::cids::RAW;

    #[test]
    fn each_flipped_byte_is_refused() {
        let bytes: Vec<u8> = (0..100).collect();
        let cid = *Block::dag_pb(bytes.clone().into()).unwrap().cid();
        Block::new(cid, bytes.clone().into()).unwrap();
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            other[i] ^= 0x80;
            assert!(matches!(
                Block::new(cid, other.into()),
                Err(StoreError::Cid(_))
            ));
        }
    }

    #[test]
    fn the_limit_is_two_mebibytes() {
        let most = Bytes::from(vec![7; MAX_BLOCK_BYTES]);
        Block::new(cids::cid_of(RAW, cids::sha256(&most)), most).unwrap();
        let more = Bytes::from(vec![7; MAX_BLOCK_BYTES + 1]);
        assert!(matches!(
            Block::dag_cbor(more),
            Err(StoreError::TooLarge { .. })
        ));
    }

    #[test]
    fn both_names_of_a_dag_pb_block_have_one_key() {
        let v0 = *Block::dag_pb(Bytes::from_static(b"x")).unwrap().cid();
        let v1 = Cid::new_v1(DAG_PB, *v0.hash());
        assert_eq!(key_of(&v0).unwrap(), key_of(&v1).unwrap());
        let raw = Cid::new_v1(RAW, *v0.hash());
        assert_ne!(key_of(&v0).unwrap(), key_of(&raw).unwrap());
    }
}
