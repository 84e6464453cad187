//! The `rings` program. No option of it can turn on the faults that tests use.

fn main() -> std::process::ExitCode {
    rings::main(rings_member::Faults::none())
}
