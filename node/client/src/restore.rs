//! Which replicas are honest about a ring's logs: what each says that it holds, beside what is known.
//!
//! A client that comes back asks each replica for its signed word on each log, and gets the logs from whichever serves most of
//! them. [`judge`] then compares each replica's word with those logs, with the heads on chain, and with words that it gave before.
//! Somebody is named only for what can be shown.

use crate::logs::LogCopies;
use rings_protocol::{Address, Digest};
use std::fmt;

/// What a replica says about one log, signed (`Held`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The replica.
    pub replica: Address,
    /// Whose log it is.
    pub author: Address,
    /// Where the log ends with it; nothing if it says that it holds none of it.
    pub head: Option<Digest>,
}

/// A node of a log of which it is known that it must be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It is the head on chain.
    OnChain {
        /// Whose log.
        author: Address,
        /// The node.
        head: Digest,
    },
    /// A replica has signed before that it holds it.
    Word {
        /// The replica.
        replica: Address,
        /// Whose log.
        author: Address,
        /// The node.
        head: Digest,
    },
}

/// What is wrong with a replica, or with what all of them serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It leaves out nodes that it must hold: the chain has them, or it has signed for them.
    LeftOut {
        /// The replica.
        replica: Address,
        /// Whose log.
        author: Address,
        /// The first node that it leaves out.
        from: u64,
        /// Whether its own word convicts it; otherwise the head on chain shows it.
        by_word: bool,
    },
    /// It is behind: others hold more, and nothing shows that it should.
    Behind {
        /// The replica.
        replica: Address,
        /// Whose log.
        author: Address,
        /// The first node that it does not hold.
        from: u64,
    },
    /// It holds a node that is not in the log that was served and checked: another history.
    OtherHistory {
        /// The replica.
        replica: Address,
        /// Whose log.
        author: Address,
        /// Its node.
        head: Digest,
    },
    /// Nobody serves a node that is on chain, or that somebody has signed for.
    Lost {
        /// Whose log.
        author: Address,
        /// The node.
        head: Digest,
        /// Who has signed for it; nobody for a head on chain.
        replica: Option<Address>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut { replica, author, from, by_word: true } => write!(
                f,
                "replica {replica} leaves out the log of {author} from node {from} on, and has signed that it holds it"
            ),
            Self::LeftOut { replica, author, from, .. } => write!(
                f,
                "replica {replica} leaves out the log of {author} from node {from} on, which is on chain"
            ),
            Self::Behind { replica, author, from } => write!(
                f,
                "replica {replica} does not hold the log of {author} from node {from} on, as others do"
            ),
            Self::OtherHistory { replica, author, head } => write!(
                f,
                "replica {replica} serves another history of {author}: it has signed for node {head}, which is not in the log that others serve"
            ),
            Self::Lost { author, head, replica: Some(replica) } => write!(
                f,
                "replica {replica} has signed that it holds node {head} of {author}, and nobody serves it"
            ),
            Self::Lost { author, head, replica: None } => write!(
                f,
                "node {head} of {author} is on chain, and nobody serves it"
            ),
        }
    }
}

impl Finding {
    /// Whether something is missing, or somebody is shown to be at fault; not merely late.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Behind { .. })
    }
}

/// Compares what replicas say with the logs that were served and checked, and with what is known besides.
pub fn judge(logs: &LogCopies, claims: &[Claim], known: &[Evidence]) -> Vec<Finding> {
    let mut findings: Vec<_> = claims
        .iter()
        .filter_map(|claim| judge_one(logs, claim, known))
        .collect();
    findings.extend(known.iter().filter_map(|known| lost(logs, known)));
    findings.sort_unstable();
    findings.dedup();
    findings
}

fn judge_one(logs: &LogCopies, claim: &Claim, known: &[Evidence]) -> Option<Finding> {
    let Claim {
        replica,
        author,
        head,
    } = *claim;
    let next = logs.next_seq(author);
    let from = match head {
        None => 0,
        Some(head) => match logs.position(author, head) {
            Some(position) => position + 1,
            None => {
                return Some(Finding::OtherHistory {
                    replica,
                    author,
                    head,
                })
            }
        },
    };
    if from >= next {
        return None;
    }
    let behind = |digest| {
        let position = logs.position(author, digest);
        position.is_some_and(|position| position >= from)
    };
    let by_word = known.iter().any(|known| matches!(known, Evidence::Word { replica: by, author: of, head } if *by == replica && *of == author && behind(*head)));
    let on_chain = known.iter().any(
        |known| matches!(known, Evidence::OnChain { author: of, head } if *of == author && behind(*head)),
    );
    Some(match by_word || on_chain {
        true => Finding::LeftOut {
            replica,
            author,
            from,
            by_word,
        },
        false => Finding::Behind {
            replica,
            author,
            from,
        },
    })
}

fn lost(logs: &LogCopies, known: &Evidence) -> Option<Finding> {
    let (author, head, replica) = match *known {
        Evidence::OnChain { author, head } => (author, head, None),
        Evidence::Word {
            replica,
            author,
            head,
        } => (author, head, Some(replica)),
    };
    let is_there = head.is_zero() || logs.position(author, head).is_some();
    (!is_there).then_some(Finding::Lost {
        author,
        head,
        replica,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Log, Said, Secrecy};
    use rings_protocol::{crypto::SecretKey, eip712::Domain};

    #[test]
    fn who_leaves_something_out_is_named_and_who_is_late_is_not_accused() {
        let domain = Domain::new(1, Address([7; 20]));
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let mut log = Log::new(domain, Secrecy::Open);
        let mut logs = LogCopies::new(domain, Secrecy::Open);
        for n in 0..6 {
            let line = vec![Said::line(&n.to_string()).to_message()];
            let node = log.append(&key, line, &[], None).unwrap();
            logs.add(key.address(), node.bytes()).unwrap();
        }
        let author = key.address();
        let at = |seq: usize| log.nodes()[seq].digest();
        let replica = |n: u8| Address([n; 20]);
        let claim = |n: u8, head| Claim {
            replica: replica(n),
            author,
            head,
        };
        let strange = Digest([9; 32]);
        let claims = [
            claim(1, Some(at(5))),
            claim(2, Some(at(4))),
            claim(3, Some(at(2))),
            claim(4, None),
            claim(5, Some(strange)),
            claim(6, Some(at(3))),
        ];
        let known = [
            Evidence::OnChain {
                author,
                head: at(3),
            },
            Evidence::Word {
                replica: replica(6),
                author,
                head: at(5),
            },
            Evidence::Word {
                replica: replica(7),
                author,
                head: strange,
            },
        ];
        let left_out = |n, from, by_word| Finding::LeftOut {
            replica: replica(n),
            author,
            from,
            by_word,
        };
        let expected = [
            left_out(3, 3, false),
            left_out(4, 0, false),
            left_out(6, 4, true),
            Finding::Behind {
                replica: replica(2),
                author,
                from: 5,
            },
            Finding::OtherHistory {
                replica: replica(5),
                author,
                head: strange,
            },
            Finding::Lost {
                author,
                head: strange,
                replica: Some(replica(7)),
            },
        ];
        let found = judge(&logs, &claims, &known);
        assert_eq!(found, expected);
        let faults = found.iter().filter(|finding| finding.is_fault());
        assert_eq!(faults.count(), 5);
        assert!(found[2].to_string().contains("has signed"));
        let nothing = [Evidence::OnChain {
            author,
            head: Digest::ZERO,
        }];
        assert_eq!(judge(&logs, &claims[..1], &nothing), []);
    }
}
