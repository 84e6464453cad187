//! The values of one function, and where each is computed.

/// Stands for no argument.
pub(super) const NONE: u32 = u32::MAX;

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is computed where it stands: a load, a call, a value that depends on the path.
    Pinned,
    /// Pure, and not computed yet.
    New,
    /// Pure, and computed somewhere that does not dominate the present block.
    Lost,
    /// Pure, and computed in a block that dominates the present one.
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

/// A value that an operator gives.
struct Value {
    args: [u32; 3],
    /// The basic block where its operator stands.
    stands: u32,
    /// The basic block where it is computed.
    place: u32,
    state: State,
    /// What computing it again takes.
    weight: u32,
    /// The last survey that came by.
    seen: u32,
}

/// A loop that is open.
struct OpenLoop {
    /// The basic block before it.
    place: u32,
    /// Values that the compiler moves before it, because nothing in it changes them.
    hoisted: Vec<u32>,
}

/// What computing takes that the number of operators does not show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// The weights of values that are computed again.
    pub again: u64,
    /// Basic blocks between a value and its uses, for all uses that are computed elsewhere than where they stand.
    pub spans: u64,
}

impl Cost {
    /// Adds another cost that many times.
    pub(super) fn add(&mut self, other: Self, times: u64) {
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more.saturating_mul(times));
        add(&mut self.again, other.again);
        add(&mut self.spans, other.spans);
    }
}

/// All values, with those that are computed in the present scope.
///
/// Numbers below `locals` are the values that locals have at the start: the first are parameters, the others constants.
#[derive(Default)]
pub(super) struct Values {
    locals: u32,
    params: u32,
    values: Vec<Value>,
    /// The present basic block.
    place: u32,
    /// Values that are computed in blocks which dominate the present one, in the order of computing.
    scope: Vec<u32>,
    loops: Vec<OpenLoop>,
    surveys: u32,
    walk: Vec<u32>,
    /// So far.
    pub cost: Cost,
    /// How much this simulation has done.
    pub steps: u64,
}

impl Values {
    /// Begins a function.
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

    fn push(&mut self, args: [u32; 3], state: State, weight: u32) -> u32 {
        self.steps += 1;
        self.values.push(Value {
            args,
            stands: self.place,
            place: self.place,
            state,
            weight,
            seen: 0,
        });
        (self.locals - self.params).saturating_add(self.values.len() as u32 - 1)
    }

    /// A value that is computed here.
    pub(super) fn pinned(&mut self) -> u32 {
        self.push([NONE; 3], State::Pinned, 0)
    }

    /// A number.
    pub(super) fn constant(&mut self) -> u32 {
        self.push([NONE; 3], State::Constant, 0)
    }

    /// A value that is computed where it is used.
    pub(super) fn pure(&mut self, args: [u32; 3], weight: u32) -> u32 {
        self.push(args, State::New, weight)
    }

    /// A value that seemed to depend on the path turns out to be another one on all paths.
    pub(super) fn alias(&mut self, id: u32, other: u32) {
        if let Some(value) = self.value(id) {
            (value.args, value.state) = ([other, NONE, NONE], State::New);
        }
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

    fn is_available(&self, id: u32) -> bool {
        let state = self.look(id).map(|value| value.state);
        !matches!(state, Some(State::New | State::Lost))
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
        let hoisted = Vec::new();
        self.loops.push(OpenLoop {
            place: self.place,
            hoisted,
        });
        self.place += 1;
    }

    /// Ends a loop. What was moved before it stays in scope.
    pub(super) fn leave_loop(&mut self) {
        if let Some(ended) = self.loops.pop() {
            self.scope.extend(ended.hoisted);
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
                value.state = State::Lost;
            }
        }
    }

    /// Something at the present place needs the value.
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

    /// Computes a value whose arguments are available: before the outermost loop that does not change them, else here.
    fn compute(&mut self, id: u32, args: [u32; 3]) {
        let places = args.map(|arg| self.place_of(arg));
        let latest = places.iter().flatten().max().copied().unwrap_or(0);
        let outer = self.loops.partition_point(|open| open.place < latest);
        let place = match self.loops.get_mut(outer) {
            Some(open) => {
                open.hoisted.push(id);
                open.place
            }
            None => {
                self.scope.push(id);
                self.place
            }
        };
        let Some(value) = self.value(id) else { return };
        let (again, stands, weight) = (value.state == State::Lost, value.stands, value.weight);
        (value.state, value.place) = (State::Computed, place);
        if again {
            self.cost.again += u64::from(weight);
        }
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
