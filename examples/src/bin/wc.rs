//! Counts lines, words and bytes of its input, like `wc`.

use std::io::{self, Read};

/// Read at a time, in bytes.
const CHUNK: usize = 64 * 1024;

#[derive(Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
    in_word: bool,
}

impl Counts {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for &byte in bytes {
            let space = byte == b' ' || (b'\t'..=b'\r').contains(&byte);
            self.lines += u64::from(byte == b'\n');
            self.words += u64::from(!space && !self.in_word);
            self.in_word = !space;
        }
    }
}

fn main() -> io::Result<()> {
    let mut counts = Counts::default();
    let mut buffer = vec![0; CHUNK];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut buffer)? {
            0 => break,
            length => counts.add(&buffer[..length]),
        }
    }
    let Counts {
        lines,
        words,
        bytes,
        ..
    } = counts;
    println!("{lines:7} {words:7} {bytes:7}");
    Ok(())
}
