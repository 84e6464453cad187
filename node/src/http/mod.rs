//! The HTTP side of a member: JSON-RPC, the trustless gateway, health and metrics; and the client of all that.
//!
//! One port carries everything. JSON-RPC (over POST and WebSocket) and all of `GET` only read and are open to
//! whoever reaches the port; adding files needs the member's [`Token`]. Requests for other hosts, and those that
//! somebody's web page makes, are refused before anything looks at them.
//!
//! | path | answer |
//! |---|---|
//! | `POST /`, WebSocket `/` | JSON-RPC 2.0 (`rpc.discover` lists the methods) |
//! | `POST /ipfs` | imports the body; needs the token |
//! | `GET /ipfs/{cid}` | the file; `?format=raw` one block, `?format=car` all below it |
//! | `GET /health` | 200 while the member follows its chain, else 503 |
//! | `GET /metrics` | Prometheus text |

mod access;
pub mod api;
mod client;
mod connections;
mod format;
mod gateway;
mod io;
mod json;
mod limits;
mod openrpc;
mod reply;
mod routes;
mod rpc;
mod server;
mod session;
mod source;
#[cfg(test)]
mod tests;
mod token;
mod upload;

pub use client::{Client, ClientError};
pub use json::{HexBytes, Pin, Uint96};
pub use limits::HttpLimits;
pub use server::{bind, serve, HttpError};
pub use source::GatewaySource;
pub use token::{Token, TokenError};
