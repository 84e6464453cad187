//! How a command fails: one line for people, an exit status for scripts.
//!
//! An [`ExitError`] says what failed, why, and what to do, and has an [`ExitStatus`]. Errors of other crates become
//! failures by `From` or by [`Context`], which adds what could not be done. The line is made of the failure, the
//! innermost cause and the advice; all causes are shown with `-v`.

use rings_api::{ClientError, StoreWorkError, TokenError};
use rings_chain::ChainError;
use rings_compute::ComputeError;
use rings_member::{
    config::ConfigError, keystore::KeystoreError, MemberError, OfflineError, RestoreError,
};
use rings_store::StoreError;
use std::{error::Error, fmt, iter};

/// Exit status of the program; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done; of `run`: the ring agreed, and the result is on chain.
    Done = 0,
    /// An error of this program or machine that has no other status; of `verify`: the result on chain is wrong.
    Internal = 1,
    /// Wrong option, no such file, not a WASM module.
    Usage = 2,
    /// The ring agreed that the program failed.
    Failed = 3,
    /// No quorum in time.
    NoQuorum = 4,
    /// Chain, store or member cannot be reached, or refuse.
    Unavailable = 5,
}

/// A boxed cause.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a command did not succeed.
#[derive(Debug)]
pub struct ExitError {
    status: ExitStatus,
    what: String,
    cause: Option<Cause>,
    silent: bool,
}

impl ExitError {
    /// A failure in words: what failed, why, and after a semicolon what to do.
    pub fn new(status: ExitStatus, what: impl Into<String>) -> Self {
        Self {
            status,
            what: what.into(),
            cause: None,
            silent: false,
        }
    }

    /// Wrong option or input: status 2.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, what)
    }

    /// Chain, store or member cannot be reached, or refuse: status 5.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(ExitStatus::Unavailable, what)
    }

    /// A fault of this program or machine: status 1.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(ExitStatus::Internal, what)
    }

    /// Nothing more is printed; the command has printed everything, and ends with this status.
    pub fn said(status: ExitStatus) -> Self {
        Self {
            silent: true,
            ..Self::new(status, "")
        }
    }

    /// Adds the cause.
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// An error of another crate, with its text and its causes.
    fn of(status: ExitStatus, error: impl Error + Send + Sync + 'static) -> Self {
        Self::new(status, error.to_string()).because(Told(Box::new(error)))
    }

    /// Its status.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// The causes, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let first = self
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static));
        let causes = iter::successors(first, |cause: &&'_ (dyn Error + 'static)| (*cause).source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.retain(|text| *text != self.what);
        texts.dedup();
        texts
    }

    /// The line to print; `None` when the command has printed everything.
    pub fn line(&self) -> Option<String> {
        (!self.silent).then(|| format!("error: {self}"))
    }
}

/// An error whose text is already that of the failure, so that only its causes are added.
#[derive(Debug)]
struct Told(Cause);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for ExitError {
    /// What, then the innermost cause, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = one_line(&self.what);
        let root = self.causes().pop().map(|cause| one_line(&cause));
        let Some(root) = root.filter(|root| !what.contains(root.as_str())) else {
            return f.write_str(&what);
        };
        match what.rsplit_once("; ") {
            Some((what, advice)) => write!(f, "{what}: {root}; {advice}"),
            None => write!(f, "{what}: {root}"),
        }
    }
}

/// Line ends become spaces, and the error number of the operating system is cut off.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.find(" (os error") {
        Some(end) if text.ends_with(')') => text[..end].to_owned(),
        _ => text,
    }
}

/// Which exit status the errors of the other rooms have.
macro_rules! failure_of {
    ($($error:ty => $status:expr),* $(,)?) => {
        $(impl From<$error> for ExitError {
            fn from(error: $error) -> Self {
                Self::of($status, error)
            }
        })*
    };
}

failure_of! {
    ConfigError => ExitStatus::Usage,
    KeystoreError => ExitStatus::Usage,
    TokenError => ExitStatus::Usage,
    StoreError => ExitStatus::Unavailable,
    ComputeError => ExitStatus::Internal,
}

impl From<ChainError> for ExitError {
    /// Adds the name of the option that raises the fee cap.
    fn from(error: ChainError) -> Self {
        match &error {
            ChainError::Url { .. } => Self::of(ExitStatus::Usage, error),
            ChainError::FeeCap { .. } => Self::unavailable(format!("{error} with --fee-cap GWEI")),
            _ => Self::of(ExitStatus::Unavailable, error),
        }
    }
}

