//! Modules that are as hard to compile as their author can make them, each of one kind. The benchmark of compiling and the tests share
//! them.

use wasm_encoder_of_tests::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, HeapType, InstructionSink,
    MemArg, MemArgTarget, MemorySection, MemoryType, Module, RefType, TableSection, TableType,
    TypeSection, ValType,
};

type Code<'a, 'b> = &'a mut InstructionSink<'b>;

/// A module of many equal functions.
pub struct Shape {
    /// What it is.
    pub name: &'static str,
    /// How many functions.
    pub functions: u32,
    /// How many i64 locals each has. Behind them come an i32, an f64 and a v128.
    locals: u32,
    /// Width of the types that have values.
    width: usize,
    /// Its functions are in the table too.
    in_table: bool,
    /// Bytes of data segments, and how many there are.
    data: (usize, usize),
    body: fn(Code<'_, '_>, &Size),
}

/// What a body may vary with.
pub struct Size {
    locals: u32,
    width: usize,
    count: u32,
}

impl Size {
    fn i32(&self) -> u32 {
        self.locals
    }
    fn f64(&self) -> u32 {
        self.locals + 1
    }
    fn v128(&self) -> u32 {
        self.locals + 2
    }
}

/// Loops in each other that the profile lets in.
const NESTED_LOOPS: u32 = 200;
const NONE: u32 = 0;
const TAKES: u32 = 1;
const GIVES: u32 = 2;
const PASSES: u32 = 3;
/// Functions before those of a shape, one of each type.
const SIMPLE: u32 = 4;

fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

/// A condition that the compiler does not know.
fn unknown(code: Code<'_, '_>, number: u32) {
    code.i32_const(0).i32_load(at(u64::from(number) * 4));
}

/// All locals get values that the compiler does not know.
fn fill(code: Code<'_, '_>, size: &Size) {
    for local in 0..size.locals {
        code.i32_const(0)
            .i64_load(at(u64::from(local) * 8))
            .local_set(local);
    }
}

/// All locals are used.
fn spill(code: Code<'_, '_>, size: &Size) {
    for local in 0..size.locals {
        code.i32_const(0)
            .local_get(local)
            .i64_store(at(u64::from(local) * 8));
    }
}

fn ifs(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local).i64_eqz().if_(BlockType::Empty);
        code.local_get((local + 1) % size.locals);
        code.i32_const(0)
            .i64_load(at(8 * u64::from(number)))
            .i64_div_u()
            .local_set(local)
            .end();
    }
    spill(code, size);
}

fn breaks(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    code.block(BlockType::Empty);
    for number in 0..size.count {
        let local = number % size.locals;
        unknown(code, number);
        code.br_if(0)
            .local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
    }
    code.end();
    spill(code, size);
}

fn repeats(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    code.loop_(BlockType::Empty);
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
        unknown(code, number);
        code.br_if(0);
    }
    code.end();
    spill(code, size);
}

fn loops(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.loop_(BlockType::Empty)
            .local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
        unknown(code, number);
        code.br_if(0).end();
    }
    spill(code, size);
}

fn nested(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.loop_(BlockType::Empty)
            .local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
    }
    for number in 0..size.count {
        unknown(code, number);
        code.br_if(0).end();
    }
    spill(code, size);
}

/// Loops in each other, as many as the profile lets in, with so many jumps back at the end of each.
fn nest_of_loops(code: Code<'_, '_>, number: u32, jumps: u32) {
    for _ in 0..NESTED_LOOPS {
        code.loop_(BlockType::Empty);
    }
    for open in (1..=NESTED_LOOPS).rev() {
        for jump in 0..jumps {
            unknown(code, number);
            code.br_if(jump * open / jumps);
        }
        code.end();
    }
}

fn jumps_back(code: Code<'_, '_>, size: &Size) {
    for nest in 0..size.count {
        nest_of_loops(code, nest, 8);
    }
}

