//! How long compiling a module takes at most, estimated from the module alone, so that the answer is the same everywhere.
//!
//! A compiler's time does not only grow with the number of operators. Where paths of a function meet, it finds out for each
//! local that was assigned on one of them where its value came from, and then looks for registers for all these values together. This
//! grows with the square of what meets, so that a module of 20 KB can take minutes. The effort counts, function by function:
//!
//! - operators, by kind, and their square and product with the locals, because more values are alive at the same time in
//!   long functions;
//! - the square of the large constants and of the selections, among which the compiler searches;
//! - locals and parameters, used or not;
//! - paths: each jump, each label of a `br_table`, and each end of a block that is reached in more than one way, times
//!   the assignments that may differ there; and their square;
//! - the squares of the paths that meet at one place;
//! - jumps back to loops, and how many loops are open there; `if`s and joins, and how many blocks are open there;
//! - what is alive at each place where the compiler begins a new block: locals, and operands on the stack;
//! - what the compiler keeps of the values that blocks take and give (`labels.rs`);
//! - the values that calls take and give, and operations on tables and memory in bulk (`engine_calls.rs`);
//! - the entrance: the engine compiles code of its own for each type, and for each function that can be called from outside of
//!   the module, which moves all parameters and results one by one.
//!
//! What the compiler computes on several paths, and keeps alive for that, is found by following the function as the compiler does
//! (`elaboration`).
//!
//! To these comes what the engine compiles to set up memory, tables and globals (`startup.rs`).
//!
//! Besides, each byte of the module and each thing that it declares counts: they are read, copied and hashed.
//!
//! The weights were measured on the worst modules of each kind that we know (`benches/compiling.rs`). One unit is about a nanosecond
//! of one core.

use crate::{
    arities::Arity,
    bounds::{MAX_AGAIN, MAX_ALIVE, MAX_EFFORT, MAX_LABEL_ENTRIES, MAX_SHARES},
    elaboration::Elaboration,
    engine_calls::{share, EngineCalls},
    labels::{self, Labels},
    profile_error::{bounded, ProfileError},
    startup::Startup,
};
use wasmparser::{
    BinaryReaderError, ElementItems, FuncToValidate, FuncValidator, FuncValidatorAllocations,
    FunctionBody, Operator, Payload, TypeSectionReader, ValidatorResources,
};

/// To be raised when the effort of any module changes: it decides which modules are programs, so it is part of the profile.
pub(crate) const EFFORT_RULES: u64 = 7;

/// For a byte of the module, whatever it is: it is read, copied, hashed and checked.
const BYTE: u64 = 100;
/// For a type: the engine compiles how a function of it is called.
const TYPE: u64 = 110_000;
/// For a parameter or result of a type, and of a function.
const ENTRANCE_VALUE: u64 = 5_000;
/// For the square of these.
const ENTRANCE_SQUARE: u64 = 12;
/// For a global, an export, a segment.
const DECLARATION: u64 = 4_000;
/// For an element of a table or of a segment.
const ELEMENT: u64 = 100;
/// For a function, whatever is in it.
const FUNCTION: u64 = 240_000;
/// For a parameter or local.
const LOCAL: u64 = 100;
/// For the square of a function's operators, in thousandths: values of memory and globals may stay alive.
const OPERATORS_SQUARE: u64 = 350;
/// For an operator and a local or operand that may be alive there.
const OPERATOR_LOCAL: u64 = 50;
/// For the square of a function's large constants and selections.
const SEARCHED_SQUARE: u64 = 45;
/// For a path and an assignment that may differ on it.
const PATH: u64 = 2_000;
/// For the square of these, in thousandths.
const PATHS_SQUARE: u64 = 720;
/// For the square of the paths that meet at one place.
const MEETING_SQUARE: u64 = 50;
/// For a jump back to a loop.
const BACK: u64 = 30_000;
/// For a jump back to a loop, and a loop that is open there.
const BACK_LOOP: u64 = 750;
/// For an `if`.
const IF: u64 = 20_000;
/// For an `if`, and a block that is open there.
const IF_OPEN: u64 = 170;
/// For an end where paths meet.
const JOIN: u64 = 8_000;
/// For an end where paths meet, and a block that is open there.
const JOIN_OPEN: u64 = 25;
/// For a local at a place.
const ALIVE_LOCAL: u64 = 400;
/// For an operand on the stack at a place.
const ALIVE_OPERAND: u64 = 50;
/// For a value that a block takes or gives, besides one for each block.
const BLOCK_VALUE: u64 = 1_500;
/// For an entry in the compiler's lists of labels' values.
const LABEL_ENTRY: u64 = 3;