impl From<ClientError> for ExitError {
    fn from(error: ClientError) -> Self {
        let status = match &error {
            ClientError::Url { .. } => ExitStatus::Usage,
            _ => ExitStatus::Unavailable,
        };
        Self::of(status, error)
    }
}

impl From<MemberError> for ExitError {
    fn from(error: MemberError) -> Self {
        let status = match &error {
            MemberError::Key(_)
            | MemberError::Signer(_)
            | MemberError::Token(_)
            | MemberError::NotAMember { .. } => ExitStatus::Usage,
            MemberError::Core(_) | MemberError::Ended { .. } => ExitStatus::Internal,
            _ => ExitStatus::Unavailable,
        };
        Self::of(status, error)
    }
}

impl From<StoreWorkError> for ExitError {
    fn from(error: StoreWorkError) -> Self {
        let status = match &error {
            StoreWorkError::NotHere { .. } => ExitStatus::Usage,
            StoreWorkError::Damaged { .. } | StoreWorkError::Internal { .. } => {
                ExitStatus::Internal
            }
            StoreWorkError::Busy | StoreWorkError::Store(_) => ExitStatus::Unavailable,
        };
        Self::of(status, error)
    }
}

impl From<OfflineError> for ExitError {
    fn from(error: OfflineError) -> Self {
        let status = match &error {
            OfflineError::NoMember { .. } => ExitStatus::Usage,
            _ => ExitStatus::Unavailable,
        };
        Self::of(status, error)
    }
}

impl From<RestoreError> for ExitError {
    fn from(error: RestoreError) -> Self {
        let status = match &error {
            RestoreError::InUse { .. } | RestoreError::Tar(_) | RestoreError::Content { .. } => {
                ExitStatus::Usage
            }
            RestoreError::Store(_) | RestoreError::File { .. } => ExitStatus::Unavailable,
        };
        Self::of(status, error)
    }
}

/// Adds to an I/O error what could not be done.
pub trait Context<T> {
    /// Names what failed, with status `status`.
    fn context(self, status: ExitStatus, what: impl Into<String>) -> Result<T, ExitError>;
}

impl<T, E: Into<Cause>> Context<T> for Result<T, E> {
    fn context(self, status: ExitStatus, what: impl Into<String>) -> Result<T, ExitError> {
        self.map_err(|error| ExitError::new(status, what).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_line_says_what_why_and_what_to_do() {
        let missing = io::Error::from_raw_os_error(2);
        let failure = ExitError::usage("cannot read x.wasm; check the path").because(missing);
        assert_eq!(
            failure.line().unwrap(),
            "error: cannot read x.wasm: No such file or directory; check the path"
        );
        assert_eq!(failure.status() as u8, 2);
    }

    #[test]
    fn an_error_of_another_room_is_not_told_twice() {
        let error = KeystoreError::Read {
            path: "k".into(),
            source: io::Error::from_raw_os_error(13),
        };
        let failure = ExitError::from(error);
        assert_eq!(
            failure.to_string(),
            "cannot read k: Permission denied; check the path and who owns it"
        );
        assert_eq!(failure.causes(), ["Permission denied (os error 13)"]);
    }

    #[test]
    fn who_is_stopped_by_the_fee_cap_is_told_the_option() {
        let gwei = 1_000_000_000;
        let error = ChainError::FeeCap {
            price: 5_000 * gwei,
            cap: 500 * gwei,
        };
        let failure = ExitError::from(error);
        assert_eq!(failure.status(), ExitStatus::Unavailable);
        let line = failure.to_string();
        assert!(
            line.contains("5000 gwei") && line.ends_with("--fee-cap GWEI"),
            "{line}"
        );
    }

    #[test]
    fn the_line_is_one_line() {
        let failure = ExitError::internal("a\nb").because(io::Error::other("c\n  d"));
        assert_eq!(failure.to_string(), "a b: c d");
    }

    #[test]
    fn the_numbers_are_those_of_the_interface() {
        let all = [
            ExitStatus::Done,
            ExitStatus::Internal,
            ExitStatus::Usage,
            ExitStatus::Failed,
            ExitStatus::NoQuorum,
            ExitStatus::Unavailable,
        ];
        for (number, status) in all.into_iter().enumerate() {
            assert_eq!(status as usize, number);
        }
        assert!(ExitError::said(ExitStatus::Failed).line().is_none());
    }
}