fn one_jump_back(code: Code<'_, '_>, size: &Size) {
    for nest in 0..size.count {
        nest_of_loops(code, nest, 1);
    }
}

/// A jump to each of the loops that are in each other, by one table.
fn table_of_loops(code: Code<'_, '_>, size: &Size) {
    for _ in 0..NESTED_LOOPS {
        code.loop_(BlockType::Empty);
    }
    unknown(code, 0);
    let labels: Vec<_> = (0..size.count).map(|label| label % NESTED_LOOPS).collect();
    code.br_table(labels, 0);
    for _ in 0..NESTED_LOOPS {
        code.end();
    }
}

/// Ifs in each other that give a value.
fn ifs_that_give(code: Code<'_, '_>, size: &Size) {
    let result = BlockType::Result(ValType::I32);
    for number in 0..size.count {
        unknown(code, number);
        code.if_(result);
    }
    code.i32_const(1);
    for number in 0..size.count {
        code.else_();
        unknown(code, number);
        code.end();
    }
    code.drop();
}

/// Blocks in each other, of which each is left once before its end.
fn blocks_left(code: Code<'_, '_>, size: &Size) {
    for _ in 0..size.count {
        code.block(BlockType::Empty);
    }
    for number in 0..size.count {
        unknown(code, number);
        code.br_if(0).end();
    }
}

/// Loops in each other below ifs in each other.
fn loops_below_ifs(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        unknown(code, number);
        code.if_(BlockType::Empty);
    }
    nest_of_loops(code, 0, 1);
    for _ in 0..size.count {
        code.end();
    }
}

fn operands(code: Code<'_, '_>, size: &Size) {
    values_on_the_stack(code, size.count, size.width);
}

fn wide_operands(code: Code<'_, '_>, size: &Size) {
    values_on_the_stack(code, size.count, size.locals as usize);
}

/// Blocks that begin while so many values are on the stack.
fn values_on_the_stack(code: Code<'_, '_>, blocks: u32, values: usize) {
    for number in 0..values as u64 {
        code.i32_const(0).i64_load(at(8 * number));
    }
    for number in 0..blocks {
        unknown(code, number);
        code.if_(BlockType::Empty)
            .i32_const(0)
            .i32_const(1)
            .i32_store(at(9))
            .end();
    }
    for _ in 1..values {
        code.i64_add();
    }
    code.drop();
}

fn table_to_loop(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    for local in 0..size.locals {
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
    }
    unknown(code, 1);
    code.br_table(vec![0; size.count as usize], 1).end().end();
    spill(code, size);
}

fn switch(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for _ in 0..=size.count {
        code.block(BlockType::Empty);
    }
    unknown(code, 1);
    code.br_table((0..size.count).collect::<Vec<_>>(), size.count);
    for number in 0..size.count {
        let local = number % size.locals;
        code.end()
            .local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
    }
    code.end();
    spill(code, size);
}

fn switches(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for _ in 0..100 {
        code.block(BlockType::Empty);
    }
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
        code.block(BlockType::Empty);
        unknown(code, number);
        code.br_table((1..100).collect::<Vec<_>>(), 0).end();
    }
    for _ in 0..100 {
        code.end();
    }
    spill(code, size);
}

fn blocks(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for _ in 0..size.count {
        code.block(BlockType::Empty);
    }
    for number in 0..size.count {
        let local = number % size.locals;
        unknown(code, number);
        code.br_if(number % size.count)
            .local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
    }
    for _ in 0..size.count {
        code.end();
    }
    spill(code, size);
}

fn returns(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        unknown(code, number);
        code.if_(BlockType::Empty).return_().end();
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
    }
    spill(code, size);
}

fn indirect(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
        unknown(code, number);
        code.call_indirect(0, NONE);
    }
    spill(code, size);
}

fn calls(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local)
            .call(0);
    }
    spill(code, size);
}

fn wide_calls(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        for value in 0..size.width as u32 {
            code.local_get((value + number) % size.locals);
        }
        code.call(1);
    }
    spill(code, size);
}

