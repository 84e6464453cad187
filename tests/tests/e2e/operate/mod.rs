//! The page about a ring on five machines, followed as it is written, and what else operators get.

mod machines;
mod packages;
pub(super) mod page;
mod watching;

use super::quick::wc;
use machines::{Kind, Machines, RING};
use page::{Block, Step};
use rings_tests::{program, Done};
use std::fs;

/// The page.
const PAGE: &str = "docs/operate.md";
/// The address of a gate on it.
const GATE: &str = "0x27b1fdb04752bbc536007a920d24acb045561c26";
/// The block of the deployment on it.
const START_BLOCK: &str = "21000000";

/// Somebody who follows the page.
struct Reader {
    machines: Machines,
    keeper: Option<String>,
    results: usize,
    shown: usize,
}

#[test]
fn the_page_about_five_machines_can_be_followed_as_it_is_written() {
    follow_the_page(Kind::Anvil);
}

#[test]
#[ignore = "geth takes minutes to build: ./anvil-scripts/test --long builds it"]
fn the_page_about_five_machines_can_be_followed_on_geth() {
    follow_the_page(Kind::Geth);
}

fn follow_the_page(kind: Kind) {
    let mut reader = Reader {
        machines: Machines::new(kind),
        keeper: None,
        results: 0,
        shown: 0,
    };
    for step in page::steps(&page::read(PAGE)) {
        match step {
            Step::Block(block) => reader.types(&block),
            Step::Mark(what) => reader.lives_through(&what),
        }
    }
    assert_eq!(
        (reader.results, reader.shown),
        (4, 2),
        "results and looks at the ring"
    );
}

impl Reader {
    fn types(&mut self, block: &Block) {
        println!("line {}, on {}", block.line, block.machine);
        for (machine, done) in self.machines.run(block) {
            self.reads(machine, block, &done);
        }
    }

    /// What a person sees in the output, and goes on with.
    fn reads(&mut self, machine: &str, block: &Block, done: &Done) {
        let (text, shown) = (block.text.as_str(), done.text());
        if text.contains("rings key new --out key.json") {
            self.machines.learn_member(machine, shown.trim());
        }
        if text.contains("rings key new --out keeper.json") {
            self.keeper = Some(shown.trim().to_owned());
        }
        if text.contains("rings deploy") {
            self.machines.learn(RING, word_after(&shown, "ring"));
            self.machines
                .learn(START_BLOCK, word_after(&shown, "block"));
        }
        if text.contains("rings run") {
            let said = text.split('"').nth(1).expect("the input is quoted");
            let expected = wc(format!("{said}\n").as_bytes());
            assert!(done.stdout.ends_with(&expected), "{shown}");
            self.machines
                .learn(GATE, word_after(&done.stderr, "gate").trim_end_matches(':'));
            self.results += 1;
        }
        if text.contains("rings verify") {
            assert!(shown.contains("right     what is on chain"), "{shown}");
            // The fifth may have been late: then it computes only a sample.
            assert!(shown.matches("voted right").count() >= 4, "{shown}");
            assert!(!shown.contains("DIVERGED"), "{shown}");
            self.shown += 1;
        }
        if text.contains("rings status --rpc") {
            assert_eq!(
                shown.matches(", 4 peers").count() + shown.matches("  4 peers").count(),
                5,
                "{shown}"
            );
            self.shown += 1;
        }
    }

    /// What happens outside of the blocks.
    fn lives_through(&mut self, what: &str) {
        println!("{what}");
        match what {
            "ether for the keeper" => {
                let keeper = self.keeper.as_ref().expect("the keeper has a key");
                self.machines.give_ether(keeper);
            }
            "the five are connected" | "the new five are connected" => {
                self.machines.wait_connected();
            }
            "a program" => {
                let to = self.machines.dir("a").join("wc.wasm");
                fs::copy(program("wc"), to).unwrap();
            }
            "the gate is known" => assert_eq!(self.results, 1),
            "e is lost" => {
                self.machines.replace("e", "f");
                assert!(!self.machines.dir("e").exists());
            }
            "the data of c are lost" => self.machines.lose_data("c"),
            "a day passes" => self.machines.let_a_day_pass(),
            "ether for f" => {
                self.machines.give_ether(self.machines.member("f"));
            }
            "stop the members" => self.machines.stop(),
            other => panic!("the page has a mark that this test does not know: {other}"),
        }
    }
}

/// The word behind the first line that begins so.
fn word_after<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.lines().map(str::split_whitespace);
    let found = lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next())?);
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}
