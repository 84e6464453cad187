//! Writes to standard error and exits with the status in its first argument (1 without one).

use std::{env, process};

fn main() {
    let status = env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    eprintln!("exiting with status {status}");
    process::exit(status);
}
