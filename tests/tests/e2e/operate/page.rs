//! A page of documentation as the tests follow it: its shell blocks, what happens between them, its commands and keys.

use std::{fs, path::Path};

/// How a shell block begins; behind it stands the machine that it is for.
const FENCE: &str = "```sh";
/// How a mark begins that says what happens outside of the blocks.
const MARK: &str = "<!-- test: ";
/// How it ends.
const MARK_END: &str = " -->";

/// What comes next on the page.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Something that a person types.
    Block(Block),
    /// Something that happens, which only the test has to be told.
    Mark(String),
}

/// A shell block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line on which it begins.
    pub line: usize,
    /// The machine that it is for; empty where the page does not say.
    pub machine: String,
    /// What is typed.
    pub text: String,
}

/// The blocks and marks of a page, in order.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut block: Option<Block> = None;
    for (number, line) in (1..).zip(page.lines()) {
        if let Some(open) = &mut block {
            match line == "```" {
                true => steps.extend(block.take().map(Step::Block)),
                false => open.text.extend([line, "\n"]),
            }
        } else if let Some(machine) = line.strip_prefix(FENCE) {
            block = Some(Block {
                line: number,
                machine: machine.trim().to_owned(),
                text: String::new(),
            });
        } else {
            steps.extend(marks(line).map(Step::Mark));
        }
    }
    assert_eq!(block, None, "a block that does not end");
    steps
}

fn marks(line: &str) -> impl Iterator<Item = String> + '_ {
    let parts = line.split(MARK).skip(1);
    parts.map(|part| part.split_once(MARK_END).expect("a mark ends").0.to_owned())
}

/// All shell blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let steps = steps(page).into_iter();
    let blocks = steps.filter_map(|step| match step {
        Step::Block(block) => Some(block),
        Step::Mark(_) => None,
    });
    blocks.collect()
}

/// What stands between backticks in the text of a page, outside of its blocks.
pub fn code_spans(page: &str) -> Vec<String> {
    let mut is_block = false;
    let text: Vec<&str> = page
        .lines()
        .filter(|line| {
            let is_fence = line.starts_with("```");
            is_block ^= is_fence;
            !is_block && !is_fence
        })
        .collect();
    let joined = text.join("\n");
    let spans = joined.split('`').skip(1).step_by(2);
    spans.map(|span| span.replace('\n', " ")).collect()
}

/// The calls of `rings` in a shell text, each as its words without the name of the program.
pub fn calls(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let commands = joined.split(['\n', '|', ';', '&']);
    let words = commands.map(|command| -> Vec<String> {
        let words = command.split_whitespace();
        words
            .map(|word| word.trim_matches('"').to_owned())
            .collect()
    });
    let ours = words.filter_map(|words| {
        let words = words.into_iter().skip_while(|word| word == "nohup");
        let mut words = words.peekable();
        words.next_if(|word| word == "rings")?;
        let end = |word: &String| !word.starts_with(['>', '<']);
        Some(words.take_while(end).collect())
    });
    ours.collect()
}

/// A page of the source tree.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = rings_tests::repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn blocks_and_marks_come_in_order() {
    let page = "a\n```sh each\nrings up \\\n  --detach | cat\n```\nb <!-- test: wait --> c `rings\ndown`\n```\nnot this\n```\n";
    let block = Block {
        line: 2,
        machine: "each".into(),
        text: "rings up \\\n  --detach | cat\n".into(),
    };
    let expected = [Step::Block(block.clone()), Step::Mark("wait".into())];
    assert_eq!(steps(page), expected);
    assert_eq!(calls(&block.text), [["up", "--detach"]]);
    assert_eq!(code_spans(page), ["rings down"]);
}
