//! A port mapping, as a router or a container makes one: `rings-forwarder FROM TO` takes TCP connections at the address
//! FROM and joins each with one to the address TO. It exists for tests only.

use std::{
    env, io,
    net::{Shutdown, TcpListener, TcpStream},
    process::ExitCode,
    thread,
};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let Ok(listener) = TcpListener::bind(&from) else {
        return ExitCode::FAILURE;
    };
    for near in listener.incoming().flatten() {
        if let Ok(far) = TcpStream::connect(&to) {
            join(&near, &far);
            join(&far, &near);
        }
    }
    ExitCode::SUCCESS
}

/// Carries bytes one way, in a thread of its own.
fn join(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    thread::spawn(move || {
        // Whatever ends one direction ends both.
        drop(io::copy(&mut from, &mut to));
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}
