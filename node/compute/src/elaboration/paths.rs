//! The paths through a function: its blocks, and what each jump brings to a label.
//!
//! Locals are followed through all blocks, and so are the operands that jumps take along. A local or operand that has the same value on
//! all paths to a label keeps it behind the label; else it has a new one, and each path has to compute what it brings.

use super::{
    locals::Locals,
    phis::Phis,
    steps::{Kind, Step},
    values::{Cost, Values},
};
use crate::arities::Arity;
use std::collections::BTreeMap;

/// An operand that is passed to a label, as a key beside the locals.
const OPERAND: u32 = 1 << 31;

/// What comes to a label for a local or an operand.
struct Incoming {
    value: u32,
    /// Not all paths bring the same value.
    differs: bool,
    /// Paths before the first that changed it, and the value that they bring.
    before: (u64, u32),
    /// Other values that came, once where they came one after the other.
    others: Vec<u32>,
}

/// A value at the start of a loop.
struct Header {
    key: u32,
    /// What the loop's code sees.
    value: u32,
    /// What comes from before the loop.
    initial: u32,
    /// A jump back brings another value.
    differs: bool,
}

/// A block that is open.
pub(super) struct Frame {
    kind: Kind,
    /// Operands below it.
    height: usize,
    params: usize,
    results: usize,
    /// Operands of an `if` at its beginning, for its `else`.
    taken: Vec<u32>,
    /// Scope at its beginning.
    scope: usize,
    /// Changes of locals before it.
    changes: usize,
    /// Scope at the first jump to its label, or an outer one.
    first: Option<usize>,
    paths: u64,
    incoming: BTreeMap<u32, Incoming>,
    /// What the paths cost if they bring different values.
    pending: Cost,
    headers: Vec<Header>,
}

/// The blocks, locals and operands of a function, as far as it has been read.
#[derive(Default)]
pub(super) struct Paths {
    pub values: Values,
    pub locals: Locals,
    pub operands: Vec<u32>,
    pub frames: Vec<Frame>,
    /// Of each loop, in the order in which they begin, the locals that are assigned in it.
    pub assigned: Vec<Vec<u32>>,
    /// How many loops have begun.
    begun: usize,
    /// Where code cannot be reached: blocks that were opened there.
    pub dead: Option<u32>,
    jumps: Vec<u32>,
    /// What comes to the places where paths meet.
    pub phis: Phis,
}

impl Paths {
    /// Begins to follow a function with that many locals (with its parameters).
    pub(super) fn begin(&mut self, locals: u32, arity: Arity) {
        self.values.begin(locals, arity.params as u32);
        self.locals.begin(locals);
        self.operands.clear();
        self.frames.clear();
        self.begun = 0;
        self.dead = None;
        self.open(Kind::Block, 0, arity.results as usize);
    }

    /// Whether the step cannot be reached.
    pub(super) fn skips(&mut self, step: Step) -> bool {
        let Some(opened) = self.dead else {
            return false;
        };
        match step {
            Step::Enter { kind, .. } => {
                self.begun += usize::from(kind == Kind::Loop);
                self.dead = Some(opened + 1);
            }
            Step::Else => return opened > 0,
            Step::End if opened == 0 => return false,
            Step::End => self.dead = Some(opened - 1),
            _ => {}
        }
        true
    }

    /// A value where paths meet. Once it is known to be one value on all paths, it is that value.
    fn phi(&mut self) -> u32 {
        match self.phis.same(self.values.next_id()) {
            Some(same) => self.values.alias(same),
            None => self.values.pinned(),
        }
    }

    pub(super) fn pop(&mut self) -> u32 {
        // Too few are not valid, which the validator reports.
        self.operands.pop().unwrap_or_default()
    }

    pub(super) fn need_top(&mut self) {
        let value = self.pop();
        self.values.need(value);
    }

    /// An operator that is computed where it stands takes operands, some of them as they are, and gives others.
    pub(super) fn compute(&mut self, [loose, firm, below]: [u16; 3], gives: u16) {
        for _ in 0..loose {
            self.need_top();
        }
        for _ in 0..firm {
            let value = self.pop();
            self.values.need_surely(value);
        }
        for _ in 0..below {
            self.need_top();
        }
        for _ in 0..gives {
            let value = self.values.pinned();
            self.operands.push(value);
        }
    }

