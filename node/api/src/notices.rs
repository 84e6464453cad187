//! What a subscription of a WebSocket session tells: the parameters of `rings_subscribe`, and the notices that follow.
//!
//! A [`Notice`] says that something has changed, and where; a client then asks for the whole (a page of a log, a gate, a
//! message). So a notice that is missed costs one look, and nothing is believed that is not checked.
//! [`SubscribeParams::wants`] is the one rule of what a subscription is told.

use super::{client_rings::MessageView, json::text, processes::maybe_text, schema};
use cid::Cid;
use rings_protocol::{Address, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a subscription is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Logs that grow here: those of this member's ring, and those of the client rings that it keeps.
    Heads,
    /// Gates of this member's ring that are made, voted on and ended.
    Gates,
    /// Actions of avatars that are taken in here, relayed, or fail.
    Messages,
    /// Processes that begin and end here, and their executions.
    Processes,
}

/// Parameters of `rings_subscribe`. Each further one narrows what is told.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribeParams {
    /// what to be told of
    pub kind: Topic,
    /// heads, messages: only of this ring
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub ring: Option<Address>,
    /// heads, messages: only of this member or avatar
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub member: Option<Address>,
    /// gates: only this one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub gate: Option<Address>,
    /// messages: only this action
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub msg_hash: Option<Digest>,
    /// processes: only this one, as rings_listProcesses names it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub installation: Option<Digest>,
}

/// Parameters of `rings_unsubscribe`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnsubscribeParams {
    /// the number that rings_subscribe gave
    pub subscription: u64,
}

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Notice {
    /// A log has grown, and its new nodes are on disk here.
    Heads(HeadNotice),
    /// A gate has changed.
    Gates(GateNotice),
    /// An action was taken in, or has ended.
    Messages(MessageNotice),
    /// A process has begun or ended, or an execution of it has ended.
    Processes(ProcessNotice),
    /// The session was read too slowly, so some of this member's notices were passed over. Some of them may have been for
    /// this subscription: look again.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Where a log ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(inline)]
pub struct HeadNotice {
    /// The ring.
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// Whose log it is: a member, or an avatar of a client ring.
    #[schemars(with = "schema::Address")]
    pub member: Address,
    /// The sequence number of its newest node.
    pub seq: u64,
    /// The digest of that node.
    #[schemars(with = "schema::Digest")]
    pub head: Digest,
    /// When this member got it, in milliseconds since 1970.
    pub since: u64,
}

/// What happened to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(inline)]
pub struct GateNotice {
    /// The gate.
    #[schemars(with = "schema::Address")]
    pub gate: Address,
    /// What happened.
    pub change: GateChange,
    /// Who voted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub member: Option<Address>,
}

/// A change of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateChange {
    /// An account asked for it on chain; for a gate that was there already, once more.
    Made,
    /// A member's vote on it is on disk here.
    Voted,
    /// It has its result on chain.
    Resolved,
    /// Its program failed, and that is on chain.
    Failed,
}

/// What became of an action of an avatar.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(inline)]
pub struct MessageNotice {
    /// The avatar's ring.
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// The avatar.
    #[schemars(with = "schema::Address")]
    pub avatar: Address,
    /// How far the action is, as `rings_getMessage` says.
    pub message: MessageView,
}

/// What happened to a process, as this member knows: it is on disk here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(inline)]
pub struct ProcessNotice {
    /// The process, as the ring runs it.
    #[schemars(with = "schema::Digest")]
    pub installation: Digest,
    /// The event that started it.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub event: Cid,
    /// What happened.
    pub change: ProcessChange,
    /// The execution that has ended.
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cid>")]
    pub execution: Option<Cid>,
}

/// A change of a process that an event has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessChange {
    /// It goes on here.
    Began,
    /// An execution of it gave one of its statuses.
    Succeeded,
    /// An execution of it gave none.
    Failed,
    /// An execution of it waited for an event, which has not come in time.
    Expired,
    /// Nothing more happens.
    Over,
}

impl SubscribeParams {
    /// All that happens of one kind.
    pub fn all(kind: Topic) -> Self {
        Self {
            kind,
            ring: None,
            member: None,
            gate: None,
            msg_hash: None,
            installation: None,
        }
    }

