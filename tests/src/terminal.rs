//! A program that somebody talks to: lines go in, lines come out, and both go on.

use crate::wait::{until, LONG};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

type Lines = Arc<Mutex<Vec<String>>>;

/// A program that runs, with what it has written so far. It is killed with the value.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    stdin: Option<ChildStdin>,
    written: Lines,
    complaints: Lines,
}

impl Terminal {
    /// Starts a command, and talks to it.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            written: collect(child.stdout.take().unwrap()),
            complaints: collect(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// All lines that it has written to standard output.
    pub fn lines(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }

    /// What it has written to standard error.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap().join("\n")
    }

    /// Waits for a line that is what is looked for, and gives what `find` makes of it.
    ///
    /// # Panics
    /// When none comes, or the program ends before.
    pub fn sees<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut ended = false;
        until(what, LONG, || {
            // What was written before the end is read after it.
            let was_over = ended;
            ended = self.child.try_wait().unwrap().is_some();
            let found = self.lines().iter().find_map(|line| find(line));
            assert!(
                found.is_some() || !was_over,
                "{what}: the program has ended\n{}\n{}",
                self.lines().join("\n"),
                self.complaints()
            );
            found
        })
    }

    /// Closes its input, and waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ends(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        until("the program has ended", LONG, || {
            self.child.try_wait().unwrap()
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("{}\n{}", self.lines().join("\n"), self.complaints());
        }
    }
}

fn collect(stream: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let collected = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            collected.lock().unwrap().push(line);
        }
    });
    lines
}