/// For an operator, by the first byte of its code.
fn weight(code: u8) -> u64 {
    match code {
        // A loop, which looks at its fuel.
        0x03 => 20_000,
        // A jump under a condition.
        0x0d => 8_000,
        // A call, and one through a table.
        0x10 => 8_000,
        0x11 => 80_000,
        // Globals.
        0x23 | 0x24 => 3_000,
        // Places of a table.
        0x25 | 0x26 => 40_000,
        // A reference to a function.
        0xd2 => 12_000,
        // Loads and stores.
        0x28..=0x3e => 3_000,
        // Divisions.
        0x6d..=0x70 | 0x7f..=0x82 => 4_000,
        // Floating point and conversions.
        0x8b..=0xa6 | 0xa8..=0xbf => 3_000,
        // What came later: conversions that saturate, memory and tables in bulk.
        0xfc => 30_000,
        // Vectors.
        0xfd => 8_000,
        _ => 1_000,
    }
}

/// The least effort of a module of that many bytes: what the check itself takes.
pub(crate) fn least_effort(bytes: usize) -> u64 {
    bytes as u64 * BYTE
}

/// How many operators the compiler makes of one, by the first byte of its code: after an operation that may give a NaN it compares
/// with itself and selects, against a constant, so that all NaN are alike.
fn compiled_operators(code: u8) -> u64 {
    match code {
        0x8d..=0x97 | 0x9b..=0xa5 | 0xb6 | 0xbb => 4,
        _ => 1,
    }
}

/// The effort of a module's functions so far.
#[derive(Default)]
pub(crate) struct Effort {
    total: u64,
    functions: u32,
    /// For each local the number of the function that assigned it last.
    assigned: Vec<u32>,
    allocations: FuncValidatorAllocations,
    /// Of the function that has most alive.
    most_alive: u64,
    /// Of the function that has most entries.
    most_entries: u64,
    /// Of the function that computes most again.
    most_again: u64,
    startup: Startup,
    elaboration: Elaboration,
}

impl Effort {
    /// Of a module of that many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            total: least_effort(bytes),
            ..Self::default()
        }
    }

    /// Adds what a section declares. What is in functions is added by [`Self::add`].
    ///
    /// # Errors
    /// When the section is malformed.
    pub(crate) fn declare(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        self.startup.section(payload)?;
        let (declarations, elements) = match payload {
            Payload::TypeSection(section) => return self.types(section),
            Payload::ImportSection(section) => (section.count(), 0),
            Payload::GlobalSection(section) => (section.count(), 0),
            Payload::ExportSection(section) => (section.count(), 0),
            Payload::DataSection(section) => (section.count(), 0),
            Payload::TableSection(section) => (section.count(), table_elements(section)?),
            Payload::ElementSection(section) => (section.count(), segment_elements(section)?),
            _ => return Ok(()),
        };
        let declared = u64::from(declarations) * DECLARATION;
        let more = declared.saturating_add(elements.saturating_mul(ELEMENT));
        self.total = self.total.saturating_add(more);
        Ok(())
    }

    fn types(&mut self, section: &TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for ty in section.clone().into_iter_err_on_gc_types() {
            let effort = TYPE + entrance(Arity::of(&ty?));
            self.total = self.total.saturating_add(effort);
        }
        Ok(())
    }

    /// Validates a function, and adds its effort. The inner error is that of a bound.
    ///
    /// # Errors
    /// When the function is not valid.
    pub(crate) fn add(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<Result<(), ProfileError>, BinaryReaderError> {
        self.functions += 1;
        let arity = labels::function(function.ty, &function.resources);
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        let mut locals = body.get_binary_reader();
        validator.read_locals(&mut locals)?;
        let mut counted = Counted::new(validator.len_locals(), arity);
        self.elaboration.begin(validator.len_locals(), arity, body);
        let mut reader = body.get_operators_reader()?;
        let code = body.as_bytes();
        while !reader.eof() {
            let (operator, at) = reader.read_with_offset()?;
            let code = &code[at - body.range().start..];
            counted.operator(&operator, code[0], &validator);
            self.elaboration.operator(&operator, code, &validator);
            if let Operator::LocalSet { local_index } | Operator::LocalTee { local_index } =
                operator
            {
                counted.sets += 1;
                counted.assigned += u64::from(self.is_new(local_index));
            }
            validator.op(at, &operator)?;
        }
        reader.finish()?;
        self.allocations = validator.into_allocations();
        Ok(self.bound(&counted))
    }

    fn bound(&mut self, counted: &Counted) -> Result<(), ProfileError> {
        self.elaboration.finish()?;
        let alive = counted.alive_locals + counted.alive_operands;
        let (entries, again) = (counted.labels.entries(), self.elaboration.again());
        let what = "values that are alive at the blocks and branches of one function";
        bounded(what, alive, MAX_ALIVE)?;
        let what = "values that blocks of one function take and give, times its blocks";
        bounded(what, entries, MAX_LABEL_ENTRIES)?;
        counted.engine_calls.check()?;
        let shares = share(alive, MAX_ALIVE)
            + share(entries, MAX_LABEL_ENTRIES)
            + share(again, MAX_AGAIN)
            + counted.engine_calls.share();
        let what = "thousandths of what one kind of thing may take of the compiler's memory";
        bounded(what, shares, MAX_SHARES)?;
        self.most_alive = self.most_alive.max(alive);
        self.most_entries = self.most_entries.max(entries);
        self.most_again = self.most_again.max(again);
        let effort = counted.effort().saturating_add(self.elaboration.effort());
        self.total = self.total.saturating_add(effort);
        self.check()
    }

    /// Whether it is within the bound so far.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn check(&self) -> Result<(), ProfileError> {
        self.startup.check()?;
        bounded("units of effort to compile", self.total(), MAX_EFFORT)
    }

    /// Whether this is the first assignment of the local in its function. The index is not checked yet.
    fn is_new(&mut self, local: u32) -> bool {
        let local = local as usize;
        if local >= self.assigned.len() {
            self.assigned.resize(local.min(MOST_LOCALS) + 1, 0);
        }
        match self.assigned.get_mut(local) {
            Some(last) => std::mem::replace(last, self.functions) != self.functions,
            None => false,
        }
    }

    /// The values that are alive at the blocks of the function that has most of them.
    pub(crate) fn most_alive(&self) -> u64 {
        self.most_alive
    }

    /// The entries of the compiler's lists in the function that has most of them.
    pub(crate) fn most_entries(&self) -> u64 {
        self.most_entries
    }

    /// The weights of what the compiler computes again in the function in which that is most.
    pub(crate) fn most_again(&self) -> u64 {
        self.most_again
    }

    /// All of it.
    pub(crate) fn total(&self) -> u64 {
        self.total.saturating_add(self.startup.effort())
    }
}

