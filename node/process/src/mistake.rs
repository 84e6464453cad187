//! What a person got wrong in a file: where it stands, what is wrong, and what to do.

use std::fmt;

/// Mistakes that are collected from one file; after these, reading ends.
pub const MAX_MISTAKES: usize = 20;

/// A place in a file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the person named it.
    pub file: String,
    /// Where in it.
    pub at: At,
    /// What is wrong, and after a semicolon what to do.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { line, column } = self.at;
        write!(f, "{}:{line}:{column}: {}", self.file, self.what)
    }
}

/// All mistakes of a file, in the order of their places. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        Ok(())
    }
}

/// Collects the mistakes of one file.
#[derive(Debug)]
pub struct Notes {
    file: String,
    found: Vec<Mistake>,
}

impl Notes {
    /// None yet.
    pub fn of(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            found: Vec::new(),
        }
    }

    /// Adds one; beyond [`MAX_MISTAKES`] it is left out.
    pub fn add(&mut self, at: At, what: impl Into<String>) {
        if self.found.len() < MAX_MISTAKES {
            self.found.push(Mistake {
                file: self.file.clone(),
                at,
                what: what.into(),
            });
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The value, if nothing was wrong.
    ///
    /// # Errors
    /// The mistakes that were collected.
    pub fn end<T>(mut self, value: Option<T>) -> Result<T, Mistakes> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                if self.found.is_empty() {
                    self.add(
                        At { line: 1, column: 1 },
                        "nothing can be read; see the example in docs/processes.md",
                    );
                }
                self.found.sort_by_key(|mistake| mistake.at);
                Err(Mistakes(self.found))
            }
        }
    }
}
