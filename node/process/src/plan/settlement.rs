//! How a node has the result of its task settled.

use super::step::{Settlement, EXPIRED};
use crate::{bounds::MAX_WAIT_SECONDS, process::Node, service::Task};

/// The key of a node, and what is wrong there.
pub type SettleFault = (&'static str, String);

/// How a node has the result of its task settled; nothing if that is by a request.
///
/// # Errors
/// What is wrong, and what to do.
pub fn of(node: &Node, task: &Task) -> Result<Option<Settlement>, SettleFault> {
    let key = match (node.settle, node.ring) {
        (None, None) if node.within.is_some() => {
            let what = "within is for a node that waits, and for a task that a gate settles; add settle: chain, or leave it out";
            return Err(("within", what.into()));
        }
        (None, None) => return Ok(None),
        (_, Some(_)) => "ring",
        (Some(_), None) => "settle",
    };
    if task.external.is_some() {
        let what =
            "the task is external, and no gate can settle what a connector does; leave it out";
        return Err((key, what.into()));
    }
    if node.ring.is_some() && node.within.is_none() {
        let what =
            "another ring may be down, and then the node would never end; add within: SECONDS";
        return Err(("ring", what.into()));
    }
    if let Some(within) = node.within {
        if !(1..=MAX_WAIT_SECONDS).contains(&within) {
            let what = format!("{within} seconds; write 1 to {MAX_WAIT_SECONDS}");
            return Err(("within", what));
        }
        if task.statuses.contains_key(EXPIRED) {
            let what = format!("the task has a status {EXPIRED} of its own, so nobody could tell what has happened; name that otherwise");
            return Err(("within", what));
        }
    }
    Ok(Some(Settlement {
        ring: node.ring,
        within: node.within,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{document::cid_of, process::Settle};
    use rings_protocol::Address;

    fn task(external: bool) -> Task {
        let task = match external {
            true => r#"{"external":"mail","statuses":{"done":{}}}"#.to_owned(),
            false => format!(
                r#"{{"program":{{"/":"{}"}},"statuses":{{"done":{{}}}}}}"#,
                cid_of(b"program")
            ),
        };
        serde_ipld_dagjson::from_slice(task.as_bytes()).unwrap()
    }

    fn told(node: &Node, external: bool) -> (&'static str, String) {
        of(node, &task(external)).unwrap_err()
    }

    #[test]
    fn what_cannot_be_settled_is_told_with_its_key() {
        let settle = Node {
            settle: Some(Settle::Chain),
            ..Node::default()
        };
        let other = Node {
            ring: Some(Address([7; 20])),
            ..Node::default()
        };
        let within = |within, node: &Node| Node {
            within: Some(within),
            ..node.clone()
        };
        let read = |node: &Node| of(node, &task(false)).unwrap();
        assert_eq!(read(&Node::default()), None);
        assert_eq!(read(&settle).unwrap().ring, None);
        let both = read(&within(9, &other)).unwrap();
        assert_eq!((both.ring, both.within), (other.ring, Some(9)));

        assert_eq!(told(&settle, true).0, "settle");
        assert!(told(&other, false).1.contains("add within"));
        assert_eq!(told(&within(0, &settle), false).0, "within");
        assert_eq!(told(&within(9, &Node::default()), false).0, "within");
        let mut task = task(false);
        task.statuses.insert(EXPIRED.into(), Default::default());
        let fault = of(&within(9, &settle), &task).unwrap_err();
        assert!(fault.1.contains("of its own"), "{fault:?}");
    }
}
