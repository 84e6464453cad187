//! Requests that members' logs hold, the votes on them, and that part of the signing journal that is for requests.
//!
//! What members would choose for slots is kept here too. `Petitions` takes all of it out of nodes inside the write
//! transaction that stores the nodes, so that a request is on disk with the node that asks it. Votes may come before
//! their request: they are kept, and forgotten if nobody asks it in time. When the ring node is final that lists a
//! request, or the last one that might, its journal is forgotten at once, and request and votes some time later
//! ([`MemberState::finalise`]).

use super::{
    error::StateError,
    recorded::{Recorded, Recorder},
    ring_log,
    tables::{
        Account, RequestVoteKey, Word, ASKED, CHOICES, LISTED, OVER, QUESTIONS, REQUEST_JOURNAL,
        REQUEST_VOTES, RING_NODES, STRAY,
    },
    when_used::WhenUsed,
    MemberState,
};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use rings_protocol::{
    assembly::{Choice, MAX_OPEN_SLOTS},
    log::LogNode,
    request::{Request, RequestKey, RequestVote},
    Address, Digest,
};

/// How many requests that are over keep their bytes and votes.
pub const KEPT_REQUESTS: u64 = 16_384;
/// Bytes of an account before the request in a record.
const ACCOUNT_BYTES: usize = 20;

impl MemberState {
    /// A request and the account in whose log it stands, while it is held.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn asked(&self, request: Digest) -> Result<Option<(Address, Request)>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(ASKED)?.get(request.0)?;
            record.map(|record| read_asked(record.value())).transpose()
        })
    }

    /// All requests that are held, in the order of their digests.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn all_asked(&self) -> Result<Vec<(Address, Request)>, StateError> {
        self.database.read(|transaction| {
            let mut found = Vec::new();
            for entry in transaction.open_table(ASKED)?.range::<Word>(..)? {
                found.push(read_asked(entry?.1.value())?);
            }
            Ok(found)
        })
    }

    /// The newest request of the own log that asks the same as `request`, whatever its `until`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn asked_before(&self, request: &Request) -> Result<Option<Digest>, StateError> {
        let Some(question) = question(request) else {
            return Ok(None);
        };
        self.database.read(|transaction| {
            let asked = transaction.open_table(QUESTIONS)?.get(question.0)?;
            Ok(asked.map(|asked| Digest(asked.value())))
        })
    }

    /// All votes on a request that are held, in the order of the members.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn request_votes(
        &self,
        request: Digest,
    ) -> Result<Vec<(Address, RequestVote)>, StateError> {
        self.database.read(|transaction| {
            let mut votes = Vec::new();
            let table = transaction.open_table(REQUEST_VOTES)?;
            for entry in table.range(of_request(request))? {
                let (key, payload) = entry?;
                let vote = RequestVote::from_payload(payload.value())
                    .map_err(|error| StateError::Format(error.into()))?;
                votes.push((Address(key.value().1), vote));
            }
            Ok(votes)
        })
    }

    /// What members would choose for slots that no final ring node decides.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn choices(&self) -> Result<Vec<(Address, Choice)>, StateError> {
        self.database.read(|transaction| {
            let mut choices = Vec::new();
            let table = transaction.open_table(CHOICES)?;
            for entry in table.range::<(Account, Word)>(..)? {
                let (key, choice) = entry?;
                let (member, slot) = key.value();
                let (slot, choice) = (Digest(slot), Digest(choice.value()));
                choices.push((Address(member), Choice { slot, choice }));
            }
            Ok(choices)
        })
    }

    /// Forgets requests that are not taken up, with all votes on them.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn forget_requests(&self, requests: &[Digest]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            for request in requests {
                forget(transaction, request.0)?;
            }
            Ok(())
        })
    }

    /// Ring nodes before `next` are final: forgets the journal of these requests, which they list or which have expired
    /// with them, and the oldest of all requests that are over.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn finalise(&self, next: u64, over: &[Digest]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut journal = transaction.open_table(REQUEST_JOURNAL)?;
            let mut past = transaction.open_table(OVER)?;
            for request in over {
                journal.retain_in((request.0, [0; 32])..=(request.0, [0xff; 32]), |_, _| false)?;
                past.insert((next, request.0), ())?;
            }
            while past.len()? > KEPT_REQUESTS {
                let oldest = past.pop_first()?.map(|(key, _)| key.value().1);
                match oldest {
                    Some(oldest) => forget(transaction, oldest)?,
                    None => break,
                }
            }
            drop((journal, past));
            forget_strays(transaction, next)?;
            ring_log::gates_listed(transaction, over)?;
            forget_choices(transaction, next)?;
            ring_log::set_final(transaction, next)
        })
    }
}