/// Each call gives what the next one takes.
fn chained_calls(code: Code<'_, '_>, size: &Size) {
    for value in 0..size.width as u64 {
        code.i32_const(0).i64_load(at(8 * value));
    }
    for _ in 0..size.count {
        code.call(3);
    }
    for _ in 0..size.width {
        code.drop();
    }
}

fn table_copies(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        unknown(code, number);
        unknown(code, number + 1);
        unknown(code, number + 2);
        code.table_copy(0, 0);
    }
}

fn table_grows(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        code.ref_null(HeapType::FUNC);
        unknown(code, number);
        code.table_grow(0).drop();
    }
}

fn table_gets(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        unknown(code, number);
        unknown(code, number + 1);
        code.table_get(0).table_set(0);
    }
    spill(code, size);
}

fn engine_calls(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local)
            .i64_const(3)
            .i64_mul()
            .local_set(local);
        unknown(code, number);
        code.i32_const(0).i32_const(number as i32).memory_copy(0, 0);
    }
    spill(code, size);
}

fn grows(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for _ in 0..size.count {
        code.i32_const(0).memory_grow(0).drop();
    }
    spill(code, size);
}

fn selects(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let local = number % size.locals;
        code.local_get(local).local_get((local + 1) % size.locals);
        unknown(code, number);
        code.select().local_set(local);
    }
    spill(code, size);
}

fn straight(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let (local, next) = (number % size.locals, (number * 7 + 1) % size.locals);
        code.local_get(local).local_get(next).i64_mul();
        code.local_get(next).i64_xor().local_set(local);
    }
    spill(code, size);
}

fn divisions(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let (local, next) = (number % size.locals, (number * 7 + 1) % size.locals);
        code.local_get(local)
            .local_get(next)
            .i64_rem_s()
            .local_set(local);
    }
    spill(code, size);
}

fn conversions(code: Code<'_, '_>, size: &Size) {
    let float = size.f64();
    fill(code, size);
    for number in 0..size.count {
        code.local_get(float)
            .i64_trunc_f64_s()
            .f64_convert_i64_u()
            .local_set(float);
        if number % 16 == 0 {
            code.local_get(number % size.locals)
                .f64_convert_i64_s()
                .local_set(float);
        }
    }
    code.local_get(float).i64_trunc_sat_f64_u().local_set(0);
    spill(code, size);
}

fn vectors(code: Code<'_, '_>, size: &Size) {
    let vector = size.v128();
    for number in 0..size.count {
        code.local_get(vector).local_get(vector);
        code.i8x16_shuffle([
            31,
            1,
            2,
            19,
            4,
            5,
            22,
            7,
            8,
            9,
            26,
            11,
            number as u8 % 32,
            13,
            14,
            0,
        ]);
        code.i8x16_popcnt().local_set(vector);
    }
    code.i32_const(0).local_get(vector).v128_store(at(0));
}

fn vector_conversions(code: Code<'_, '_>, size: &Size) {
    let vector = size.v128();
    for _ in 0..size.count {
        code.local_get(vector)
            .i32x4_trunc_sat_f32x4_u()
            .f32x4_convert_i32x4_u();
        code.local_get(vector)
            .i64x2_mul()
            .i8x16_abs()
            .i16x8_extadd_pairwise_i8x16_u()
            .local_set(vector);
    }
    code.i32_const(0).local_get(vector).v128_store(at(0));
}

fn vector_constants(code: Code<'_, '_>, size: &Size) {
    let vector = size.v128();
    for number in 0..size.count {
        code.v128_const(i128::from(number) * 0x1234_5678_9abc_def1_2345);
        code.local_get(vector).v128_xor().local_set(vector);
    }
    code.i32_const(0).local_get(vector).v128_store(at(0));
}

