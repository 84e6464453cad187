//! A program that failed: reading the failure record, and describing it.

use crate::exit::ExitError;
use cid::Cid;
use futures::StreamExt;
use rings_protocol::operation::{FailureRecord, Reason, MAX_OPERATION_BYTES};
use rings_store::{read_file, BlockSource};
use std::sync::Arc;

/// A failure record; every block of it is hashed.
pub(super) async fn read_record(
    source: Arc<dyn BlockSource>,
    cid: Cid,
) -> Result<FailureRecord, ExitError> {
    let mut pieces = read_file(source, cid);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > MAX_OPERATION_BYTES {
            break;
        }
    }
    FailureRecord::from_dag_json(&bytes).map_err(|error| {
        ExitError::unavailable(format!("{cid} on the failure pin is not a failure record"))
            .because(error)
    })
}

/// Why the program failed, in words that begin with `what`.
pub(super) fn told(what: &str, record: &FailureRecord) -> String {
    let why = match record.reason {
        Reason::Exit => format!(
            "it ended with exit status {}",
            record.code.unwrap_or_default()
        ),
        Reason::Trap => trap(record.trap.as_deref().unwrap_or("unknown")),
        Reason::Fuel => "it used all its fuel; give it more with --fuel".into(),
        Reason::Memory => {
            "it needed more memory than it may have; give it more with --memory".into()
        }
        Reason::Input => "the operation, the program or an input is malformed".into(),
    };
    match record.input {
        Some(input) => format!("{what} on input {input}: {why}"),
        None => format!("{what}: {why}"),
    }
}

/// What a trap is called, and the option that allows more, if there is one.
fn trap(name: &str) -> String {
    match name {
        "output-limit" => {
            "it wrote more than it may (trap output-limit); allow it more with --max-output".into()
        }
        "stack-overflow" => {
            "its stack was used up (trap stack-overflow); allow it more with --stack".into()
        }
        name => format!("trap ({name})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_name_their_options() {
        for (name, told) in [
            (rings_compute::OUTPUT_TRAP, "--max-output"),
            ("stack-overflow", "--stack"),
            ("unreachable", "trap (unreachable)"),
        ] {
            let record = FailureRecord {
                code: None,
                input: None,
                reason: Reason::Trap,
                stderr: Vec::new(),
                trap: Some(name.into()),
            };
            let line = super::told("it failed", &record);
            assert!(line.contains(told), "{line}");
        }
    }
}
