//! Values at places where paths meet, and which of them are the same value on all paths.
//!
//! Such a value is none of its own for the compiler, which uses the one value in its place wherever it stands
//! (`remove_constant_phis`): a chain that stands before it is needed behind it. Loops that swap two equal values, or whose paths
//! all bring back what they began with, are found by following what is assumed to be one value until nothing contradicts.

use super::values::NONE;

/// Several values come there.
const MANY: u32 = NONE - 1;

/// Which values come to a place where paths meet.
#[derive(Default)]
pub(super) struct Phis {
    /// (value of the place, value of a path), the places in no order.
    incoming: Vec<(u32, u32)>,
    /// By the number of a value: the one value that it is.
    same: Vec<u32>,
}

impl Phis {
    pub(super) fn clear(&mut self) {
        self.incoming.clear();
        self.same.clear();
    }

    /// How many paths are noted.
    pub(super) fn len(&self) -> usize {
        self.incoming.len()
    }

    /// A path brings a value to a place.
    pub(super) fn add(&mut self, phi: u32, value: u32) {
        if self.incoming.last() != Some(&(phi, value)) {
            self.incoming.push((phi, value));
        }
    }

    /// The one value that this value of a place is, if that was found.
    pub(super) fn same(&self, phi: u32) -> Option<u32> {
        let same = self.same.get(phi as usize).copied();
        same.filter(|same| *same < MANY)
    }

    /// Finds out which places have one value, among `values` values. Gives whether there are any, and how much that took.
    pub(super) fn solve(&mut self, values: u32, most: u64) -> (bool, u64) {
        self.same.clear();
        self.same.resize(values as usize, NONE);
        // What has no path is no place: it is itself.
        let mut is_phi = vec![false; values as usize];
        for (phi, _) in &self.incoming {
            if let Some(is_phi) = is_phi.get_mut(*phi as usize) {
                *is_phi = true;
            }
        }
        let mut steps = 0;
        loop {
            let mut changed = false;
            for (phi, value) in &self.incoming {
                let came = match is_phi.get(*value as usize) {
                    Some(true) => match self.same[*value as usize] {
                        MANY => *value,
                        same => same,
                    },
                    _ => *value,
                };
                let Some(same) = self.same.get_mut(*phi as usize) else {
                    continue;
                };
                let met = match (*same, came) {
                    (same, NONE) => same,
                    (NONE, came) => came,
                    (same, came) if same == came => same,
                    _ => MANY,
                };
                changed |= met != *same;
                *same = met;
            }
            steps += self.incoming.len() as u64;
            if !changed || steps > most {
                break;
            }
        }
        let found = self
            .incoming
            .iter()
            .any(|(phi, _)| self.same(*phi).is_some());
        (found, steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of ten values are the same as another, where these paths meet.
    fn same(incoming: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut phis = Phis::default();
        for (phi, value) in incoming {
            phis.add(*phi, *value);
        }
        let (found, _) = phis.solve(10, 1_000);
        let same: Vec<_> = (0..10)
            .filter_map(|phi| phis.same(phi).map(|same| (phi, same)))
            .collect();
        assert_eq!(found, !same.is_empty());
        same
    }

    #[test]
    fn what_all_paths_bring_is_one_value() {
        assert_eq!(same(&[(5, 1), (5, 2)]), []);
        assert_eq!(same(&[(5, 1), (5, 1)]), [(5, 1)]);
        // A loop that brings back what it began with.
        assert_eq!(same(&[(5, 1), (5, 5)]), [(5, 1)]);
        // Two that swap, and begin alike.
        assert_eq!(same(&[(5, 1), (6, 1), (5, 6), (6, 5)]), [(5, 1), (6, 1)]);
        assert_eq!(same(&[(5, 1), (6, 2), (5, 6), (6, 5)]), []);
        // One that depends on another, which turns out to be several.
        assert_eq!(same(&[(6, 5), (6, 5), (5, 1), (5, 2)]), [(6, 5)]);
        // In loops in each other.
        assert_eq!(
            same(&[(5, 1), (6, 5), (6, 7), (7, 6), (5, 7)]),
            [(5, 1), (6, 1), (7, 1)]
        );
    }
}
