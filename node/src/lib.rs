//! The `rings` binary: the command line, the configuration, and the running member that joins the rooms
//! protocol, chain, store, compute and network.

pub mod cli;
pub mod config;
pub mod execute;
pub mod http;
pub mod keystore;
pub mod node;
pub mod task;
