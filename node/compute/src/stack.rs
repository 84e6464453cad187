//! The stack's limit, counted by the program itself.
//!
//! How much of the machine's stack a call takes is the compiler's affair: it differs by architecture, by version of
//! the engine, even by how the engine was compiled. So a program does not run on the machine's limit but on one of its own:
//! before a module is compiled, each function that calls others gets a few instructions which take what its frame
//! costs from a counter and give it back at its end. The cost follows from the module alone, so that a recursion ends
//! at the same call, with the same fuel, everywhere, and on any engine. (The idea is that of the stack-height metering
//! which the blockchains that run WebAssembly use.)
//!
//! ```text
//! (func (param i32) (result i32)            (func (param i32) (result i32)
//!   local.get 0                               global.get $left  i32.const COST  i32.sub  global.set $left
//!   return                       becomes      global.get $left  i32.const 0  i32.lt_s  if unreachable end
//!   …)                                        block (result i32)
//!                                               local.get 0
//!                                               br 0
//!                                               …
//!                                             end
//!                                             global.get $left  i32.const COST  i32.add  global.set $left)
//! ```
//! The start function, which would run before the host can set the counter, becomes an export that the host calls.

use crate::profile::features;
use std::ops::Range;
use wasm_encoder::{BlockType, Encode, Instruction, Module, RawSection, SectionId};
use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncType, FuncValidatorAllocations, FunctionBody, Operator,
    Parser, Payload, ValType, ValidPayload, Validator, ValidatorResources,
};

/// Exports whose names begin so are the host's; a program must have none.
pub(crate) const RESERVED: &str = "rings:";
/// The export of the counter: bytes of stack that are left. Below 0 after the trap of a call that was one too many.
pub(crate) const LEFT: &str = "rings:stack-left";
/// The export of the module's start function.
pub(crate) const START: &str = "rings:start";

/// What every frame costs, in bytes: the return address, saved registers, alignment.
pub(crate) const FRAME_COST: u32 = 256;
/// What each parameter, each local and each place on the deepest stack of operands costs, in bytes: a vector's size.
pub(crate) const VALUE_COST: u32 = 16;
/// A function that calls no other is not counted if it costs at most this much: there is one of them at a time.
pub(crate) const LEAF_COST: u32 = 4096;

/// A module's text, as far as it has to be written anew.
#[derive(Default)]
struct Parts {
    /// Numbers and places of all sections.
    sections: Vec<(u8, Range<usize>)>,
    types: Vec<FuncType>,
    globals: u32,
    start: Option<u32>,
    bodies: Vec<Body>,
}

/// A function's code.
struct Body {
    locals: Range<usize>,
    code: Range<usize>,
    /// Where it returns early, and how many blocks it leaves then.
    returns: Vec<(Range<usize>, u32)>,
    results: Vec<ValType>,
    /// What its frame costs, if it is counted.
    cost: Option<i32>,
}

/// Whether the host, and not the program, has use of an export.
pub(crate) fn is_reserved(export: &str) -> bool {
    export.starts_with(RESERVED)
}

/// The module with its calls counted. It must be within the profile.
///
/// # Errors
/// When it is not.
pub(crate) fn metered(wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let parts = Parts::read(wasm)?;
    Ok(Writer::new(wasm, &parts).module())
}

impl Parts {
    fn read(wasm: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut parts = Self::default();
        let mut validator = Validator::new_with_features(features());
        let mut allocations = FuncValidatorAllocations::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some(section) = payload.as_section() {
                parts.sections.push(section);
            }
            match &payload {
                Payload::TypeSection(section) => {
                    let types = section.clone().into_iter_err_on_gc_types();
                    parts.types = types.collect::<Result<_, _>>()?;
                }
                Payload::GlobalSection(section) => parts.globals = section.count(),
                Payload::StartSection { func, .. } => parts.start = Some(*func),
                _ => {}
            }
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                let ty = parts.types.get(function.ty as usize);
                let (params, results) =
                    ty.map_or((0, &[][..]), |ty| (ty.params().len(), ty.results()));
                let results = results.to_vec();
                let body = Body::read(function, &body, params, results, &mut allocations)?;
                parts.bodies.push(body);
            }
        }
        Ok(parts)
    }
}

