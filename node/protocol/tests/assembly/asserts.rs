//! What must hold of a world, whatever happened in it.

use crate::{
    peer::truth,
    world::{subject, Happening, World},
};
use rings_protocol::{
    message::Message,
    quorum::quorum,
    request::{Request, RequestKey, RequestVote},
    ringlog::Entry,
    Address, Digest,
};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// Votes for an entry, by members, in all nodes that were ever written.
    fn votes_for(&self, entry: &Entry, members: &[Address]) -> usize {
        let said = self.written.iter().filter(|node| {
            node.body.iter().any(|message| {
                let vote = RequestVote::from_message(message).ok().flatten();
                vote.is_some_and(|vote| vote.entry() == *entry)
            })
        });
        let voters: BTreeSet<_> = said.map(|node| node.author).collect();
        voters
            .iter()
            .filter(|voter| members.contains(voter))
            .count()
    }

    /// No ring node, on any branch, with a result that two thirds of the members of that moment did not vote for, or with a
    /// choice that nobody made.
    pub fn assert_everything_listed_was_voted_for(&self) {
        for (digest, members) in &self.chain.registered {
            let node = self
                .library
                .get(digest)
                .expect("a ring node is endorsed by who holds it");
            for entry in node.entries() {
                match entry {
                    Entry::Result { .. } => {
                        let votes = self.votes_for(entry, members);
                        assert!(
                            votes >= quorum(members.len()),
                            "{entry:?} has {votes} votes"
                        );
                    }
                    Entry::Decision { choice, .. } => {
                        assert!([1, 2, 8].map(|n| Digest([n; 32])).contains(choice))
                    }
                }
            }
        }
    }

    /// Each request and each slot is listed once, upstream before downstream or beside it, and results are right.
    pub fn assert_listed_once_and_right(&self, right: bool) {
        let listed = self.listed();
        let mut places: BTreeMap<Digest, u64> = BTreeMap::new();
        for (number, entry) in &listed {
            let subject = subject(entry);
            assert_eq!(
                places.insert(subject, *number),
                None,
                "{subject} is listed twice"
            );
        }
        for (number, entry) in &listed {
            let Entry::Result {
                request,
                inputs,
                outcome,
            } = entry
            else {
                continue;
            };
            let key = RequestKey {
                request: *request,
                inputs: *inputs,
            };
            assert!(!right || *outcome == truth(key), "{entry:?}");
            let asked = self.written.iter().flat_map(|node| &node.body);
            let asked = asked.filter_map(|message| Request::from_message(message).ok().flatten());
            let mut asked = asked.filter(|asked| asked.digest().ok() == Some(*request));
            for upstream in asked.next().expect("it was asked").upstream() {
                assert!(
                    places.get(&upstream).is_some_and(|place| place <= number),
                    "{request} rests on {upstream}"
                );
            }
        }
    }

    /// All honest members have the same history of each honest author, and nobody honest is named or forked.
    pub fn assert_one_history(&self) {
        let honest: BTreeSet<_> = self
            .honest()
            .into_iter()
            .map(|n| self.peers[n].address)
            .collect();
        for reader in self.honest() {
            let reader = &self.peers[reader];
            assert!(reader.disk.forked.is_disjoint(&honest));
            assert!(reader.named.is_disjoint(&honest), "{:?}", reader.named);
            for author in self.honest() {
                let author = &self.peers[author];
                let own = author
                    .disk
                    .logs
                    .get(&author.address)
                    .cloned()
                    .unwrap_or_default();
                let read = reader
                    .disk
                    .logs
                    .get(&author.address)
                    .cloned()
                    .unwrap_or_default();
                let same = read
                    .iter()
                    .zip(&own)
                    .all(|(one, other)| one.digest == other.digest);
                assert!(same && read.len() <= own.len());
            }
        }
    }

    /// Heads on chain are nodes of their logs.
    pub fn assert_heads_are_of_their_logs(&self) {
        for (member, head) in self.chain.state().heads {
            let mut of = self.written.iter().filter(|node| node.author == member);
            assert!(of.any(|node| node.digest == head));
        }
    }

    /// Logs go on and nothing is asked: no further ring node is made.
    pub fn assert_idle_is_free(&mut self) {
        // First whatever was sent already.
        self.settle(3_000);
        let before = self.chain.state().nodes.len();
        for peer in self.honest() {
            let note = Message {
                domain: "notes".into(),
                payload: vec![1].into(),
                status: "new".into(),
                kind: "Note".into(),
            };
            self.later(peer, 10, Happening::Write(vec![note]));
        }
        self.settle(5_000);
        assert_eq!(
            self.chain.state().nodes.len(),
            before,
            "an idle ring pays nothing"
        );
    }
}