    /// Whether the parameters belong to the kind.
    ///
    /// # Errors
    /// Which of them does not, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let has_logs = matches!(self.kind, Topic::Heads | Topic::Messages);
        let given = [
            ("ring", self.ring.is_some(), has_logs),
            ("member", self.member.is_some(), has_logs),
            ("gate", self.gate.is_some(), self.kind == Topic::Gates),
            (
                "msg_hash",
                self.msg_hash.is_some(),
                self.kind == Topic::Messages,
            ),
            (
                "installation",
                self.installation.is_some(),
                self.kind == Topic::Processes,
            ),
        ];
        match given.iter().find(|(_, given, fits)| *given && !fits) {
            None => Ok(()),
            Some((name, ..)) => Err(format!("{name} says nothing about this kind; leave it out")),
        }
    }

    /// Whether a notice is for this subscription. That something was missed is told to each.
    pub fn wants(&self, notice: &Notice) -> bool {
        fn fits<T: PartialEq>(wanted: Option<T>, is: T) -> bool {
            wanted.is_none_or(|wanted| wanted == is)
        }
        match (self.kind, notice) {
            (_, Notice::Missed { .. }) => true,
            (Topic::Heads, Notice::Heads(head)) => {
                fits(self.ring, head.ring) && fits(self.member, head.member)
            }
            (Topic::Gates, Notice::Gates(gate)) => fits(self.gate, gate.gate),
            (Topic::Messages, Notice::Messages(message)) => {
                fits(self.ring, message.ring)
                    && fits(self.member, message.avatar)
                    && fits(self.msg_hash, message.message.msg_hash)
            }
            (Topic::Processes, Notice::Processes(process)) => {
                fits(self.installation, process.installation)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(ring: u8, member: u8) -> Notice {
        Notice::Heads(HeadNotice {
            ring: Address([ring; 20]),
            member: Address([member; 20]),
            seq: 3,
            head: Digest([9; 32]),
            since: 5,
        })
    }

    #[test]
    fn a_subscription_is_told_what_it_asked_for_and_that_it_missed_something() {
        let all = SubscribeParams::all(Topic::Heads);
        let narrow = SubscribeParams {
            ring: Some(Address([1; 20])),
            member: Some(Address([2; 20])),
            ..all.clone()
        };
        for (notice, by_all, by_narrow) in [
            (head(1, 2), true, true),
            (head(1, 3), true, false),
            (head(3, 2), true, false),
            (Notice::Missed { count: 7 }, true, true),
        ] {
            assert_eq!(
                (all.wants(&notice), narrow.wants(&notice)),
                (by_all, by_narrow)
            );
        }
        assert!(!SubscribeParams::all(Topic::Messages).wants(&head(1, 2)));
    }

    #[test]
    fn of_processes_one_or_all_are_told() {
        let notice = Notice::Processes(ProcessNotice {
            installation: Digest([1; 32]),
            event: rings_protocol::cids::data_cid(Digest([2; 32])),
            change: ProcessChange::Over,
            execution: None,
        });
        let all = SubscribeParams::all(Topic::Processes);
        let of = |byte: u8| SubscribeParams {
            installation: Some(Digest([byte; 32])),
            ..all.clone()
        };
        assert!(all.wants(&notice) && of(1).wants(&notice) && !of(2).wants(&notice));
        assert!(!SubscribeParams::all(Topic::Gates).wants(&notice));
        let text = serde_json::to_value(&notice).unwrap();
        assert_eq!(
            (&text["kind"], &text["change"]),
            (&"processes".into(), &"over".into())
        );
        assert!(text.get("execution").is_none());
    }

    #[test]
    fn a_parameter_of_another_kind_is_refused_by_its_name() {
        let gate = Some(Address([1; 20]));
        for (params, name) in [
            (
                SubscribeParams {
                    gate,
                    ..SubscribeParams::all(Topic::Heads)
                },
                "gate",
            ),
            (
                SubscribeParams {
                    ring: gate,
                    ..SubscribeParams::all(Topic::Gates)
                },
                "ring",
            ),
            (
                SubscribeParams {
                    msg_hash: Some(Digest::ZERO),
                    ..SubscribeParams::all(Topic::Heads)
                },
                "msg_hash",
            ),
            (
                SubscribeParams {
                    ring: gate,
                    ..SubscribeParams::all(Topic::Processes)
                },
                "ring",
            ),
            (
                SubscribeParams {
                    installation: Some(Digest::ZERO),
                    ..SubscribeParams::all(Topic::Gates)
                },
                "installation",
            ),
        ] {
            assert!(params.check().unwrap_err().starts_with(name));
        }
        let good = SubscribeParams {
            gate,
            ..SubscribeParams::all(Topic::Gates)
        };
        assert_eq!(good.check(), Ok(()));
    }
}