fn lanes(code: Code<'_, '_>, size: &Size) {
    let vector = size.v128();
    for number in 0..size.count {
        code.i32_const(0)
            .local_get(vector)
            .v128_load8_lane(at(u64::from(number)), number as u8 % 16);
        code.local_get(size.i32()).i8x16_shl().local_set(vector);
    }
    code.i32_const(0).local_get(vector).v128_store(at(0));
}

fn loads(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        let offset = 0x8000_0000 + u64::from(number) * 8;
        code.local_get(size.i32())
            .local_get(size.i32())
            .i64_load(at(offset))
            .i64_store(at(offset));
    }
}

fn globals(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        code.global_get(number % 1000)
            .i64_const(3)
            .i64_mul()
            .global_set((number * 7) % 1000);
    }
}

/// Adds what stands in memory to a number in a local.
fn add_loaded(code: Code<'_, '_>, float: u32, number: u32) {
    code.local_get(float)
        .i32_const(0)
        .f64_load(at(u64::from(number) * 8))
        .f64_add()
        .local_set(float);
}

/// Squares the number in a local.
fn square(code: Code<'_, '_>, float: u32) {
    code.local_get(float)
        .local_get(float)
        .f64_mul()
        .local_set(float);
}

/// Ifs in each other: each changes a value that its `else` needs as it was.
fn elses_that_compute_again(code: Code<'_, '_>, size: &Size) {
    let float = size.f64();
    for number in 0..size.count {
        unknown(code, number);
        code.if_(BlockType::Empty);
        add_loaded(code, float, number);
    }
    for _ in 0..size.count {
        code.else_();
        square(code, float);
        code.end();
    }
    code.i32_const(0).local_get(float).f64_store(at(0));
}

/// A chain of so many operations in the first local, each with a value of its own.
fn chain(code: Code<'_, '_>, count: u32) {
    for number in 0..count {
        code.local_get(0).i32_const(0);
        code.i64_load(at(u64::from(number) * 8))
            .i64_add()
            .local_set(0);
    }
}

/// Ifs that each need the value of the first local.
fn paths_that_need_it(code: Code<'_, '_>, count: u32) {
    for number in 0..count {
        unknown(code, number);
        code.if_(BlockType::Empty).local_get(0).global_set(0).end();
    }
}

/// Ifs that each need the value at a chain's end.
fn paths_that_compute_again(code: Code<'_, '_>, size: &Size) {
    chain(code, size.count);
    paths_that_need_it(code, size.count);
}

/// A chain of remainders, which the compiler makes of products, behind something that only looks like a use of it.
fn remainders_that_compute_again(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        code.local_get(0).i32_const(0);
        code.i64_load(at(u64::from(number) * 8)).i64_xor();
        code.i64_const(i64::from(number) * 2 + 7)
            .i64_rem_s()
            .local_set(0);
    }
    code.i32_const(0)
        .local_get(0)
        .local_get(0)
        .i64_sub()
        .i64_store(at(0));
    paths_that_need_it(code, size.count);
}

/// Bits that are turned three times, for which the compiler knows many rules.
fn bits_by_rules(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        code.local_get(0).i64_const(-1).i64_xor().i32_const(0);
        code.i64_load(at(u64::from(number) * 8))
            .i64_const(-1)
            .i64_xor()
            .i64_and()
            .i64_const(-1)
            .i64_xor()
            .local_set(0);
    }
    code.local_get(0).global_set(0);
}

/// Rotations of many locals by each other.
fn rotations(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        let (to, by) = (number % size.locals, (number * 7 + 3) % size.locals);
        code.local_get((number + 1) % size.locals)
            .local_get(by)
            .i64_rotl()
            .local_set(to);
    }
    code.local_get(0).global_set(0);
}

/// Values that move before a loop and are alive in all of its blocks.
fn alive_in_a_loop(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    code.loop_(BlockType::Empty);
    for number in 0..size.count / 4 {
        code.i32_const(0)
            .local_get(0)
            .i64_const(i64::from(number) * 2 + 977)
            .i64_mul()
            .i64_store(at(u64::from(number) * 8));
    }
    for number in 0..size.count {
        unknown(code, number);
        code.br_if(0);
    }
    code.end();
}

