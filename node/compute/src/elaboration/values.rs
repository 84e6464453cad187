//! The values of one function, and where each is computed.

use super::pure::Family;

/// Stands for no argument.
pub(super) const NONE: u32 = u32::MAX;

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is computed where it stands: a load, a call, a value that depends on the path.
    Pinned,
    /// Pure: each block that needs it may compute it.
    Pure,
    /// Pure, and surely computed in a block that dominates the present one.
    Computed,
    /// A number, which each block makes for itself.
    Constant,
}

/// Blocks that a value may be alive in without any effect.
const NEAR: u32 = 8;

/// Blocks over which the time for each of them doubles.
const DOUBLING: u64 = 16_384;

/// What counts of the blocks between a value and its use.
fn far(blocks: u32) -> u64 {
    let far = u64::from(blocks.saturating_sub(NEAR));
    far + far * far / DOUBLING
}

/// For an `and`, `or` or `xor` of what an operator on integers gave: many rules match both.
const BITWISE_RULES: u64 = 16_000;
/// For one of what a conversion gave.
const EXTENDED_RULES: u64 = 180_000;
/// For another operator on what an operator on integers gave.
const ARITHMETIC_RULES: u64 = 8_000;
/// For a conversion of what a conversion gave.
const CONVERSION_RULES: u64 = 12_000;
/// For a rotation by what is no constant: it takes place in one certain register.
const ROTATION: u64 = 40_000;
/// For such a rotation and a local, which may be in that register.
const ROTATION_LOCAL: u64 = 750;
/// Rotations after which that doubles.
const ROTATIONS_DOUBLING: u64 = 8_000;

/// What the compiler's rules take for an operator on the results of others.
fn rules(family: Family, args: [Family; 3]) -> u64 {
    let has = |families: &[Family]| args.iter().any(|arg| families.contains(arg));
    let integers = [Family::Arithmetic, Family::Bitwise, Family::Rotation];
    match family {
        Family::Bitwise if has(&[Family::Conversion]) => EXTENDED_RULES,
        Family::Bitwise if has(&integers) => BITWISE_RULES,
        Family::Arithmetic | Family::Rotation if has(&integers) => ARITHMETIC_RULES,
        Family::Conversion if has(&[Family::Conversion]) => CONVERSION_RULES,
        _ => 0,
    }
}

/// A value that an operator gives.
struct Value {
    args: [u32; 3],
    /// The basic block where its operator stands.
    stands: u32,
    /// The basic block where it was computed last.
    place: u32,
    /// One more than the basic block that needed it last.
    needed: u32,
    /// The basic block before which no equal value can have been computed: that of what it depends on.
    earliest: u32,
    state: State,
    family: Family,
    /// What computing it again takes.
    weight: u32,
    /// The last survey that came by.
    seen: u32,
}

/// What computing takes that the number of operators does not show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// The weights of values that are computed again.
    pub again: u64,
    /// Basic blocks between a value and its uses, for all uses that are computed elsewhere than where they stand.
    pub spans: u64,
    /// What the compiler's rules take for values that are computed from each other.
    pub rules: u64,
}

impl Cost {
    /// Adds another cost that many times.
    pub(super) fn add(&mut self, other: Self, times: u64) {
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more.saturating_mul(times));
        add(&mut self.again, other.again);
        add(&mut self.spans, other.spans);
        add(&mut self.rules, other.rules);
    }
}

/// All values, with those that are surely computed in the present scope.
///
/// Numbers below `locals` are the values that locals have at the start: the first are parameters, the others constants.
#[derive(Default)]
pub(super) struct Values {
    locals: u32,
    params: u32,
    values: Vec<Value>,
    /// The present basic block.
    place: u32,
    /// Values that are surely computed in blocks which dominate the present one, in the order of computing.
    scope: Vec<u32>,
    /// The loops that are open: the basic block before each, and the values that move before it.
    loops: Vec<(u32, u64)>,
    surveys: u32,
    /// Rotations by what is no constant.
    rotations: u64,
    walk: Vec<u32>,
    /// So far.
    pub cost: Cost,
    /// How much this simulation has done.
    pub steps: u64,
}

