//! What a change of the membership brings, in words that are shown before it is made, and what it means when the contract
//! refuses one.
//!
//! A member that the keeper puts out does not vote any more, but the number of signatures that are needed is computed as if it
//! were still there until the entry delay is over. So a change with a delay has two moments, and both are told. All numbers
//! follow from the ring's state on chain ([`RingState`]).

use super::{exit::ExitError, out::count, when::When};
use rings_chain::{ChainError, RingState};
use rings_protocol::{quorum::quorum, Address};

/// What becomes of an account that the keeper lets in.
pub fn entering(state: &RingState, account: Address) -> String {
    let members = state.members.len().saturating_add(1);
    let then = signatures(members);
    match state.keeping.entry_delay {
        0 => format!("{account} will be a member at once; then {then}"),
        _ => settled_later(state, account, &then),
    }
}

/// What it means that a member is put out.
pub fn leaving(state: &RingState, account: Address) -> String {
    let left = state.members.len().saturating_sub(1);
    if left == 0 {
        return format!("{account} will not vote any more, which leaves NO MEMBER: there are no results until another account is one; `rings ring replace` brings one in its place");
    }
    let gone = format!(
        "{account} will not vote any more, which leaves {}",
        count(left, "member")
    );
    let (then, now) = (signatures(left), state.quorum);
    match state.keeping.entry_delay {
        0 => format!("{gone}; {then} instead of {now}"),
        delay => format!(
            "{gone}; for {delay} s {now} of {} must still sign{}, after that {then} instead of {now}",
            state.counted,
            too_few(left, now)
        ),
    }
}

/// What it means that one account takes the place of a member: one line for each moment.
pub fn replacing(state: &RingState, (old, new): (Address, Address)) -> Vec<String> {
    let members = state.members.len();
    match state.keeping.entry_delay {
        0 => vec![format!(
            "{new} will be a member at once in the place of {old}; {}, as before",
            signatures(members)
        )],
        _ => vec![
            leaving(state, old),
            settled_later(state, new, &signatures(members)),
        ],
    }
}

/// The announced entry of an account begins anew.
pub fn again(account: Address) -> String {
    format!("the entry of {account} was announced before; its delay begins anew")
}

/// The announced entry of an account is taken back.
pub fn taken_back(account: Address) -> String {
    format!("the announced entry of {account} will be taken back")
}

fn settled_later(state: &RingState, account: Address, then: &str) -> String {
    let delay = state.keeping.entry_delay;
    format!("{account} will be a member {delay} s from now, when anybody runs `rings ring settle {account}`; then {then}")
}

fn signatures(members: usize) -> String {
    format!("{} of {members} must sign", quorum(members))
}

fn too_few(left: usize, needed: u64) -> &'static str {
    match (left as u64) < needed {
        true => ", which is more than are left, so there are no results",
        false => "",
    }
}

/// Whether an account can be settled, as far as the state tells: the time is the chain's, which the contract knows.
///
/// # Errors
/// Status 2 when it cannot.
pub fn check_settle(state: &RingState, account: Address) -> Result<(), ExitError> {
    if state.members.contains(&account) {
        return Err(member_already(account));
    }
    let mut pending = state.keeping.pending.iter();
    match pending.any(|entry| entry.member == account) {
        true => Ok(()),
        false => Err(ExitError::usage(format!(
            "{account} has no announced entry; the keeper announces one with `rings ring enter {account}`"
        ))),
    }
}

/// An account that is a member already cannot become one.
pub fn member_already(account: Address) -> ExitError {
    let what = format!("{account} is a member of the ring already; see `rings ring show`");
    ExitError::usage(what)
}

/// What it means that the contract has refused a change, and what to do.
pub fn refused(state: &RingState, error: ChainError) -> ExitError {
    let ChainError::Reverted { reason } = &error else {
        return error.into();
    };
    let what = match reason.split('(').next().unwrap_or_default() {
        "EntryNotDue" => not_due(state, reason),
        "EntryLapsed" => "the announced entry has lapsed, for nobody has settled it in time; the keeper announces it again with `rings ring enter`".to_owned(),
        "NoEntry" => "the account has no announced entry; the keeper announces one with `rings ring enter`".to_owned(),
        "NotPendingKeeper" => "the keeping was not offered to this account; the keeper offers it with `rings ring transfer`".to_owned(),
        "NotKeeper" => "this account does not keep the ring; name the keeper's key with --key".to_owned(),
        "AlreadyMember" => "the account is a member of the ring already; see `rings ring show`".to_owned(),
        "NotMember" => "the account is not a member of the ring; see `rings ring show`".to_owned(),
        "LastMember" => "a ring keeps at least one member; let another account in first, or use `rings ring replace`".to_owned(),
        "MemberIsContract" => "a contract cannot be a member, for it cannot sign; name the account of a key".to_owned(),
        "TooManyMembers" | "TooManyEntries" => "the ring is full; put a member out first, or take an announced entry back, with `rings ring exit`".to_owned(),
        _ => return error.into(),
    };
    ExitError::unavailable(what)
}

