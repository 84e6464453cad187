//! A conversation on a terminal: what was said, who is here, and the line that is being typed.
//!
//! The screen is drawn anew when something happens; it is small. A thread reads keys. The terminal's other screen is used, so
//! that what was there before is there again in the end.

use super::{
    event::{ChatEvent, ChatLine, ChatView, LineState, Person},
    lines::clock,
    typed::Typed,
};
use console::{measure_text_width, style, truncate_str, Key, Term};
use rings_compute::escape_for_terminal;
use rings_protocol::Address;
use std::{collections::VecDeque, thread};
use tokio::sync::mpsc;

/// Lines that can be shown.
const KEPT: usize = 1000;
/// Seconds since its last word for which a person counts as here.
const HERE: u64 = 120;
/// To the terminal's other screen and back.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
/// Rows for who is here, the line below, and what is typed; those of the note come to them.
const OTHER_ROWS: usize = 3;
/// Most rows of a note. One that is longer, on a narrow terminal, ends there.
const NOTE_ROWS: usize = 12;

/// Draws the conversation.
pub(super) struct Screen {
    term: Term,
    lines: VecDeque<ChatLine>,
    people: Vec<Person>,
    note: String,
    draft: String,
}

impl Screen {
    /// Takes the terminal over, and gives what is typed.
    pub(super) fn new(typed: mpsc::Sender<Typed>) -> Self {
        let term = Term::stdout();
        let keys = term.clone();
        thread::spawn(move || read_keys(&keys, &typed));
        let screen = Self {
            term,
            lines: VecDeque::new(),
            people: Vec::new(),
            note: "/help shows the commands".into(),
            draft: String::new(),
        };
        screen.write(ENTER);
        screen.draw();
        screen
    }

    /// A terminal that has gone is noticed by the thread that reads it.
    fn write(&self, text: &str) {
        drop(self.term.write_str(text));
    }

    fn draw(&self) {
        let (rows, columns) = self.term.size();
        let (rows, columns) = (usize::from(rows), usize::from(columns));
        let note = note_rows(&self.note, (rows, columns));
        let space = rows.saturating_sub(OTHER_ROWS + note.len());
        let mut shown: Vec<String> = self
            .lines
            .iter()
            .rev()
            .flat_map(|line| wrapped(&told(line), columns).into_iter().rev())
            .take(space)
            .collect();
        shown.reverse();
        let here: Vec<_> = self.people.iter().map(presence).collect();
        let mut frame = vec![truncate_str(&here.join("  "), columns, "…").into_owned()];
        frame.push("─".repeat(columns));
        shown.resize(space, String::new());
        frame.extend(shown);
        frame.extend(note.iter().map(|row| style(row).dim().to_string()));
        frame.push(format!(
            "> {}",
            end_of(&self.draft, columns.saturating_sub(3))
        ));
        if self.term.clear_screen().is_ok() {
            self.write(&frame.join("\r\n"));
        }
    }
}

impl ChatView for Screen {
    fn show(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Message(line) => {
                // What was noted before is answered by now.
                if line.mine {
                    self.note.clear();
                }
                let line = ChatLine {
                    name: escape_for_terminal(line.name.clone()),
                    text: escape_for_terminal(line.text.clone()),
                    ..line.clone()
                };
                self.lines.push_back(line);
                while self.lines.len() > KEPT {
                    self.lines.pop_front();
                }
            }
            ChatEvent::State {
                avatar, seq, state, ..
            } => advance(&mut self.lines, (*avatar, *seq), *state),
            ChatEvent::People { people, asked } => {
                self.people.clone_from(people);
                if *asked {
                    let shown: Vec<_> = people.iter().map(ToString::to_string).collect();
                    self.note = escape_for_terminal(shown.join("; "));
                }
            }
            ChatEvent::Note { text } => self.note = escape_for_terminal(text.clone()),
            ChatEvent::Draft(draft) => self.draft.clone_from(draft),
        }
        self.draw();
    }

    fn close(&mut self) {
        self.write(LEAVE);
    }
}

/// Lines up to a position are at least so far.
fn advance(lines: &mut VecDeque<ChatLine>, (avatar, seq): (Address, u64), state: LineState) {
    let of_log = lines
        .iter_mut()
        .filter(|line| line.avatar == avatar && line.seq <= seq);
    for line in of_log {
        line.state = line.state.max(state);
    }
}