impl Values {
    /// Begins a function. What the simulation did before counts on.
    pub(super) fn begin(&mut self, locals: u32, params: u32) {
        let (values, scope, walk) = (
            std::mem::take(&mut self.values),
            std::mem::take(&mut self.scope),
            std::mem::take(&mut self.walk),
        );
        *self = Self {
            locals,
            params: params.min(locals),
            values,
            scope,
            walk,
            steps: self.steps,
            ..Self::default()
        };
        self.values.clear();
        self.scope.clear();
        self.walk.clear();
        for _ in 0..params {
            self.pinned();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The number that the next value gets.
    pub(super) fn next_id(&self) -> u32 {
        (self.locals - self.params).saturating_add(self.values.len() as u32)
    }

    fn push(&mut self, args: [u32; 3], state: State, weight: u32) -> u32 {
        self.steps += 1;
        let id = self.next_id();
        self.values.push(Value {
            args,
            stands: self.place,
            place: self.place,
            needed: 0,
            earliest: self.place,
            state,
            family: Family::Other,
            weight,
            seen: 0,
        });
        id
    }

    /// A value that is computed here.
    pub(super) fn pinned(&mut self) -> u32 {
        self.push([NONE; 3], State::Pinned, 0)
    }

    /// A number.
    pub(super) fn constant(&mut self) -> u32 {
        let id = self.push([NONE; 3], State::Constant, 0);
        if let Some(value) = self.value(id) {
            value.earliest = 0;
        }
        id
    }

    /// A value that is computed where it is used.
    pub(super) fn pure(&mut self, args: [u32; 3], weight: u32, family: Family) -> u32 {
        let of_args = args.map(|arg| self.look(arg).map_or(Family::Other, |arg| arg.family));
        self.cost.rules += rules(family, of_args);
        if family == Family::Rotation && !self.is_constant(args[0]) {
            self.cost.rules += self.rotation();
        }
        let id = self.push(args, State::Pure, weight);
        if let Some(value) = self.value(id) {
            value.family = family;
        }
        id
    }

    /// What the next rotation takes besides.
    fn rotation(&mut self) -> u64 {
        self.rotations += 1;
        let of_locals = u64::from(self.locals) * ROTATION_LOCAL;
        let more = of_locals.saturating_mul(self.rotations) / ROTATIONS_DOUBLING;
        ROTATION + of_locals + more
    }

    fn is_constant(&self, id: u32) -> bool {
        self.look(id)
            .is_some_and(|value| value.state == State::Constant)
    }

    /// Another number for a value.
    pub(super) fn alias(&mut self, other: u32) -> u32 {
        self.push([other, NONE, NONE], State::Pure, 0)
    }

    /// Where the record of a value is, if it has one.
    fn record(&self, id: u32) -> Option<usize> {
        match id < self.locals {
            true => Some(id as usize).filter(|_| id < self.params),
            false => Some((id - self.locals) as usize + self.params as usize),
        }
    }

    fn value(&mut self, id: u32) -> Option<&mut Value> {
        let at = self.record(id)?;
        self.values.get_mut(at)
    }

    fn look(&self, id: u32) -> Option<&Value> {
        self.values.get(self.record(id)?)
    }

    /// Whether nothing has to be computed for the value in the present block, or all of it was counted. What moved before a loop
    /// is computed once for all of the loop.
    fn is_available(&self, id: u32) -> bool {
        self.look(id).is_none_or(|value| {
            let is_counted = value.needed == self.place + 1;
            let before = |(before, _): &(u32, u64)| *before;
            let is_before = |value: &Value| {
                self.loops
                    .binary_search_by_key(&value.place, before)
                    .is_ok()
            };
            value.state != State::Pure || is_counted || (value.needed > 0 && is_before(value))
        })
    }

    /// Where a value is computed, unless it is a constant.
    fn place_of(&self, id: u32) -> Option<u32> {
        let value = self.look(id)?;
        Some(value.place).filter(|_| value.state != State::Constant)
    }

    /// Begins a basic block.
    pub(super) fn next_place(&mut self) {
        self.place += 1;
    }

    /// Begins a loop, whose first block is the next one.
    pub(super) fn enter_loop(&mut self) {
        self.loops.push((self.place, 0));
        self.place += 1;
    }

    /// Ends a loop. What moved before it is alive in all of it, for the next time round.
    pub(super) fn leave_loop(&mut self) {
        if let Some((before, moved)) = self.loops.pop() {
            self.cost.spans += moved * far(self.place - before);
        }
    }

    /// The present scope, to return to.
    pub(super) fn scope(&self) -> usize {
        self.scope.len()
    }

    /// Returns to a scope: what was computed since does not dominate what follows.
    pub(super) fn return_to(&mut self, scope: usize) {
        while self.scope.len() > scope {
            let Some(id) = self.scope.pop() else { return };
            if let Some(value) = self.value(id) {
                value.state = State::Pure;
            }
        }
    }

    /// Something in the present block may need the value. That it does is not sure, because the compiler may find another form
    /// that needs less, so each later block that needs it counts again.
    pub(super) fn need(&mut self, id: u32) {
        if self.is_available(id) {
            return;
        }
        self.walk.push(id);
        while let Some(id) = self.walk.last().copied() {
            self.steps += 1;
            if self.is_available(id) {
                self.walk.pop();
                continue;
            }
            let args = self.look(id).map_or([NONE; 3], |value| value.args);
            let before = self.walk.len();
            for arg in args {
                if !self.is_available(arg) {
                    self.walk.push(arg);
                }
            }
            if self.walk.len() == before {
                self.compute(id, args);
                self.walk.pop();
            }
        }
    }

    /// Something in the present block surely needs just this value: blocks that this one dominates have it.
    pub(super) fn need_surely(&mut self, id: u32) {
        self.need(id);
        if let Some(value) = self.value(id).filter(|value| value.state == State::Pure) {
            value.state = State::Computed;
            self.scope.push(id);
        }
    }

    /// Computes a value whose arguments are there: before the outermost loop that does not change them, else here.
    fn compute(&mut self, id: u32, args: [u32; 3]) {
        let present = self.place;
        let places = args.map(|arg| self.place_of(arg));
        let latest = places.iter().flatten().max().copied().unwrap_or(0);
        let outer = self.loops.partition_point(|(before, _)| *before < latest);
        let place = match self.loops.get_mut(outer) {
            Some((before, moved)) => {
                *moved += 1;
                *before
            }
            None => present,
        };
        let earliest = args.iter().filter_map(|arg| self.look(*arg));
        let earliest = earliest.map(|arg| arg.earliest).max().unwrap_or(present);
        let Some(value) = self.value(id) else { return };
        let (again, stands, weight) = (value.needed > 0, value.stands, value.weight);
        // The compiler may have kept it, or an equal value, since then.
        let kept = match again {
            true => value.needed - 1,
            false => earliest,
        };
        (value.needed, value.place, value.earliest) = (present + 1, place, earliest);
        if again {
            self.cost.again += u64::from(weight);
        }
        self.cost.spans += far(present - kept);
        // Where it stands, its arguments are alive because the program says so. Elsewhere they are alive for it.
        let blocks = match place > stands {
            true => {
                let used = places.into_iter().flatten();
                used.map(|used| far(place.saturating_sub(used.max(stands))))
                    .sum()
            }
            false => far(stands - place),
        };
        self.cost.spans += blocks;
    }

    /// Begins to find out what some values would cost here.
    pub(super) fn begin_survey(&mut self) {
        self.surveys += 1;
    }

    /// What the value would cost here, without what this survey has seen already. Nothing is computed.
    pub(super) fn survey(&mut self, id: u32) -> Cost {
        let mut cost = Cost::default();
        let (place, survey) = (self.place, self.surveys);
        // Where the value stands whose arguments are looked at.
        let mut stands = place;
        self.walk.push(id);
        while let Some(id) = self.walk.pop() {
            self.steps += 1;
            let available = self.is_available(id);
            let Some(value) = self.value(id) else {
                continue;
            };
            if available {
                if value.state != State::Constant {
                    cost.spans += far(place.saturating_sub(value.place.max(stands)));
                }
                continue;
            }
            if std::mem::replace(&mut value.seen, survey) == survey {
                continue;
            }
            let (args, weight) = (value.args, value.weight);
            stands = value.stands;
            cost.again += u64::from(weight);
            self.walk.extend(args.iter().filter(|arg| **arg != NONE));
        }
        cost
    }
}