impl Body {
    fn read(
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        params: usize,
        results: Vec<ValType>,
        allocations: &mut FuncValidatorAllocations,
    ) -> Result<Self, BinaryReaderError> {
        let mut validator = function.into_validator(std::mem::take(allocations));
        let mut locals = body.get_binary_reader();
        validator.read_locals(&mut locals)?;
        let mut reader = body.get_operators_reader()?;
        let begin = reader.original_position();
        let (mut returns, mut calls, mut deepest) = (Vec::new(), false, 0);
        while !reader.eof() {
            let (operator, at) = reader.read_with_offset()?;
            match operator {
                Operator::Call { .. } | Operator::CallIndirect { .. } => calls = true,
                Operator::Return => {
                    let blocks = validator.control_stack_height().saturating_sub(1);
                    returns.push((at..reader.original_position(), blocks));
                }
                _ => {}
            }
            validator.op(at, &operator)?;
            deepest = deepest.max(validator.operand_stack_height());
        }
        let values = validator.len_locals().max(params as u32) + deepest;
        *allocations = validator.into_allocations();
        let range = body.range();
        Ok(Self {
            locals: range.start..begin,
            code: begin..range.end,
            returns,
            results,
            cost: cost(values, calls),
        })
    }
}

/// What a frame with so many values costs; `None` for what is not counted.
fn cost(values: u32, calls: bool) -> Option<i32> {
    let cost = FRAME_COST.saturating_add(values.saturating_mul(VALUE_COST));
    // The profile's bounds on a function keep it far below.
    let counted = i32::try_from(cost).unwrap_or(i32::MAX);
    (calls || cost > LEAF_COST).then_some(counted)
}

struct Writer<'a> {
    wasm: &'a [u8],
    parts: &'a Parts,
    /// Index of the counter.
    left: u32,
    /// Results of the functions whose block needs a type of its own, each once.
    many: Vec<&'a [ValType]>,
}

impl<'a> Writer<'a> {
    fn new(wasm: &'a [u8], parts: &'a Parts) -> Self {
        let counted = parts.bodies.iter().filter(|body| body.cost.is_some());
        let mut many: Vec<_> = counted
            .map(|body| body.results.as_slice())
            .filter(|results| results.len() > 1)
            .collect();
        many.sort_unstable_by_key(|results| format!("{results:?}"));
        many.dedup();
        Self {
            wasm,
            parts,
            // The profile knows no imports but functions.
            left: parts.globals,
            many,
        }
    }

    fn module(&self) -> Vec<u8> {
        let mut module = Module::new();
        let mut global = false;
        for (id, range) in &self.parts.sections {
            let data = &self.wasm[range.clone()];
            // Exports come after globals, and a program has some.
            if *id == SectionId::Export as u8 && !global {
                module.section(&raw(SectionId::Global as u8, &self.globals(&[0])));
            }
            match *id {
                id if id == SectionId::Custom as u8 || id == SectionId::Start as u8 => {}
                id if id == SectionId::Type as u8 => {
                    module.section(&raw(id, &self.types(data)));
                }
                id if id == SectionId::Global as u8 => {
                    global = true;
                    module.section(&raw(id, &self.globals(data)));
                }
                id if id == SectionId::Export as u8 => {
                    module.section(&raw(id, &self.exports(data)));
                }
                id if id == SectionId::Code as u8 => {
                    module.section(&raw(id, &self.code()));
                }
                id => {
                    module.section(&raw(id, data));
                }
            }
        }
        module.finish()
    }

    fn types(&self, data: &[u8]) -> Vec<u8> {
        let more = self.many.iter().map(|results| {
            let mut ty = vec![0x60, 0];
            encoded(results).encode(&mut ty);
            ty
        });
        longer(data, more.collect())
    }

    fn globals(&self, data: &[u8]) -> Vec<u8> {
        // (global (mut i32) (i32.const 0))
        longer(data, vec![vec![0x7f, 0x01, 0x41, 0x00, 0x0b]])
    }

