//! The version of the protocol that members speak, in the handshake.
//!
//! Each side says in its first message (identify) which version it speaks and which program it is. The names of topic and
//! requests hold the version too, so that two versions that do not work together do not exchange anything else; what was
//! said in the handshake is the reason that people are shown.

use std::fmt;

/// How the text of a version begins.
const FAMILY: &str = "rings/";

/// Most characters of a peer's text that are shown.
const SHOWN: usize = 64;

/// Which protocol and program this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The protocol; two nodes work together when these are equal.
    pub protocol: u32,
    /// Name and version of the program, for people.
    pub program: String,
}

impl Version {
    /// The text in the handshake.
    pub(crate) fn text(&self) -> String {
        format!("{FAMILY}{}", self.protocol)
    }

    /// The topic of this protocol about a subject.
    pub(crate) fn topic(&self, subject: &str) -> String {
        match self.protocol {
            // As it was before there were versions.
            0 | 1 => subject.to_owned(),
            protocol => format!("{subject}/{protocol}"),
        }
    }

    /// Why this node and a peer that said this do not work together; `None` if they do.
    pub(crate) fn differs(&self, protocol: &str, program: &str) -> Option<String> {
        let (own, ours) = (self.protocol, &self.program);
        let program = Shown(program);
        let theirs = protocol.strip_prefix(FAMILY);
        match theirs.and_then(|number| number.parse::<u32>().ok()) {
            Some(theirs) if theirs == own => None,
            Some(theirs) => {
                let older = match theirs < own {
                    true => "upgrade that member's program",
                    false => "upgrade this member's program",
                };
                Some(format!(
                    "it speaks version {theirs} of the protocol ({program}), and this member version {own} ({ours}): {older}"
                ))
            }
            None => Some(format!(
                "it speaks another protocol, {} ({program})",
                Shown(protocol)
            )),
        }
    }
}

/// A peer's text: of bounded length, and without what a terminal might act on.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
        shown
            .by_ref()
            .take(SHOWN)
            .try_for_each(|c| write!(f, "{c}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_be_upgraded_is_said() {
        let version = Version {
            protocol: 2,
            program: "rings 0.2.0".into(),
        };
        assert_eq!(version.differs(&version.text(), "rings 0.2.9"), None);
        let older = version.differs("rings/1", "rings 0.1.0").unwrap();
        assert!(
            older.contains("version 1") && older.contains("rings 0.1.0"),
            "{older}"
        );
        assert!(older.ends_with("upgrade that member's program"), "{older}");
        let newer = version.differs("rings/3", "rings 0.3.0").unwrap();
        assert!(newer.ends_with("upgrade this member's program"), "{newer}");
        let other = version.differs("ipfs/1.0.0", "kubo\u{1b}[2J\n").unwrap();
        assert!(other.contains("ipfs/1.0.0 (kubo[2J)"), "{other}");
        let long = version.differs(&"x".repeat(4000), "y").unwrap();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn the_first_version_has_the_topic_that_was_there_before() {
        let topic = |protocol| {
            let program = String::new();
            Version { protocol, program }.topic("/rings/1/0xab")
        };
        assert_eq!(topic(1), "/rings/1/0xab");
        assert_eq!(topic(2), "/rings/1/0xab/2");
    }
}
