//! Back links that make any earlier node reachable in a logarithmic number of steps.
//!
//! Node `n` links, besides to `n − 1`, to `n` minus the least weight of its skew-binary representation
//! (E. Myers, "An applicative random-access stack", 1983). The target depends on `n` alone, so that it can be
//! checked without asking anybody.

/// The sequence number that node `seq` links back to; `None` for the first node.
pub fn skip_target(seq: u64) -> Option<u64> {
    if seq == 0 {
        return None;
    }
    let mut rest = seq;
    let mut weight = largest_weight(seq);
    loop {
        // Greedy division gives the canonical representation; the last weight used is the least.
        rest %= weight;
        if rest == 0 {
            return Some(seq - weight);
        }
        weight = largest_weight(rest);
    }
}

/// The largest `2^k − 1` that is not above `n`, for `n` of at least 1.
fn largest_weight(n: u64) -> u64 {
    match n.checked_add(1) {
        Some(next) => (1 << next.ilog2()) - 1,
        None => u64::MAX,
    }
}

/// The sequence numbers on the way back from node `from` to node `to`, both included, by the longest
/// links that do not overshoot. Empty when `to` is after `from`.
pub fn path(from: u64, to: u64) -> Vec<u64> {
    if to > from {
        return Vec::new();
    }
    let mut steps = vec![from];
    let mut at = from;
    while at > to {
        at = match skip_target(at) {
            Some(target) if target >= to => target,
            _ => at - 1,
        };
        steps.push(at);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_targets() {
        let targets: Vec<_> = (0..16).map(skip_target).collect();
        let expected = [0, 1, 0, 3, 4, 3, 0, 7, 8, 7, 10, 11, 10, 7, 0];
        assert_eq!(targets[0], None);
        assert_eq!(targets[1..], expected.map(Some));
    }

    #[test]
    fn the_largest_sequence_number_has_a_target() {
        assert_eq!(skip_target(u64::MAX), Some(0));
    }

    proptest! {
        #[test]
        fn every_earlier_node_is_near(from in 0u64..1 << 40, back in 0.0f64..1.0) {
            let to = (from as f64 * back) as u64;
            let steps = path(from, to);
            let bound = 3 * (from + 2).ilog2() as usize + 3;
            prop_assert!(steps.len() <= bound, "{} steps from {from} to {to}", steps.len());
            prop_assert_eq!(steps.last(), Some(&to));
            prop_assert!(steps.windows(2).all(|pair| pair[1] < pair[0]));
        }
    }
}
