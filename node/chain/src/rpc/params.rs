//! Parameters of a request that are JSON already.

use jsonrpsee::core::traits::ToRpcParams;
use serde_json::value::RawValue;

/// Parameters that are JSON already.
pub(super) struct RawParams(pub Box<RawValue>);

impl ToRpcParams for RawParams {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(Some(self.0))
    }
}
