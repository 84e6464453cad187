//! One call of the `rings` program, and its outcome.
//!
//! A [`Call`] is built from arguments, input, environment and a time limit. `call` runs it to its end and gives a
//! [`Done`] with status, output and time; `ok`, `text` and `refused` also check how it ended. `start` gives a
//! [`Running`], for tests that do something meanwhile.

use super::{
    tools::Program,
    wait::{until, LONG},
};
use std::{
    ffi::{OsStr, OsString},
    io::{Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Between two looks whether a program has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Builds a call.
#[derive(Debug)]
pub struct Call {
    command: Command,
    args: Vec<OsString>,
    input: Option<Vec<u8>>,
    limit: Duration,
    listener: Listener,
}

/// Collects what calls write to standard error.
pub(crate) type Listener = Arc<Mutex<String>>;

/// A call that has ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// What was called, for messages.
    pub called: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Call {
    /// A call of one of our programs, in a directory where no ring is.
    pub fn new(program: Program) -> Self {
        Self::of(program.path())
    }

    /// A call of any program, with the same care.
    pub fn of(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        Self {
            command,
            args: Vec::new(),
            input: None,
            limit: LONG,
            listener: Listener::default(),
        }
    }

    /// Its standard error is added to this.
    pub(crate) fn heard_by(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// An `--input` for each of these files.
    pub fn inputs<S: AsRef<Path>>(mut self, files: impl IntoIterator<Item = S>) -> Self {
        for file in files {
            self.args.push("--input".into());
            self.args.push(file.as_ref().into());
        }
        self
    }

    /// Its standard input; nothing else.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Its working directory.
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// It must have ended by then.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The program itself.
    pub fn path(&self) -> OsString {
        self.command.get_program().to_owned()
    }

    /// The arguments so far.
    pub fn arguments(&self) -> &[OsString] {
        &self.args
    }

    /// Starts it, for tests that do something while it runs.
    pub fn start(mut self) -> Running {
        self.command.args(&self.args);
        let called = format!("{:?}", self.command);
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.input.is_some() {
            self.command.stdin(Stdio::piped());
        }
        let began = Instant::now();
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{called}: {error}"));
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // It may end without having read all of it; the test decides whether that is right.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let stdout = child.stdout.take().map(reader);
        let stderr = child.stderr.take().map(reader);
        Running {
            called,
            child,
            stdout,
            stderr,
            began,
            limit: self.limit,
            listener: self.listener,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it takes longer than its limit.
    pub fn call(self) -> Done {
        self.start().end()
    }

    /// Runs it, and gives its standard output.
    ///
    /// # Panics
    /// When its status is not 0.
    pub fn ok(self) -> Vec<u8> {
        self.call().ok().stdout
    }

    /// Runs it, and gives its standard output as text.
    ///
    /// # Panics
    /// When its status is not 0.
    pub fn text(self) -> String {
        String::from_utf8(self.ok()).expect("text")
    }

    /// Runs it with `--quiet` and gives the one line that it says why it ends with `status`.
    ///
    /// # Panics
    /// When it ends with another status, prints anything else, or shows a panic.
    pub fn refused(mut self, status: i32) -> String {
        self.args.insert(0, "--quiet".into());
        let done = self.call();
        done.ends_with(status);
        assert_eq!(done.stdout, b"", "{}: nothing but the error", done.called);
        done.line()
    }
}

/// Reads a stream to its end; what has come so far can be looked at.
#[derive(Debug)]
struct Reader {
    thread: thread::JoinHandle<()>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

fn reader(mut stream: impl Read + Send + 'static) -> Reader {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let kept = bytes.clone();
    let thread = thread::spawn(move || {
        let mut piece = [0; 8192];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            kept.lock().unwrap().extend_from_slice(&piece[..length]);
        }
    });
    Reader { thread, bytes }
}

/// A call that has been started.
#[derive(Debug)]
pub struct Running {
    called: String,
    child: Child,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    began: Instant,
    limit: Duration,
    listener: Listener,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until its standard error holds this.
    pub fn wait_said(&self, text: &str) {
        until(text, self.limit, || {
            let bytes = self.stderr.as_ref()?.bytes.lock().unwrap();
            String::from_utf8_lossy(&bytes).contains(text).then_some(())
        });
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than its limit.
    pub fn end(mut self) -> Done {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > self.limit {
                self.child.kill().unwrap();
                let stderr = String::from_utf8_lossy(&joined(self.stderr.take())).into_owned();
                panic!(
                    "{} runs for more than {:?}: {stderr}",
                    self.called, self.limit
                );
            }
            thread::sleep(LOOK);
        };
        let took = self.began.elapsed();
        let stderr = String::from_utf8_lossy(&joined(self.stderr)).into_owned();
        self.listener.lock().unwrap().push_str(&stderr);
        Done {
            called: self.called,
            status,
            stdout: joined(self.stdout),
            stderr,
            took,
        }
    }
}

fn joined(reader: Option<Reader>) -> Vec<u8> {
    reader.map_or_else(Vec::new, |reader| {
        reader.thread.join().unwrap();
        std::mem::take(&mut reader.bytes.lock().unwrap())
    })
}

impl Done {
    /// Returns itself, if it succeeded.
    ///
    /// # Panics
    /// When its status is not 0.
    pub fn ok(self) -> Self {
        self.ends_with(0);
        self
    }

    /// Asserts its exit status.
    ///
    /// # Panics
    /// When it is another.
    pub fn ends_with(&self, status: i32) {
        let Self { called, stderr, .. } = self;
        assert_eq!(self.status.code(), Some(status), "{called}\n{stderr}");
        assert!(!stderr.contains("panicked at"), "{called}\n{stderr}");
    }

    /// The one line of its standard error.
    ///
    /// # Panics
    /// When there is not exactly one, or it does not say that it is an error.
    pub fn line(&self) -> String {
        let lines: Vec<_> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{}\n{}", self.called, self.stderr);
        assert!(
            lines[0].starts_with("error: "),
            "{}\n{}",
            self.called,
            lines[0]
        );
        lines[0].to_owned()
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("text")
    }
}
