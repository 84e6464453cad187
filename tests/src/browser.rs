//! A browser, the scripts that drive it, and pages that are served to it.

use super::{
    call::Call,
    script::script,
    tools::{repository, target, tool},
    wait::LONG,
};
use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// The oldest Chromium that shows the pages as they are meant: anvil-scripts/lib/versions.sh names the same.
const OLDEST: u32 = 123;
/// Most bytes of a request that a [`Page`] reads.
const REQUEST_BYTES: usize = 16 * 1024;

/// Where Chromium is.
fn chromium() -> PathBuf {
    tool("chromium", "RINGS_CHROMIUM", |said| {
        let version = said
            .split_whitespace()
            .find_map(|word| word.split_once('.'));
        version.is_some_and(|(major, _)| major.parse().is_ok_and(|major: u32| major >= OLDEST))
    })
}

/// Runs a script of `tests/browser` in Chromium, and gives what it says. Pictures of what it saw are in `target/pages`.
///
/// # Panics
/// When the script finds that a page is not as it should be.
pub fn browse(name: &str, given: &Value) -> String {
    let call = script("tests/browser", name).arg(given.to_string());
    let call = call
        .env("RINGS_CHROMIUM", chromium())
        .env("RINGS_PICTURES", target().join("pages"));
    call.limit(12 * LONG).text()
}

/// Makes a page of this source tree, which is one file, at this path: the chat (`clients/js/chat`), or an example.
pub fn build_page(path: &Path, source: &str) {
    let call: Call = script("clients/js", "build.mjs");
    call.arg(path).arg(repository().join(source)).ok();
}

/// A page on an origin of its own, as any web server has it. It is there as long as the process.
#[derive(Debug)]
pub struct Page {
    port: u16,
}

impl Page {
    /// Serves one page at each path of `http://localhost:PORT`.
    pub fn serve(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let content = Arc::new(content);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Browsers open connections before they need them, and send nothing on some.
                let content = Arc::clone(&content);
                thread::spawn(move || {
                    if let Err(error) = answer(stream, &content) {
                        eprintln!("a browser did not take the page: {error}");
                    }
                });
            }
        });
        Self { port }
    }

    /// Its origin, as browsers send it.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

fn answer(mut stream: TcpStream, content: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(LONG))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&piece[..count]),
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(content)
}
