//! A decision whose word never comes: the ring has decided for a document, and whoever had it is gone.
//!
//! What the ring decides is a digest, and nothing follows from it before a member holds the document. Members choose only what
//! they hold, so usually most of them do. If nobody gives it, it is given up: [`PATIENCE`] seconds after the ring node that
//! decided, in the time of blocks, each member that does not hold it says so, as a choice for another slot ([`slot`]). Once two
//! thirds have said it, a ring node lists that slot, and the execution gets no result, for all members alike.

use crate::wait;
use rings_protocol::{
    assembly::Choice,
    cids::{digest_of, sha256},
    Digest,
};

/// Seconds, in the time of blocks, for which the document of a decision is waited for.
pub const PATIENCE: u64 = 3_600;

/// The slot in which the ring gives up the document of what it decided in another slot.
pub fn slot(decided: Digest) -> Digest {
    const KIND: &[u8] = b"rings missing word";
    sha256(&[KIND, &decided.0].concat())
}

/// What a member chooses that gives it up.
pub fn choice(decided: Digest) -> Choice {
    Choice {
        slot: slot(decided),
        choice: given_up(),
    }
}

/// The digest of the result of an execution that waited, and whose document was given up: that its time is over.
pub fn given_up() -> Digest {
    let expired = crate::document::cid_of(&wait::expired());
    digest_of(&expired).unwrap_or_default()
}

/// Whether the document is given up of what was decided in a block of the time `then`, in one of the time `now`.
pub fn is_late(then: u64, now: u64) -> bool {
    now.saturating_sub(then) >= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::cid_of;
    use rings_protocol::cids::data_cid;

    #[test]
    fn it_is_another_slot_with_one_choice() {
        let decided = wait::slot(&cid_of(b"execution"));
        let choice = choice(decided);
        assert_ne!(choice.slot, decided);
        assert_ne!(choice.slot, slot(choice.slot));
        assert_eq!(data_cid(choice.choice), cid_of(&wait::expired()));
    }

    #[test]
    fn patience_ends_by_the_time_of_blocks() {
        assert!(!is_late(1_000, 1_000 + PATIENCE - 1));
        assert!(is_late(1_000, 1_000 + PATIENCE));
        assert!(
            !is_late(1_000, 900),
            "another branch may have an earlier time"
        );
    }
}
