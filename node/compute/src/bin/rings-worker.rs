//! A worker process and nothing else; `rings worker` does the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    rings_compute::worker_main()
}
