//! The stack's limit, counted by the program itself.
//!
//! How much of the machine's stack a call takes depends on the compiler: on the architecture, and on the version of the
//! engine. So a program has a stack limit that does not depend on the machine. Before a module is compiled, each function
//! that calls others gets a few instructions: they take the cost of its frame from a counter, and give it back at the end
//! of the function. The cost follows from the module alone, so that a recursion ends at the same call, with the same
//! fuel, on every machine and on both engines. (Blockchains that run WebAssembly meter the height of the stack in the
//! same way.)
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
//! `memory.grow` becomes a call of a function that is added, which answers -1 to a request that can never be granted
//! (more pages than 32 bits address) before it costs anything.
//!
//! The start function would run before the host can set the counter. So it becomes an export, which the host calls. The effort of
//! compiling stands in the name of a further export.

use crate::{
    bounds::MAX_PAGES,
    costs::{FRAME_COST, LEAF_COST, OPERATOR_COST, VALUE_COST},
    features::features,
    reserved::{EFFORT, LEFT, START},
};
use std::ops::Range;
use wasm_encoder::{BlockType, Encode, Instruction, Module, RawSection, SectionId};
use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncType, FuncValidatorAllocations, FunctionBody, Operator,
    Parser, Payload, ValType, ValidPayload, Validator, ValidatorResources,
};

/// Where the parts of a module are, as far as they have to be rewritten.
#[derive(Default)]
struct Layout {
    /// Numbers and places of all sections.
    sections: Vec<(u8, Range<usize>)>,
    types: Vec<FuncType>,
    /// How many functions there are, imported ones included.
    functions: u32,
    globals: u32,
    start: Option<u32>,
    bodies: Vec<Body>,
}

/// A function's code.
struct Body {
    locals: Range<usize>,
    code: Range<usize>,
    /// The instructions that are replaced.
    edits: Vec<(Range<usize>, Edit)>,
    results: Vec<ValType>,
    /// What its frame costs, if it is counted.
    cost: Option<i32>,
}

/// What replaces an instruction.
#[derive(Clone, Copy)]
enum Edit {
    /// For an early `return`: leaves that many blocks.
    Leave(u32),
    /// For `memory.grow`: a call of the function that asks the engine.
    Grow,
    /// Before a `select`, and in place of nothing: turns its condition by a bit, which keeps it 0 or not 0.
    Turn,
}

/// Who compiles the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// The engine of the profile.
    First,
    /// wasmi 2.0.0, which compiles `select` with a condition that compares a local with 0 wrongly: it tests the comparison's
    /// register and not the local. So something stands between the two.
    Second,
}

/// The module with its calls counted. It must be within the profile, and `effort` is that of compiling it.
///
/// # Errors
/// When it is not.
pub(crate) fn metered(wasm: &[u8], effort: u64) -> Result<Vec<u8>, BinaryReaderError> {
    let layout = Layout::read(wasm, Engine::First)?;
    Ok(Writer::new(wasm, &layout, effort).module())
}

/// The same for the second engine. What the calls cost is equal.
///
/// # Errors
/// As [`metered`].
pub(crate) fn metered_for_second(wasm: &[u8], effort: u64) -> Result<Vec<u8>, BinaryReaderError> {
    let layout = Layout::read(wasm, Engine::Second)?;
    Ok(Writer::new(wasm, &layout, effort).module())
}

impl Layout {
    /// Reads what the rewriting needs. The module is validated on the way, because the depth of the operand stack at each
    /// operator comes from the validator.
    fn read(wasm: &[u8], engine: Engine) -> Result<Self, BinaryReaderError> {
        let mut layout = Self::default();
        let mut validator = Validator::new_with_features(features());
        let mut allocations = FuncValidatorAllocations::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some(section) = payload.as_section() {
                layout.sections.push(section);
            }
            match &payload {
                Payload::TypeSection(section) => {
                    let types = section.clone().into_iter_err_on_gc_types();
                    layout.types = types.collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(section) => {
                    layout.functions = section.clone().into_imports().count() as u32;
                }
                Payload::FunctionSection(section) => layout.functions += section.count(),
                Payload::GlobalSection(section) => layout.globals = section.count(),
                Payload::StartSection { func, .. } => layout.start = Some(*func),
                _ => {}
            }
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                let ty = layout.types.get(function.ty as usize);
                let (params, results) =
                    ty.map_or((0, &[][..]), |ty| (ty.params().len(), ty.results()));
                let results = results.to_vec();
                let signature = (params, results);
                let body = Body::read(function, &body, signature, engine, &mut allocations)?;
                layout.bodies.push(body);
            }
        }
        Ok(layout)
    }
}

