//! The parameters of JSON-RPC methods, by name. An unknown name is refused, since it is probably a known one that was
//! mistyped.

use super::{json::text, schema, views::RequestInputView};
use cid::Cid;
use rings_protocol::{Address, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Log nodes in one page when the caller gives no limit.
const DEFAULT_LOG_PAGE: u32 = 50;
/// Log nodes in one page at most.
const MAX_LOG_PAGE: u32 = 256;

/// No parameters.
#[derive(JsonSchema)]
pub(super) struct NoParams {}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RingParams {
    /// the ring's contract
    #[schemars(with = "schema::Address")]
    pub(super) ring: Address,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GateParams {
    /// the gate's contract
    #[schemars(with = "schema::Address")]
    pub(super) gate: Address,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DigestParams {
    /// the request's digest
    #[schemars(with = "schema::Digest")]
    pub(super) request: Digest,
}

/// What is asked of a ring without a gate.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestParams {
    /// the ring's contract
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// the operation: a file that this member, or another one, has
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub operation: Cid,
    /// the other inputs, in order
    pub inputs: Vec<RequestInputView>,
    /// tells requests apart that ask for the same; 0 when it is not given
    #[serde(default)]
    pub nonce: u64,
    /// number of the last ring node that may list it; this member's setting when it is not given. Without it, a request of
    /// this member that asks the same is not asked again while it is open or listed
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    /// the ring's contract
    #[schemars(with = "schema::Address")]
    pub(super) ring: Address,
    /// the account whose log it is
    #[schemars(with = "schema::Address")]
    pub(super) member: Address,
    /// sequence number to begin at; the head when it is not given
    #[serde(default)]
    pub(super) from: Option<u64>,
    /// nodes in the page, from 1 to 256; 50 when it is not given
    #[serde(default)]
    limit: Option<u32>,
}

impl LogParams {
    /// Nodes in the page.
    ///
    /// # Errors
    /// What is wrong, when it is out of bounds.
    pub(super) fn limit(&self) -> Result<u32, String> {
        match self.limit.unwrap_or(DEFAULT_LOG_PAGE) {
            limit @ 1..=MAX_LOG_PAGE => Ok(limit),
            limit => Err(format!(
                "limit is {limit}; give a number from 1 to {MAX_LOG_PAGE}"
            )),
        }
    }
}
