//! The links of a block, whatever its codec: those of a dag-pb node, all CIDs in a DAG-CBOR block, none in raw bytes.

use crate::{dagpb, Block, StoreError};
use cid::Cid;
use ipld_core::serde::ExtractLinks;
use rings_protocol::cids::{self, DAG_CBOR, DAG_PB};
use serde::Deserialize;
use serde_ipld_dagcbor::de::Deserializer;

/// The CIDs that a dag-pb or dag-cbor block points to, in the order they stand there; none for a raw block.
///
/// # Errors
/// [`StoreError::Malformed`] when the block breaks the rules of its format, [`StoreError::Cid`] when it points
/// to something with a hash or codec that Rings does not accept.
pub fn links(block: &Block) -> Result<Vec<Cid>, StoreError> {
    let found = match block.cid().codec() {
        DAG_PB => dagpb::Node::decode(block.data())
            .map(|node| node.links.into_iter().map(|link| link.cid).collect()),
        DAG_CBOR => dag_cbor_links(block.data()),
        _ => Ok(Vec::new()),
    };
    let links = found.map_err(|reason| StoreError::Malformed {
        cid: *block.cid(),
        reason: reason.into(),
    })?;
    for link in &links {
        cids::digest_of(link)?;
    }
    Ok(links)
}

fn dag_cbor_links(data: &[u8]) -> Result<Vec<Cid>, String> {
    let mut decoder = Deserializer::from_slice(data);
    let links = ExtractLinks::deserialize(&mut decoder).map_err(|error| error.to_string())?;
    decoder.end().map_err(|error| error.to_string())?;
    Ok(links.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use rings_protocol::cids::{node_cid, sha256, RAW};

    fn link_to(cid: &Cid) -> Vec<u8> {
        let bytes = cid.to_bytes();
        [&[0xd8, 0x2a, 0x58, bytes.len() as u8 + 1, 0x00][..], &bytes].concat()
    }

    #[test]
    fn dag_cbor_links_come_in_order() {
        let (a, b) = (node_cid(sha256(b"a")), cids::data_cid(sha256(b"b")));
        let list = [&[0x82][..], &link_to(&a), &[0xa1, 0x61, b'k'], &link_to(&b)].concat();
        assert_eq!(
            links(&Block::dag_cbor(list.into()).unwrap()).unwrap(),
            [a, b]
        );
    }

    #[test]
    fn what_is_not_dag_cbor_is_refused() {
        for wrong in [
            &[][..],
            &[0xa0, 0xa0],
            &[0x82, 0x00],
            &[0x9f, 0xff],
            &[0xd8, 0x2a, 0x00],
        ] {
            let block = Block::dag_cbor(Bytes::copy_from_slice(wrong)).unwrap();
            assert!(
                matches!(links(&block), Err(StoreError::Malformed { .. })),
                "{wrong:x?}"
            );
        }
    }

    #[test]
    fn a_link_with_another_hash_is_refused() {
        let blake = cid::multihash::Multihash::<64>::wrap(0xb220, &[1; 32]).unwrap();
        let block = Block::dag_cbor(link_to(&Cid::new_v1(RAW, blake)).into()).unwrap();
        assert!(matches!(links(&block), Err(StoreError::Cid(_))));
    }

    #[test]
    fn raw_blocks_point_nowhere() {
        let data = Bytes::from_static(b"\x12\x00");
        let block = Block::new(cids::cid_of(RAW, sha256(&data)), data).unwrap();
        assert!(links(&block).unwrap().is_empty());
    }
}
