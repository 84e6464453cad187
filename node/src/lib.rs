//! The `rings` binary: the command line, the configuration, and the running member that joins the rooms
//! protocol, chain, store, compute and network.

pub mod config;
pub mod http;
pub mod node;
pub mod execute;
pub mod task;
pub mod keystore;
