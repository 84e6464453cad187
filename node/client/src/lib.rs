//! What an avatar needs: its log, its actions, and requests to replicas. No node is inside, no clock, no socket.
//!
//! An avatar is a key ([`SecretKey`]) that is a member of a ring. Its [`Log`] signs and links what it says; an
//! [`Action`] says what its account does and where its log stands then. Both become a [`Call`], which is the text of a
//! JSON-RPC call: the caller sends it to any replica by whatever transport it has, and reads the answer with [`Answer`].
//!
//! When somebody leaves a private ring, [`ClientKeys`] changes its key; whoever reads the logs learns the new one.
//!
//! Members agree in their logs on who comes and goes ([`Changes`]).
//!
//! A ring is found again, on whatever device, by its [`RecoveryLine`]. The logs of its avatars come from any replica into
//! [`LogCopies`], and [`judge`] names the replicas that leave something out, or serve another history. A chat on top of it
//! says what [`Said`] has, and shows who is who by [`People`].
//!
//! Nothing here rests on what a replica says: [`held_by`] tells from a signature which replica holds a log, and
//! [`Log::read`] checks every node that comes back. The rules and the bytes are those of `rings-protocol`. The crate
//! compiles for `wasm32-unknown-unknown` too.

mod action;
mod change;
mod chat;
mod held;
mod keys;
mod log;
mod logs;
mod order;
mod people;
mod recovery;
mod request;
mod restore;

pub use action::{leave_ring, register_ring, unregister_ring, Action, AvatarState, NO_DEADLINE};
pub use change::{
    change_members, Changes, MembersChange, OpenChange, MAX_CHANGED, MAX_OPEN_CHANGES,
};
pub use chat::{Said, CHAT, MAX_LINE_BYTES, MAX_NAME_BYTES};
pub use held::{held_by, HeldError};
pub use keys::{ClientKeys, KeyNews, NewKey, RotateError};
pub use log::{Log, LogError, Secrecy};
pub use logs::{LogCopies, LogCopyError};
pub use order::in_order;
pub use people::People;
pub use recovery::{LineKey, RecoveryError, RecoveryLine};
pub use request::{Answer, AnswerError, Append, Call, Flush, Message, Replicate, Status};
pub use restore::{judge, Claim, Evidence, Finding};
pub use rings_protocol::{
    crypto::{PublicKey, SecretKey, Signature},
    eip712::Domain,
    flush::{CompoundAction, Uint},
    log::LogNode,
    message::Message as LogMessage,
    private::{Keyring, ReadKey},
    Address, Digest,
};