impl Body {
    fn grows(&self) -> bool {
        self.edits
            .iter()
            .any(|(_, edit)| matches!(edit, Edit::Grow))
    }

    /// Finds the places in a function that are changed (returns, growths of memory, selections) and what a call of it costs.
    fn read(
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        (params, results): (usize, Vec<ValType>),
        engine: Engine,
        allocations: &mut FuncValidatorAllocations,
    ) -> Result<Self, BinaryReaderError> {
        let mut validator = function.into_validator(std::mem::take(allocations));
        let mut locals = body.get_binary_reader();
        validator.read_locals(&mut locals)?;
        let mut reader = body.get_operators_reader()?;
        let begin = reader.original_position();
        let (mut edits, mut calls, mut deepest, mut operators) = (Vec::new(), false, 0, 0);
        while !reader.eof() {
            let (operator, at) = reader.read_with_offset()?;
            match operator {
                Operator::Call { .. } | Operator::CallIndirect { .. } => calls = true,
                Operator::Return => {
                    let blocks = validator.control_stack_height().saturating_sub(1);
                    edits.push((at..reader.original_position(), Edit::Leave(blocks)));
                }
                Operator::MemoryGrow { .. } => {
                    edits.push((at..reader.original_position(), Edit::Grow));
                }
                Operator::Select | Operator::TypedSelect { .. } if engine == Engine::Second => {
                    edits.push((at..at, Edit::Turn));
                }
                _ => {}
            }
            operators += 1;
            validator.op(at, &operator)?;
            deepest = deepest.max(validator.operand_stack_height());
        }
        let values = validator.len_locals().max(params as u32) + deepest;
        *allocations = validator.into_allocations();
        let range = body.range();
        Ok(Self {
            locals: range.start..begin,
            code: begin..range.end,
            edits,
            results,
            cost: cost(values, operators, calls),
        })
    }
}

/// What the frame of a function with that many values and operators costs; `None` if the function is not counted.
///
/// Values are what the program has open at one time. Operators count because the compiler may keep what any of them
/// gives, to use it again after a call: a function of 2,000 multiplications and one local was seen with a frame of 16 KB.
fn cost(values: u32, operators: u32, calls: bool) -> Option<i32> {
    let cost = FRAME_COST
        .saturating_add(values.saturating_mul(VALUE_COST))
        .saturating_add(operators.saturating_mul(OPERATOR_COST));
    // The bounds on a function keep it far below that.
    let counted = i32::try_from(cost).unwrap_or(i32::MAX);
    (calls || cost > LEAF_COST).then_some(counted)
}

/// Writes the module anew, with its calls counted.
struct Writer<'a> {
    wasm: &'a [u8],
    layout: &'a Layout,
    /// Index of the counter.
    left: u32,
    /// Results of the functions whose block needs a type of its own, each once.
    many: Vec<&'a [ValType]>,
    /// Whether the program grows its memory.
    grows: bool,
    /// Of compiling it.
    effort: u64,
}

impl<'a> Writer<'a> {
    fn new(wasm: &'a [u8], layout: &'a Layout, effort: u64) -> Self {
        let counted = layout.bodies.iter().filter(|body| body.cost.is_some());
        let mut many: Vec<_> = counted
            .map(|body| body.results.as_slice())
            .filter(|results| results.len() > 1)
            .collect();
        many.sort_unstable_by_key(|results| format!("{results:?}"));
        many.dedup();
        Self {
            wasm,
            layout,
            // The profile knows no imports but functions.
            left: layout.globals,
            many,
            grows: layout.bodies.iter().any(Body::grows),
            effort,
        }
    }

