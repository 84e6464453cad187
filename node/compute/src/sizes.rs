//! The bounds on a module and its functions.
//!
//! All of them are checked in one pass over the module, before the validator and the compiler do anything whose time or
//! memory grows with what is bounded. The compiler's memory seldom depends on one count alone: it is calls times what they
//! take and give, jumps times what their target takes, and places where paths join times the locals that may differ there.
//! So those products are bounded.

use crate::{
    arities::{Arities, Arity},
    bounds::{
        MAX_EXPORTS, MAX_FUNCTIONS, MAX_FUNCTION_BYTES, MAX_FUNCTION_LOCALS,
        MAX_FUNCTION_OPERATORS, MAX_GLOBALS, MAX_IMPORTS, MAX_JOINED_LOCALS, MAX_JOINS, MAX_LABELS,
        MAX_MOVED_VALUES, MAX_NESTED_LOCALS, MAX_NESTED_LOOPS, MAX_NESTING, MAX_SEGMENT_ELEMENTS,
        MAX_SIGNATURE_VALUES, MAX_TABLE_ELEMENTS, MAX_TYPES,
    },
    profile_error::{bounded, ProfileError},
};
use wasmparser::{
    BinaryReaderError, ElementItems, FunctionBody, Operator, Parser, Payload, TypeRef,
};

/// Why a module is refused: by the reader, or by a bound.
pub(crate) enum Refusal {
    /// It is malformed.
    Malformed(BinaryReaderError),
    /// It is beyond a bound.
    Bound(ProfileError),
}

impl From<BinaryReaderError> for Refusal {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

impl From<ProfileError> for Refusal {
    fn from(error: ProfileError) -> Self {
        Self::Bound(error)
    }
}

/// What compiling the module's most demanding function needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Its operators.
    pub operators: u64,
    /// Values that its calls, blocks and jumps move.
    pub moved: u64,
    /// Its locals times the places where its paths join or part.
    pub joined: u64,
    /// The values that are alive at the blocks of the function that has most of them; see `effort.rs`.
    pub alive: u64,
    /// The entries of lists in the function that has most of them; see `labels.rs`.
    pub entries: u64,
    /// The weights of what is computed again in the function in which that is most; see `elaboration`.
    pub again: u64,
}

impl Demand {
    /// An upper estimate of the memory that the compiler needs for the function, in bytes.
    pub(crate) fn bytes(self) -> u64 {
        let alive = self.joined.max(self.alive);
        self.operators * OPERATOR_BYTES
            + self.moved * MOVED_BYTES
            + alive * ALIVE_BYTES
            + self.entries * ENTRY_BYTES
            + self.again * AGAIN_MILLIBYTES / 1_000
    }

    fn larger(self, other: Self) -> Self {
        match self.bytes() < other.bytes() {
            true => other,
            false => self,
        }
    }
}

/// Memory of the compiler for one operator, in bytes.
const OPERATOR_BYTES: u64 = 3_000;
/// Memory of the compiler for one value that is moved, in bytes.
const MOVED_BYTES: u64 = 3_000;
/// Memory of the compiler for one value that is alive at a block, in bytes.
const ALIVE_BYTES: u64 = 64;
/// Memory of the compiler for one entry in the list of a label's value, in bytes: lists double when they grow.
const ENTRY_BYTES: u64 = 8;

/// Memory of the compiler for a unit of effort of what is computed again, in thousandths of a byte.
const AGAIN_MILLIBYTES: u64 = 400;

/// Checks the bounds of a module.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn check_sizes(module: &[u8]) -> Result<Demand, Refusal> {
    let mut sizes = Sizes::default();
    for payload in Parser::new(0).parse_all(module) {
        sizes.section(payload?)?;
    }
    Ok(sizes.demand)
}

/// What is counted over the whole module.
#[derive(Default)]
struct Sizes {
    arities: Arities,
    table_elements: u64,
    segment_elements: u64,
    demand: Demand,
}

