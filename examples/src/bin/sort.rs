//! Sorts the lines of all its inputs by their bytes, like `LC_ALL=C sort`; `-r` reverses, `-u` drops
//! repeated lines.
//!
//! Lines have to be held until the last one is known, so memory is about twice the input; they are held as
//! one buffer with positions, not as one allocation each.

use std::{
    env,
    io::{self, BufWriter, Read, Write},
    ops::Range,
    process::ExitCode,
};

fn main() -> ExitCode {
    let options: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = options
        .iter()
        .find(|option| *option != "-r" && *option != "-u")
    {
        eprintln!("sort: unknown option {unknown}; there are -r and -u");
        return ExitCode::from(2);
    }
    let has = |option: &str| options.iter().any(|given| given == option);
    match sort(has("-r"), has("-u")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sort: {error}");
            ExitCode::FAILURE
        }
    }
}

fn sort(reverse: bool, unique: bool) -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    let mut lines = lines(&text);
    lines.sort_unstable_by(|a, b| text[a.clone()].cmp(&text[b.clone()]));
    if unique {
        lines.dedup_by(|a, b| text[a.clone()] == text[b.clone()]);
    }
    if reverse {
        lines.reverse();
    }
    let mut output = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    for line in lines {
        output.write_all(&text[line])?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

/// Where the lines are. A last line without a newline is a line.
fn lines(text: &[u8]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        lines.push(start..end - usize::from(line.ends_with(b"\n")));
        start = end;
    }
    lines
}
