//! The text of `docs/cli.md`: the help of all commands. A test compares the file with it.

use super::args::Cli;
use clap::{Command, CommandFactory};
use std::fmt::Write;

/// Columns of the text.
const WIDTH: usize = 100;

/// All commands with their help, as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(
        "# The command line\n\nWritten by `rings reference > docs/cli.md`; a test compares it with the program.\n",
    );
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    section(&mut text, &mut command, "rings");
    text
}

fn section(text: &mut String, command: &mut Command, name: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    // Writing into a string does not fail.
    write!(
        text,
        "\n## `{name}`\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    )
    .unwrap_or_default();
    for sub in command
        .get_subcommands_mut()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
    {
        let name = format!("{name} {}", sub.get_name());
        section(text, sub, &name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_what_the_program_says() {
        let written = include_str!("../../docs/cli.md");
        assert!(
            written == markdown(),
            "docs/cli.md is out of date: run `rings reference > docs/cli.md`"
        );
    }
}