/// Forgets a request and the votes on it.
fn forget(transaction: &WriteTransaction, request: Word) -> Result<(), StateError> {
    let mut held = transaction.open_table(ASKED)?;
    let asked = held.remove(request)?;
    let asked = asked.map(|record| read_asked(record.value())).transpose()?;
    if let Some(question) = asked.and_then(|(_, request)| question(&request)) {
        let mut questions = transaction.open_table(QUESTIONS)?;
        let is_newest = questions
            .get(question.0)?
            .is_some_and(|newest| newest.value() == request);
        // What a ring node lists is the answer to the same question for good.
        if is_newest && transaction.open_table(LISTED)?.get(request)?.is_none() {
            questions.remove(question.0)?;
        }
    }
    let mut votes = transaction.open_table(REQUEST_VOTES)?;
    votes.retain_in(of_request(Digest(request)), |_, _| false)?;
    Ok(())
}

/// Forgets votes on requests that nobody has asked since ring nodes that are final now.
fn forget_strays(transaction: &WriteTransaction, next: u64) -> Result<(), StateError> {
    let mut old = Vec::new();
    let mut strays = transaction.open_table(STRAY)?;
    for entry in strays.range(..(next, [0; 32]))? {
        old.push(entry?.0.value());
    }
    for (number, request) in old {
        strays.remove((number, request))?;
        if transaction.open_table(ASKED)?.get(request)?.is_none() {
            forget(transaction, request)?;
        }
    }
    Ok(())
}

/// Forgets what members would choose for slots that ring nodes before `next` decide.
fn forget_choices(transaction: &WriteTransaction, next: u64) -> Result<(), StateError> {
    let decided = ring_log::decided(transaction, next)?;
    if !decided.is_empty() {
        let mut choices = transaction.open_table(CHOICES)?;
        choices.retain(|(_, slot), _| !decided.contains(&slot))?;
    }
    Ok(())
}

/// Requests and votes on them, in one write transaction.
pub(super) struct Petitions<'a> {
    me: Address,
    journal: Recorded<'a, (Word, Word), Word>,
    asked: Recorded<'a, Word, &'static [u8]>,
    votes: Recorded<'a, RequestVoteKey, &'static [u8]>,
    stray: Recorded<'a, (u64, Word), ()>,
    questions: Recorded<'a, Word, Word>,
    choices: Recorded<'a, (Account, Word), Word>,
    listed: WhenUsed<'a, Word, &'static [u8]>,
    over: Recorded<'a, (u64, Word), ()>,
    ring_nodes: WhenUsed<'a, u64, (Word, u64, Word)>,
}

impl<'a> Petitions<'a> {
    pub const fn new(recorded: (&'a WriteTransaction, &'a Recorder), me: Address) -> Self {
        Self {
            me,
            journal: Recorded::new(recorded, REQUEST_JOURNAL),
            asked: Recorded::new(recorded, ASKED),
            votes: Recorded::new(recorded, REQUEST_VOTES),
            stray: Recorded::new(recorded, STRAY),
            questions: Recorded::new(recorded, QUESTIONS),
            choices: Recorded::new(recorded, CHOICES),
            listed: WhenUsed::new(recorded.0, LISTED),
            over: Recorded::new(recorded, OVER),
            ring_nodes: WhenUsed::new(recorded.0, RING_NODES),
        }
    }

    /// How many ring nodes there are.
    fn ring_nodes(&self) -> Result<u64, StateError> {
        ring_log::next_number(self.ring_nodes.readable()?)
    }

