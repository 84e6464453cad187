use super::*;

fn member(n: u8) -> Address {
    Address([n; 20])
}

fn domain() -> Domain {
    Domain::new(31337, Address([0xaa; 20]))
}

fn request(nonce: u64, inputs: Vec<RequestInput>, until: u64) -> Request {
    Request {
        ring: domain().ring,
        chain: domain().chain_id,
        profile: "p".into(),
        operation: Digest([1; 32]),
        inputs,
        nonce,
        until,
    }
}

fn outcome(n: u8) -> Outcome {
    Outcome::Outputs(vec![Digest([n; 32])])
}

fn book() -> Book {
    let limits = Limits {
        open_per_author: 3,
        lifetime: 10,
    };
    let mut book = Book::new(domain(), limits);
    book.membership(&[1, 2, 3, 4].map(member), 3, 0);
    book
}

/// The computation that opening a request asks for.
fn open(book: &mut Book, request: &Request) -> Option<RequestKey> {
    let opened = book.open(member(1), request.clone(), UpstreamOutcome::new(), &[], 0);
    key_in(&opened.unwrap())
}

fn key_in(effects: &[BookEffect]) -> Option<RequestKey> {
    effects.iter().find_map(|effect| match effect {
        BookEffect::Compute { key, .. } => Some(*key),
        _ => None,
    })
}

fn vote(key: RequestKey, outcome: Outcome) -> RequestVote {
    RequestVote {
        fuel: 1,
        key,
        outcome,
        profile: "p".into(),
    }
}

/// Members 1 to `count` vote so.
fn agree(book: &mut Book, key: RequestKey, result: u8, count: u8) -> Vec<BookEffect> {
    let votes = (1..=count).map(|n| book.vote(member(n), &vote(key, outcome(result)), 5));
    votes.flatten().collect()
}

#[test]
fn two_thirds_make_an_entry_that_is_listed_once() {
    let mut book = book();
    let key = open(&mut book, &request(1, vec![], 5)).unwrap();
    agree(&mut book, key, 7, 2);
    assert!(book.pending().is_empty());
    agree(&mut book, key, 7, 3);
    let entry = book.pending()[0].entry.clone();
    assert_eq!(entry, vote(key, outcome(7)).entry());
    assert_eq!(book.supports(&entry, &BTreeSet::new()), Ok(()));
    let wrong = vote(key, outcome(8)).entry();
    let refused = Err(Objection::NotAgreed {
        request: key.request,
    });
    assert_eq!(book.supports(&wrong, &BTreeSet::new()), refused);
    let effects = book.vote(member(4), &vote(key, outcome(8)), 6);
    assert!(effects.is_empty());
    let diverged = BookEffect::Diverged {
        key,
        member: member(4),
    };
    assert_eq!(book.listed(0, std::slice::from_ref(&entry)), [diverged]);
    assert!(book.pending().is_empty());
    assert!(
        book.supports(&entry, &BTreeSet::new()).is_err(),
        "listed already"
    );
    book.rewound(0);
    assert_eq!(book.pending().len(), 1, "the reorganisation took it back");
    book.listed(0, &[entry]);
    assert_eq!(book.finalised(0), [key.request]);
    assert!(book.request(key.request).is_none());
}

#[test]
fn a_second_outcome_is_told_and_does_not_count() {
    let mut book = book();
    let key = open(&mut book, &request(1, vec![], 5)).unwrap();
    agree(&mut book, key, 7, 1);
    let effects = book.vote(member(1), &vote(key, outcome(8)), 0);
    assert_eq!(
        effects,
        [BookEffect::Equivocated {
            key,
            member: member(1)
        }]
    );
}

#[test]
fn votes_count_by_the_members_of_the_moment() {
    let mut book = book();
    let key = open(&mut book, &request(1, vec![], 5)).unwrap();
    agree(&mut book, key, 7, 3);
    book.membership(&[3, 4, 5, 6].map(member), 3, 0);
    assert!(book.pending().is_empty());
    for n in [5, 6] {
        book.vote(member(n), &vote(key, outcome(7)), 0);
    }
    assert_eq!(book.pending().len(), 1);
}