    pub(super) fn set(&mut self, local: u32) {
        let value = self.pop();
        let start = self.frames.last().map_or(0, |frame| frame.changes);
        self.locals.set(local, value, start);
    }

    fn open(&mut self, kind: Kind, params: usize, results: usize) {
        let height = self.operands.len().saturating_sub(params);
        let taken = match kind {
            Kind::If => self.operands[height..].to_vec(),
            _ => Vec::new(),
        };
        self.frames.push(Frame {
            kind,
            height,
            params,
            results,
            taken,
            scope: self.values.scope(),
            changes: self.locals.changes(),
            first: None,
            paths: 0,
            incoming: BTreeMap::new(),
            pending: Cost::default(),
            headers: Vec::new(),
        });
    }

    pub(super) fn enter(&mut self, kind: Kind, params: u16, results: u16) {
        self.open(kind, params.into(), results.into());
        match kind {
            Kind::Block => {}
            Kind::If => self.values.next_place(),
            Kind::Loop => self.enter_loop(),
        }
    }

    /// What a loop changes is another value in it.
    fn enter_loop(&mut self) {
        self.values.enter_loop();
        let Some((height, start)) = self
            .frames
            .last()
            .map(|frame| (frame.height, frame.changes))
        else {
            return;
        };
        let mut headers = Vec::new();
        for at in height..self.operands.len() {
            let header = self.header(OPERAND | (at - height) as u32, self.operands[at]);
            self.operands[at] = header.value;
            headers.push(header);
        }
        let assigned = self.assigned.get(self.begun).map_or(0, Vec::len);
        for at in 0..assigned {
            let local = self.assigned[self.begun][at];
            let initial = self.locals.get(local);
            let header = self.header(local, initial);
            self.locals.set(local, header.value, start);
            headers.push(header);
        }
        self.begun += 1;
        if let Some(frame) = self.frames.last_mut() {
            frame.headers = headers;
        }
    }

    /// A value at the start of a loop, for what comes from before it.
    fn header(&mut self, key: u32, initial: u32) -> Header {
        let value = self.phi();
        self.phis.add(value, initial);
        Header {
            key,
            value,
            initial,
            differs: false,
        }
    }

    pub(super) fn jump_by(&mut self, depth: u32) {
        let at = self.frames.len().checked_sub(depth as usize + 1);
        match at.map(|at| (at, self.frames[at].kind)) {
            Some((at, Kind::Loop)) => self.jump_back(at),
            Some((at, _)) => self.jump(at),
            None => {}
        }
    }

    /// The value that a jump brings for a local or for one of `count` operands.
    fn brought(&mut self, key: u32, count: usize) -> u32 {
        if key & OPERAND == 0 {
            return self.locals.get(key);
        }
        let first = self.operands.len().saturating_sub(count);
        let at = first + (key & !OPERAND) as usize;
        self.operands.get(at).copied().unwrap_or_default()
    }

    fn jump_back(&mut self, at: usize) {
        let count = self.frames[at].params;
        for number in 0..self.frames[at].headers.len() {
            self.values.steps += 1;
            let key = self.frames[at].headers[number].key;
            let brought = self.brought(key, count);
            let header = &mut self.frames[at].headers[number];
            self.phis.add(header.value, brought);
            if !header.differs && brought != header.value && brought != header.initial {
                header.differs = true;
                self.values.need(header.initial);
            }
            if header.differs {
                self.values.need(brought);
            }
        }
    }

    /// A jump forward, or the way through the end of a block.
    fn jump(&mut self, at: usize) {
        self.values.begin_survey();
        let scope = self.values.scope();
        let frame = &mut self.frames[at];
        frame.first.get_or_insert(scope);
        let (count, changes) = (frame.results, frame.changes);
        let mut keys = std::mem::take(&mut self.jumps);
        keys.clear();
        keys.extend((0..count as u32).map(|number| OPERAND | number));
        self.locals.begin_listing();
        for change in changes..self.locals.changes() {
            self.values.steps += 1;
            match self.locals.change(change) {
                Some((local, before)) if self.locals.list(local) => {
                    self.bring(at, local, before, count);
                }
                _ => {}
            }
        }
        let others = self.frames[at].incoming.keys();
        let others = others.filter(|key| *key & OPERAND == 0).copied();
        keys.extend(others.filter(|local| self.locals.list(*local)));
        for key in &keys {
            self.bring(at, *key, 0, count);
        }
        self.jumps = keys;
        self.frames[at].paths += 1;
    }

