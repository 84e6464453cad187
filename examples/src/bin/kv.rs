//! A service: keys and values, fed by lines. Its state comes in on descriptor 3, and what follows it goes out on
//! descriptor 4, one line for each key in order, so that equal contents are equal bytes.
//!
//! ```text
//! set KEY VALUE    keeps a value, which may have spaces
//! add KEY NUMBER   adds to a number, which is 0 at first, and says the sum
//! get KEY          says the value, or nothing
//! del KEY          forgets it
//! count            says how many keys there are
//! ```
//! A line that is none of these ends it with status 2, and with it the gate: the state stays what it was.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    process::ExitCode,
};

/// Where the state is read, and where the next one is written.
const STATE: i32 = 3;
const NEXT_STATE: i32 = 4;

type Map = BTreeMap<String, String>;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Line(number, what)) => {
            eprintln!("kv: line {number}: {what}");
            ExitCode::from(2)
        }
        Err(Stop::Io(error)) => {
            eprintln!("kv: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Stop {
    Line(usize, &'static str),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn serve() -> Result<(), Stop> {
    let mut map = load(BufReader::new(descriptor(STATE)))?;
    let mut output = BufWriter::new(io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let answer = obey(&mut map, &line?).map_err(|what| Stop::Line(number + 1, what))?;
        if let Some(answer) = answer {
            writeln!(output, "{answer}")?;
        }
    }
    output.flush()?;
    store(&map, BufWriter::new(descriptor(NEXT_STATE)))?;
    Ok(())
}

fn obey(map: &mut Map, line: &str) -> Result<Option<String>, &'static str> {
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("set"), Some(key), Some(value)) => {
            map.insert(key.into(), value.into());
            Ok(None)
        }
        (Some("add"), Some(key), Some(number)) => {
            let number: i64 = number.parse().map_err(|_| "that is no number")?;
            let old = map.get(key).map_or(Ok(0), |old| old.parse::<i64>());
            let old = old.map_err(|_| "the value is no number")?;
            let sum = old
                .checked_add(number)
                .ok_or("the sum is too large")?
                .to_string();
            map.insert(key.into(), sum.clone());
            Ok(Some(sum))
        }
        (Some("get"), Some(key), None) => Ok(Some(map.get(key).cloned().unwrap_or_default())),
        (Some("del"), Some(key), None) => {
            map.remove(key);
            Ok(None)
        }
        (Some("count"), None, None) => Ok(Some(map.len().to_string())),
        _ => Err("there are set KEY VALUE, add KEY NUMBER, get KEY, del KEY and count"),
    }
}

fn load(state: impl BufRead) -> io::Result<Map> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the state is not one of kv");
    let entry = |line: io::Result<String>| {
        let line = line?;
        let (key, value) = line.split_once(' ').ok_or_else(broken)?;
        Ok((key.to_owned(), value.to_owned()))
    };
    state.lines().map(entry).collect()
}

fn store(map: &Map, mut state: impl Write) -> io::Result<()> {
    for (key, value) in map {
        writeln!(state, "{key} {value}")?;
    }
    state.flush()
}

/// An open descriptor. Elsewhere than in a ring: `kv 3<state 4>next`.
#[allow(unsafe_code)] // The standard library has no other way to a descriptor by its number.
fn descriptor(number: i32) -> File {
    use std::os::fd::FromRawFd;
    // SAFETY: who starts this program opens 3 and 4 for it, and each is taken once.
    unsafe { File::from_raw_fd(number) }
}
