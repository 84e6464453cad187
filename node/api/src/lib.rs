//! The HTTP side of a member: JSON-RPC, a trustless IPFS gateway, uploads, health and metrics, and the client of them.
//!
//! [`serve`] answers on one port. It asks an implementation of [`NodeApi`], a trait that says what may be asked of a
//! member, so this crate knows neither chain nor programs nor peers. [`Client`] is the other side; both use the types of
//! [`views`], from which the OpenRPC document is derived too.
//!
//! A request comes in through `server.rs` (sockets, timeouts) and `access.rs` (is it for this host, and not from a
//! foreign web page?), and is given its handler by `routes.rs`. JSON-RPC and all of `GET` are open to whoever reaches the
//! port: they only read, or carry signatures that say who may ask ([`client_rings`]). Adding files, asking requests
//! (`rings_request`), and changing [`processes`] needs the member's [`Token`]. Every bound is in [`HttpLimits`].
//!
//! | path | answer |
//! |---|---|
//! | `POST /`, WebSocket `/` | JSON-RPC 2.0 (`rpc.discover` lists the methods; a session may subscribe to [`notices`]) |
//! | `POST /ipfs` | imports the body; needs the token |
//! | `POST /events/{instance}/{event}` | takes an event down; needs the token, or a signature |
//! | `GET /ipfs/{cid}` | the file; `?format=raw` one block, `?format=car` all below it |
//! | `/store/…`, `GET /backup` | work on the store, and a copy of what must not be lost; needs the token |
//! | `GET /health` | 200 while the member follows its chain, else 503 with the reason |
//! | `GET /ui/` | a web page that shows all of this, and asks this member only |
//! | `GET /metrics` | Prometheus text, or OpenMetrics where `Accept` asks for it |

mod access;
mod app;
mod avatar_calls;
mod bearer;
mod calls;
mod client;
pub mod client_rings;
mod client_store;
mod connections;
mod error;
mod format;
mod gateway;
mod hook_secret;
mod hooks;
mod housekeeping;
mod io;
mod json;
mod limits;
mod live;
mod message;
mod metrics_form;
mod news;
mod node_api;
pub mod notices;
mod openrpc;
mod params;
mod process_calls;
mod process_methods;
pub mod processes;
mod range;
pub mod registry;
mod reply;
mod routes;
mod rpc;
mod schema;
mod server;
mod session;
mod source;
mod store_work;
mod subscriptions;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod ui;
mod upload;
pub mod views;

pub use client::{shown_url, Client, ClientError};
pub use client_store::Pieces;
pub use error::{with_causes, HttpError};
pub use hook_secret::HookSecret;
pub use json::{HexBytes, Pin, Uint96};
pub use limits::HttpLimits;
pub use live::Notices;
pub use news::News;
pub use node_api::{code, ApiError, ClientRings, NodeApi, ProcessKeeper};
pub use params::RequestParams;
pub use server::{bind, serve, Listener};
pub use source::GatewaySource;
pub use store_work::{
    Archive, Checked, Collected, Damage, Fault, ImportedArchive, Repaired, StoreKeeper,
    StoreWorkError,
};
pub use tls::{Tls, TlsError};
pub use token::{Token, TokenError};
