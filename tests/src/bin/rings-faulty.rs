//! The `rings` program with a fault: its member votes for something else than its program gave. It exists for
//! tests only; the program that users run has no way to do this.

fn main() -> std::process::ExitCode {
    rings::main(rings_member::Faults::wrong_vote())
}
