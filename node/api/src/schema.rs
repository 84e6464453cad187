//! JSON schemas of scalars whose types do not describe themselves: `#[schemars(with = "schema::Address")]`.

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident: $schema:tt)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

scalars! {
    /// An account or contract.
    Address: { "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" }
    /// A hash of 32 bytes.
    Digest: { "type": "string", "pattern": "^0x[0-9a-f]{64}$" }
    /// A content identifier.
    Cid: { "type": "string" }
    /// The document that `rpc.discover` gives.
    OpenRPC: { "type": "object" }
}
