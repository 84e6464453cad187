//! The `rings` program with a fault: its member votes for something else than its program gave, or, where `FAULT` is `choice`,
//! wants the ring to decide for what nobody has. It exists for tests only; the program that users run has no way to do this.

use rings_member::Faults;

fn main() -> std::process::ExitCode {
    rings::main(match std::env::var("FAULT").as_deref() {
        Ok("choice") => Faults::wrong_choice(),
        _ => Faults::wrong_vote(),
    })
}
