//! The bound of a round of gossip: a message from one socket to another and back, on this machine.

use crate::{
    bench::figures::median,
    exit::{Context, ExitError, ExitStatus},
};
use std::{io, time::Duration, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How often it is measured; the median counts.
const TIMES: usize = 200;
/// Bytes of a message.
const MESSAGE: usize = 1024;

/// The median.
///
/// # Errors
/// When this machine has no loopback.
pub async fn measure() -> Result<Duration, ExitError> {
    rounds().await.context(
        ExitStatus::Internal,
        "no message can be sent on this machine",
    )
}

async fn rounds() -> io::Result<Duration> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (sender, accepted) = tokio::try_join!(
        TcpStream::connect(listener.local_addr()?),
        listener.accept()
    )?;
    let (mut sender, mut echo) = (sender, accepted.0);
    sender.set_nodelay(true)?;
    echo.set_nodelay(true)?;
    let (mut there, mut back) = ([7; MESSAGE], [0; MESSAGE]);
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        sender.write_all(&there).await?;
        echo.read_exact(&mut back).await?;
        echo.write_all(&back).await?;
        sender.read_exact(&mut there).await?;
        times.push(began.elapsed());
    }
    Ok(median(&times))
}
