//! What the compiler keeps of the values that blocks take and give.
//!
//! The compiler makes a variable of each value that a jump to a block's label takes along, and of each that the block leaves
//! on the stack. For each variable it keeps a list with one entry for each basic block that it has begun, up to the last in
//! which the variable is set or read (`SSABuilder::variables`). So the lists of a function that passes values through
//! many blocks grow with the product of both, whatever else is small: a module of 180 KB was seen to need 2 GB.

use crate::arities::Arity;
use wasmparser::{
    BlockType, FuncValidator, Operator, ValidatorResources, WasmModuleResources as _,
};

/// Basic blocks of a function before its first operator: its own, the place where it is left, and those that look at fuel and stack.
const FIRST_BLOCKS: u64 = 8;

/// The labels of one function, as far as it has been read.
pub(crate) struct Labels {
    /// Basic blocks that the compiler has begun, at most.
    begun: u64,
    open: Vec<Label>,
    entries: u64,
    /// Values that blocks take and give, besides one for each.
    values: u64,
}

/// Of a block that is open.
struct Label {
    /// Values that a jump to it takes along.
    taken: u64,
    /// Variables that the compiler makes for it.
    variables: u64,
}

impl Labels {
    /// Of a function with that many results.
    pub(crate) fn new(results: u64) -> Self {
        Self {
            begun: FIRST_BLOCKS,
            // The function's own block, and the one that counts its stack.
            open: vec![Label {
                taken: results,
                variables: 2 * results,
            }],
            entries: 0,
            values: 0,
        }
    }

    /// Entries of all lists of the blocks that have ended.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Values that all blocks take and give, besides one for each.
    pub(crate) fn values(&self) -> u64 {
        self.values
    }

    /// Counts an operator. The validator has seen those before it.
    pub(crate) fn operator(
        &mut self,
        operator: &Operator<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) {
        match operator {
            Operator::Block { blockty } => {
                let arity = arity(*blockty, validator);
                self.enter(1, arity.results, arity.results);
                self.values += arity.all().saturating_sub(1);
            }
            Operator::Loop { blockty } => {
                let arity = arity(*blockty, validator);
                self.enter(4, arity.params, arity.all());
                self.values += arity.all().saturating_sub(1);
            }
            Operator::If { blockty } => {
                let arity = arity(*blockty, validator);
                self.enter(3, arity.results, arity.results);
                self.values += arity.all().saturating_sub(1);
            }
            Operator::End => self.leave(),
            Operator::BrIf { .. } => self.begun += 1,
            Operator::BrTable { targets } => self.table(targets.len(), targets.default()),
            // The compiler makes branches for these.
            Operator::CallIndirect { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. } => self.begun += 2,
            _ => {}
        }
    }

    fn enter(&mut self, blocks: u64, taken: u64, variables: u64) {
        self.begun += blocks;
        self.open.push(Label { taken, variables });
    }

    /// Each different label that takes values gets a basic block of its own.
    fn table(&mut self, labels: u32, default: u32) {
        let depth = self.open.len();
        let at = depth.checked_sub(default as usize + 1);
        if at.is_some_and(|at| self.open[at].taken > 0) {
            self.begun += (u64::from(labels) + 1).min(depth as u64);
        }
    }

    fn leave(&mut self) {
        if let Some(label) = self.open.pop() {
            let list = label.variables.saturating_mul(self.begun);
            self.entries = self.entries.saturating_add(list);
        }
    }
}

/// Of a block. An unknown type counts as no values, because the validator reports it.
fn arity(block: BlockType, validator: &FuncValidator<ValidatorResources>) -> Arity {
    match block {
        BlockType::Empty => Arity::default(),
        BlockType::Type(_) => Arity {
            params: 0,
            results: 1,
        },
        BlockType::FuncType(ty) => function(ty, validator.resources()),
    }
}

/// Of a type of functions.
pub(crate) fn function(ty: u32, resources: &ValidatorResources) -> Arity {
    let ty = resources.sub_type_at(ty);
    match ty.map(|ty| &ty.composite_type.inner) {
        Some(wasmparser::CompositeInnerType::Func(ty)) => Arity::of(ty),
        _ => Arity::default(),
    }
}