#[test]
fn an_output_of_another_request_is_an_input_once_two_thirds_agree() {
    let mut book = book();
    let first = request(1, vec![], 5);
    let input = RequestInput::Output {
        request: first.digest().unwrap(),
        pin: 0,
    };
    let second = request(2, vec![input], 5);
    assert_eq!(open(&mut book, &second), None, "its input is not there");
    let key = open(&mut book, &first).unwrap();
    let ready = key_in(&agree(&mut book, key, 7, 3)).unwrap();
    assert_eq!(ready.inputs, crate::gate::inputs_hash(&[Digest([7; 32])]));
    agree(&mut book, ready, 9, 3);
    let pending: Vec<_> = book
        .pending()
        .iter()
        .map(|agreed| agreed.entry.clone())
        .collect();
    assert_eq!(
        pending,
        [
            vote(key, outcome(7)).entry(),
            vote(ready, outcome(9)).entry()
        ]
    );
    let alone = book.supports(&pending[1], &BTreeSet::new());
    assert!(matches!(alone, Err(Objection::Upstream { .. })));
    let beside = [key.request].into();
    assert_eq!(book.supports(&pending[1], &beside), Ok(()));
    book.listed(0, &pending[..1]);
    assert_eq!(book.supports(&pending[1], &BTreeSet::new()), Ok(()));
    book.finalised(0);
    assert_eq!(
        book.supports(&pending[1], &BTreeSet::new()),
        Ok(()),
        "what is final is remembered"
    );
}

#[test]
fn what_has_expired_is_neither_listed_nor_kept() {
    let mut book = book();
    let key = open(&mut book, &request(1, vec![], 1)).unwrap();
    agree(&mut book, key, 7, 3);
    let entry = book.pending()[0].entry.clone();
    book.listed(1, &[]);
    assert!(book.pending().is_empty());
    let expired = Err(Objection::Expired {
        request: key.request,
    });
    assert_eq!(book.supports(&entry, &BTreeSet::new()), expired);
    assert_eq!(book.finalised(1), [key.request]);
}

#[test]
fn each_author_has_a_bound_and_others_are_not_touched_by_it() {
    let mut book = book();
    for nonce in 0..3 {
        open(&mut book, &request(nonce, vec![], 5)).unwrap();
    }
    let mut ask = |author: u8, until: u64| {
        let request = request(9, vec![], until);
        book.open(member(author), request, UpstreamOutcome::new(), &[], 0)
            .map(|_| ())
    };
    let quota = RequestRefusal::Quota {
        author: member(1),
        open: 3,
    };
    assert_eq!(ask(1, 5), Err(quota));
    assert!(matches!(ask(2, 11), Err(RequestRefusal::Until { .. })));
    assert_eq!(ask(2, 5), Ok(()));
    book.listed(5, &[]);
    assert_eq!(book.open_of(member(1)), 0, "expired requests do not count");
}

#[test]
fn requests_of_other_rings_and_chains_are_refused() {
    let mut book = book();
    let base = request(1, vec![], 5);
    for request in [
        Request {
            ring: Address([1; 20]),
            ..base.clone()
        },
        Request {
            chain: 1,
            ..base.clone()
        },
    ] {
        let refused = book.open(member(1), request, UpstreamOutcome::new(), &[], 0);
        assert!(matches!(refused, Err(RequestRefusal::Elsewhere { .. })));
    }
}

#[test]
fn votes_that_were_there_before_the_request_count_when_it_opens() {
    let mut book = book();
    let asked = request(1, vec![], 5);
    let key = RequestKey {
        request: asked.digest().unwrap(),
        inputs: crate::gate::inputs_hash(&[]),
    };
    assert!(book.vote(member(1), &vote(key, outcome(7)), 0).is_empty());
    let votes: Vec<_> = (1..=3)
        .map(|n| (member(n), vote(key, outcome(7))))
        .collect();
    book.open(member(1), asked, UpstreamOutcome::new(), &votes, 0)
        .unwrap();
    assert_eq!(book.pending().len(), 1);
}

#[test]
fn a_listing_that_comes_before_its_request_counts() {
    let mut book = book();
    let (first, second) = (request(1, vec![], 5), {
        let of = request(1, vec![], 5).digest().unwrap();
        request(
            2,
            vec![RequestInput::Output {
                request: of,
                pin: 0,
            }],
            5,
        )
    });
    let key = {
        let mut other = self::book();
        open(&mut other, &first).unwrap()
    };
    assert_eq!(book.listed(0, &[vote(key, outcome(7)).entry()]), []);
    assert_eq!(open(&mut book, &first), None, "nothing is to be computed");
    assert_eq!(book.open_of(member(1)), 0);
    let downstream = open(&mut book, &second);
    assert!(downstream.is_some(), "what is listed is an input");
    let wrong = book.vote(member(4), &vote(key, outcome(8)), 6);
    let member = member(4);
    assert_eq!(wrong, [BookEffect::Diverged { key, member }]);
    agree(&mut book, key, 7, 3);
    assert!(book.pending().is_empty(), "it is listed already");
    agree(&mut book, downstream.unwrap(), 9, 3);
    assert_eq!(book.pending().len(), 1, "its upstream is listed");
    let again = book.rewound(0);
    assert_eq!(key_in(&again), Some(key), "now it is to be computed");
    assert_eq!(book.pending().len(), 2);
    let request = first.digest().unwrap();
    book.listed(0, &[vote(key, outcome(7)).entry()]);
    assert_eq!(book.finalised(0), [request]);
    assert_eq!(
        book.pending().len(),
        1,
        "what is final is an input for good"
    );
}