    /// What this member votes for from now on.
    pub fn journal(&mut self, key: RequestKey, result: Digest) -> Result<(), StateError> {
        self.journal
            .insert((key.request.0, key.inputs.0), result.0)?;
        Ok(())
    }

    /// Takes the requests and the votes on requests out of a node. What is malformed does not count.
    pub fn add(&mut self, node: &LogNode) -> Result<(), StateError> {
        let author = node.author();
        for message in &node.content().body {
            if let Ok(Some(vote)) = RequestVote::from_message(message) {
                self.vote(author, &vote, &message.payload)?;
            } else if let Ok(Some(request)) = Request::from_message(message) {
                self.ask(author, &request, &message.payload)?;
            } else if let Ok(Some(choice)) = Choice::from_message(message) {
                self.choose(author, choice)?;
            }
        }
        Ok(())
    }

    /// The first choice of a member for a slot that is not decided is kept, as long as it has not too many open.
    fn choose(&mut self, member: Address, choice: Choice) -> Result<(), StateError> {
        let key = (member.0, choice.slot.0);
        let is_over = self.listed.get(choice.slot.0)?.is_some();
        if is_over || self.choices.get(key)?.is_some() {
            return Ok(());
        }
        let of_member = (member.0, [0; 32])..=(member.0, [0xff; 32]);
        if self.choices.range(of_member)?.count() < MAX_OPEN_SLOTS {
            self.choices.insert(key, choice.choice.0)?;
        }
        Ok(())
    }

    /// The first vote of a member for one resolution is kept.
    fn vote(
        &mut self,
        member: Address,
        vote: &RequestVote,
        payload: &[u8],
    ) -> Result<(), StateError> {
        let request = vote.key.request.0;
        let key = (request, member.0, vote.key.inputs.0);
        if self.votes.get(key)?.is_some() {
            return Ok(());
        }
        if self.asked.get(request)?.is_none() {
            if self.listed.get(request)?.is_some() {
                return Ok(());
            }
            self.stray.insert((self.ring_nodes()?, request), ())?;
        }
        self.votes.insert(key, payload)?;
        Ok(())
    }

    /// The first author of a request counts.
    fn ask(
        &mut self,
        author: Address,
        request: &Request,
        payload: &[u8],
    ) -> Result<(), StateError> {
        let Ok(digest) = request.digest() else {
            return Ok(());
        };
        if self.asked.get(digest.0)?.is_some() {
            return Ok(());
        }
        if self.listed.get(digest.0)?.is_some() {
            // It may be over already, and is not opened then.
            self.over.insert((self.ring_nodes()?, digest.0), ())?;
        }
        let record = [&author.0[..], payload].concat();
        self.asked.insert(digest.0, record.as_slice())?;
        if let Some(question) = question(request).filter(|_| author == self.me) {
            self.questions.insert(question.0, digest.0)?;
        }
        Ok(())
    }

    /// A node of the own log came from another member: what it votes for goes into the journal.
    pub fn recall(&mut self, node: &LogNode) -> Result<(), StateError> {
        for message in &node.content().body {
            let Ok(Some(vote)) = RequestVote::from_message(message) else {
                continue;
            };
            let Ok(result) = vote.result() else { continue };
            let key = (vote.key.request.0, vote.key.inputs.0);
            if self.journal.get(key)?.is_none() {
                self.journal.insert(key, result.0)?;
            }
        }
        Ok(())
    }
}

/// What a request asks, whatever its `until`.
fn question(request: &Request) -> Option<Digest> {
    let asked = Request {
        until: 0,
        ..request.clone()
    };
    asked.digest().ok()
}

fn of_request(Digest(request): Digest) -> std::ops::RangeInclusive<RequestVoteKey> {
    (request, [0; 20], [0; 32])..=(request, [0xff; 20], [0xff; 32])
}

fn read_asked(record: &[u8]) -> Result<(Address, Request), StateError> {
    let (author, bytes) = record
        .split_first_chunk::<ACCOUNT_BYTES>()
        .ok_or_else(|| StateError::Format("a request has no author".into()))?;
    let request = Request::from_bytes(bytes).map_err(|error| StateError::Format(error.into()))?;
    Ok((Address(*author), request))
}