impl Sizes {
    /// Looks at one section. Those that cost the compiler nothing that grows are not bounded here.
    fn section(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::TypeSection(section) => self.types(section),
            Payload::ImportSection(section) => self.imports(section),
            Payload::FunctionSection(section) => self.functions(section),
            Payload::TableSection(section) => self.tables(section),
            Payload::ElementSection(section) => self.elements(section),
            Payload::GlobalSection(section) => {
                Ok(bounded("globals", section.count().into(), MAX_GLOBALS)?)
            }
            Payload::ExportSection(section) => {
                Ok(bounded("exports", section.count().into(), MAX_EXPORTS)?)
            }
            Payload::CodeSectionEntry(body) => self.body(&body),
            _ => Ok(()),
        }
    }

    /// The types are kept, because functions and calls name them.
    fn types(&mut self, section: wasmparser::TypeSectionReader<'_>) -> Result<(), Refusal> {
        bounded("types", section.count().into(), MAX_TYPES)?;
        let mut values = 0;
        for ty in section.into_iter_err_on_gc_types() {
            let arity = Arity::of(&ty?);
            values += arity.all();
            let what = "parameters and results of all types";
            bounded(what, values, MAX_SIGNATURE_VALUES)?;
            self.arities.types.push(arity);
        }
        Ok(())
    }

    fn imports(&mut self, section: wasmparser::ImportSectionReader<'_>) -> Result<(), Refusal> {
        bounded("imports", section.count().into(), MAX_IMPORTS)?;
        for import in section.into_imports() {
            if let TypeRef::Func(ty) = import?.ty {
                self.arities.functions.push(ty);
                self.arities.imported += 1;
            }
        }
        Ok(())
    }

    fn functions(&mut self, section: wasmparser::FunctionSectionReader<'_>) -> Result<(), Refusal> {
        bounded("functions", section.count().into(), MAX_FUNCTIONS as u64)?;
        let mut values = 0;
        for ty in section {
            let ty = ty?;
            values += self.arities.ty(ty).all();
            let what = "parameters and results of all functions";
            bounded(what, values, MAX_SIGNATURE_VALUES)?;
            self.arities.functions.push(ty);
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>) -> Result<(), Refusal> {
        for table in section {
            self.table_elements = self.table_elements.saturating_add(table?.ty.initial);
            bounded("table elements", self.table_elements, MAX_TABLE_ELEMENTS)?;
        }
        Ok(())
    }

    fn elements(&mut self, section: wasmparser::ElementSectionReader<'_>) -> Result<(), Refusal> {
        for segment in section {
            let count = match segment?.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            };
            self.segment_elements += u64::from(count);
            let what = "elements of all segments";
            bounded(what, self.segment_elements, MAX_SEGMENT_ELEMENTS)?;
        }
        Ok(())
    }

    /// One function: its bytes and locals first, which are cheap to count, then its operators one by one.
    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), Refusal> {
        let arity = self.arities.next_body();
        let length = body.range().len() as u64;
        bounded("bytes in one function", length, MAX_FUNCTION_BYTES as u64)?;
        let mut locals = 0u64;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
            bounded("locals in one function", locals, MAX_FUNCTION_LOCALS.into())?;
        }
        let mut function = Function::new(&self.arities, arity, locals);
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            function.operator(&reader.read()?)?;
        }
        self.demand = self.demand.larger(function.demand);
        Ok(())
    }
}

/// One function, as far as it has been read.
struct Function<'a> {
    arities: &'a Arities,
    /// Locals with parameters.
    locals: u64,
    results: u64,
    demand: Demand,
    /// How many `if` and `loop` are open.
    deep: u64,
    /// How many `loop` are open.
    loops: u64,
    /// Blocks and branches so far.
    places: u64,
    open: Vec<Open>,
}

/// What begins a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    If,
    Loop,
}

/// A block that is open.
struct Open {
    kind: Kind,
    /// Values that a jump to its label takes along.
    label: u64,
}