fn not_due(state: &RingState, reason: &str) -> String {
    let mut pending = state.keeping.pending.iter();
    let when = pending.find(|entry| {
        let account = entry.member.to_string().to_lowercase();
        reason.to_lowercase().contains(&account)
    });
    let when = when.map_or_else(String::new, |entry| {
        format!(" before {} of the chain's time", When(entry.settles_at))
    });
    format!(
        "the announced entry does not count{when}, when the entry delay is over; settle it then"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitStatus;
    use rings_chain::{ForkRule, Keeping, PendingEntry};
    use rings_protocol::Digest;

    const OLD: Address = Address([1; 20]);
    const NEW: Address = Address([9; 20]);

    /// A ring of five, of which `counted` count.
    fn ring(entry_delay: u64, counted: u64) -> RingState {
        RingState {
            block: 1,
            hash: Digest::ZERO,
            members: (1..=5).map(|n| Address([n; 20])).collect(),
            epoch: 1,
            quorum: quorum(counted as usize) as u64,
            counted,
            keeping: Keeping {
                keeper: Some(OLD),
                entry_delay,
                fork_rule: ForkRule::Remove,
                pending: vec![PendingEntry {
                    member: Address([7; 20]),
                    settles_at: 951_782_400,
                }],
            },
            engine: OLD,
            heads: Vec::new(),
            ring_node_head: Digest::ZERO,
        }
    }

    #[test]
    fn numbers_are_those_of_each_moment() {
        let text = entering(&ring(0, 5), NEW);
        assert!(text.ends_with("at once; then 4 of 6 must sign"), "{text}");
        // Whoever was put out a short time ago does not count any more when the delay is over.
        let text = entering(&ring(60, 6), NEW);
        assert!(text.contains("60 s from now"), "{text}");
        assert!(text.ends_with("then 4 of 6 must sign"), "{text}");
        let text = leaving(&ring(0, 5), OLD);
        assert!(
            text.ends_with("leaves 4 members; 3 of 4 must sign instead of 4"),
            "{text}"
        );
        let text = leaving(&ring(60, 5), OLD);
        assert!(
            text.contains("for 60 s 4 of 5 must still sign, after that 3 of 4 must sign"),
            "{text}"
        );
        let mut last = ring(0, 1);
        last.members.truncate(1);
        assert!(leaving(&last, OLD).contains("NO MEMBER"));
        let text = leaving(&ring(60, 7), OLD);
        assert!(text.contains("more than are left"), "{text}");
    }

    #[test]
    fn a_replacement_leaves_the_numbers_as_they_are() {
        let now = replacing(&ring(0, 5), (OLD, NEW));
        assert_eq!(
            now,
            [format!(
                "{NEW} will be a member at once in the place of {OLD}; 4 of 5 must sign, as before"
            )]
        );
        let later = replacing(&ring(86_400, 5), (OLD, NEW));
        assert!(later[0].starts_with(&format!("{OLD} will not vote any more, which leaves 4 members; for 86400 s 4 of 5 must still sign")), "{later:?}");
        assert!(
            later[1].ends_with("then 4 of 5 must sign"),
            "not of 6: {later:?}"
        );
        assert!(later[1].contains(&format!("`rings ring settle {NEW}`")));
    }

    #[test]
    fn what_cannot_be_settled_is_said_before_a_transaction() {
        let state = ring(60, 5);
        check_settle(&state, Address([7; 20])).unwrap();
        for (account, told) in [(OLD, "member of the ring already"), (NEW, "no announced")] {
            let failure = check_settle(&state, account).unwrap_err();
            assert_eq!(failure.status(), ExitStatus::Usage);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }

    #[test]
    fn what_the_contract_refuses_is_told_in_words() {
        let state = ring(60, 5);
        let of = |reason: &str| {
            let reason = reason.to_owned();
            refused(&state, ChainError::Reverted { reason }).to_string()
        };
        let member = Address([7; 20]);
        let early = of(&format!(
            "EntryNotDue(member = {member}, settlesAt = 951782400)"
        ));
        assert!(early.contains("before 2000-02-29 00:00:00Z"), "{early}");
        assert!(of("NotPendingKeeper(ring = 0x1, caller = 0x2)").contains("rings ring transfer"));
        assert!(of("LastMember()").contains("rings ring replace"));
        let other = of("SomethingElse(x = 1)");
        assert!(other.contains("SomethingElse"), "{other}");
    }
}
