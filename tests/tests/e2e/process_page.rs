//! "An application in ten minutes" of docs/processes.md, followed literally in an empty folder.

use rings_tests::{repository, serial, Call, Program};
use std::{env, fs, path::PathBuf, time::Duration};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(600);

/// The commands of the page, in order.
fn commands() -> String {
    let page = fs::read_to_string(repository().join("docs/processes.md")).unwrap();
    let (_, section) = page.split_once("## An application in ten minutes").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|block| block.split_once("```").unwrap().0)
        .collect();
    assert!(blocks.len() >= 5, "{section}");
    blocks.concat()
}

/// Takes the ring of the page down whatever happens.
struct Down(PathBuf);

impl Drop for Down {
    fn drop(&mut self) {
        if self.0.exists() {
            let down = Call::new(Program::Honest).args(["down", "--dir"]);
            down.arg(&self.0).call();
        }
    }
}

#[test]
fn the_page_works_as_it_is_written() {
    let _serial = serial();
    let home = TempDir::new().unwrap();
    let _down = Down(home.path().join("greeter/.rings"));
    let programs = Program::Honest.path();
    let programs = programs.parent().unwrap();
    let path = format!("{}:{}", programs.display(), env::var("PATH").unwrap());
    let script = Call::of("bash").args(["-euo", "pipefail", "-c", &commands()]);
    let done = script
        .current_dir(home.path())
        .env("PATH", path)
        .env_remove("RINGS_DIR")
        .limit(LIMIT)
        .call()
        .ok();
    let text = done.text();
    for told in [
        "Hello, Ada Lovelace, once more",
        "event came by hand",
        "asked  on desk.asked  1 run",
        "thanks  succeeded(greeted)",
        "on chain 31337, transaction 0x",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    let right =
        "right: every hash fits, and each step follows from the ones below it; process asked";
    assert!(done.stderr.contains(right), "{}", done.stderr);
}
