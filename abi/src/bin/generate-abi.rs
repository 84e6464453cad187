//! Compiles the contracts and writes `abi/json`, or, with `--check`, says whether it is up to date.

use rings_abi::generator::{self, GenerateError};
use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

const USAGE: &str = "usage: generate-abi [--check]";

fn main() -> ExitCode {
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [only] if only == "--check" => true,
        _ => return report(USAGE, ExitCode::from(2)),
    };
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&with_causes(&error), ExitCode::FAILURE),
    }
}

fn run(check: bool) -> Result<(), GenerateError> {
    let project = generator::project();
    let artifacts = generator::compile(&project, &generator::solc())?;
    if check {
        generator::check(&project, &artifacts)
    } else {
        generator::write(&project, &artifacts)
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Standard error may be closed; the status says it all the same.
fn report(message: &str, status: ExitCode) -> ExitCode {
    match writeln!(io::stderr(), "{message}") {
        Ok(()) | Err(_) => status,
    }
}
