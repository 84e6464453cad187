//! Content identifiers (CIDs): how they are made from digests, and [`verify`], which hashes a block again.
//!
//! Only sha2-256 is accepted, with the codecs dag-pb (data; CIDv0), dag-cbor (log and ring nodes; CIDv1) and raw. On
//! chain stands the digest alone: [`data_cid`] and [`node_cid`] give the CID for one, [`digest_of`] the digest of a
//! CID. [`verify`] is called for each block that enters, from any source.
//!
//! One content has one name here: [`normalise`] turns the CIDv1 of a dag-pb block into the CIDv0 that `ipfs add`
//! prints. A CID of another hash or codec is an error ([`CidError`]) and never a guess, because nobody could check the
//! bytes below it.

use crate::Digest;
use cid::{multihash::Multihash, Cid, Version};
use sha2::{Digest as _, Sha256};

/// Multicodec of `dag-pb` (UnixFS).
pub const DAG_PB: u64 = 0x70;
/// Multicodec of `dag-cbor` (log nodes and ring nodes).
pub const DAG_CBOR: u64 = 0x71;
/// Multicodec of `raw` bytes.
pub const RAW: u64 = 0x55;
/// Multihash code of sha2-256, the only hash accepted.
pub const SHA2_256: u64 = 0x12;

/// Why a CID, or a block under it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    /// The multihash is not sha2-256 of 32 bytes.
    #[error("{cid} does not use sha2-256 with 32 bytes, the only hash that Rings accepts")]
    Hash {
        /// The CID that was refused.
        cid: Cid,
    },
    /// The codec is not dag-pb, dag-cbor or raw.
    #[error("{cid} has codec {codec:#x}; Rings accepts dag-pb, dag-cbor and raw")]
    Codec {
        /// The CID that was refused.
        cid: Cid,
        /// Its multicodec.
        codec: u64,
    },
    /// The bytes are not those that the CID names.
    #[error(
        "the {length} bytes given for {cid} hash to something else; fetch them from another source"
    )]
    Mismatch {
        /// The CID that was claimed.
        cid: Cid,
        /// How many bytes came with it.
        length: usize,
    },
}

/// sha2-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Keccak-256 as Ethereum uses it (before FIPS 202 changed the padding).
pub fn keccak256(bytes: &[u8]) -> Digest {
    Digest(sha3::Keccak256::digest(bytes).into())
}

fn multihash(digest: Digest) -> Multihash<64> {
    let mut bytes = [0u8; 34];
    bytes[0] = SHA2_256 as u8;
    bytes[1] = 32;
    bytes[2..].copy_from_slice(&digest.0);
    // 34 bytes with a right length prefix always parse; the default can only stand for a changed library.
    Multihash::from_bytes(&bytes).unwrap_or_default()
}

/// The CID of data on chain: the root of a UnixFS file as `ipfs add` makes it (CIDv0, `Qm…`).
pub fn data_cid(digest: Digest) -> Cid {
    cid_of(DAG_PB, digest)
}

/// The CID of a log node or ring node: CIDv1, dag-cbor, sha2-256.
pub fn node_cid(digest: Digest) -> Cid {
    cid_of(DAG_CBOR, digest)
}

/// The CID of these codec and digest; CIDv0 for dag-pb, CIDv1 for everything else.
pub fn cid_of(codec: u64, digest: Digest) -> Cid {
    let hash = multihash(digest);
    match codec {
        DAG_PB => Cid::new_v0(hash).unwrap_or_else(|_| Cid::new_v1(DAG_PB, hash)),
        other => Cid::new_v1(other, hash),
    }
}

/// The 32 bytes that a CID holds.
///
/// # Errors
/// [`CidError::Hash`] unless it is sha2-256 with 32 bytes, [`CidError::Codec`] for an unknown codec.
pub fn digest_of(cid: &Cid) -> Result<Digest, CidError> {
    let hash = cid.hash();
    let digest: [u8; 32] = match (hash.code(), hash.digest().try_into()) {
        (SHA2_256, Ok(digest)) => digest,
        _ => return Err(CidError::Hash { cid: *cid }),
    };
    match cid.codec() {
        DAG_PB | DAG_CBOR | RAW => Ok(Digest(digest)),
        codec => Err(CidError::Codec { cid: *cid, codec }),
    }
}

/// The same content under its usual name: dag-pb is CIDv0 here, all else is CIDv1.
///
/// # Errors
/// As [`digest_of`].
pub fn normalise(cid: &Cid) -> Result<Cid, CidError> {
    let digest = digest_of(cid)?;
    match cid.version() {
        Version::V0 => Ok(*cid),
        Version::V1 => Ok(cid_of(cid.codec(), digest)),
    }
}

/// Hashes `bytes` again and compares with `cid`.
///
/// # Errors
/// [`CidError::Mismatch`] when they differ, and as [`digest_of`].
pub fn verify(cid: &Cid, bytes: &[u8]) -> Result<(), CidError> {
    if digest_of(cid)? == sha256(bytes) {
        return Ok(());
    }
    Err(CidError::Mismatch {
        cid: *cid,
        length: bytes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_unixfs_file_has_its_well_known_name() {
        let digest = sha256(&[0x0a, 0x04, 0x08, 0x02, 0x18, 0x00]);
        assert_eq!(
            data_cid(digest).to_string(),
            "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
        );
        assert_eq!(digest_of(&data_cid(digest)), Ok(digest));
    }

    #[test]
    fn a_node_cid_is_version_one_and_dag_cbor() {
        let cid = node_cid(sha256(b"x"));
        assert!(cid.to_string().starts_with("bafyrei"), "{cid}");
        assert_eq!(cid.to_bytes()[..4], [0x01, 0x71, 0x12, 0x20]);
    }

    #[test]
    fn other_hashes_and_codecs_are_refused() {
        let identity = Multihash::<64>::wrap(0, b"hello").unwrap();
        let short = Multihash::<64>::wrap(SHA2_256, &[1; 20]).unwrap();
        let blake = Multihash::<64>::wrap(0xb220, &[1; 32]).unwrap();
        for hash in [identity, short, blake] {
            assert!(matches!(
                digest_of(&Cid::new_v1(RAW, hash)),
                Err(CidError::Hash { .. })
            ));
        }
        let cid = Cid::new_v1(0x0129, *node_cid(Digest::ZERO).hash());
        assert!(matches!(
            digest_of(&cid),
            Err(CidError::Codec { codec: 0x0129, .. })
        ));
    }

    #[test]
    fn each_flipped_byte_is_seen() {
        let bytes = *b"sixteen bytes of";
        let cid = node_cid(sha256(&bytes));
        verify(&cid, &bytes).unwrap();
        for i in 0..bytes.len() {
            let mut other = bytes;
            other[i] ^= 1;
            assert!(verify(&cid, &other).is_err());
        }
    }

    #[test]
    fn dag_pb_has_one_name() {
        let v0 = data_cid(sha256(b"x"));
        let v1 = Cid::new_v1(DAG_PB, *v0.hash());
        assert_eq!(normalise(&v1), Ok(v0));
        assert_eq!(normalise(&v0), Ok(v0));
    }
}