/// For the code that moves a function's parameters and results between its caller outside and itself.
fn entrance(arity: Arity) -> u64 {
    let values = arity.all();
    values * ENTRANCE_VALUE + values * values * ENTRANCE_SQUARE
}

/// Most locals and parameters that a valid function can have.
const MOST_LOCALS: usize = 50_000;

fn table_elements(section: &wasmparser::TableSectionReader<'_>) -> Result<u64, BinaryReaderError> {
    let mut elements = 0u64;
    for table in section.clone() {
        elements = elements.saturating_add(table?.ty.initial);
    }
    Ok(elements)
}

fn segment_elements(
    section: &wasmparser::ElementSectionReader<'_>,
) -> Result<u64, BinaryReaderError> {
    let mut elements = 0;
    for segment in section.clone() {
        elements += u64::from(match segment?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
    }
    Ok(elements)
}

/// One function, as far as it has been read.
struct Counted {
    /// For its parameters and results.
    entrance: u64,
    locals: u64,
    /// Locals that are assigned; and one for the fuel, which the compiler keeps in a local.
    assigned: u64,
    /// Assignments.
    sets: u64,
    operators: u64,
    /// Their weights.
    weights: u64,
    /// Large constants and selections.
    searched: u64,
    /// The deepest stack of operands.
    deepest: u64,
    paths: u64,
    meeting: u64,
    alive_locals: u64,
    alive_operands: u64,
    /// For jumps, `if`s and joins.
    control: u64,
    /// How many loops are open.
    loops: u64,
    open: Vec<Open>,
    labels: Labels,
    engine_calls: EngineCalls,
}

/// A block that is open.
#[derive(Default)]
struct Open {
    is_loop: bool,
    /// It is an `if` without `else`, so far.
    is_if: bool,
    /// Paths to its label.
    paths: u64,
    /// Assignments before the first of them.
    since: u64,
}

impl Counted {
    fn new(locals: u32, arity: Arity) -> Self {
        Self {
            entrance: entrance(arity),
            locals: u64::from(locals),
            assigned: 1,
            sets: 0,
            operators: 0,
            weights: 0,
            searched: 0,
            deepest: 0,
            paths: 0,
            meeting: 0,
            alive_locals: 0,
            alive_operands: 0,
            control: 0,
            loops: 0,
            // The function's own block.
            open: vec![Open::default()],
            labels: Labels::new(arity.results),
            engine_calls: EngineCalls::default(),
        }
    }

    /// Counts an operator. The validator has seen those before it.
    fn operator(
        &mut self,
        operator: &Operator<'_>,
        code: u8,
        validator: &FuncValidator<ValidatorResources>,
    ) {
        self.operators += compiled_operators(code);
        self.weights += weight(code);
        self.labels.operator(operator, validator);
        self.engine_calls.operator(operator, validator);
        let places = self.control(operator);
        self.alive_locals += places * (self.locals + 1);
        let height = u64::from(validator.operand_stack_height());
        self.alive_operands += places * height;
        self.deepest = self.deepest.max(height);
    }

    /// Follows the control, and gives how many blocks the compiler begins for the operator.
    fn control(&mut self, operator: &Operator<'_>) -> u64 {
        match operator {
            Operator::Block { .. } => self.enter(false, false, 0),
            // A loop looks at its fuel.
            Operator::Loop { .. } => self.enter(true, false, 3),
            Operator::If { .. } => self.enter(false, true, 2),
            Operator::Else => self.otherwise(),
            Operator::End => self.leave(),
            Operator::Br { relative_depth } => self.jump(*relative_depth),
            Operator::BrIf { relative_depth } => 1 + self.jump(*relative_depth),
            Operator::BrTable { targets } => {
                let labels = targets.targets().flatten();
                1 + labels.map(|label| self.jump(label)).sum::<u64>() + self.jump(targets.default())
            }
            // A function that is counted is left at one place.
            Operator::Return => self.jump(self.open.len().saturating_sub(1) as u32),
            Operator::V128Const { .. }
            | Operator::I8x16Shuffle { .. }
            | Operator::Select
            | Operator::TypedSelect { .. } => {
                self.searched += 1;
                0
            }
            // The compiler makes branches for these.
            Operator::CallIndirect { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. } => 2,
            _ => 0,
        }
    }

    fn enter(&mut self, is_loop: bool, is_if: bool, places: u64) -> u64 {
        self.loops += u64::from(is_loop);
        if is_if {
            self.control += IF + IF_OPEN * self.open.len() as u64;
        }
        self.open.push(Open {
            is_loop,
            is_if,
            paths: u64::from(is_loop),
            since: self.sets,
        });
        places
    }

    fn otherwise(&mut self) -> u64 {
        if let Some(open) = self.open.last_mut() {
            open.is_if = false;
            open.paths += 1;
        }
        1
    }

    fn jump(&mut self, depth: u32) -> u64 {
        let (last, sets) = (self.open.len().checked_sub(1), self.sets);
        let at = last.and_then(|last| last.checked_sub(depth as usize));
        if let Some(open) = at.and_then(|at| self.open.get_mut(at)) {
            if open.is_loop {
                self.control += BACK + BACK_LOOP * self.loops;
            }
            // What was assigned before a block is left for the first time is the same on all paths.
            if open.paths == 0 && !open.is_if {
                open.since = sets;
            }
            open.paths += 1;
        }
        0
    }

    fn leave(&mut self) -> u64 {
        let Some(open) = self.open.pop() else {
            return 0;
        };
        self.loops -= u64::from(open.is_loop);
        let paths = open.paths + u64::from(!open.is_loop) + u64::from(open.is_if);
        if paths < 2 {
            return 0;
        }
        self.control += JOIN + JOIN_OPEN * self.open.len() as u64;
        let differ = self.assigned.min(self.sets - open.since + 1);
        self.paths = self.paths.saturating_add(paths * differ);
        self.meeting = self.meeting.saturating_add(paths * paths);
        1
    }

    fn effort(&self) -> u64 {
        let square = |count: u64| u128::from(count) * u128::from(count);
        let linear = u128::from(FUNCTION + self.entrance)
            + u128::from(self.locals * LOCAL)
            + u128::from(self.weights)
            + u128::from(self.control)
            + u128::from(self.operators * (self.locals + self.deepest))
                * u128::from(OPERATOR_LOCAL)
            + u128::from(self.paths) * u128::from(PATH)
            + u128::from(self.meeting) * u128::from(MEETING_SQUARE)
            + u128::from(self.alive_locals * ALIVE_LOCAL)
            + u128::from(self.alive_operands * ALIVE_OPERAND)
            + u128::from(self.labels.values()) * u128::from(BLOCK_VALUE)
            + u128::from(self.labels.entries()) * u128::from(LABEL_ENTRY)
            + self.engine_calls.effort();
        let squares = square(self.operators) * u128::from(OPERATORS_SQUARE) / 1_000
            + square(self.searched) * u128::from(SEARCHED_SQUARE)
            + square(self.paths) * u128::from(PATHS_SQUARE) / 1_000;
        u64::try_from(linear + squares).unwrap_or(u64::MAX)
    }
}