    /// What a jump brings for a local or operand. `before` is the value of the local before the block.
    fn bring(&mut self, at: usize, key: u32, before: u32, count: usize) {
        self.values.steps += 1;
        let value = self.brought(key, count);
        let frame = &mut self.frames[at];
        let paths = frame.paths;
        let incoming = frame.incoming.entry(key).or_insert_with(|| Incoming {
            value,
            differs: paths > 0 && value != before,
            before: (paths, before),
            others: Vec::new(),
        });
        if incoming.value != value {
            incoming.differs = true;
            if incoming.others.last() != Some(&value) {
                incoming.others.push(value);
            }
        }
        if incoming.differs {
            self.values.need(value);
        } else {
            let cost = self.values.survey(value);
            frame.pending.add(cost, 1);
        }
    }

    /// Returns to a scope, in which all jumps were made that come from behind it.
    fn return_to(&mut self, scope: usize) {
        self.values.return_to(scope);
        self.values.steps += 1 + self.frames.len() as u64 / 8;
        for frame in &mut self.frames {
            if let Some(first) = &mut frame.first {
                *first = scope.min(*first);
            }
        }
    }

    pub(super) fn otherwise(&mut self) {
        let Some(at) = self.frames.len().checked_sub(1) else {
            return;
        };
        if self.dead.is_none() {
            self.jump(at);
        }
        self.begin_otherwise(at);
    }

    /// The path of an `if` whose condition does not hold.
    fn begin_otherwise(&mut self, at: usize) {
        self.dead = None;
        let frame = &mut self.frames[at];
        frame.kind = Kind::Block;
        let (scope, changes) = (frame.scope, frame.changes);
        self.operands.truncate(frame.height);
        self.operands.append(&mut frame.taken);
        self.locals.return_to(changes);
        self.return_to(scope);
        self.values.next_place();
    }

    pub(super) fn end(&mut self) {
        let Some(at) = self.frames.len().checked_sub(1) else {
            return;
        };
        if self.frames[at].kind == Kind::If {
            self.otherwise();
        }
        let passes = self.dead.is_none();
        let meets = self.frames[at].paths > 0 && self.frames[at].kind != Kind::Loop;
        if passes && meets {
            self.jump(at);
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        match frame.kind {
            Kind::Loop => self.values.leave_loop(),
            _ if frame.paths > 0 => self.meet(frame),
            _ => {}
        }
        if self.frames.is_empty() && self.dead.is_none() {
            // What the function gives.
            while let Some(value) = self.operands.pop() {
                self.values.need(value);
            }
        }
    }

    /// Paths meet at the end of a block.
    fn meet(&mut self, frame: Frame) {
        self.dead = None;
        self.locals.return_to(frame.changes);
        self.operands.truncate(frame.height);
        self.return_to(frame.first.unwrap_or(frame.scope));
        if frame.incoming.values().any(|incoming| incoming.differs) {
            self.values.cost.add(frame.pending, 1);
        }
        self.bring_before(&frame);
        self.values.next_place();
        let start = self.frames.last().map_or(0, |frame| frame.changes);
        let mut results = vec![0; frame.results];
        for (key, incoming) in frame.incoming {
            self.values.steps += 1;
            let value = match incoming.differs {
                true => self.join(&incoming),
                false => incoming.value,
            };
            if key & OPERAND == 0 {
                if self.locals.get(key) != value {
                    self.locals.set(key, value, start);
                }
            } else if let Some(result) = results.get_mut((key & !OPERAND) as usize) {
                *result = value;
            }
        }
        self.operands.append(&mut results);
    }

    /// The value of a place to which different ones come.
    fn join(&mut self, incoming: &Incoming) -> u32 {
        let phi = self.phi();
        let (paths, before) = incoming.before;
        if paths > 0 {
            self.phis.add(phi, before);
        }
        self.phis.add(phi, incoming.value);
        for other in &incoming.others {
            self.phis.add(phi, *other);
        }
        phi
    }

    /// The first paths bring the values of before the block, which may have to be computed on each.
    fn bring_before(&mut self, frame: &Frame) {
        for incoming in frame.incoming.values() {
            let (paths, value) = incoming.before;
            if incoming.differs && paths > 0 {
                self.values.begin_survey();
                let cost = self.values.survey(value);
                self.values.cost.add(cost, paths);
            }
        }
    }
}