/// A block that is left on many paths with the value at a chain's end.
fn exits_that_compute_again(code: Code<'_, '_>, size: &Size) {
    chain(code, size.count);
    code.block(BlockType::Empty);
    for number in 0..size.count {
        unknown(code, number);
        code.if_(BlockType::Empty).br(1).end();
    }
    code.i64_const(3).local_set(0).end();
    code.local_get(0).global_set(0);
}

/// Blocks in each other that jump over the way on which a value stays as it was.
fn jumps_that_compute_again(code: Code<'_, '_>, size: &Size) {
    let float = size.f64();
    for number in 0..size.count {
        code.block(BlockType::Empty).block(BlockType::Empty);
        unknown(code, number);
        code.br_if(0);
        add_loaded(code, float, number);
    }
    for _ in 0..size.count {
        code.br(1).end();
        square(code, float);
        code.end();
    }
    code.i32_const(0).local_get(float).f64_store(at(0));
}

/// A loop with many values in it that it does not change.
fn moved_out_of_a_loop(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    code.loop_(BlockType::Empty);
    for number in 0..size.count {
        unknown(code, number);
        code.if_(BlockType::Empty)
            .local_get(0)
            .i64_const(i64::from(number) * 2 + 977)
            .i64_mul()
            .global_set(0)
            .end();
    }
    unknown(code, 0);
    code.br_if(0).end();
}

/// Ifs one after the other that pass a row of values on and change one.
fn rows_through_ifs(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.width as u64 {
        code.i32_const(0).i64_load(at(8 * number));
    }
    for number in 0..size.count {
        unknown(code, number);
        code.if_(BlockType::FunctionType(PASSES))
            .local_get(0)
            .i64_add()
            .else_()
            .local_get(0)
            .i64_xor()
            .end();
    }
    for _ in 0..size.width {
        code.drop();
    }
}

/// One byte an operator, each of them another value.
fn unary(code: Code<'_, '_>, size: &Size) {
    code.i32_const(0).i64_load(at(0));
    for number in 0..size.count {
        match number % 3 {
            0 => code.i64_clz(),
            1 => code.i64_popcnt(),
            _ => code.i64_extend8_s(),
        };
    }
    code.i32_const(0).i64_load(at(0)).i64_add().drop();
}

fn references(code: Code<'_, '_>, size: &Size) {
    for number in 0..size.count {
        code.i32_const(number as i32 % 4).ref_func(1).table_set(0);
    }
}

fn gives(code: Code<'_, '_>, size: &Size) {
    for _ in 0..size.count {
        code.call(2);
        for _ in 0..size.width {
            code.drop();
        }
    }
}

fn results(code: Code<'_, '_>, size: &Size) {
    fill(code, size);
    for number in 0..size.count {
        code.block(BlockType::FunctionType(GIVES));
        for value in 0..size.width as u32 {
            code.local_get((value + number) % size.locals);
        }
        unknown(code, number);
        code.br_if(0);
        for value in 0..size.width as u32 {
            code.drop()
                .local_get((value * 3 + number) % size.locals)
                .local_set(0);
        }
        for value in 0..size.width as u32 {
            code.local_get((value + number + 1) % size.locals);
        }
        code.end();
        for value in 0..size.width as u32 {
            code.local_set(value % size.locals);
        }
    }
    spill(code, size);
}

fn tiny(code: Code<'_, '_>, size: &Size) {
    for _ in 0..size.count {
        code.call(0);
    }
}

struct Parts(
    &'static str,
    u32,
    u32,
    usize,
    bool,
    (usize, usize),
    fn(Code<'_, '_>, &Size),
    u32,
);

