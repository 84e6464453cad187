//! What `rings verify` looks at.

use rings_protocol::{Address, Digest};
use std::{path::PathBuf, str::FromStr};

/// Characters of a gate's address: 0x and 20 bytes in hex.
const ADDRESS_LENGTH: usize = 42;
/// Characters of a request's digest: 0x and 32 bytes in hex.
const DIGEST_LENGTH: usize = 66;

/// What `rings verify` looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A gate.
    Gate(Address),
    /// A request without a gate.
    Request(Digest),
    /// A proof or an accusation; `-` is standard input.
    File(PathBuf),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with("0x") || PathBuf::from(text).exists() {
            return Ok(Self::File(text.into()));
        }
        match text.len() {
            ADDRESS_LENGTH => text.parse().map(Self::Gate).map_err(|error| error.to_string()),
            DIGEST_LENGTH => text.parse().map(Self::Request).map_err(|error| error.to_string()),
            _ => Err(format!(
                "expected a gate (0x and 40 hexadecimal digits), a request (0x and 64), or a file, got {text:?}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_requests_and_files_are_told_apart_by_their_form() {
        let gate = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(gate.parse(), Ok(Subject::Gate(gate.parse().unwrap())));
        let request = Digest([7; 32]);
        assert_eq!(request.to_string().parse(), Ok(Subject::Request(request)));
        for file in ["-", "proof", "./0x12", "a/b.proof"] {
            assert_eq!(file.parse(), Ok(Subject::File(file.into())));
        }
        for wrong in [
            "0x12",
            "0x",
            &gate.replace('A', "a"),
            &gate.replace('5', "g"),
        ] {
            let told = wrong.parse::<Subject>().unwrap_err();
            assert!(!told.contains('\n'), "{told}");
        }
    }
}
