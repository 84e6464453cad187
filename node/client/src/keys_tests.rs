use super::*;
use crate::{
    log::{Log, Secrecy},
    logs::LogCopies,
    Said,
};

fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

fn domain() -> Domain {
    Domain::new(31337, Address([7; 20]))
}

fn secrecy(own: u8) -> Secrecy {
    let key = ReadKey::from_bytes([5; 32], &domain());
    Secrecy::of(
        &domain(),
        &[LineKey {
            epoch: Some(0),
            key,
        }],
        Some(&secret(own)),
    )
}

fn random(seed: u8) -> impl FnMut(&mut [u8; 32]) {
    let mut count = seed;
    move |bytes| {
        count = count.wrapping_add(1);
        *bytes = [count; 32];
    }
}

fn line(text: &str) -> Vec<Message> {
    vec![Said::line(text).to_message()]
}

/// An avatar: its log, and its copies of the others'.
struct Person {
    n: u8,
    log: Log,
    copies: LogCopies,
}

impl Person {
    fn new(n: u8) -> Self {
        let secrecy = secrecy(n);
        Self {
            n,
            log: Log::new(domain(), secrecy.clone()),
            copies: LogCopies::new(domain(), secrecy),
        }
    }

    fn keys(&self) -> ClientKeys {
        ClientKeys(Arc::clone(&self.log_keys().0))
    }

    fn log_keys(&self) -> &ClientKeys {
        self.copies.secrecy().keys().unwrap()
    }

    fn address(&self) -> Address {
        secret(self.n).address()
    }

    fn write(&mut self, messages: Vec<Message>) -> Vec<u8> {
        let node = self.log.append(&secret(self.n), messages, &[], None);
        node.unwrap().bytes().to_vec()
    }

    /// What it says, or the error.
    fn hears(&mut self, author: Address, bytes: &[u8]) -> Result<Vec<Message>, String> {
        let node = self.copies.add(author, bytes);
        let node = node.map_err(|error| format!("{error:?}"))?;
        self.copies
            .messages(&node)
            .map_err(|error| format!("{error:?}"))
    }
}

#[test]
fn who_stays_reads_on_and_who_left_reads_nothing_new() {
    let [mut alice, mut bob, mut carol] = [1, 2, 3].map(Person::new);
    let (a, b, c) = (alice.address(), bob.address(), carol.address());
    let first = [
        (a, alice.write(line("hello"))),
        (b, bob.write(line("hi"))),
        (c, carol.write(line("ho"))),
    ];
    for (author, bytes) in &first {
        for person in [&mut alice, &mut bob, &mut carol] {
            person.hears(*author, bytes).unwrap();
        }
    }
    // Carol leaves, and a replica that nobody had told of.
    let (members, keepers) = ([a, b], [secret(9).public_key()]);
    assert_eq!(alice.keys().left(&members, &[]), [c].into());
    assert!(!alice.keys().is_rotated());
    let made = alice
        .keys()
        .rotate(6, (&members, &keepers), random(40))
        .unwrap();
    assert!(made.left_out.is_empty());
    let announced = alice.write(made.messages);
    assert!(
        alice.keys().is_rotated()
            && alice
                .keys()
                .left(&members, &[keepers[0].address()])
                .is_empty()
    );
    assert_eq!(
        alice.keys().left(&members, &[]),
        [keepers[0].address()].into()
    );
    let after = alice.write(line("without Carol"));
    for person in [&mut bob, &mut carol] {
        person.hears(a, &announced).unwrap();
    }
    let (epoch, name) = (made.epoch, made.name);
    assert_eq!(bob.copies.key_news(), [(a, KeyNews::Key { epoch, name })]);
    assert_eq!(
        carol.copies.key_news(),
        [(a, KeyNews::LeftOut { epoch, name })]
    );
    assert_eq!(bob.hears(a, &after).unwrap(), line("without Carol"));
    assert!(carol.hears(a, &after).is_err());
    // What Bob writes is sealed with the new key, and Alice reads it.
    let answer = bob.write(line("indeed"));
    assert_eq!(alice.hears(b, &answer).unwrap(), line("indeed"));
    assert!(carol.hears(b, &answer).is_err());
    // From the first key and its own log, Bob's device gets all of it back.
    let mut again = Person::new(2);
    for bytes in [&first[0].1, &announced, &after] {
        again.hears(a, bytes).unwrap();
    }
    assert_eq!(again.keys().line_keys().len(), 2);
    let from_line = Secrecy::of(&domain(), &again.keys().line_keys(), None);
    let mut reader = LogCopies::new(domain(), from_line);
    for bytes in [&first[0].1, &announced, &after] {
        reader.add(a, bytes).unwrap();
    }
}

#[test]
fn a_member_that_never_wrote_gets_no_key_by_itself() {
    let (alice, puppet) = (Person::new(1), secret(8).address());
    let members = [alice.address(), puppet];
    let made = alice.keys().rotate(3, (&members, &[]), random(1)).unwrap();
    assert_eq!(made.left_out, [puppet].into());
    let wraps = Wraps::from_message(&made.messages[1]).unwrap().unwrap();
    assert_eq!(wraps.accounts().collect::<Vec<_>>(), [alice.address()]);
}

#[test]
fn of_two_keys_both_come_to_the_same_and_a_later_epoch_seals_only_when_it_is_reached() {
    let [mut alice, mut bob] = [1, 2].map(Person::new);
    let (a, b) = (alice.address(), bob.address());
    let hello = [(a, alice.write(line("a"))), (b, bob.write(line("b")))];
    for (author, bytes) in &hello {
        alice.hears(*author, bytes).unwrap();
        bob.hears(*author, bytes).unwrap();
    }
    let members = [a, b];
    let by_alice = alice.keys().rotate(4, (&members, &[]), random(10)).unwrap();
    let by_bob = bob.keys().rotate(4, (&members, &[]), random(80)).unwrap();
    let (one, other) = (alice.write(by_alice.messages), bob.write(by_bob.messages));
    for person in [&mut alice, &mut bob] {
        person.hears(a, &one).unwrap();
        person.hears(b, &other).unwrap();
        let least = by_alice.name.min(by_bob.name);
        assert_eq!(person.keys().current().unwrap().key.name(), least);
    }
    // Again in the same epoch: what is made then comes before.
    let third = alice
        .keys()
        .rotate(4, (&members, &[]), rand_like())
        .unwrap();
    let third_node = alice.write(third.messages);
    bob.hears(a, &third_node).unwrap();
    assert_eq!(bob.keys().current().unwrap().key.name(), third.name);
    // Somebody announces a key for an epoch that never comes.
    let early = bob
        .keys()
        .rotate(u64::MAX - 1, (&members, &[]), random(3))
        .unwrap();
    let early = bob.write(early.messages);
    alice.keys().reached(4, &members);
    alice.hears(b, &early).unwrap();
    let seals = |epoch, members: &[Address]| {
        alice.keys().reached(epoch, members);
        alice.keys().current().unwrap().key.name() != third.name
    };
    assert!(!seals(4, &members));
    assert!(seals(u64::MAX, &members));
    // Nor does that of a member who has left.
    assert!(!seals(u64::MAX, &[a]));
    let reading = alice.keys().line_keys();
    assert_eq!(reading.iter().filter(|key| key.epoch.is_none()).count(), 2);
}

/// Numbers that do not repeat for long.
fn rand_like() -> impl FnMut(&mut [u8; 32]) {
    let mut count = 0u64;
    move |bytes| {
        count += 1;
        *bytes = rings_protocol::cids::keccak256(&count.to_be_bytes()).0;
    }
}
