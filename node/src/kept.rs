//! The client rings whose logs the members keep, for `rings status`.

use super::out::count;
use futures::future::join_all;
use rings_api::{
    client_rings::{ClientRingView, ClientRingsParams},
    Client,
};
use rings_member::clock;
use rings_protocol::{Address, Digest};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// Time for a member to answer.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Client rings that are shown.
const SHOWN: usize = 100;

/// A client ring, as all members together keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptRing {
    ring: Address,
    /// The members that keep it, by their places.
    members: Vec<usize>,
    /// Bytes of its log nodes, at the member that has most.
    bytes: u64,
    /// Where its logs end, at the member that has most.
    heads: Vec<KeptLog>,
    /// Whether a former member has its replica key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rotate: bool,
    /// Avatars that signed two histories, as a member has evidence of.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    forked: BTreeSet<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptLog {
    avatar: Address,
    seq: u64,
    head: Digest,
    /// When the first member got it, in milliseconds since 1970.
    since: u64,
    /// The members, by their places, whose copy ends earlier.
    behind: Vec<usize>,
}

/// What the members keep, the first rings of it. `None` stands for a member that cannot be asked.
pub(super) async fn kept(clients: &[Option<Client>]) -> Vec<KeptRing> {
    let asked = clients.iter().map(|client| async {
        let which = ClientRingsParams::default();
        let asked = client.as_ref()?.client_rings(&which);
        let answer = tokio::time::timeout(ASK_LIMIT, asked).await;
        Some(answer.ok()?.ok()?.rings)
    });
    let answers = join_all(asked).await;
    let mut rings: BTreeMap<Address, Vec<(usize, ClientRingView)>> = BTreeMap::new();
    for (member, answer) in answers.into_iter().enumerate() {
        for ring in answer.into_iter().flatten() {
            rings.entry(ring.ring).or_default().push((member, ring));
        }
    }
    let shown = rings.into_iter().take(SHOWN);
    shown.map(|(ring, views)| joined(ring, &views)).collect()
}

fn joined(ring: Address, views: &[(usize, ClientRingView)]) -> KeptRing {
    let mut heads: BTreeMap<Address, KeptLog> = BTreeMap::new();
    for head in views.iter().flat_map(|(_, view)| &view.heads) {
        let newest = heads.entry(head.avatar).or_insert(KeptLog {
            avatar: head.avatar,
            seq: head.seq,
            head: head.head,
            since: head.since,
            behind: Vec::new(),
        });
        if head.seq > newest.seq {
            (newest.seq, newest.head, newest.since) = (head.seq, head.head, head.since);
        } else if head.seq == newest.seq {
            newest.since = newest.since.min(head.since);
        }
    }
    for newest in heads.values_mut() {
        let behind = views.iter().filter(|(_, view)| {
            let mut heads = view.heads.iter();
            let held = heads.find(|head| head.avatar == newest.avatar);
            held.is_none_or(|head| head.seq < newest.seq)
        });
        newest.behind = behind.map(|(member, _)| *member).collect();
    }
    KeptRing {
        ring,
        members: views.iter().map(|(member, _)| *member).collect(),
        bytes: views.iter().map(|(_, view)| view.bytes).max().unwrap_or(0),
        heads: heads.into_values().collect(),
        rotate: views.iter().any(|(_, view)| view.rotate),
        forked: views
            .iter()
            .flat_map(|(_, view)| &view.forks)
            .map(|fork| fork.avatar)
            .collect(),
    }
}

impl fmt::Display for KeptRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "client   {}, kept by member {}, {} bytes",
            self.ring,
            places(&self.members),
            self.bytes
        )?;
        if self.rotate {
            write!(f, ", A FORMER MEMBER HAS ITS REPLICA KEY")?;
        }
        let now = clock::seconds();
        for head in &self.heads {
            let nodes = usize::try_from(head.seq.saturating_add(1)).unwrap_or(usize::MAX);
            let age = now.saturating_sub(head.since / 1000);
            write!(
                f,
                "\n         {}  {}, newest {age} s ago",
                head.avatar,
                count(nodes, "log node")
            )?;
            if !head.behind.is_empty() {
                write!(f, ", NOT ALL HELD by member {}", places(&head.behind))?;
            }
            if self.forked.contains(&head.avatar) {
                write!(f, ", FORKED: it signed two histories")?;
            }
        }
        Ok(())
    }
}

fn places(members: &[usize]) -> String {
    let members: Vec<_> = members.iter().map(ToString::to_string).collect();
    members.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_api::{
        client_rings::{ClientForkView, ClientHeadView},
        HexBytes,
    };

    #[test]
    fn the_newest_head_is_shown_and_who_is_behind() {
        let (ring, avatar) = (Address([7; 20]), Address([1; 20]));
        let view = |seq: Option<u64>, since| ClientRingView {
            ring,
            bytes: 100 * seq.map_or(0, |seq| seq + 1),
            heads: seq
                .map(|seq| ClientHeadView {
                    avatar,
                    seq,
                    head: Digest([u8::try_from(seq).unwrap(); 32]),
                    since,
                })
                .into_iter()
                .collect(),
            rotate: false,
            forks: vec![],
        };
        let views = [
            (0, view(Some(4), 9)),
            (1, view(Some(5), 8)),
            (2, view(None, 0)),
            (3, view(Some(5), 7)),
        ];
        let kept = joined(ring, &views);
        assert_eq!((kept.bytes, kept.members.len()), (600, 4));
        let head = &kept.heads[0];
        assert_eq!((head.seq, head.since), (5, 7));
        assert_eq!(head.behind, [0, 2]);
        let text = kept.to_string();
        assert!(text.contains("6 log nodes"), "{text}");
        assert!(text.ends_with("NOT ALL HELD by member 0, 2"), "{text}");
        let mut views = views;
        views[1].1.forks = vec![ClientForkView {
            avatar,
            seq: 5,
            proven: false,
            claim: HexBytes(vec![]),
        }];
        let text = joined(ring, &views).to_string();
        assert!(text.ends_with("FORKED: it signed two histories"), "{text}");
    }
}
