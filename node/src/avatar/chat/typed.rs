//! What a person types: lines to say, and commands that begin with a slash.

use crate::avatar::devices::Wish;
use rings_protocol::Address;
use std::{io::BufRead, thread};
use tokio::sync::mpsc;

const HELP: &str = "/name NAME: how you want to be called, in at most 64 bytes   /call NAME 0xADDRESS: how you call somebody   \
/also 0xADDRESS: another avatar of yours   /add 0xADDRESS: let a further device of yours in   /invite 0xADDRESS: let somebody in   \
/remove 0xADDRESS: put one out   /recover 0xLOST 0xFRESH: one in place of another   /approve NAME: sign such a change   /who: who is here   /flush: put what was said on the chain   /quit";

/// Something that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// A whole line.
    Line(String),
    /// A line that is not finished.
    Draft(String),
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChatCommand {
    /// To say it.
    Say(String),
    /// To be called so.
    Name(String),
    /// To change who is in the ring.
    Wish(Wish),
    /// To sign a change whose name begins so.
    Approve(String),
    /// To call somebody so.
    Call(String, Address),
    /// Who is here.
    Who,
    /// To move the head on chain.
    Flush,
    /// A word about the commands.
    Help(String),
    /// To end.
    Quit,
    /// Nothing.
    Nothing,
}

impl ChatCommand {
    /// Reads a line.
    pub(super) fn read(line: &str) -> Self {
        let line = line.trim();
        let Some(command) = line.strip_prefix('/') else {
            return match line.is_empty() {
                true => Self::Nothing,
                false => Self::Say(line.to_owned()),
            };
        };
        // Two slashes say a line that begins with one.
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match (word, rest.is_empty()) {
            ("name", false) => Self::Name(rest.to_owned()),
            ("also", false) => Self::wish(rest, Wish::Also),
            ("add", false) => Self::wish(rest, Wish::Add),
            ("invite", false) => Self::wish(rest, Wish::Invite),
            ("remove", false) => Self::wish(rest, Wish::Remove),
            ("recover", false) => match rest.split_once(' ') {
                Some((lost, fresh)) => match (lost.parse(), fresh.trim().parse()) {
                    (Ok(lost), Ok(fresh)) => Self::Wish(Wish::Recover { lost, fresh }),
                    (Err(error), _) | (_, Err(error)) => Self::unknown(error),
                },
                None => Self::Help(HELP.to_owned()),
            },
            ("approve", false) => Self::Approve(rest.to_owned()),
            ("call", false) => match rest.rsplit_once(' ') {
                Some((name, avatar)) => match avatar.parse() {
                    Ok(avatar) => Self::Call(name.trim().to_owned(), avatar),
                    Err(error) => Self::unknown(error),
                },
                None => Self::Help(HELP.to_owned()),
            },
            ("who", true) => Self::Who,
            ("flush", true) => Self::Flush,
            ("quit" | "q", true) => Self::Quit,
            _ => Self::Help(HELP.to_owned()),
        }
    }

    fn wish(avatar: &str, wish: fn(Address) -> Wish) -> Self {
        let avatar = avatar.parse();
        avatar.map_or_else(Self::unknown, |avatar| Self::Wish(wish(avatar)))
    }

    fn unknown(error: impl std::fmt::Display) -> Self {
        Self::Help(error.to_string())
    }
}

/// Reads lines from standard input, in a thread that ends with the program.
pub(super) fn read_lines(typed: mpsc::Sender<Typed>) {
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if typed.blocking_send(Typed::Line(line)).is_err() {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_commands_are_told_apart() {
        let avatar = Address([0xab; 20]);
        for (line, command) in [
            (" hello ".to_owned(), ChatCommand::Say("hello".into())),
            ("".into(), ChatCommand::Nothing),
            (
                "//etc/passwd".into(),
                ChatCommand::Say("/etc/passwd".into()),
            ),
            ("/who".into(), ChatCommand::Who),
            ("/flush".into(), ChatCommand::Flush),
            ("/quit".into(), ChatCommand::Quit),
            (
                "/name Alice B.".into(),
                ChatCommand::Name("Alice B.".into()),
            ),
            (
                format!("/also {avatar}"),
                ChatCommand::Wish(Wish::Also(avatar)),
            ),
            (
                format!("/recover {avatar}  {avatar}"),
                ChatCommand::Wish(Wish::Recover {
                    lost: avatar,
                    fresh: avatar,
                }),
            ),
            ("/approve 0x12".into(), ChatCommand::Approve("0x12".into())),
            (
                format!("/call Bob the builder {avatar}"),
                ChatCommand::Call("Bob the builder".into(), avatar),
            ),
        ] {
            assert_eq!(ChatCommand::read(&line), command);
        }
        for line in [
            "/help",
            "/nonsense",
            "/name",
            "/call Bob",
            "/also bob",
            "/add",
            "/recover 0x12",
        ] {
            assert!(
                matches!(ChatCommand::read(line), ChatCommand::Help(_)),
                "{line}"
            );
        }
    }
}
