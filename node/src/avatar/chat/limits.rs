//! How long a line and a name may be. What is longer is refused in words: cut off, it would say something else.

use rings_client::{MAX_LINE_BYTES, MAX_NAME_BYTES};

/// Why a line cannot be said.
pub(super) fn refuse_line(text: &str) -> Option<String> {
    let bytes = text.len();
    (bytes > MAX_LINE_BYTES).then(|| {
        format!("this was not said: it has {bytes} bytes, and a message has at most {MAX_LINE_BYTES}; say it in parts")
    })
}

/// Why a name cannot be used.
pub(super) fn refuse_name(name: &str) -> Option<String> {
    let bytes = name.len();
    (bytes > MAX_NAME_BYTES).then(|| {
        format!("a name has at most {MAX_NAME_BYTES} bytes, and this one has {bytes}; take a shorter one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_and_not_cut() {
        assert_eq!(refuse_line(&"x".repeat(MAX_LINE_BYTES)), None);
        let why = refuse_line(&"ö".repeat(MAX_LINE_BYTES)).unwrap();
        assert!(why.contains("8192 bytes") && why.contains("4096"), "{why}");
        assert_eq!(refuse_name("Alice"), None);
        let why = refuse_name(&"x".repeat(MAX_NAME_BYTES + 1)).unwrap();
        assert!(why.contains("at most 64 bytes"), "{why}");
    }
}
