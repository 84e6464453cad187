//! Packages and pages for operators, checked without starting anything of them: against the schemas of those who read them, the program's
//! own commands and configuration keys, and each other.

use super::page::{blocks, calls, code_spans, read};
use rings_member::config::{variables, NodeConfig, KEYS};
use rings_tests::{repository, script, Call, Program};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Pages whose commands, keys and links are checked.
const PAGES: [&str; 3] = ["docs/operate.md", "packaging/README.md", "README.md"];
const UNIT: &str = "packaging/systemd/rings@.service";
const DOCKERFILE: &str = "packaging/docker/Dockerfile";

/// What the checks with the schemas have found in the files. They fail on a mistake.
fn checked() -> Value {
    let call = script("tests/operate", "check.mjs").arg(repository());
    serde_json::from_slice(&call.ok()).unwrap()
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list").iter();
    list.map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn packages_fit_their_schemas_and_the_configuration() {
    let found = checked();
    let known: BTreeSet<String> = variables().collect();
    let files = found["variables"].as_object().unwrap();
    assert_eq!(files.len(), 6, "five containers and a pod");
    for (file, names) in files {
        for name in strings(names) {
            assert!(known.contains(&name), "{file}: {name} is no key");
        }
    }
    let configurations = found["configurations"].as_object().unwrap();
    for (file, named) in configurations {
        let text = named["node.toml"].as_str().unwrap();
        let parsed = NodeConfig::parse(text, Path::new("/etc/rings/node.toml"), |_| None);
        assert!(parsed.is_ok(), "{file}: {parsed:?}");
    }
    let mut commands = Commands::default();
    for (file, calls) in found["commands"].as_object().unwrap() {
        for call in calls.as_array().unwrap() {
            commands.check(file, &strings(call)[1..]);
        }
    }
    assert_eq!(found["commands"].as_object().unwrap().len(), 2);
}

/// The commands of the program, with their help, read when they are asked for.
#[derive(Default)]
struct Commands {
    help: BTreeMap<String, String>,
}

impl Commands {
    /// The help of a command; `None` when there is no such command.
    fn help(&mut self, command: &[String]) -> Option<&str> {
        let key = command.join(" ");
        if !self.help.contains_key(&key) {
            let done = Call::new(Program::Honest)
                .args(command)
                .arg("--help")
                .call();
            let text = if done.status.success() {
                done.text()
            } else {
                String::new()
            };
            // `help` of an argument is the help of the command above it.
            let usage = format!("Usage: rings {key}");
            let is_its_own = command.is_empty() || text.contains(usage.trim_end());
            self.help
                .insert(key.clone(), if is_its_own { text } else { String::new() });
        }
        self.help
            .get(&key)
            .map(String::as_str)
            .filter(|help| !help.is_empty())
    }

    /// That a call names a command and options that are there.
    fn check(&mut self, place: &str, words: &[String]) {
        let is_name = |word: &&String| word.chars().all(|c| c.is_ascii_lowercase());
        let names: Vec<String> = words.iter().take(2).take_while(is_name).cloned().collect();
        let mut command = names;
        while !command.is_empty() && self.help(&command).is_none() {
            command.pop();
        }
        let has_options_only = words.first().is_none_or(|word| word.starts_with('-'));
        assert!(
            !command.is_empty() || has_options_only,
            "{place}: there is no command {words:?}"
        );
        let help = self
            .help(&command)
            .expect("the program has help")
            .to_owned();
        let known: BTreeSet<&str> = help.split([' ', ',', '\n', '[', ']', '=']).collect();
        for option in words
            .iter()
            .filter(|word| word.starts_with('-') && word.len() > 1)
        {
            let name = option.split('=').next().unwrap_or_default();
            assert!(
                known.contains(name),
                "{place}: `rings {}` has no option {name}",
                command.join(" ")
            );
        }
    }
}

#[test]
fn every_command_and_option_on_the_pages_is_there() {
    let (mut commands, mut seen) = (Commands::default(), 0);
    for page in PAGES {
        let text = read(page);
        for block in blocks(&text) {
            let place = format!("{page}:{}", block.line);
            for call in calls(&block.text) {
                commands.check(&place, &call);
                seen += 1;
            }
        }
        for span in code_spans(&text)
            .iter()
            .filter(|span| span.starts_with("rings "))
        {
            for call in calls(&span.replace("\\|", "/")) {
                commands.check(page, &call);
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen} calls on the pages");
}

#[test]
#[should_panic(expected = "has no option --noise")]
fn an_option_that_is_not_there_is_found() {
    Commands::default().check("here", &["ring", "show", "--noise"].map(String::from));
}

#[test]
fn every_key_on_the_pages_is_one_of_the_configuration() {
    let mut seen = 0;
    for page in PAGES {
        for span in code_spans(&read(page)) {
            let Some((section, name)) = span
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("] "))
            else {
                continue;
            };
            let is_key = KEYS
                .iter()
                .any(|key| (key.section, key.name) == (section, name));
            assert!(is_key, "{page}: there is no key {span}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen} keys on the pages");
}

#[test]
fn every_variable_on_the_pages_gives_a_key() {
    let known: BTreeSet<String> = variables().collect();
    let others = ["RINGS_DIR", "RINGS_SECTION_KEY"];
    let mut seen = 0;
    for page in PAGES {
        let text = read(page);
        let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
        for name in text
            .split(|c| !is_part(c))
            .filter(|name| name.starts_with("RINGS_"))
        {
            let is_known = known.contains(name) || others.contains(&name);
            assert!(is_known, "{page}: {name} is no variable of the program");
            seen += 1;
        }
    }
    assert!(seen > 3, "{seen} variables on the pages");
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let page = read("docs/operate.md");
    let sections = page
        .lines()
        .filter_map(|line| line.strip_prefix("### Rings"));
    let sections: Vec<_> = sections.map(|rest| format!("Rings{rest}")).collect();
    let mut alerts = strings(&checked()["alerts"]);
    let mut sorted = sections.clone();
    sorted.sort_unstable();
    alerts.sort_unstable();
    assert_eq!(sorted, alerts);
}

#[test]
fn links_on_the_pages_lead_somewhere() {
    for page in PAGES {
        let text = read(page);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let from = repository().join(page);
            let target = match path.is_empty() {
                true => from,
                false => from.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{page}: {link}");
            let is_there = anchor.is_empty()
                || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor);
            assert!(is_there, "{page}: {link}: no such heading");
        }
    }
}

/// The anchors of the headings, as Markdown renderers make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchors = headings.map(|line| {
        let name = line.trim_start_matches('#').trim().to_lowercase();
        let kept = name
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    });
    anchors.collect()
}

