//! The HTTP side of a member: JSON-RPC, the trustless gateway, health and metrics; and the client of all that.

pub mod api;
mod json;

pub use json::{HexBytes, Pin, Uint96};
