//! The errors of blocks, stores and files. Each message says what to do.
//!
//! Every failure is a [`StoreError`] with its context in fields. What a caller does about one follows from its class
//! ([`StoreError::class`], an [`ErrorClass`]): get the block elsewhere, try again, or give up. The class also decides
//! about votes: data that breaks a rule ([`ErrorClass::Invalid`]) is a result that is the same on every machine; no
//! other error is.

use cid::Cid;
use rings_protocol::cids::CidError;
use std::{error::Error, io, path::PathBuf};

/// A cause that is shown with `-v` and is not repeated in the message of its error.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What a caller does about a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The block is not in this store, or its copy is damaged: get it from another source.
    Absent,
    /// Nothing is wrong with the request: try again when the disk, the other process or the endpoint is back.
    Transient,
    /// The data breaks a rule. It does so on every machine, and another try does not help.
    Invalid,
    /// This store cannot be used until a person has done something about it.
    Fatal,
}

/// Why a store, an import or a read failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The block is not in the store.
    #[error("block {cid} is not in the store; fetch it from a member that has it, or add the file again")]
    NotFound {
        /// What was asked for.
        cid: Cid,
    },
    /// The bytes in the store no longer hash to the CID.
    #[error("the stored copy of block {cid} is damaged; fetch it again from another member")]
    Corrupt {
        /// What was asked for.
        cid: Cid,
    },
    /// A CID that Rings does not accept, or bytes that do not hash to it.
    #[error("the block is refused")]
    Cid(#[source] Box<CidError>),
    /// The block is longer than [`MAX_BLOCK_BYTES`](crate::MAX_BLOCK_BYTES).
    #[error(
        "block {cid} has {length} bytes, more than the {limit} that a block may have; split it"
    )]
    TooLarge {
        /// Which block.
        cid: Cid,
        /// Its length in bytes, as far as it was read.
        length: usize,
        /// The most that is accepted, in bytes.
        limit: usize,
    },
    /// The block hashes to its CID, and its content breaks the rules of its format.
    #[error("block {cid} is malformed ({reason}); add the file again with `ipfs add` or `rings add` and use the new CID")]
    Malformed {
        /// Which block.
        cid: Cid,
        /// The rule that it breaks.
        reason: Box<str>,
    },
    /// A file was asked for, and the CID names something else.
    #[error("{cid} is {kind}, not a file; name a file in it")]
    NotAFile {
        /// What was asked for.
        cid: Cid,
        /// What it is.
        kind: &'static str,
    },
    /// The graph below a root is deeper or wider than a reader accepts.
    #[error("the graph at {cid} has more than {limit} {what}; it is not read")]
    TooBig {
        /// Where the limit was met.
        cid: Cid,
        /// What there are too many of.
        what: &'static str,
        /// The most that is accepted.
        limit: u32,
    },
    /// A block source did not answer with the blocks it was asked for, in order.
    #[error("the source of blocks answered with something other than {cid}; use another source")]
    WrongAnswer {
        /// What was asked for.
        cid: Cid,
    },
    /// The bytes are not a content archive (CAR) that can be read.
    #[error("the archive cannot be read at byte {at}: {reason}; make it again, for example with `ipfs dag export`")]
    Archive {
        /// How many bytes were read before.
        at: u64,
        /// What is wrong.
        reason: Box<str>,
    },
    /// The bytes that were to be imported could not be read.
    #[error("the data to import cannot be read")]
    Input(#[source] io::Error),
    /// No space is left. Nothing of the call was stored; all that was acknowledged before is still there.
    #[error("no space left for {place}; free some, then try again")]
    DiskFull {
        /// The file or endpoint.
        place: String,
    },
    /// Another process has the database open.
    #[error("{} is in use by another process; stop that one first", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The database file is damaged.
    #[error("the database {} is damaged; move it away, and its blocks are fetched from other members again", path.display())]
    CorruptDatabase {
        /// The database file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Option<Cause>,
    },
    /// The file is not a block database of Rings.
    #[error("{} is {what}, not a block database of Rings; name another path", path.display())]
    ForeignDatabase {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The database was written by a later version of this program.
    #[error("{} has format {found}, and this version knows formats up to {known}; use a later version of rings", path.display())]
    LaterFormat {
        /// The database file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// The file belongs to another user.
    #[error("{} belongs to user {owner}, and this process runs as user {user}; run it as the owner, or change the owner", path.display())]
    ForeignOwner {
        /// The database file.
        path: PathBuf,
        /// Numeric id of the owner of the file.
        owner: u32,
        /// Numeric id this process runs as.
        user: u32,
    },
    /// The operating system does not let this process use the file.
    #[error("no permission to read and write {}; give it, or run as the owner of the file", path.display())]
    Denied {
        /// The database file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Reading or writing the database failed in another way.
    #[error("{} cannot be read or written; check the disk, then try again", path.display())]
    Io {
        /// The database file.
        path: PathBuf,
        /// What the operating system or the database said.
        #[source]
        source: Cause,
    },
    /// The store endpoint does not answer.
    #[error("the IPFS node at {url} cannot be reached; start it, or correct the URL")]
    Unreachable {
        /// The endpoint, without credentials.
        url: String,
        /// What the connection said.
        #[source]
        source: Option<Cause>,
    },
    /// The store endpoint answers with a refusal.
    #[error("the IPFS node at {url} refused: {message}")]
    Refused {
        /// The endpoint, without credentials.
        url: String,
        /// What it said.
        message: String,
    },
    /// The URL of a store cannot be used.
    #[error(
        "{url} is not the URL of an IPFS node ({reason}); it looks like http://127.0.0.1:5001"
    )]
    Url {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The process is ending, and takes no more work.
    #[error("the store is shutting down")]
    Stopped,
}

impl StoreError {
    /// What the caller does about it.
    pub fn class(&self) -> ErrorClass {
        use StoreError::*;
        match self {
            NotFound { .. } | Corrupt { .. } | WrongAnswer { .. } => ErrorClass::Absent,
            Input(_)
            | DiskFull { .. }
            | Io { .. }
            | Unreachable { .. }
            | Refused { .. }
            | Stopped => ErrorClass::Transient,
            Cid(_)
            | TooLarge { .. }
            | Malformed { .. }
            | NotAFile { .. }
            | TooBig { .. }
            | Archive { .. } => ErrorClass::Invalid,
            Locked { .. }
            | CorruptDatabase { .. }
            | ForeignDatabase { .. }
            | LaterFormat { .. }
            | ForeignOwner { .. }
            | Denied { .. }
            | Url { .. } => ErrorClass::Fatal,
        }
    }
}

impl From<CidError> for StoreError {
    fn from(error: CidError) -> Self {
        Self::Cid(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small_enough_to_be_returned_everywhere() {
        assert!(size_of::<StoreError>() < 128, "{}", size_of::<StoreError>());
    }

    #[test]
    fn a_message_does_not_repeat_its_source() {
        let source = io::Error::other("the disk says no");
        let error = StoreError::Io {
            path: "blocks".into(),
            source: source.into(),
        };
        assert!(!error.to_string().contains("the disk says no"));
        assert_eq!(error.source().unwrap().to_string(), "the disk says no");
    }
}
