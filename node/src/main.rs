//! The `rings` program: an honest one, which no option can make otherwise.

fn main() -> std::process::ExitCode {
    rings::cli::main(rings::node::Faults::none())
}
