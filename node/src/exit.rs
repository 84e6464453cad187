//! How a command fails: one line for people, an exit status for scripts.
//!
//! An [`ExitError`] says what failed, why, and what to do, and has an [`ExitStatus`]. Errors of other crates become
//! failures by `From` or by [`Context`], which adds what could not be done. The line is made of the failure, the
//! innermost cause and the advice; all causes are shown with `-v`.

use rings_api::{code, ClientError, StoreWorkError, TokenError};
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

/// The status of HTTP with which a member refuses a token.
const UNAUTHORIZED: u16 = 401;
/// The methods that need a client ring to be kept.
const KEEPING: [&str; 3] = ["FlushToRing", "AppendToRing", "ReplicateRing"];

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

    /// Whether it comes from a member that may do the same thing a moment later.
    pub fn may_pass(&self) -> bool {
        let told = self
            .cause
            .as_deref()
            .and_then(|cause| cause.downcast_ref::<Told>());
        let told = told.and_then(|told| told.0.downcast_ref::<ClientError>());
        told.is_some_and(ClientError::may_pass)
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

/// Line ends become spaces. The error number of the operating system is cut off, and the temporary file in which something was
/// to be written.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.split_once(" (os error") {
        Some((said, rest)) if rest.ends_with(')') || rest.contains(") at path \"") => {
            said.to_owned()
        }
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
            ChainError::Url { .. } | ChainError::NotAContract { .. } => {
                Self::of(ExitStatus::Usage, error)
            }
            ChainError::FeeCap { .. } => Self::unavailable(format!("{error} with --fee-cap GWEI")),
            _ => Self::of(ExitStatus::Unavailable, error),
        }
    }
}

impl From<ClientError> for ExitError {
    /// Adds what to do, in the words of this command line.
    fn from(error: ClientError) -> Self {
        let status = match &error {
            ClientError::Url { .. } => ExitStatus::Usage,
            _ => ExitStatus::Unavailable,
        };
        match advice(&error) {
            Some(advice) => {
                Self::new(status, format!("{error}; {advice}")).because(Told(Box::new(error)))
            }
            None => Self::of(status, error),
        }
    }
}

/// What helps against what a member has answered, where it does not say so itself.
fn advice(error: &ClientError) -> Option<&'static str> {
    const GIVE_TOKEN: &str = "`rings join --member URL --token FILE` keeps it in the directory of the ring; of a ring that `rings up` has started it is DIR/token";
    const OTHER_TOKEN: &str = "the token that is known here (DIR/tokens/ADDRESS of this member, else DIR/token) is not its own; give the right one with `rings join --member URL --token FILE`";
    match error {
        ClientError::Url { url } if url.bytes().all(|digit| digit.is_ascii_digit()) => Some(
            "a number names a member for `rings store`, `backup` and `restore` only",
        ),
        ClientError::NoToken { .. } => Some(GIVE_TOKEN),
        ClientError::Refused { status, .. } if status.as_u16() == UNAUTHORIZED => Some(OTHER_TOKEN),
        ClientError::Rpc { code, .. } if *code == i64::from(code::NO_TOKEN) => Some(OTHER_TOKEN),
        ClientError::Rpc { code, method, .. }
            if *code == i64::from(code::NOT_FOLLOWED) && KEEPING.contains(&method.as_str()) =>
        {
            Some("have its members keep the ring's logs with `rings replicate`, also when the key of the ring has changed")
        }
        _ => None,
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
    fn what_a_member_refuses_comes_with_what_to_do() {
        let url = || "http://127.0.0.1:7545".to_owned();
        let line = ExitError::from(ClientError::NoToken { url: url() }).to_string();
        assert!(
            line.contains("rings join --member URL --token FILE"),
            "{line}"
        );
        let of_code = |code: i32, method: &str| {
            ExitError::from(ClientError::Rpc {
                url: url(),
                method: method.into(),
                code: code.into(),
                message: "unknown replica key".into(),
                data: String::new(),
            })
        };
        let line = of_code(code::NOT_FOLLOWED, "AppendToRing").to_string();
        assert!(line.contains("rings replicate"), "{line}");
        let line = of_code(code::NOT_FOLLOWED, "rings_getRing").to_string();
        assert!(!line.contains("rings replicate"), "{line}");
        let line = of_code(code::NO_TOKEN, "rings_request").to_string();
        assert!(line.contains("DIR/tokens/ADDRESS"), "{line}");
        let number = ExitError::from(ClientError::Url { url: "0".into() });
        assert_eq!(number.status(), ExitStatus::Usage);
        assert!(number.to_string().contains("rings store"), "{number}");
    }

    #[test]
    fn a_member_whose_store_is_away_may_take_the_file_later() {
        let refused = |status: u16| {
            ExitError::from(ClientError::Refused {
                url: "http://127.0.0.1:7545".into(),
                status: status.try_into().unwrap(),
                line: "the file was not added".into(),
            })
        };
        assert!(refused(503).may_pass());
        for final_one in [refused(401), refused(413), refused(507)] {
            assert!(!final_one.may_pass(), "{final_one}");
        }
        assert!(!ExitError::usage("no such file").may_pass());
    }

    #[test]
    fn the_line_is_one_line() {
        let failure = ExitError::internal("a\nb").because(io::Error::other("c\n  d"));
        assert_eq!(failure.to_string(), "a b: c d");
        let temporary = "No such file or directory (os error 2) at path \"/x/.tmp1\"";
        let failure = ExitError::usage("cannot write x; try y").because(temporary);
        assert_eq!(
            failure.to_string(),
            "cannot write x: No such file or directory; try y"
        );
    }

    #[test]
    fn an_address_without_a_contract_is_a_mistake_of_usage() {
        let error = ChainError::NotAContract {
            address: rings_protocol::Address::default(),
            what: "ring",
        };
        assert_eq!(ExitError::from(error).status(), ExitStatus::Usage);
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
