//! How the members of a client ring change, agreed on in its logs: a device is added, removed or replaced.
//!
//! Whoever wants a change signs it, as the ring's contract takes it (`IMembership.changeMembers`), and says so in its log; others
//! say the same with their own signatures. [`Changes`] collects what members have signed. When two thirds have, anyone of them
//! brings the call to the chain ([`change_members`]), as an action like any other. A change is for one epoch: when the members have
//! changed otherwise, it is void.

use crate::action::Action;
use rings_protocol::{
    cbor::{CborError, Reader, Writer},
    cids::keccak256,
    crypto::{CryptoError, SecretKey, Signature},
    eip712::Domain,
    message::Message,
    quorum::quorum,
    Address, Digest,
};
use std::collections::BTreeMap;

/// Most accounts that enter or leave at once.
pub const MAX_CHANGED: usize = 64;
/// Most changes that are open at one moment; further ones are passed over.
pub const MAX_OPEN_CHANGES: usize = 64;
const DOMAIN: &str = "rings";
const KIND: &str = "Members";
const STATUS: &str = "signed";
const CHANGE_MEMBERS: &[u8] =
    b"changeMembers(address[],address[],uint256,bytes32[],bytes32[],uint8[])";
const WORD: usize = 32;

/// A change of a ring's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersChange {
    /// The epoch in which it counts.
    pub epoch: u64,
    /// Who comes, in the order of the call.
    pub enter: Vec<Address>,
    /// Who goes.
    pub exit: Vec<Address>,
    /// Until when it counts, in seconds since 1970.
    pub deadline: u64,
}

/// A change, and who has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenChange {
    /// What changes.
    pub change: MembersChange,
    /// Who said it first, as far as is known here.
    pub by: Address,
    /// The signatures of members.
    pub signed: BTreeMap<Address, Signature>,
}

/// The changes that members have signed in this epoch.
#[derive(Debug, Clone)]
pub struct Changes {
    domain: Domain,
    members: Vec<Address>,
    epoch: u64,
    open: BTreeMap<Digest, OpenChange>,
}

impl MembersChange {
    /// What the members of now sign.
    pub fn digest(&self, domain: &Domain, members: &[Address]) -> Digest {
        domain
            .members(members, self.epoch, &self.enter, &self.exit, self.deadline)
            .digest()
    }

    /// The message with which a member says that it agrees.
    ///
    /// # Errors
    /// [`CryptoError::Sign`], which does not happen with a valid key.
    pub fn sign(
        &self,
        domain: &Domain,
        members: &[Address],
        key: &SecretKey,
    ) -> Result<Message, CryptoError> {
        let signature = key.sign(&self.digest(domain, members))?;
        let mut writer = Writer::with_capacity(160 + 21 * (self.enter.len() + self.exit.len()));
        let list = |writer: &mut Writer, name: &str, accounts: &[Address]| {
            writer.text(name).list(accounts.len());
            for account in accounts {
                writer.bytes(&account.0);
            }
        };
        writer.map(5);
        list(&mut writer, "exit", &self.exit);
        list(&mut writer, "enter", &self.enter);
        writer.text("epoch").uint(self.epoch);
        writer.text("deadline").uint(self.deadline);
        writer.text("signature").bytes(&signature.to_bytes());
        Ok(Message {
            domain: DOMAIN.into(),
            payload: writer.finish().into(),
            status: STATUS.into(),
            kind: KIND.into(),
        })
    }

    /// Reads a message; nothing if it is about something else, or malformed.
    pub fn from_message(message: &Message) -> Option<(Self, Signature)> {
        let is_ours = message.domain == DOMAIN && message.kind == KIND && message.status == STATUS;
        let read = is_ours.then(|| read(&message.payload))?.ok()?;
        let (change, signature) = read;
        Some((change, Signature::from_slice(&signature).ok()?))
    }
}

fn read(payload: &[u8]) -> Result<(MembersChange, [u8; 65]), CborError> {
    let mut reader = Reader::new(payload);
    let mut fields = reader.map()?;
    fields.key(&mut reader, "exit")?;
    let exit = accounts(&mut reader)?;
    fields.key(&mut reader, "enter")?;
    let enter = accounts(&mut reader)?;
    fields.key(&mut reader, "epoch")?;
    let epoch = reader.uint()?;
    fields.key(&mut reader, "deadline")?;
    let deadline = reader.uint()?;
    fields.key(&mut reader, "signature")?;
    let signature = reader.fixed()?;
    fields.end(&reader)?;
    reader.end()?;
    let change = MembersChange {
        epoch,
        enter,
        exit,
        deadline,
    };
    Ok((change, signature))
}

fn accounts(reader: &mut Reader<'_>) -> Result<Vec<Address>, CborError> {
    let count = reader.list(MAX_CHANGED, 21)?;
    (0..count).map(|_| Ok(Address(reader.fixed()?))).collect()
}

impl Changes {
    /// None yet, of the ring as the chain has it now.
    pub fn new(domain: Domain, members: Vec<Address>, epoch: u64) -> Self {
        Self {
            domain,
            members,
            epoch,
            open: BTreeMap::new(),
        }
    }

