//! A TCP proxy that can stop forwarding without closing anything, as a cut cable does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub address: SocketAddr,
    cut: watch::Sender<u64>,
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = TcpStream::connect(target).await {
                    join(near, far, &cuts);
                }
            }
        });
        Self { address, cut }
    }

    /// Connections made so far carry nothing any more, and stay open. Later ones work.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub fn multiaddr(&self) -> Vec<u8> {
        multiaddr(self.address)
    }
}

fn join(near: TcpStream, far: TcpStream, cuts: &watch::Receiver<u64>) {
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::spawn(copy(near_read, far_write, cuts.clone()));
    tokio::spawn(copy(far_read, near_write, cuts.clone()));
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cuts: watch::Receiver<u64>) {
    let mut buffer = [0; 4096];
    cuts.mark_unchanged();
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(count) if count > 0 => {
                    if to.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            _ = cuts.changed() => std::future::pending().await,
        }
    }
}

/// The binary multiaddr of a TCP address: ip4 is 4, tcp is 6.
pub fn multiaddr(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else {
        panic!("IPv4 only");
    };
    let mut bytes = vec![4];
    bytes.extend(address.ip().octets());
    bytes.push(6);
    bytes.extend(address.port().to_be_bytes());
    bytes
}

/// The other way round; also reads a QUIC address (udp is 273, as a varint).
pub fn socket(multiaddr: &[u8]) -> SocketAddr {
    let ip: [u8; 4] = multiaddr[1..5].try_into().unwrap();
    let port = if multiaddr[5] == 6 { 6 } else { 7 };
    let port = u16::from_be_bytes(multiaddr[port..port + 2].try_into().unwrap());
    SocketAddr::from((ip, port))
}
