//! Options of `rings run`.

use super::{
    make::FeeArgs,
    place::DirArg,
    values::{bytes, memory, stack, wait, ClockTime},
};
use clap::Args;
use rings_protocol::operation::{DEFAULT_FUEL, DEFAULT_MEMORY};
use std::{path::PathBuf, time::Duration};

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// A file that is one input (- is standard input); may be given several times. Without it, standard input is the one
    /// input
    #[arg(long = "input", value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    /// Run the program once per input
    #[arg(long)]
    pub each: bool,
    /// Most units of fuel that one run may use (about one per instruction)
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FUEL)]
    pub fuel: u64,
    /// Most bytes of memory that one run may have, such as 1GiB; at most 4GiB
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MEMORY, value_parser = memory)]
    pub memory: u64,
    /// Most bytes that one run may write, its next state included [default: 4294967296]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub max_output: Option<u64>,
    /// Most bytes of stack that one run may have, as programs count them; at most 16MiB [default: 8388608]
    #[arg(long, value_name = "BYTES", value_parser = stack)]
    pub stack: Option<u64>,
    /// Give the program a state on descriptor 3, and keep what it writes to descriptor 4: a file (- is standard input), the
    /// gate (0x…), or without a gate the request (0x…), whose next state it is, or "new" for an empty one
    #[arg(long, value_name = "STATE", conflicts_with = "each")]
    pub state: Option<String>,
    /// Write the next state into this file; - is standard output, after the output
    #[arg(long, value_name = "FILE", requires = "state")]
    pub next_state: Option<PathBuf>,
    /// How long to wait for the result, and for everything that has to happen before: seconds, or such as 5m
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
    /// What the program's clock shows: seconds since 1970, or now. It is part of the question; without it the clock is not set
    #[arg(long, value_name = "now|UNIX")]
    pub time: Option<ClockTime>,
    /// Most that is paid for gas
    #[command(flatten)]
    pub fees: FeeArgs,
    /// Write what is known about the result, as JSON; - is standard output, after the output
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Compute it again, even if the ring has the answer already
    #[arg(long)]
    pub again: bool,
    /// Ask without a gate: no transaction for this result alone; it is final with the ring node that lists it and others
    #[arg(long, conflicts_with_all = ["dry", "fee_cap"])]
    pub no_gate: bool,
    /// Without a gate: end when two thirds have voted, before a ring node makes it final
    #[arg(long, requires = "no_gate")]
    pub no_wait: bool,
    /// Without a gate: write what proves the result, which needs the chain and nothing else; - is standard output, after the
    /// output
    #[arg(
        long,
        value_name = "FILE",
        requires = "no_gate",
        conflicts_with = "no_wait"
    )]
    pub proof: Option<PathBuf>,
    /// Run it on this machine alone, without a ring, and say what it used: to try a program out
    #[arg(long, conflicts_with_all = ["again", "timeout"])]
    pub dry: bool,
    /// A WASM file (or its CID, or - for standard input) that reads standard input and writes standard output, and its
    /// arguments
    #[arg(required = true, trailing_var_arg = true, value_names = ["PROGRAM", "ARGS"], num_args = 1..)]
    pub program: Vec<String>,
}