    /// Takes what an avatar says. Signatures of others than members, and changes of other epochs, do not count. Gives the name of a
    /// change that is new here.
    pub fn hear(&mut self, author: Address, message: &Message) -> Option<Digest> {
        let (change, signature) = MembersChange::from_message(message)?;
        let digest = change.digest(&self.domain, &self.members);
        let signer = signature.recover(&digest).ok()?.address();
        let counts = signer == author && self.members.contains(&author);
        if !counts || change.epoch != self.epoch {
            return None;
        }
        let is_new = !self.open.contains_key(&digest);
        if is_new && self.open.len() >= MAX_OPEN_CHANGES {
            return None;
        }
        let open = self.open.entry(digest).or_insert_with(|| OpenChange {
            change,
            by: author,
            signed: BTreeMap::new(),
        });
        open.signed.insert(author, signature);
        is_new.then_some(digest)
    }

    /// All that are open.
    pub fn open(&self) -> impl Iterator<Item = (Digest, &OpenChange)> + '_ {
        self.open.iter().map(|(digest, open)| (*digest, open))
    }

    /// One of them.
    pub fn get(&self, name: Digest) -> Option<&OpenChange> {
        self.open.get(&name)
    }

    /// How many signatures the ring needs. The contract counts members that its keeper has put out a while longer; a client ring has
    /// no keeper.
    pub fn needed(&self) -> usize {
        quorum(self.members.len())
    }

    /// The call of a change that enough members have signed; nothing while more are needed.
    pub fn ready(&self, name: Digest) -> Option<Action> {
        let open = self.open.get(&name)?;
        let enough = open.signed.len() >= self.needed();
        // In ascending order of their signers, as the contract wants them.
        let signatures: Vec<_> = open.signed.values().copied().collect();
        enough.then(|| change_members(self.domain.ring, &open.change, &signatures))
    }
}

/// The call of `changeMembers`. The signatures are in ascending order of their signers.
pub fn change_members(ring: Address, change: &MembersChange, signatures: &[Signature]) -> Action {
    let accounts = |accounts: &[Address]| {
        let words = accounts.iter().map(|account| {
            let mut word = [0; WORD];
            word[12..].copy_from_slice(&account.0);
            word
        });
        list(words)
    };
    let tails = [
        accounts(&change.enter),
        accounts(&change.exit),
        list(signatures.iter().map(|signature| signature.r)),
        list(signatures.iter().map(|signature| signature.s)),
        list(
            signatures
                .iter()
                .map(|signature| number(signature.v.into())),
        ),
    ];
    let mut offset = 6 * WORD;
    let mut head = Vec::new();
    for (at, tail) in tails.iter().enumerate() {
        if at == 2 {
            head.extend(number(change.deadline));
        }
        head.extend(number(offset as u64));
        offset += tail.len();
    }
    let selector = &keccak256(CHANGE_MEMBERS).0[..4];
    Action {
        to: ring,
        data: [selector, &head, &tails.concat()].concat(),
        ..Action::default()
    }
}

/// A list as the ABI has it: its length, and its words.
fn list(words: impl Iterator<Item = [u8; WORD]>) -> Vec<u8> {
    let words: Vec<_> = words.collect();
    [&number(words.len() as u64)[..], &words.concat()].concat()
}

fn number(value: u64) -> [u8; WORD] {
    let mut word = [0; WORD];
    word[WORD - 8..].copy_from_slice(&value.to_be_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn setting() -> (Domain, Vec<Address>, MembersChange) {
        let members = (1..=4).map(|n| key(n).address()).collect();
        let change = MembersChange {
            epoch: 3,
            enter: vec![key(9).address()],
            exit: vec![key(4).address()],
            deadline: 1_800_000_000,
        };
        (Domain::new(31337, Address([7; 20])), members, change)
    }

    #[test]
    fn a_change_is_ready_when_two_thirds_have_signed_it() {
        let (domain, members, change) = setting();
        let name = change.digest(&domain, &members);
        let mut changes = Changes::new(domain, members.clone(), 3);
        for n in [1, 1, 2] {
            let message = change.sign(&domain, &members, &key(n)).unwrap();
            changes.hear(key(n).address(), &message);
        }
        assert_eq!((changes.needed(), changes.ready(name)), (3, None));
        // Of a stranger, in the name of another, and for another epoch.
        let stranger = change.sign(&domain, &members, &key(8)).unwrap();
        changes.hear(key(8).address(), &stranger);
        changes.hear(key(3).address(), &stranger);
        let late = MembersChange {
            epoch: 2,
            ..change.clone()
        };
        let late = late.sign(&domain, &members, &key(3)).unwrap();
        assert_eq!(changes.hear(key(3).address(), &late), None);
        assert_eq!((changes.open().count(), changes.ready(name)), (1, None));
        let third = change.sign(&domain, &members, &key(3)).unwrap();
        changes.hear(key(3).address(), &third);
        let call = changes.ready(name).unwrap();
        assert_eq!(call.to, domain.ring);
        assert_eq!(changes.get(name).unwrap().by, key(1).address());
        let mut signers: Vec<_> = (1..=3).map(|n| key(n).address()).collect();
        signers.sort_unstable();
        // Six words of heads, two lists of one account, and the list of r.
        let r = &call.data[4 + (6 + 2 + 2) * WORD..][..WORD];
        assert_eq!(r, number(3));
        let first = &changes.get(name).unwrap().signed[&signers[0]];
        assert_eq!(call.data[4 + 11 * WORD..][..WORD], first.r);
    }

    #[test]
    fn a_change_survives_its_message() {
        let (domain, members, change) = setting();
        let message = change.sign(&domain, &members, &key(1)).unwrap();
        let read = MembersChange::from_message(&message).unwrap();
        assert_eq!(read.0, change);
        for cut in 0..message.payload.len() {
            let mut short = message.clone();
            short.payload.truncate(cut);
            assert_eq!(MembersChange::from_message(&short), None);
        }
    }
}