impl<'a> Function<'a> {
    fn new(arities: &'a Arities, arity: Arity, locals: u64) -> Self {
        Self {
            arities,
            locals: arity.params + locals,
            results: arity.results,
            demand: Demand::default(),
            deep: 0,
            loops: 0,
            places: 0,
            open: Vec::new(),
        }
    }

    /// Counts an operator: what it adds to the places where control flow meets, and how many values it moves.
    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), ProfileError> {
        self.demand.operators += 1;
        let what = "operators in one function";
        bounded(what, self.demand.operators, MAX_FUNCTION_OPERATORS)?;
        match operator {
            Operator::Block { blockty } => {
                let arity = self.arities.block(*blockty);
                self.enter(Kind::Block, arity, arity.results)
            }
            Operator::If { blockty } => {
                let arity = self.arities.block(*blockty);
                self.joins(1)?;
                self.enter(Kind::If, arity, arity.results)
            }
            Operator::Loop { blockty } => {
                let arity = self.arities.block(*blockty);
                self.enter(Kind::Loop, arity, arity.params)
            }
            Operator::Else => self.joins(1),
            Operator::End => self.leave(),
            Operator::Br { relative_depth } => self.moves(self.label(*relative_depth)),
            Operator::BrIf { relative_depth } => {
                self.moves(self.label(*relative_depth))?;
                self.joins(1)
            }
            Operator::BrTable { targets } => self.table(targets),
            Operator::Return => self.moves(self.results),
            Operator::Call { function_index } => {
                self.moves(self.arities.function(*function_index).all())
            }
            Operator::CallIndirect { type_index, .. } => {
                self.moves(self.arities.ty(*type_index).all())
            }
            _ => Ok(()),
        }
    }

    /// All labels take the same number of values; each that is jumped to with values gets a place of its own.
    fn table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<(), ProfileError> {
        let labels = u64::from(targets.len());
        bounded("labels in one br_table", labels, MAX_LABELS.into())?;
        let taken = self.label(targets.default());
        self.moves(taken.saturating_mul(labels + 1))?;
        match taken {
            0 => self.joins(1),
            _ => self.joins(labels + 1),
        }
    }

    fn label(&self, depth: u32) -> u64 {
        let open = self.open.iter().rev().nth(depth as usize);
        open.map_or(self.results, |open| open.label)
    }

    fn moves(&mut self, values: u64) -> Result<(), ProfileError> {
        self.demand.moved = self.demand.moved.saturating_add(values);
        let what = "values that calls, blocks and jumps of one function move";
        bounded(what, self.demand.moved, MAX_MOVED_VALUES)
    }

    /// Adds places where control flow may meet. A compiler may have to look at each local at each of them, so the product
    /// is bounded too.
    fn joins(&mut self, places: u64) -> Result<(), ProfileError> {
        self.places += places;
        bounded(
            "blocks and branches in one function",
            self.places,
            MAX_JOINS,
        )?;
        self.demand.joined += places * self.locals;
        let what = "locals times blocks and branches in one function";
        bounded(what, self.demand.joined, MAX_JOINED_LOCALS)
    }

    /// A block begins. Only ifs and loops count as nested.
    fn enter(&mut self, kind: Kind, arity: Arity, label: u64) -> Result<(), ProfileError> {
        self.moves(arity.all())?;
        self.joins(1)?;
        self.open.push(Open { kind, label });
        self.loops += u64::from(kind == Kind::Loop);
        bounded("nested loops", self.loops, MAX_NESTED_LOOPS)?;
        self.deep += u64::from(kind != Kind::Block);
        bounded("nested ifs and loops", self.deep, MAX_NESTING as u64)?;
        let (what, product) = ("locals times nested ifs and loops", self.locals * self.deep);
        bounded(what, product, MAX_NESTED_LOCALS)
    }

    fn leave(&mut self) -> Result<(), ProfileError> {
        match self.open.pop() {
            Some(open) => {
                self.deep -= u64::from(open.kind != Kind::Block);
                self.loops -= u64::from(open.kind == Kind::Loop);
                Ok(())
            }
            None => self.moves(self.results),
        }
    }
}