    fn module(&self) -> Vec<u8> {
        let mut module = Module::new();
        let mut global = false;
        for (id, range) in &self.layout.sections {
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
                id if id == SectionId::Function as u8 => {
                    module.section(&raw(id, &self.functions(data)));
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
        // (func (param i32) (result i32))
        let grow = self.grows.then(|| vec![0x60, 1, 0x7f, 1, 0x7f]);
        longer(data, more.chain(grow).collect())
    }

    /// The function section, with one more function if the module grows its memory.
    fn functions(&self, data: &[u8]) -> Vec<u8> {
        let ty = self.layout.types.len() + self.many.len();
        let grow = self.grows.then(|| {
            let mut index = Vec::new();
            (ty as u32).encode(&mut index);
            index
        });
        longer(data, grow.into_iter().collect())
    }

    fn globals(&self, data: &[u8]) -> Vec<u8> {
        // (global (mut i32) (i32.const 0))
        longer(data, vec![vec![0x7f, 0x01, 0x41, 0x00, 0x0b]])
    }

    /// The export section, with the counter, and with the start function, which is called by its name after the counter
    /// is set.
    fn exports(&self, data: &[u8]) -> Vec<u8> {
        let export = |name: &str, kind: u8, index: u32| {
            let mut export = Vec::new();
            name.encode(&mut export);
            export.push(kind);
            index.encode(&mut export);
            export
        };
        let start = self.layout.start.map(|index| export(START, 0x00, index));
        let effort = export(&format!("{EFFORT}{}", self.effort), 0x03, self.left);
        let own = [export(LEFT, 0x03, self.left), effort];
        let more = own.into_iter().chain(start);
        longer(data, more.collect())
    }

    /// The code section: each function with its edits, counted if a call of it costs something.
    fn code(&self) -> Vec<u8> {
        let mut code = Vec::with_capacity(self.wasm.len());
        (self.layout.bodies.len() as u32 + u32::from(self.grows)).encode(&mut code);
        for body in &self.layout.bodies {
            match body.cost {
                Some(cost) => self.counted(body, cost).as_slice().encode(&mut code),
                None => self.uncounted(body).as_slice().encode(&mut code),
            }
        }
        if self.grows {
            grow().as_slice().encode(&mut code);
        }
        code
    }

    fn uncounted(&self, body: &Body) -> Vec<u8> {
        let mut code = self.wasm[body.locals.clone()].to_vec();
        self.edited(body, false, &mut code);
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
        // The function's end becomes that of the block.
        self.edited(body, true, &mut code);
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

    /// The body's instructions with those replaced that have to be. A function that is not counted may return early.
    fn edited(&self, body: &Body, is_counted: bool, code: &mut Vec<u8>) {
        let mut at = body.code.start;
        for (place, edit) in &body.edits {
            if matches!(edit, Edit::Leave(_)) && !is_counted {
                continue;
            }
            code.extend_from_slice(&self.wasm[at..place.start]);
            match edit {
                Edit::Leave(blocks) => Instruction::Br(*blocks).encode(code),
                Edit::Grow => Instruction::Call(self.layout.functions).encode(code),
                Edit::Turn => {
                    Instruction::I32Const(1).encode(code);
                    Instruction::I32Rotl.encode(code);
                }
            }
            at = place.end;
        }
        code.extend_from_slice(&self.wasm[at..body.code.end]);
    }

    /// The type of a block with these results. Several results need a type of their own in the type section.
    fn block_type(&self, results: &[ValType]) -> BlockType {
        match results {
            [] => BlockType::Empty,
            [one] => BlockType::Result(value_type(*one)),
            many => {
                let place = self.many.iter().position(|known| *known == many);
                let index = self.layout.types.len() + place.unwrap_or_default();
                BlockType::FunctionType(index as u32)
            }
        }
    }
}

/// `memory.grow`, but for more pages than there can be, which costs fuel for each page asked of the engine:
/// they are answered with -1 at once.
fn grow() -> Vec<u8> {
    let mut code = vec![0]; // no locals
    let body = [
        Instruction::LocalGet(0),
        Instruction::I32Const(MAX_PAGES),
        Instruction::I32GtU,
        Instruction::If(BlockType::Result(wasm_encoder::ValType::I32)),
        Instruction::I32Const(-1),
        Instruction::Else,
        Instruction::LocalGet(0),
        Instruction::MemoryGrow(0),
        Instruction::End,
        Instruction::End,
    ];
    body.iter().for_each(|one| one.encode(&mut code));
    code
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

/// The number at the start of a section, and the bytes after it.
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
