//! A function as a list of short steps, so that it can be followed twice without its validator.

use super::{
    pure::{class_of, Class, Family},
    weights::weight,
};
use wasmparser::{FuncValidator, ModuleArity, Operator, ValidatorResources};

/// A kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Block,
    Loop,
    /// An `if` before its `else`.
    If,
}

/// What an operator does with values and paths.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Get(u32),
    Set(u32),
    Tee(u32),
    Drop,
    Constant,
    /// A pure operator, or one that may become pure.
    Pure {
        takes: u8,
        family: Family,
        weight: u32,
    },
    /// An operator that is computed where it stands. From the top: what it takes and may need in another form, what it needs as
    /// it is, and again what it may need in another form.
    Other {
        loose: u16,
        firm: u16,
        below: u16,
        gives: u16,
    },
    Enter {
        kind: Kind,
        params: u16,
        results: u16,
    },
    Else,
    End,
    Br(u32),
    BrIf(u32),
    /// The labels from the first to before the second number, in the list of all.
    BrTable(u32, u32),
    Return,
    Unreachable,
}

/// The steps of a function, as far as it has been read.
#[derive(Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    labels: Vec<u32>,
}

impl Steps {
    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.labels.clear();
    }

    pub(super) fn get(&self, at: usize) -> Option<Step> {
        self.steps.get(at).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The labels of a `br_table`, each once.
    pub(super) fn labels(&self, from: u32, to: u32) -> &[u32] {
        self.labels
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// Adds an operator, of that code. The validator has seen those before it.
    pub(super) fn add(
        &mut self,
        operator: &Operator<'_>,
        code: &[u8],
        validator: &FuncValidator<ValidatorResources>,
    ) {
        let step = match operator {
            Operator::LocalGet { local_index } => Step::Get(*local_index),
            Operator::LocalSet { local_index } => Step::Set(*local_index),
            Operator::LocalTee { local_index } => Step::Tee(*local_index),
            Operator::Drop => Step::Drop,
            Operator::Nop => return,
            Operator::Block { blockty } => enter(Kind::Block, validator.block_type_arity(*blockty)),
            Operator::Loop { blockty } => enter(Kind::Loop, validator.block_type_arity(*blockty)),
            Operator::If { blockty } => enter(Kind::If, validator.block_type_arity(*blockty)),
            Operator::Else => Step::Else,
            Operator::End => Step::End,
            Operator::Br { relative_depth } => Step::Br(*relative_depth),
            Operator::BrIf { relative_depth } => Step::BrIf(*relative_depth),
            Operator::BrTable { targets } => {
                let mut labels: Vec<u32> = targets.targets().flatten().collect();
                labels.push(targets.default());
                labels.sort_unstable();
                labels.dedup();
                let from = self.labels.len() as u32;
                self.labels.append(&mut labels);
                Step::BrTable(from, self.labels.len() as u32)
            }
            Operator::Return => Step::Return,
            Operator::Unreachable => Step::Unreachable,
            // What cannot be reached has no operands, and is not followed.
            _ if is_dead(validator) => return,
            _ => computing(operator, code, validator),
        };
        self.steps.push(step);
    }
}

fn is_dead(validator: &FuncValidator<ValidatorResources>) -> bool {
    validator
        .get_control_frame(0)
        .is_some_and(|frame| frame.unreachable)
}

fn enter(kind: Kind, arity: Option<(u32, u32)>) -> Step {
    let (params, results) = arity.unwrap_or_default();
    Step::Enter {
        kind,
        params: small(params),
        results: small(results),
    }
}

/// Types have at most 1,000 values.
fn small(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// An operator that takes and gives operands.
fn computing(
    operator: &Operator<'_>,
    code: &[u8],
    validator: &FuncValidator<ValidatorResources>,
) -> Step {
    let (takes, gives) = operator.operator_arity(validator).unwrap_or_default();
    let class = class_of(code);
    match class {
        // Numbers of at most 64 bits.
        Class::Pure if matches!(code[0], 0x41..=0x44) => Step::Constant,
        Class::Pure if takes <= 3 && gives == 1 => Step::Pure {
            takes: takes as u8,
            family: Family::of(code[0]),
            weight: weight(code[0]),
        },
        _ => {
            let [loose, firm, below] = class.operands(takes).map(small);
            Step::Other {
                loose,
                firm,
                below,
                gives: small(gives),
            }
        }
    }
}
