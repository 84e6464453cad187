//! `rings man`: manual pages, made from the same commands as the help.
//!
//! Each command has a page: `rings.1`, `rings-run.1`, `rings-ring-show.1`. Commands that only this program calls have
//! none. So a page cannot say anything else than `--help`. What lies outside of the command line (files, variables of
//! the environment) stands on the page of `rings` itself.

use super::{
    args::{Cli, ManArgs},
    exit::{Context, ExitError, ExitStatus},
    out::{count, Out},
};
use clap::{Command, CommandFactory};
use clap_mangen::{
    roff::{roman, Roff},
    Man,
};
use std::{fs, io, path::Path};

/// What stands at the top of each page.
const MANUAL: &str = "Rings";
/// Sections of a page about what lies outside of the command line, on the page of `rings` itself.
const FILES: &str = "\
DIR/ring.json                chain, contracts and members of a ring
DIR/client.key               the key of the account that asks and pays
DIR/token, DIR/tokens/       bearer tokens of members
config.toml                  one member's configuration; every key of it can be given by a variable RINGS_SECTION_KEY";
const ENVIRONMENT: &str = "\
RINGS_DIR                    DIR, where no --dir is given
RINGS_SECTION_KEY            a key of the configuration of `rings node`, such as RINGS_CHAIN_RPC
RUST_LOG                     what `rings node` logs, such as info,rings_network=debug";

/// One manual page.
#[derive(Debug)]
struct Page {
    /// The command, such as `rings ring show`.
    command: String,
    /// Its file name.
    file: String,
    text: Vec<u8>,
}

/// `rings man`
///
/// # Errors
/// Status 2 when there is no such command, or a page cannot be written.
pub fn man(args: &ManArgs, out: Out) -> Result<(), ExitError> {
    let failed = |error| ExitError::internal("a manual page cannot be made").because(error);
    let pages = pages().map_err(failed)?;
    if let Some(directory) = &args.out {
        write_all(&pages, directory)?;
        out.note(format_args!(
            "{} in {}",
            count(pages.len(), "page"),
            directory.display()
        ));
        return Ok(());
    }
    let wanted = [&["rings".to_owned()], args.command.as_slice()].concat();
    let wanted = wanted.join(" ");
    match pages.iter().find(|page| page.command == wanted) {
        Some(page) => out.bytes(&page.text),
        None => Err(ExitError::usage(format!(
            "there is no command `{wanted}`; `rings help` lists the commands"
        ))),
    }
}

fn write_all(pages: &[Page], directory: &Path) -> Result<(), ExitError> {
    let failed = || format!("cannot write into {}; check the path", directory.display());
    fs::create_dir_all(directory).context(ExitStatus::Usage, failed())?;
    for page in pages {
        fs::write(directory.join(&page.file), &page.text).context(ExitStatus::Usage, failed())?;
    }
    Ok(())
}

/// All pages, each behind that of the command above it.
fn pages() -> io::Result<Vec<Page>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, "rings", &mut pages)?;
    Ok(pages)
}

/// A page for the command, and one for each command below it that is shown.
fn collect(command: &Command, name: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let man = Man::new(command.clone())
        .manual(MANUAL)
        .source(concat!("rings ", env!("CARGO_PKG_VERSION")));
    pages.push(Page {
        command: name.to_owned(),
        file: man.get_filename(),
        text: text(&man, command, name)?,
    });
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in shown {
        collect(sub, &format!("{name} {}", sub.get_name()), pages)?;
    }
    Ok(())
}

fn text(man: &Man, command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(after) = command.get_after_help() {
        as_written("NOTES", &after.to_string(), &mut page)?;
    }
    if name == "rings" {
        as_written("ENVIRONMENT", ENVIRONMENT, &mut page)?;
        as_written("FILES", FILES, &mut page)?;
    }
    Ok(page)
}

/// A section whose lines stay as they are.
fn as_written(title: &str, text: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]).control("nf", []);
    for line in text.lines() {
        match line.is_empty() {
            true => roff.control("sp", []),
            false => roff.text([roman(line)]),
        };
    }
    roff.control("fi", []).to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str) -> String {
        let page = pages()
            .unwrap()
            .into_iter()
            .find(|page| page.command == name);
        String::from_utf8(page.expect("there is a page").text).unwrap()
    }

    #[test]
    fn every_command_that_is_shown_has_a_page_under_its_own_name() {
        let pages = pages().unwrap();
        let files: Vec<_> = pages.iter().map(|page| page.file.as_str()).collect();
        for file in ["rings.1", "rings-run.1", "rings-ring-show.1", "rings-man.1"] {
            assert!(files.contains(&file), "{file}: {files:?}");
        }
        for hidden in ["worker", "guard", "reference", "help"] {
            let is_shown = files.iter().any(|file| file.contains(hidden));
            assert!(!is_shown, "{hidden}: {files:?}");
        }
        let mut unique = files.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), files.len());
    }

    #[test]
    fn a_page_has_its_options_and_the_lines_of_its_example_as_they_are() {
        let run = page("rings run");
        assert!(run.contains(r"\-\-receipt"), "{run}");
        assert!(run.contains(".TH"), "{run}");
        let rings = page("rings");
        assert!(rings.contains("\n  3  the ring agreed"), "{rings}");
        assert!(rings.contains("RINGS_DIR"), "{rings}");
    }

    #[test]
    fn pages_are_written_and_a_command_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (out, place) = (Out::new(true, false), directory.path().join("man1"));
        let args = |out, command: &[&str]| ManArgs {
            out,
            command: command.iter().map(ToString::to_string).collect(),
        };
        man(&args(Some(place.clone()), &[]), out).unwrap();
        let count = fs::read_dir(place).unwrap().count();
        assert_eq!(count, pages().unwrap().len());
        let wrong = man(&args(None, &["ring", "nothing"]), out).unwrap_err();
        assert_eq!(wrong.status(), ExitStatus::Usage);
        assert!(wrong.to_string().contains("rings ring nothing"), "{wrong}");
    }
}