/// All of them with the number of copies of what is repeated in one function.
pub fn all() -> Vec<(Shape, u32)> {
    let no = (0, 0);
    [
        Parts("ifs", 24, 150, 1, false, no, ifs, 9_000),
        Parts("ifs, many locals", 24, 1_500, 1, false, no, ifs, 1_100),
        Parts("ifs, few locals", 24, 12, 1, false, no, ifs, 14_000),
        Parts(
            "breaks out of one block",
            24,
            150,
            1,
            false,
            no,
            breaks,
            28_000,
        ),
        Parts(
            "repeats of one loop",
            24,
            150,
            1,
            false,
            no,
            repeats,
            28_000,
        ),
        Parts("loops", 24, 150, 1, false, no, loops, 14_000),
        Parts("nested loops", 24, 100, 1, false, no, nested, 990),
        Parts(
            "operands under ifs",
            24,
            1,
            900,
            false,
            no,
            operands,
            14_000,
        ),
        Parts(
            "br_table to a loop",
            4,
            1_000,
            1,
            false,
            no,
            table_to_loop,
            60_000,
        ),
        Parts("switch", 24, 150, 1, false, no, switch, 14_000),
        Parts(
            "switches of 100 labels",
            24,
            40,
            1,
            false,
            no,
            switches,
            6_000,
        ),
        Parts("deep blocks", 24, 150, 1, false, no, blocks, 14_000),
        Parts("returns", 24, 150, 1, false, no, returns, 14_000),
        Parts("call_indirect", 24, 500, 1, false, no, indirect, 18_000),
        Parts("calls", 24, 1_000, 1, false, no, calls, 30_000),
        Parts("wide calls", 24, 1_000, 1_000, false, no, wide_calls, 90),
        Parts("calls that give much", 24, 1, 1_000, false, no, gives, 90),
        Parts("chained calls", 24, 1, 100, false, no, chained_calls, 490),
        Parts(
            "chained calls, few values",
            24,
            1,
            10,
            false,
            no,
            chained_calls,
            4_900,
        ),
        Parts(
            "chained calls, many values",
            24,
            1,
            900,
            false,
            no,
            chained_calls,
            50,
        ),
        Parts("table.copy", 24, 1, 1, false, no, table_copies, 4_000),
        Parts("table.grow", 24, 1, 1, false, no, table_grows, 4_000),
        Parts(
            "blocks that give much",
            24,
            1_000,
            100,
            false,
            no,
            results,
            300,
        ),
        Parts("table.get", 24, 500, 1, false, no, table_gets, 20_000),
        Parts("memory.copy", 24, 1_000, 1, false, no, engine_calls, 18_000),
        Parts("memory.grow", 24, 1_000, 1, false, no, grows, 50_000),
        Parts("select", 24, 1_000, 1, false, no, selects, 30_000),
        Parts("straight", 24, 1_000, 1, false, no, straight, 32_000),
        Parts("divisions", 24, 1_000, 1, false, no, divisions, 48_000),
        Parts("conversions", 24, 10, 1, false, no, conversions, 48_000),
        Parts("vectors", 16, 1, 1, false, no, vectors, 40_000),
        Parts(
            "vector conversions",
            16,
            1,
            1,
            false,
            no,
            vector_conversions,
            24_000,
        ),
        Parts(
            "vector constants",
            16,
            1,
            1,
            false,
            no,
            vector_constants,
            40_000,
        ),
        Parts("lanes", 16, 1, 1, false, no, lanes, 33_000),
        Parts("loads", 24, 1, 1, false, no, loads, 45_000),
        Parts("globals", 24, 1, 1, false, no, globals, 49_000),
        Parts("unary", 40, 1, 1, false, no, unary, 195_000),
        Parts("jumps back", 40, 1, 1, false, no, jumps_back, 9),
        Parts("one jump back", 200, 1, 1, false, no, one_jump_back, 60),
        Parts(
            "table of loops",
            400,
            1,
            1,
            false,
            no,
            table_of_loops,
            28_000,
        ),
        Parts("ifs that give", 400, 1, 1, false, no, ifs_that_give, 990),
        Parts(
            "blocks that are left",
            400,
            1,
            1,
            false,
            no,
            blocks_left,
            14_000,
        ),
        Parts(
            "few blocks that are left",
            4_000,
            1,
            1,
            false,
            no,
            blocks_left,
            300,
        ),
        Parts(
            "loops below ifs",
            400,
            1,
            1,
            false,
            no,
            loops_below_ifs,
            790,
        ),
        Parts("ref.func", 24, 1, 1, false, no, references, 60_000),
        Parts(
            "wide operands under ifs",
            24,
            30_000,
            1,
            false,
            no,
            wide_operands,
            14_000,
        ),
        Parts("breaks, few locals", 24, 12, 1, false, no, breaks, 28_000),
        Parts(
            "breaks, many locals",
            24,
            1_000,
            1,
            false,
            no,
            breaks,
            4_900,
        ),
        Parts("unused locals", 10_000, 19_990, 1, false, no, tiny, 0),
        Parts("tiny functions", 98_000, 0, 1, false, no, tiny, 0),
        Parts(
            "tiny functions in the table",
            98_000,
            0,
            1,
            true,
            no,
            tiny,
            0,
        ),
        Parts("tiny functions that call", 98_000, 0, 1, true, no, tiny, 1),
        Parts(
            "elses that compute again",
            24,
            1,
            1,
            false,
            no,
            elses_that_compute_again,
            990,
        ),
        Parts(
            "paths that compute again",
            24,
            1,
            1,
            false,
            no,
            paths_that_compute_again,
            9_000,
        ),
        Parts(
            "remainders that compute again",
            24,
            1,
            1,
            false,
            no,
            remainders_that_compute_again,
            9_000,
        ),
        Parts("bits by rules", 24, 1, 1, false, no, bits_by_rules, 15_000),
        Parts("rotations", 24, 300, 1, false, no, rotations, 20_000),
        Parts(
            "alive in a loop",
            24,
            1,
            1,
            false,
            no,
            alive_in_a_loop,
            14_000,
        ),
        Parts(
            "exits that compute again",
            24,
            1,
            1,
            false,
            no,
            exits_that_compute_again,
            9_000,
        ),
        Parts(
            "jumps that compute again",
            24,
            1,
            1,
            false,
            no,
            jumps_that_compute_again,
            9_000,
        ),
        Parts(
            "moved out of a loop",
            24,
            1,
            1,
            false,
            no,
            moved_out_of_a_loop,
            14_000,
        ),
        Parts(
            "rows through ifs",
            100,
            1,
            20,
            false,
            no,
            rows_through_ifs,
            2_400,
        ),
        Parts("data", 1, 1, 1, false, (60 << 20, 1), unary, 1),
        Parts("data segments", 1, 1, 1, false, (100, 95_000), unary, 1),
    ]
    .map(
        |Parts(name, functions, locals, width, in_table, data, body, count)| {
            (
                Shape {
                    name,
                    functions,
                    locals,
                    width,
                    in_table,
                    data,
                    body,
                },
                count,
            )
        },
    )
    .into()
}

