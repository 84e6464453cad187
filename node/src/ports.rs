//! Free ports of this machine. They are chosen below the range from which the system takes ports for outgoing
//! connections, so that a chosen port stays free until it is used, and while a member is down.

use super::exit::ExitError;
use rand::Rng;
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener, UdpSocket},
};

/// First port that is chosen.
const FIRST: u16 = 10_240;
/// First port beyond those that are chosen.
const END: u16 = 32_000;
/// Ports that are tried before giving up.
const ATTEMPTS: usize = 2_000;

/// Chooses ports, each port at most once.
#[derive(Debug, Default)]
pub struct Ports {
    chosen: BTreeSet<u16>,
}

impl Ports {
    /// A port that is free for TCP and UDP.
    ///
    /// # Errors
    /// When none was found.
    pub fn choose(&mut self) -> Result<u16, ExitError> {
        let mut random = rand::thread_rng();
        let mut candidates = (0..ATTEMPTS).map(|_| random.gen_range(FIRST..END));
        let port = candidates.find(|port| !self.chosen.contains(port) && is_free(*port));
        let port = port.ok_or_else(|| {
            ExitError::unavailable(format!(
                "no free port from {FIRST} to {END} on 127.0.0.1; stop what uses them"
            ))
        })?;
        self.chosen.insert(port);
        Ok(port)
    }

    /// This port if it is free, else another.
    ///
    /// # Errors
    /// As [`Ports::choose`].
    pub fn keep_or_choose(&mut self, port: u16) -> Result<u16, ExitError> {
        match port != 0 && !self.chosen.contains(&port) && is_free(port) {
            true => {
                self.chosen.insert(port);
                Ok(port)
            }
            false => self.choose(),
        }
    }
}

/// Whether no program listens on it.
fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let mut ports = Ports::default();
        let port = ports.choose().unwrap();
        let again = ports.keep_or_choose(port).unwrap();
        assert_ne!(again, port, "each once");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        assert_ne!(Ports::default().keep_or_choose(taken).unwrap(), taken);
        assert_eq!(Ports::default().keep_or_choose(port).unwrap(), port);
    }
}
