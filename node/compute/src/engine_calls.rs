//! Calls, and operators that the engine carries out in calls of its own: what it takes to compile them beside their weight.
//!
//! The compiler moves values that a call takes or gives through memory, except the first few, and looks for a place for
//! each while all of them are alive. An operation on tables becomes checks, branches and a call; of many in one function, each takes
//! longer, and the compiler's memory grows with them, so there is a bound.

use crate::{
    arities::Arity,
    bounds::MAX_TABLE_OPERATIONS,
    labels,
    profile_error::{bounded, ProfileError},
};
use wasmparser::{FuncValidator, Operator, ValidatorResources, WasmModuleResources};

/// Values of a call that pass in registers.
const IN_REGISTERS: u64 = 6;
/// For each further value that a call takes or gives.
const VALUE: u64 = 7_000;
/// For `table.copy` and `table.init`.
const TABLE_MOVE: u64 = 400_000;
/// For `table.grow` and `table.fill`.
const TABLE_CHANGE: u64 = 120_000;
/// For the square of a function's operations on tables.
const TABLE_SQUARE: u64 = 150;
/// For `memory.copy`, `memory.fill` and `memory.init`.
const MEMORY_MOVE: u64 = 20_000;
/// For the square of a function's.
const MEMORY_SQUARE: u64 = 30;

/// For the square of a function's calls through tables and reads of tables: each becomes branches and a call.
const LOOKUP_SQUARE: u64 = 25;

/// Calls through tables and reads of tables with which the compiler takes half of its memory.
const MOST_LOOKUPS: u64 = 30_000;

/// A count in thousandths of the most that there may be.
pub(crate) fn share(count: u64, most: u64) -> u64 {
    count * 1_000 / most
}

/// Those of one function, as far as it has been read.
#[derive(Debug, Default)]
pub(crate) struct EngineCalls {
    /// Values of calls, without those that pass in registers.
    values: u64,
    /// `table.copy` and `table.init`.
    table_moves: u64,
    /// `table.grow` and `table.fill`.
    table_changes: u64,
    /// `memory.copy`, `memory.fill` and `memory.init`.
    memory_moves: u64,
    /// `call_indirect` and `table.get`.
    lookups: u64,
}

impl EngineCalls {
    /// Counts an operator. The validator has seen those before it.
    pub(crate) fn operator(
        &mut self,
        operator: &Operator<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) {
        let resources = validator.resources();
        match operator {
            Operator::Call { function_index } => {
                let ty = resources.type_index_of_function(*function_index);
                self.call(ty.map_or(Arity::default(), |ty| labels::function(ty, resources)));
            }
            Operator::TableGet { .. } => self.lookups += 1,
            Operator::CallIndirect { type_index, .. } => {
                self.lookups += 1;
                self.call(labels::function(*type_index, resources));
            }
            Operator::TableCopy { .. } | Operator::TableInit { .. } => self.table_moves += 1,
            Operator::TableGrow { .. } | Operator::TableFill { .. } => self.table_changes += 1,
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. } => self.memory_moves += 1,
            _ => {}
        }
    }

    fn call(&mut self, arity: Arity) {
        let more = arity.all().saturating_sub(IN_REGISTERS);
        self.values = self.values.saturating_add(more);
    }

    fn tables(&self) -> u64 {
        self.table_moves + self.table_changes
    }

    /// Whether they are within the bound.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn check(&self) -> Result<(), ProfileError> {
        let what = "table.copy, table.init, table.grow and table.fill of one function";
        bounded(what, self.tables(), MAX_TABLE_OPERATIONS)
    }

    /// Their share of the memory for their function, in thousandths of half of the compiler's.
    pub(crate) fn share(&self) -> u64 {
        share(self.tables(), MAX_TABLE_OPERATIONS) + share(self.lookups, MOST_LOOKUPS)
    }

    /// What they add to the effort of their function.
    pub(crate) fn effort(&self) -> u128 {
        let times = |count: u64, weight: u64| u128::from(count) * u128::from(weight);
        let square = |count: u64, weight: u64| times(count, weight) * u128::from(count);
        times(self.values, VALUE)
            + times(self.table_moves, TABLE_MOVE)
            + times(self.table_changes, TABLE_CHANGE)
            + times(self.memory_moves, MEMORY_MOVE)
            + square(self.tables(), TABLE_SQUARE)
            + square(self.memory_moves, MEMORY_SQUARE)
            + square(self.lookups, LOOKUP_SQUARE)
    }
}
