//! Several real networks in one process, on the loopback interface.

mod gossip;
mod membership;
mod pressure;
mod proxy;
mod requests;
mod support;