#[test]
fn how_far_a_request_is_can_be_asked() {
    let mut book = book();
    let asked = request(1, vec![], 5);
    let digest = asked.digest().unwrap();
    assert!(book.standing(digest).is_none());
    let key = open(&mut book, &asked).unwrap();
    let standing = book.standing(digest).unwrap();
    assert_eq!((standing.author, standing.request), (member(1), &asked));
    assert_eq!((standing.computing, standing.agreed), (Some(key), None));
    agree(&mut book, key, 7, 3);
    let agreed = book.standing(digest).unwrap().agreed.unwrap().entry.clone();
    assert_eq!(agreed, vote(key, outcome(7)).entry());
    book.listed(0, &[agreed]);
    let standing = book.standing(digest).unwrap();
    assert!(standing.is_listed && !standing.has_expired);
    book.listed(5, &[]);
    assert!(book.standing(digest).unwrap().has_expired);
}

#[test]
fn results_of_gates_are_listed_without_votes_and_only_as_the_chain_has_them() {
    let mut book = book();
    let computation = |n: u8| crate::gate::Computation {
        gate: Address([n; 20]),
        inputs: crate::gate::inputs_hash(&[]),
    };
    let entry = |n: u8, result: u8| {
        let outputs = crate::message::Outputs::new([(0, Digest([result; 32]))]).unwrap();
        Entry::of_gate(computation(n), &outputs).unwrap()
    };
    let gate = crate::ringlog::gate_subject(Address([1; 20]));
    let none = BTreeSet::new();
    assert!(
        book.supports(&entry(1, 7), &none).is_err(),
        "it is not final"
    );
    book.on_chain(entry(1, 7), 50);
    book.on_chain(entry(2, 8), 40);
    assert_eq!(book.supports(&entry(1, 7), &none), Ok(()));
    assert!(book.supports(&entry(1, 8), &none).is_err());
    let pending: Vec<_> = book.pending().iter().map(|agreed| agreed.at).collect();
    assert_eq!(pending, [40, 50]);
    book.taken_back(crate::ringlog::gate_subject(Address([2; 20])));
    book.listed(0, &[entry(1, 7)]);
    assert!(book.pending().is_empty() && book.supports(&entry(1, 7), &none).is_err());
    book.rewound(0);
    assert_eq!(
        book.pending().len(),
        1,
        "the ring node is gone, the result is not"
    );
    book.listed(0, &[entry(1, 7)]);
    assert_eq!(book.finalised(0), [gate]);
    book.rewound(1);
    assert!(book.pending().is_empty());
}

/// The open requests of an author, by a walk through all that are held.
fn walk(book: &Book, author: Address) -> usize {
    let held = book.open.iter();
    let open = held.filter(|(digest, open)| {
        open.author == author
            && open.request.may_be_listed_by(book.next)
            && !book.listed.contains_key(digest)
    });
    open.count()
}

proptest::proptest! {
    /// Whatever is opened, listed, taken back and final: what is open is what a walk through all that is held finds.
    #[test]
    fn what_is_open_is_what_a_walk_through_all_that_is_held_finds(
        steps in proptest::collection::vec((0u8..4, 0u64..12, 1u8..4, 0u64..6), 1..60),
    ) {
        let limits = Limits { open_per_author: 4, lifetime: 10 };
        let mut book = Book::new(domain(), limits);
        book.membership(&[1, 2, 3, 4].map(member), 3, 0);
        for (what, nonce, author, ahead) in steps {
            let request = request(nonce, vec![], nonce + ahead);
            match what {
                0 | 1 => drop(book.open(member(author), request, UpstreamOutcome::new(), &[], 0)),
                2 => {
                    let held: Vec<_> = book.open.keys().copied().collect();
                    let listed = held.get(nonce as usize).copied().unwrap_or(request.digest().unwrap());
                    let key = RequestKey { request: listed, inputs: Digest::ZERO };
                    drop(book.listed(book.next, &[vote(key, outcome(1)).entry()]));
                }
                _ if ahead < 3 => drop(book.rewound(book.next.saturating_sub(ahead))),
                _ => drop(book.finalised(book.next.saturating_sub(ahead))),
            }
            for author in [1, 2, 3].map(member) {
                proptest::prop_assert_eq!(book.open_of(author), walk(&book, author));
            }
            let open = [1, 2, 3].map(|author| walk(&book, member(author)));
            proptest::prop_assert_eq!(book.has_open(), open.iter().any(|open| *open > 0));
        }
    }
}
