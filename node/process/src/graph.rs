//! The graph of a process: an order in which all nodes can be gone through, and what comes before what.

use crate::bounds::MAX_DEPTH;
use std::collections::BTreeMap;

/// For each node, the nodes that come directly before it, and the status that they must have had.
pub type Edges = BTreeMap<String, Vec<(String, String)>>;

/// Why nodes are no graph without loops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// They wait for each other.
    #[error("{} wait for each other; remove one of the links", .0.join(", "))]
    Loop(Vec<String>),
    /// The longest way has more than [`MAX_DEPTH`] nodes.
    #[error("{0} is more than {MAX_DEPTH} nodes after the event; let an event of its own start the rest")]
    TooDeep(String),
}

/// The nodes in an order in which each comes after all that it waits for; among several, by their names.
///
/// # Errors
/// [`GraphError`].
pub fn order(edges: &Edges) -> Result<Vec<String>, GraphError> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut followers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, before) in edges {
        waiting.insert(node, before.len());
        for (earlier, _) in before {
            followers.entry(earlier).or_default().push(node);
        }
    }
    let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order = Vec::with_capacity(edges.len());
    let mut ready: std::collections::BTreeSet<&str> = waiting
        .iter()
        .filter(|(_, left)| **left == 0)
        .map(|(node, _)| *node)
        .collect();
    while let Some(node) = ready.pop_first() {
        order.push(node.to_owned());
        let here = depth.get(node).copied().unwrap_or(1);
        if here > MAX_DEPTH {
            return Err(GraphError::TooDeep(node.to_owned()));
        }
        for follower in followers.get(node).into_iter().flatten() {
            let deepest = depth.entry(follower).or_insert(1);
            *deepest = (*deepest).max(here + 1);
            if let Some(left) = waiting.get_mut(follower) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(follower);
                }
            }
        }
    }
    match order.len() == edges.len() {
        true => Ok(order),
        false => {
            let stuck = waiting.into_iter().filter(|(_, left)| *left > 0);
            Err(GraphError::Loop(
                stuck.map(|(node, _)| node.to_owned()).collect(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::MAX_NODES;
    use proptest::prelude::*;

    fn edges(list: &[(&str, &[&str])]) -> Edges {
        let nodes = list.iter().map(|(node, before)| {
            let before = before
                .iter()
                .map(|name| ((*name).to_owned(), "done".to_owned()));
            ((*node).to_owned(), before.collect())
        });
        nodes.collect()
    }

    #[test]
    fn loops_are_named() {
        let looped = edges(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]);
        assert_eq!(
            order(&looped),
            Err(GraphError::Loop(vec!["a".into(), "b".into()]))
        );
        let own = edges(&[("a", &["a"])]);
        assert!(matches!(order(&own), Err(GraphError::Loop(_))));
    }

    #[test]
    fn a_thousand_nodes_have_an_order_and_a_long_way_is_refused() {
        let names: Vec<String> = (0..MAX_NODES).map(|n| format!("n{n:04}")).collect();
        let wide: Edges = names
            .iter()
            .map(|name| (name.clone(), Vec::new()))
            .collect();
        assert_eq!(order(&wide).unwrap(), names);
        let long: Edges = names
            .windows(2)
            .map(|pair| (pair[1].clone(), vec![(pair[0].clone(), "done".to_owned())]))
            .chain([(names[0].clone(), Vec::new())])
            .collect();
        assert_eq!(
            order(&long),
            Err(GraphError::TooDeep(names[MAX_DEPTH].clone()))
        );
    }

    proptest! {
        #[test]
        fn each_comes_after_all_that_it_waits_for(links in prop::collection::vec((0usize..20, 0usize..20), 0..40)) {
            let mut edges: Edges = (0..20).map(|n| (format!("{n:02}"), Vec::new())).collect();
            for (from, to) in links.into_iter().filter(|(from, to)| from < to) {
                let before = edges.get_mut(&format!("{to:02}")).unwrap();
                let link = (format!("{from:02}"), "done".to_owned());
                if !before.contains(&link) {
                    before.push(link);
                }
            }
            let order = order(&edges).unwrap();
            let place = |name: &str| order.iter().position(|other| other == name).unwrap();
            for (node, before) in &edges {
                for (earlier, _) in before {
                    prop_assert!(place(earlier) < place(node));
                }
            }
        }
    }
}