/// Modules that are hard for what they declare: each type, and each function that can be called from outside, has an entrance that the
/// engine compiles.
pub fn declared() -> Vec<(&'static str, Vec<u8>)> {
    let kinds = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    let ty = |number: usize, values: usize| -> Vec<ValType> {
        (0..values as u32)
            .map(|value| kinds[(number >> (2 * value.min(15))) % kinds.len()])
            .collect()
    };
    let types = |count: usize, values: usize| {
        let mut section = TypeSection::new();
        section.ty().function([], []);
        for number in 0..count {
            section.ty().function(ty(number, values), []);
        }
        entered(&section, 0)
    };
    let functions = |count: u32, values: usize| {
        let mut section = TypeSection::new();
        section.ty().function([], []);
        section.ty().function(ty(0, values), []);
        entered(&section, count)
    };
    vec![
        ("types of 9 values", types(90_000, 9)),
        ("types of 90 values", types(10_000, 90)),
        ("types of 990 values", types(990, 990)),
        ("entrances of 90 values", functions(10_000, 90)),
        ("entrances of 990 values", functions(990, 990)),
    ]
}

/// A command with these types, and so many exported functions of the second one.
fn entered(types: &TypeSection, count: u32) -> Vec<u8> {
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("_start", ExportKind::Func, 0);
    for number in 0..=count {
        functions.function(u32::from(number > 0));
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        if number > 0 {
            exports.export(&number.to_string(), ExportKind::Func, number);
        }
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module
        .section(types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.finish()
}

impl Shape {
    /// The largest module of this kind that the profile lets in: with fewer copies until one function is accepted, then with as many
    /// functions as are. Gives it with its number of functions and of copies.
    pub fn largest(
        &self,
        most: u32,
        accepted: impl Fn(&[u8]) -> bool,
    ) -> Option<(Vec<u8>, u32, u32)> {
        let mut shape = Self {
            functions: 1,
            ..*self
        };
        let mut count = most;
        while !accepted(&shape.module(count)) {
            if count == 0 {
                return None;
            }
            count = count * 3 / 4;
        }
        let (mut within, mut beyond) = (1, self.functions + 1);
        while beyond - within > 1 {
            shape.functions = within + (beyond - within) / 2;
            match accepted(&shape.module(count)) {
                true => within = shape.functions,
                false => beyond = shape.functions,
            }
        }
        shape.functions = within;
        Some((shape.module(count), within, count))
    }

    /// The module, with `count` copies of what is repeated in a function.
    pub fn module(&self, count: u32) -> Vec<u8> {
        let mut types = TypeSection::new();
        let wide = vec![ValType::I64; self.width];
        types.ty().function([], []);
        types.ty().function(wide.clone(), []);
        types.ty().function([], wide.clone());
        types.ty().function(wide.clone(), wide);
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for ty in [NONE, TAKES, GIVES, PASSES] {
            functions.function(ty);
            let mut simple = Function::new([]);
            if ty != NONE {
                simple.instructions().unreachable();
            }
            simple.instructions().end();
            code.function(&simple);
        }
        let size = Size {
            locals: self.locals,
            width: self.width,
            count,
        };
        let body = self.body(&size);
        for _ in 0..self.functions {
            functions.function(NONE);
            code.function(&body);
        }
        let mut module = Module::new();
        module.section(&types).section(&functions);
        self.rest(&mut module);
        module.section(&code);
        let mut data = DataSection::new();
        for _ in 0..self.data.1 {
            data.passive(vec![7; self.data.0]);
        }
        module.section(&data);
        module.finish()
    }

    fn body(&self, size: &Size) -> Function {
        let locals = match self.locals {
            0 => vec![],
            locals => vec![
                (locals, ValType::I64),
                (1, ValType::I32),
                (1, ValType::F64),
                (1, ValType::V128),
            ],
        };
        let mut function = Function::new(locals);
        (self.body)(&mut function.instructions(), size);
        function.instructions().end();
        function
    }

    /// What comes between functions and code.
    fn rest(&self, module: &mut Module) {
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: 200_000,
            maximum: None,
            shared: false,
        });
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 16,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        for _ in 0..1_000 {
            let ty = GlobalType {
                val_type: ValType::I64,
                mutable: true,
                shared: false,
            };
            globals.global(ty, &ConstExpr::i64_const(1));
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("_start", ExportKind::Func, 0);
        let mut elements = ElementSection::new();
        let named = match self.in_table {
            true => (0..self.functions + SIMPLE).collect(),
            false => vec![0, 1, 2],
        };
        elements.active(
            Some(0),
            &ConstExpr::i32_const(0),
            Elements::Functions(named.into()),
        );
        module
            .section(&tables)
            .section(&memories)
            .section(&globals)
            .section(&exports)
            .section(&elements);
    }
}