/// The image is built from what is copied into it: that has to be a whole workspace, and nothing of it may be left out.
#[test]
fn what_the_image_is_built_from_is_a_workspace() {
    let copied = strings(&checked()["copied"]);
    let place = tempfile::tempdir().unwrap();
    for path in &copied {
        copy(&repository().join(path), &place.path().join(path));
    }
    let cargo = Call::of(env!("CARGO")).args(["metadata", "--locked", "--offline", "--no-deps"]);
    let metadata: Value = serde_json::from_slice(
        &cargo
            .args(["--format-version", "1"])
            .current_dir(place.path())
            .ok(),
    )
    .unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.iter().any(|package| package["name"] == "rings"));

    let ignored = read(".dockerignore");
    let let_in: Vec<_> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    assert_eq!(let_in, copied, "what .dockerignore lets in");
    let manifest: toml::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let rust = manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap();
    assert!(
        read(DOCKERFILE).contains(&format!("FROM rust:{rust}-")),
        "Rust {rust}"
    );
}

/// Copies a file, or a directory without what is built in it.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let name = entry.file_name();
        if name != "target" && name != "node_modules" {
            copy(&entry.path(), &to.join(name));
        }
    }
}

#[test]
fn the_unit_starts_a_member_in_its_own_directory() {
    let text = read(UNIT);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let all: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once('=')).collect();
    let value = |name: &str| {
        let found = all.iter().find(|(key, _)| *key == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    };
    let directory = value("WorkingDirectory");
    assert_eq!(directory, format!("/var/lib/{}", value("StateDirectory")));
    let start: Vec<String> = value("ExecStart").split(' ').map(str::to_owned).collect();
    assert_eq!(start[0], "/usr/local/bin/rings");
    assert_eq!(start.last(), Some(&format!("{directory}/node.toml")));
    Commands::default().check(UNIT, &start[1..]);
    let user = value("User");
    assert!(read("packaging/systemd/rings.conf").contains(&format!("\nu {user} - ")));
    // Programs are compiled to machine code.
    assert!(all.iter().all(|(key, _)| *key != "MemoryDenyWriteExecute"));
    let page = read("packaging/README.md");
    for path in [
        UNIT,
        "packaging/systemd/rings.conf",
        "/usr/local/bin/rings",
        "/var/lib/rings/five",
    ] {
        assert!(page.contains(path), "{path}");
    }
}
