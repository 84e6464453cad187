//! Log nodes as DAG-JSON, for those who read them.

/// A node as DAG-JSON.
///
/// # Errors
/// What the decoder says, when the bytes are not DAG-CBOR.
pub fn as_dag_json(
    bytes: &[u8],
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let node: ipld_core::ipld::Ipld = serde_ipld_dagcbor::from_slice(bytes)?;
    let json = serde_ipld_dagjson::to_vec(&node)?;
    Ok(serde_json::from_slice(&json)?)
}