/// A line with its time, its name, and how far it is.
fn told(line: &ChatLine) -> String {
    let mark = match line.state {
        LineState::Written => "·".to_owned(),
        LineState::Held { replicas } if line.mine => format!("✓{replicas}"),
        LineState::Held { .. } => "✓".to_owned(),
        LineState::Final => "✔".to_owned(),
    };
    let name = match line.mine {
        true => style(&line.name).green().bold(),
        false => style(&line.name).cyan().bold(),
    };
    format!(
        "{} {name} {} {}",
        style(clock(line)).dim(),
        line.text,
        style(mark).dim()
    )
}

fn presence(person: &Person) -> String {
    let name = escape_for_terminal(person.name.clone());
    match person.seen {
        Some(seconds) if person.me || seconds < HERE => format!("● {name}"),
        Some(seconds) => format!("○ {name} ({} min)", seconds / 60),
        None if person.me => format!("● {name}"),
        None => format!("○ {name}"),
    }
}

/// A text in rows of so many columns. Styles end where their words do.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let row = rows.last().map_or(0, |row| measure_text_width(row));
        let fits = row == 0 || row + 1 + measure_text_width(word) <= columns;
        match rows.last_mut() {
            Some(last) if fits => {
                if row > 0 {
                    last.push(' ');
                }
                last.push_str(&truncate_str(word, columns, "…"));
            }
            _ => rows.push(truncate_str(word, columns, "…").into_owned()),
        }
    }
    rows
}

/// A note in rows: at least one, and never more than half of the terminal.
fn note_rows(note: &str, (rows, columns): (usize, usize)) -> Vec<String> {
    let mut wrapped = wrapped(note, columns);
    wrapped.truncate(NOTE_ROWS.min(rows / 2).max(1));
    wrapped
}

/// The end of a text, of at most so many columns.
fn end_of(text: &str, columns: usize) -> &str {
    let mut from = 0;
    while measure_text_width(&text[from..]) > columns {
        from += text[from..].chars().next().map_or(1, char::len_utf8);
    }
    &text[from..]
}

/// Reads keys until the terminal or the conversation ends.
fn read_keys(term: &Term, typed: &mpsc::Sender<Typed>) {
    let mut draft = String::new();
    while let Ok(key) = term.read_key() {
        let send = match key {
            Key::Enter => Typed::Line(std::mem::take(&mut draft)),
            Key::Backspace => {
                draft.pop();
                Typed::Draft(draft.clone())
            }
            Key::Escape => {
                draft.clear();
                Typed::Draft(String::new())
            }
            // Ctrl-D on an empty line.
            Key::Char('\u{4}') if draft.is_empty() => return,
            Key::Char(char) if !char.is_control() => {
                draft.push(char);
                Typed::Draft(draft.clone())
            }
            _ => continue,
        };
        let is_line = matches!(send, Typed::Line(_));
        if typed.blocking_send(send).is_err() {
            return;
        }
        if is_line && typed.blocking_send(Typed::Draft(String::new())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, state: LineState) -> ChatLine {
        ChatLine {
            avatar: Address([1; 20]),
            name: "alice".into(),
            mine: true,
            seq,
            time: Some(3600),
            text: "hello".into(),
            state,
        }
    }

    #[test]
    fn a_state_never_goes_back() {
        let mut lines: VecDeque<_> = (0..3).map(|seq| line(seq, LineState::Written)).collect();
        let avatar = Address([1; 20]);
        advance(&mut lines, (avatar, 1), LineState::Final);
        advance(&mut lines, (avatar, 2), LineState::Held { replicas: 3 });
        advance(&mut lines, (Address([2; 20]), 2), LineState::Final);
        let states: Vec<_> = lines.iter().map(|line| line.state).collect();
        assert_eq!(
            states,
            [
                LineState::Final,
                LineState::Final,
                LineState::Held { replicas: 3 }
            ]
        );
    }

    #[test]
    fn long_lines_are_wrapped_and_the_end_of_what_is_typed_is_seen() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh i", 4), ["abc…", "i"]);
        assert_eq!(note_rows("one two three", (24, 7)), ["one two", "three"]);
        assert_eq!(note_rows("one two three", (3, 7)), ["one two"]);
        assert_eq!(note_rows("", (24, 7)), [""]);
        assert_eq!(end_of("hello", 3), "llo");
        assert_eq!(end_of("äöü", 2), "öü");
        let told = console::strip_ansi_codes(&told(&line(0, LineState::Held { replicas: 2 })))
            .into_owned();
        assert_eq!(told, "01:00 alice hello ✓2");
    }
}