    fn exports(&self, data: &[u8]) -> Vec<u8> {
        let export = |name: &str, kind: u8, index: u32| {
            let mut export = Vec::new();
            name.encode(&mut export);
            export.push(kind);
            index.encode(&mut export);
            export
        };
        let start = self.parts.start.map(|index| export(START, 0x00, index));
        let more = [export(LEFT, 0x03, self.left)].into_iter().chain(start);
        longer(data, more.collect())
    }

    fn code(&self) -> Vec<u8> {
        let mut code = Vec::with_capacity(self.wasm.len());
        (self.parts.bodies.len() as u32).encode(&mut code);
        for body in &self.parts.bodies {
            match body.cost {
                Some(cost) => self.counted(body, cost).as_slice().encode(&mut code),
                None => self.wasm[body.locals.start..body.code.end].encode(&mut code),
            }
        }
        code
    }

    fn counted(&self, body: &Body, cost: i32) -> Vec<u8> {
        let mut code = self.wasm[body.locals.clone()].to_vec();
        let enter = [
            Instruction::GlobalGet(self.left),
            Instruction::I32Const(cost),
            Instruction::I32Sub,
            Instruction::GlobalSet(self.left),
            Instruction::GlobalGet(self.left),
            Instruction::I32Const(0),
            Instruction::I32LtS,
            Instruction::If(BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
            Instruction::Block(self.block_type(&body.results)),
        ];
        enter.iter().for_each(|one| one.encode(&mut code));
        let mut at = body.code.start;
        for (place, blocks) in &body.returns {
            code.extend_from_slice(&self.wasm[at..place.start]);
            Instruction::Br(*blocks).encode(&mut code);
            at = place.end;
        }
        // The function's end is now that of the block.
        code.extend_from_slice(&self.wasm[at..body.code.end]);
        let leave = [
            Instruction::GlobalGet(self.left),
            Instruction::I32Const(cost),
            Instruction::I32Add,
            Instruction::GlobalSet(self.left),
            Instruction::End,
        ];
        leave.iter().for_each(|one| one.encode(&mut code));
        code
    }

    fn block_type(&self, results: &[ValType]) -> BlockType {
        match results {
            [] => BlockType::Empty,
            [one] => BlockType::Result(value_type(*one)),
            many => {
                let place = self.many.iter().position(|known| *known == many);
                let index = self.parts.types.len() + place.unwrap_or_default();
                BlockType::FunctionType(index as u32)
            }
        }
    }
}

fn raw(id: u8, data: &[u8]) -> RawSection<'_> {
    RawSection { id, data }
}

/// A section of items with some more at its end.
fn longer(data: &[u8], more: Vec<Vec<u8>>) -> Vec<u8> {
    let (count, items) = count(data);
    let mut longer = Vec::with_capacity(data.len() + 64);
    (count + more.len() as u32).encode(&mut longer);
    longer.extend_from_slice(items);
    more.iter().for_each(|item| longer.extend_from_slice(item));
    longer
}

/// The number at the begin of a section, and what follows it.
fn count(data: &[u8]) -> (u32, &[u8]) {
    let mut reader = wasmparser::BinaryReader::new(data, 0);
    // The section has been read before; one without a number has no items.
    let count = reader.read_var_u32().unwrap_or_default();
    (count, &data[reader.original_position()..])
}

fn encoded(types: &[ValType]) -> Vec<wasm_encoder::ValType> {
    types.iter().map(|ty| value_type(*ty)).collect()
}

fn value_type(ty: ValType) -> wasm_encoder::ValType {
    use wasm_encoder::{RefType, ValType as To};
    match ty {
        ValType::I32 => To::I32,
        ValType::I64 => To::I64,
        ValType::F32 => To::F32,
        ValType::F64 => To::F64,
        ValType::V128 => To::V128,
        // The profile has two kinds of references.
        ValType::Ref(reference) if reference.is_extern_ref() => To::Ref(RefType::EXTERNREF),
        ValType::Ref(_) => To::Ref(RefType::FUNCREF),
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
