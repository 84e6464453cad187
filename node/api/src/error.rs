//! Why the server does not start, and how an error is written with its causes.

use jsonrpsee::core::RegisterMethodError;
use std::{error::Error, io, iter::successors, net::SocketAddr};

/// Why the HTTP side does not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Another program listens there.
    #[error(
        "{address} is in use by another process, which may be this member, started before; stop that one, or choose another address under [rpc] listen"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system does not let this process listen there.
    #[error("cannot listen on {address}; choose another [rpc] listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Two JSON-RPC methods have one name.
    #[error("the JSON-RPC methods cannot be set up; this is a fault of the program")]
    Methods(#[source] RegisterMethodError),
}

/// An error and its causes in one line.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |error: &&'_ (dyn Error + 'static)| {
        (*error).source()
    });
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
