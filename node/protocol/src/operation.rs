//! The operation at input pin 0, and the record of a program that failed: both canonical DAG-JSON files.
//!
//! An [`Operation`] says all that a program's result depends on besides the inputs: the program, its arguments, the
//! profile that runs it, its limits, and the time that its clock shows. A [`FailureRecord`] is the output of a program
//! that failed. Each has exactly one encoding: keys sorted, nothing between tokens, and no key whose value is the
//! default.

use crate::message::{MAX_OUTPUTS, MAX_PROFILE_BYTES};
use cid::Cid;
use serde::{Deserialize, Serialize};

/// Largest operation file, in bytes.
pub const MAX_OPERATION_BYTES: usize = 128 * 1024;
/// How much of a failed program's standard error its record keeps, in bytes.
pub const STDERR_TAIL: usize = 4096;
/// Fuel of `rings run` unless told otherwise: seconds of work on a usual machine, and on the slowest one within the time
/// that a member gives to one run.
pub const DEFAULT_FUEL: u64 = 20_000_000_000;
/// Memory of `rings run` unless told otherwise, in bytes.
pub const DEFAULT_MEMORY: u64 = 256 * 1024 * 1024;
/// Output of an operation that names none, in bytes.
pub const DEFAULT_OUTPUT: u64 = 4 * 1024 * 1024 * 1024;
/// Stack of an operation that names none, in bytes.
pub const DEFAULT_STACK: u64 = 8 * 1024 * 1024;

/// What a gate computes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    // Fields stand in the order of their names: this is what makes the encoding canonical.
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Most units of fuel that one run may use.
    pub fuel: u64,
    /// Most bytes of linear memory that one run may have.
    pub memory: u64,
    /// How inputs become standard input.
    pub mode: Mode,
    /// Most bytes that one run may write to standard output and to its next state together; [`DEFAULT_OUTPUT`] without
    /// it. Each byte also costs a unit of fuel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// The profile that runs the program: engine and configuration, 1 to [`MAX_PROFILE_BYTES`] bytes. A member without
    /// a worker of this profile declines.
    pub profile: String,
    /// The WASM module.
    pub program: Cid,
    /// Most bytes of stack, as programs count them; [`DEFAULT_STACK`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<u64>,
    /// Whether the first input is a state and not a part of standard input: the program reads it from descriptor 3 and
    /// writes the next one, which is output pin 1, to descriptor 4. Only with [`Mode::Cat`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub state: bool,
    /// What the program's clock shows, in seconds since 1970; left out for 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub time: u64,
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// How the inputs behind pin 0 become standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All inputs, in pin order, are one standard input; standard output is output pin 0.
    Cat,
    /// One run per input; output `k` from input `k`.
    Each,
}

/// Why a program failed. Everything in it is deterministic, so members agree on it as on an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRecord {
    /// The exit status, when the reason is [`Reason::Exit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The number of the input that failed (from 0, operation not counted), in mode `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// The kind of failure.
    pub reason: Reason,
    /// The end of standard error, [`STDERR_TAIL`] bytes at most.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
    /// The trap's name, when the reason is [`Reason::Trap`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trap: Option<String>,
}

/// The kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It ended with a status other than 0.
    Exit,
    /// It trapped: unreachable code, a division by zero, memory out of bounds, …
    Trap,
    /// It used more fuel than the operation allows.
    Fuel,
    /// It needed more memory than the operation allows.
    Memory,
    /// An input is not what the operation needs: the operation or the program is malformed.
    Input,
}

/// Why an operation or failure record is refused.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Longer than [`MAX_OPERATION_BYTES`].
    #[error("the operation has {length} bytes; at most {MAX_OPERATION_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Not JSON of the right shape.
    #[error("not a DAG-JSON operation of Rings; `rings run` writes a right one")]
    Shape(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The content is right, but the bytes are not canonical: spaces, or another order of keys.
    #[error(
        "the DAG-JSON is not canonical: keys must be sorted and nothing may stand between tokens"
    )]
    NotCanonical,
    /// The profile has no name, or one longer than [`MAX_PROFILE_BYTES`].
    #[error("the profile's name has {length} bytes; name one of 1 to {MAX_PROFILE_BYTES} bytes")]
    Profile {
        /// Its length in bytes.
        length: usize,
    },
}

