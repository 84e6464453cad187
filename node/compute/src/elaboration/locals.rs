//! The values of a function's locals, and what changed them.

/// One local. What is of another function is as if it were not there.
#[derive(Clone, Copy, Default)]
struct Local {
    function: u32,
    value: u32,
    /// Where its last entry in the list of changes is.
    changed: u32,
    /// The last listing that it is in.
    listed: u32,
}

/// Locals, with the changes that can be taken back.
#[derive(Default)]
pub(super) struct Locals {
    function: u32,
    locals: Vec<Local>,
    /// Locals, and the values that they had before.
    changes: Vec<(u32, u32)>,
    listings: u32,
}

impl Locals {
    /// Begins a function.
    pub(super) fn begin(&mut self, count: u32) {
        self.function += 1;
        self.changes.clear();
        if self.locals.len() < count as usize {
            self.locals.resize(count as usize, Local::default());
        }
    }

    fn local(&mut self, local: u32) -> Option<&mut Local> {
        let function = self.function;
        let found = self.locals.get_mut(local as usize)?;
        if found.function != function {
            *found = Local {
                function,
                value: local,
                changed: u32::MAX,
                listed: 0,
            };
        }
        Some(found)
    }

    /// The value of a local. At the start its number is its value. An index that is not valid has a value too.
    pub(super) fn get(&mut self, local: u32) -> u32 {
        self.local(local).map_or(0, |local| local.value)
    }

    /// Changes a local in a block whose changes begin at `start`.
    pub(super) fn set(&mut self, local: u32, value: u32, start: usize) {
        let at = self.changes.len() as u32;
        let Some(found) = self.local(local) else {
            return;
        };
        let (old, changed) = (std::mem::replace(&mut found.value, value), found.changed);
        // The block has an entry already.
        let kept = self.changes.get(changed as usize);
        if changed as usize >= start && kept.is_some_and(|(kept, _)| *kept == local) {
            return;
        }
        self.changes.push((local, old));
        if let Some(found) = self.local(local) {
            found.changed = at;
        }
    }

    /// How many changes there are, to return to.
    pub(super) fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Takes changes back.
    pub(super) fn return_to(&mut self, changes: usize) {
        while self.changes.len() > changes {
            let Some((local, old)) = self.changes.pop() else {
                return;
            };
            if let Some(local) = self.local(local) {
                local.value = old;
            }
        }
    }

    /// Begins to list locals.
    pub(super) fn begin_listing(&mut self) {
        self.listings += 1;
    }

    /// Whether this listing has the local for the first time.
    pub(super) fn list(&mut self, local: u32) -> bool {
        let listing = self.listings;
        self.local(local)
            .is_some_and(|local| std::mem::replace(&mut local.listed, listing) != listing)
    }

    /// A change: the local, and its value before.
    pub(super) fn change(&self, at: usize) -> Option<(u32, u32)> {
        self.changes.get(at).copied()
    }
}
