//! What the compiler computes again, and what it keeps alive for that.
//!
//! The compiler (Cranelift's `egraph`) computes a pure operation where its result is used and not where it stands: once in each
//! block that uses it and is not dominated by another that did. So a chain of pure operations that is used on many paths is computed on
//! each of them, all of it; and the loads at its beginning stay alive over all blocks between. Then the search for registers
//! takes the time of the values that are alive, times the blocks that they span, times their uses: a
//! function of 10 KB took ten seconds.
//!
//! [`Elaboration`] follows a function operator by operator, as the compiler does, and counts
//! - how often a pure value is computed again ([`Cost::again`]), and
//! - how many basic blocks lie between a value and its uses ([`Cost::spans`]).
//!
//! It knows for each local and operand which value it is (`locals.rs`), where each value was computed, and which of these places
//! dominate the present one (`values.rs`). Where paths meet, what differs is a new value. What it does itself is counted and bounded.

mod locals;
mod loops;
mod paths;
mod pure;
mod values;

use crate::{
    arities::Arity,
    bounds::{MAX_AGAIN, MAX_EFFORT, MAX_VALUES},
    profile_error::{bounded, ProfileError},
};
use paths::{Kind, Paths};
use values::NONE;
use wasmparser::{FuncValidator, FunctionBody, ModuleArity, Operator, ValidatorResources};

/// For a block between a value and where it is used.
const SPAN: u64 = 150;
/// For a step of the simulation itself.
const STEP: u64 = 30;
/// For a floating-point value that is computed again, and a conversion.
const FLOAT_AGAIN: u32 = 17_000;
/// For a vector, and a conversion that saturates.
const VECTOR_AGAIN: u32 = 30_000;
/// For a selection or a count of zeros.
const CHOICE_AGAIN: u32 = 8_000;
/// For another value.
const INTEGER_AGAIN: u32 = 3_000;

/// What it takes to compute the value of a pure operator again, by the first byte of its code.
fn weight(code: u8) -> u32 {
    match code {
        // Floating point: the compiler makes all NaN alike.
        0x8b..=0xbf => FLOAT_AGAIN,
        0xfc | 0xfd => VECTOR_AGAIN,
        // Selections, leading and trailing zeros: several instructions.
        0x1b | 0x1c | 0x67 | 0x68 | 0x79 | 0x7a => CHOICE_AGAIN,
        _ => INTEGER_AGAIN,
    }
}

/// The simulation of a function, as far as it has been read.
#[derive(Default)]
pub(crate) struct Elaboration {
    paths: Paths,
}

impl Elaboration {
    /// Begins a function with that many locals (with its parameters) and results.
    pub(crate) fn begin(&mut self, locals: u32, arity: Arity, body: &FunctionBody<'_>) {
        self.paths.begin(locals, arity, body);
    }

    /// Whether the function is within the bounds so far. When it is not, nothing more is followed.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn check(&self) -> Result<(), ProfileError> {
        let what = "values and paths between them in one function";
        bounded(what, self.paths.values.len() as u64, MAX_VALUES)?;
        let what = "units of effort to compute values of one function again";
        bounded(what, self.paths.values.cost.again, MAX_AGAIN)?;
        bounded("units of effort to compile", self.effort(), MAX_EFFORT)
    }

    /// The weights of all values that the compiler computes again.
    pub(crate) fn again(&self) -> u64 {
        self.paths.values.cost.again
    }

    /// What all this adds to the effort of the function.
    pub(crate) fn effort(&self) -> u64 {
        let spans = self.paths.values.cost.spans.saturating_mul(SPAN);
        let steps = self.paths.values.steps.saturating_mul(STEP);
        spans.saturating_add(steps).saturating_add(self.again())
    }

    /// Follows an operator, of that code. The validator has seen those before it.
    pub(crate) fn operator(
        &mut self,
        operator: &Operator<'_>,
        code: &[u8],
        validator: &FuncValidator<ValidatorResources>,
    ) {
        if self.check().is_err() || self.paths.skips(operator) {
            return;
        }
        match operator {
            Operator::LocalGet { local_index } => {
                let value = self.paths.locals.get(*local_index);
                self.paths.operands.push(value);
            }
            Operator::LocalSet { local_index } => self.paths.set(*local_index),
            Operator::LocalTee { local_index } => {
                self.paths.set(*local_index);
                let value = self.paths.locals.get(*local_index);
                self.paths.operands.push(value);
            }
            Operator::Drop => {
                self.paths.pop();
            }
            Operator::Nop => {}
            Operator::Block { blockty } => {
                let arity = validator.block_type_arity(*blockty);
                self.paths.enter(Kind::Block, arity);
            }
            Operator::Loop { blockty } => {
                let arity = validator.block_type_arity(*blockty);
                self.paths.enter(Kind::Loop, arity);
            }
            Operator::If { blockty } => {
                self.paths.need_top();
                let arity = validator.block_type_arity(*blockty);
                self.paths.enter(Kind::If, arity);
            }
            Operator::Else => self.paths.otherwise(),
            Operator::End => self.paths.end(),
            Operator::Br { relative_depth } => {
                self.paths.jump_by(*relative_depth);
                self.paths.dead = Some(0);
            }
            Operator::BrIf { relative_depth } => {
                self.paths.need_top();
                self.paths.jump_by(*relative_depth);
                self.paths.values.next_place();
            }
            Operator::BrTable { targets } => {
                self.paths.need_top();
                let mut labels: Vec<u32> = targets.targets().flatten().collect();
                labels.push(targets.default());
                labels.sort_unstable();
                labels.dedup();
                for label in labels {
                    self.paths.jump_by(label);
                }
                self.paths.dead = Some(0);
            }
            Operator::Return => {
                self.paths
                    .jump_by(self.paths.frames.len().saturating_sub(1) as u32);
                self.paths.dead = Some(0);
            }
            Operator::Unreachable => self.paths.dead = Some(0),
            _ => self.compute(code, operator.operator_arity(validator)),
        }
    }

    /// An operator that takes and gives operands.
    fn compute(&mut self, code: &[u8], arity: Option<(u32, u32)>) {
        let (takes, gives) = arity.unwrap_or_default();
        if takes <= 3 && gives == 1 && pure::is_pure(code) {
            let mut args = [NONE; 3];
            for arg in args.iter_mut().take(takes as usize) {
                *arg = self.paths.pop();
            }
            let value = match code[0] {
                // Numbers of at most 64 bits.
                0x41..=0x44 => self.paths.values.constant(),
                first => self.paths.values.pure(args, weight(first)),
            };
            self.paths.operands.push(value);
            return;
        }
        for _ in 0..takes {
            self.paths.need_top();
        }
        for _ in 0..gives {
            let value = self.paths.values.pinned();
            self.paths.operands.push(value);
        }
    }
}

#[cfg(test)]
mod tests;