impl Operation {
    /// How many output pins its gate has, with that many inputs behind the operation; `None` if it does not fit them: it wants a
    /// state and there is none, or it would make no output, or more than [`MAX_OUTPUTS`].
    pub fn outputs(&self, inputs: usize) -> Option<u128> {
        match (self.mode, self.state) {
            (Mode::Cat, false) => Some(1),
            (Mode::Cat, true) => (inputs > 0).then_some(2),
            (Mode::Each, false) => (1..=MAX_OUTPUTS)
                .contains(&inputs)
                .then_some(inputs as u128),
            (Mode::Each, true) => None,
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`OperationError::TooLong`] when the arguments are too many, [`OperationError::Profile`] when the profile's name
    /// is out of bounds.
    pub fn to_dag_json(&self) -> Result<Vec<u8>, OperationError> {
        self.check()?;
        within_bound(encode(self)?)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`OperationError`] for anything that [`Operation::to_dag_json`] would not have written.
    pub fn from_dag_json(bytes: &[u8]) -> Result<Self, OperationError> {
        let operation: Self = decode(bytes)?;
        operation.check().map(|()| operation)
    }

    fn check(&self) -> Result<(), OperationError> {
        match self.profile.len() {
            1..=MAX_PROFILE_BYTES => Ok(()),
            length => Err(OperationError::Profile { length }),
        }
    }
}

impl FailureRecord {
    /// The canonical bytes.
    ///
    /// # Errors
    /// [`OperationError::TooLong`] when a field was filled beyond its bound.
    pub fn to_dag_json(&self) -> Result<Vec<u8>, OperationError> {
        within_bound(encode(self)?)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`OperationError`] for anything that [`FailureRecord::to_dag_json`] would not have written.
    pub fn from_dag_json(bytes: &[u8]) -> Result<Self, OperationError> {
        decode(bytes)
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, OperationError> {
    serde_ipld_dagjson::to_vec(value).map_err(|error| OperationError::Shape(error.into()))
}

fn within_bound(bytes: Vec<u8>) -> Result<Vec<u8>, OperationError> {
    match bytes.len() {
        length if length > MAX_OPERATION_BYTES => Err(OperationError::TooLong { length }),
        _ => Ok(bytes),
    }
}

/// Reads canonical DAG-JSON. What is read is written again and compared, so two files never mean the same operation.
fn decode<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, OperationError> {
    if bytes.len() > MAX_OPERATION_BYTES {
        return Err(OperationError::TooLong {
            length: bytes.len(),
        });
    }
    let value = serde_ipld_dagjson::from_slice(bytes)
        .map_err(|error| OperationError::Shape(error.into()))?;
    if encode(&value)? != bytes {
        return Err(OperationError::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cids::{data_cid, sha256};

    fn operation() -> Operation {
        Operation {
            args: vec!["-l".into(), "ünï\"".into()],
            fuel: DEFAULT_FUEL,
            memory: 1 << 20,
            mode: Mode::Cat,
            output: None,
            profile: "p 1".into(),
            program: data_cid(sha256(b"program")),
            stack: None,
            state: false,
            time: 0,
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_written() {
        let mut operation = operation();
        operation.output = Some(5);
        operation.stack = Some(6);
        operation.state = true;
        operation.time = 7;
        let bytes = operation.to_dag_json().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let cid = data_cid(sha256(b"program"));
        let end = format!(
            r#""mode":"cat","output":5,"profile":"p 1","program":{{"/":"{cid}"}},"stack":6,"state":true,"time":7}}"#
        );
        assert!(text.ends_with(&end), "{text}");
        assert_eq!(Operation::from_dag_json(&bytes).unwrap(), operation);
        // One meaning, one spelling.
        for other in [
            text.replace("true", "false"),
            text.replace("\"time\":7", "\"time\":0"),
            text.replace("\"output\":5", "\"output\":null"),
        ] {
            assert!(matches!(
                Operation::from_dag_json(other.as_bytes()),
                Err(OperationError::NotCanonical)
            ));
        }
    }

    #[test]
    fn outputs_follow_from_mode_inputs_and_state() {
        let mut operation = operation();
        assert_eq!(
            (operation.outputs(0), operation.outputs(3)),
            (Some(1), Some(1))
        );
        operation.state = true;
        assert_eq!(
            (operation.outputs(0), operation.outputs(1)),
            (None, Some(2))
        );
        operation.mode = Mode::Each;
        assert_eq!(operation.outputs(3), None);
        operation.state = false;
        assert_eq!(operation.outputs(3), Some(3));
        assert_eq!(operation.outputs(MAX_OUTPUTS), Some(MAX_OUTPUTS as u128));
        for none in [0, MAX_OUTPUTS + 1] {
            assert_eq!(operation.outputs(none), None, "nobody could vote");
        }
    }

    #[test]
    fn the_bytes_are_canonical_dag_json() {
        let bytes = operation().to_dag_json().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let expected = format!(
            r#"{{"args":["-l","ünï\""],"fuel":20000000000,"memory":1048576,"mode":"cat","profile":"p 1","program":{{"/":"{}"}}}}"#,
            data_cid(sha256(b"program"))
        );
        assert_eq!(text, expected);
        assert_eq!(Operation::from_dag_json(&bytes).unwrap(), operation());
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = String::from_utf8(operation().to_dag_json().unwrap()).unwrap();
        let spaced = text.replace(":[", ": [");
        assert!(matches!(
            Operation::from_dag_json(spaced.as_bytes()),
            Err(OperationError::NotCanonical)
        ));
        let unknown = text.replace("{\"args\"", "{\"aaa\":1,\"args\"");
        assert!(matches!(
            Operation::from_dag_json(unknown.as_bytes()),
            Err(OperationError::Shape(_))
        ));
        for bad in [
            text.replace("cat", "dog"),
            text.replace("20000000000", "-1"),
            text.replace("20000000000", "1.5"),
            text + " ",
            String::new(),
        ] {
            assert!(Operation::from_dag_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_operation_names_a_profile_of_bounded_length() {
        for profile in [String::new(), "x".repeat(MAX_PROFILE_BYTES + 1)] {
            let wrong = Operation {
                profile,
                ..operation()
            };
            let bytes = encode(&wrong).unwrap();
            for refused in [
                wrong.to_dag_json().map(drop),
                Operation::from_dag_json(&bytes).map(drop),
            ] {
                assert!(matches!(refused, Err(OperationError::Profile { .. })));
            }
        }
        let text = String::from_utf8(operation().to_dag_json().unwrap()).unwrap();
        let without = text.replace("\"profile\":\"p 1\",", "");
        assert!(matches!(
            Operation::from_dag_json(without.as_bytes()),
            Err(OperationError::Shape(_))
        ));
    }

    #[test]
    fn failure_records_keep_bytes_that_are_not_text() {
        let record = FailureRecord {
            code: Some(3),
            input: None,
            reason: Reason::Exit,
            stderr: vec![0xff, b'x'],
            trap: None,
        };
        let bytes = record.to_dag_json().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            r#"{"code":3,"reason":"exit","stderr":{"/":{"bytes":"/3g"}}}"#
        );
        assert_eq!(FailureRecord::from_dag_json(&bytes).unwrap(), record);
    }

    #[test]
    fn too_many_arguments_are_refused() {
        let mut operation = operation();
        operation.args = vec!["x".repeat(1000); 200];
        assert!(matches!(
            operation.to_dag_json(),
            Err(OperationError::TooLong { .. })
        ));
    }
}
