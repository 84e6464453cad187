//! Makes text from untrusted sources safe to show on a terminal.

/// Text in which nothing can move the cursor, change colours or reorder what is shown: control characters other than line
/// ends and tabs, and the characters that change the direction of text, are replaced by their numbers, as `\u{1b}`. Bytes
/// that are not UTF-8 become U+FFFD.
///
/// Everything that comes out of a program or a module (standard error, names of imports) goes through this before it
/// is shown to a person.
pub fn escape_for_terminal(text: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(text.as_ref());
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_harmless(character) {
            true => shown.push(character),
            false => shown.extend(character.escape_unicode()),
        }
    }
    shown
}

fn is_harmless(character: char) -> bool {
    match character {
        '\n' | '\t' => true,
        // Marks and overrides of direction, line and paragraph separators, invisible operators, the byte order mark.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        '\u{61c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
        other => !other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_that_drive_a_terminal_are_shown_as_numbers() {
        let hostile = b"\x1b]0;owned\x07\x1b[31mred\x1b[2J\r\x08\x9b\xc2\x9b";
        let shown = escape_for_terminal(hostile);
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(
            shown.starts_with("\\u{1b}]0;owned\\u{7}\\u{1b}[31mred"),
            "{shown}"
        );
        assert_eq!(
            escape_for_terminal("a\u{202e}b\u{2066}"),
            "a\\u{202e}b\\u{2066}"
        );
    }

    #[test]
    fn text_stays_text() {
        let text = "line\n\ttab \u{e9} \u{440}\u{438}\u{43d}\u{433} \u{1f600} \"quoted\" \\";
        assert_eq!(escape_for_terminal(text), text);
    }
}
