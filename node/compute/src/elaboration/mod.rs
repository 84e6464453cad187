//! What the compiler computes again, and what it keeps alive for that.
//!
//! The compiler (Cranelift's `egraph`) computes a pure operation where its result is used and not where it stands: once in each
//! block that uses it and is not dominated by another that did. So a chain of pure operations that is used on many paths is computed on
//! each of them, all of it; and the loads at its beginning stay alive over all blocks between. Then the search for registers
//! takes the time of the values that are alive, times the blocks that they span, times their uses: a
//! function of 10 KB took ten seconds.
//!
//! [`Elaboration`] follows a function step by step (`steps.rs`), and counts
//! - how often a pure value may be computed again ([`Cost::again`]),
//! - how many basic blocks lie between a value and its uses ([`Cost::spans`]), and
//! - where the compiler tries many rules, because an operator takes what another has given ([`Cost::rules`]).
//!
//! It knows for each local and operand which value it is (`locals.rs`, `paths.rs`), and what each block needs (`values.rs`). What an
//! operator takes may turn out not to be needed: `x ^ x` needs no `x`, and a branch whose condition is known goes away. So that a
//! block needed a value does not mean that it was computed there, and each later block counts again. Only what goes to memory, to a
//! global or to a call as it is was surely computed for all blocks that are dominated. Where paths meet, what differs is a
//! new value; what turns out to be the same on all paths after all is found first (`phis.rs`), and then the function is followed once more.
//! What all this does itself is counted and bounded.

mod locals;
mod loops;
mod paths;
mod phis;
mod pure;
mod steps;
mod values;
mod weights;

use crate::{
    arities::Arity,
    bounds::{MAX_AGAIN, MAX_EFFORT, MAX_VALUES},
    profile_error::{bounded, ProfileError},
};
use paths::Paths;
use steps::{Kind, Step, Steps};
use values::NONE;
use wasmparser::{FuncValidator, FunctionBody, Operator, ValidatorResources};

/// For a block between a value and where it is used.
const SPAN: u64 = 150;
/// For a step of the simulation itself.
const STEP: u64 = 30;
/// The simulation of a function.
#[derive(Default)]
pub(crate) struct Elaboration {
    locals: u32,
    arity: Arity,
    steps: Steps,
    paths: Paths,
}

impl Elaboration {
    /// Begins a function with that many locals (with its parameters) and results.
    pub(crate) fn begin(&mut self, locals: u32, arity: Arity, body: &FunctionBody<'_>) {
        (self.locals, self.arity) = (locals, arity);
        self.steps.clear();
        self.paths.phis.clear();
        self.paths.values.steps = 0;
        self.paths.assigned = loops::assigned(body);
    }

    /// Adds an operator, of that code. The validator has seen those before it.
    pub(crate) fn operator(
        &mut self,
        operator: &Operator<'_>,
        code: &[u8],
        validator: &FuncValidator<ValidatorResources>,
    ) {
        self.steps.add(operator, code, validator);
    }

    /// Follows the function, all of whose operators are there. When it is not within the bounds, nothing more is followed.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn finish(&mut self) -> Result<(), ProfileError> {
        self.follow();
        self.check()?;
        let values = self.paths.values.next_id();
        let (found, steps) = self.paths.phis.solve(values, MAX_EFFORT / STEP);
        self.paths.values.steps += steps;
        if found {
            self.follow();
        }
        self.check()
    }

    fn check(&self) -> Result<(), ProfileError> {
        let what = "values and paths between them in one function";
        let values = self.paths.values.len() + self.paths.phis.len();
        bounded(what, values as u64, MAX_VALUES)?;
        let what = "units of effort to compute values of one function again";
        bounded(what, self.paths.values.cost.again, MAX_AGAIN)?;
        bounded("units of effort to compile", self.effort(), MAX_EFFORT)
    }

    /// The weights of all values that the compiler may compute again.
    pub(crate) fn again(&self) -> u64 {
        self.paths.values.cost.again
    }

    /// What all this adds to the effort of the function.
    pub(crate) fn effort(&self) -> u64 {
        let spans = self.paths.values.cost.spans.saturating_mul(SPAN);
        let steps = self.paths.values.steps.saturating_mul(STEP);
        let rules = self.paths.values.cost.rules;
        spans
            .saturating_add(steps)
            .saturating_add(rules)
            .saturating_add(self.again())
    }

    fn follow(&mut self) {
        self.paths.begin(self.locals, self.arity);
        for at in 0..self.steps.len() {
            let Some(step) = self.steps.get(at).filter(|_| self.check().is_ok()) else {
                return;
            };
            if !self.paths.skips(step) {
                self.step(step);
            }
        }
    }

    fn step(&mut self, step: Step) {
        let paths = &mut self.paths;
        match step {
            Step::Get(local) => {
                let value = paths.locals.get(local);
                paths.operands.push(value);
            }
            Step::Set(local) => paths.set(local),
            Step::Tee(local) => {
                paths.set(local);
                let value = paths.locals.get(local);
                paths.operands.push(value);
            }
            Step::Drop => {
                paths.pop();
            }
            Step::Constant => {
                let value = paths.values.constant();
                paths.operands.push(value);
            }
            Step::Pure {
                takes,
                family,
                weight,
            } => {
                let mut args = [NONE; 3];
                for arg in args.iter_mut().take(takes.into()) {
                    *arg = paths.pop();
                }
                let value = paths.values.pure(args, weight, family);
                paths.operands.push(value);
            }
            Step::Other {
                loose,
                firm,
                below,
                gives,
            } => paths.compute([loose, firm, below], gives),
            Step::Enter {
                kind,
                params,
                results,
            } => {
                if kind == Kind::If {
                    paths.need_top();
                }
                paths.enter(kind, params, results);
            }
            Step::Else => paths.otherwise(),
            Step::End => paths.end(),
            Step::Br(_) | Step::BrIf(_) | Step::BrTable(..) | Step::Return | Step::Unreachable => {
                self.branch(step);
            }
        }
    }

    fn branch(&mut self, step: Step) {
        let paths = &mut self.paths;
        match step {
            Step::Br(depth) => paths.jump_by(depth),
            Step::BrIf(depth) => {
                paths.need_top();
                paths.jump_by(depth);
                paths.values.next_place();
                return;
            }
            Step::BrTable(from, to) => {
                paths.need_top();
                for depth in self.steps.labels(from, to) {
                    paths.jump_by(*depth);
                }
            }
            Step::Return => paths.jump_by(paths.frames.len().saturating_sub(1) as u32),
            _ => {}
        }
        paths.dead = Some(0);
    }
}

#[cfg(test)]
mod tests;
