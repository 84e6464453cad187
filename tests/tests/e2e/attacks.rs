//! Programs that want to harm a member, and how each must end.

/// Memory that they get.
pub const MEMORY: u64 = 64 << 20;
/// Fuel that they get, unless they have less.
const FUEL: u64 = 300_000_000;
/// Fuel that pays for compiling the largest modules.
const FUEL_TO_COMPILE: u64 = 2_000_000_000;

/// How a hostile program ends.
#[derive(Debug, Clone)]
pub enum End {
    /// In output that is agreed, like any other.
    Output(Vec<u8>),
    /// In a failure that is agreed: its reason, and the trap's name.
    Failure(&'static str, Option<&'static str>),
    /// Before it is published, by a message with these words.
    Refused(&'static str),
}

/// A hostile program.
#[derive(Debug, Clone)]
pub struct Attack {
    /// What it tries.
    pub name: &'static str,
    /// The module.
    pub module: Vec<u8>,
    /// Fuel that it gets.
    pub fuel: u64,
    /// How it must end.
    pub end: End,
}

const FUEL_ENDS: End = End::Failure("fuel", None);

const SPIN: &str = "(loop (br 0))";
const FLOOD: &str = "(i32.store (i32.const 4) (i32.const 65536))
    (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))";
const READ_ON: &str = "(i32.store (i32.const 4) (i32.const 100))
    (loop (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))";
const RECURSION: &str =
    "(func $f (param i64) (result i64) (i64.add (call $f (local.get 0)) (i64.const 1)))";
/// Grows page by page and writes to each; then asks for more than there can be. Shows both answers.
const GROW: &str = "(local $at i32)
    (loop $more
        (local.set $at (memory.grow (i32.const 1)))
        (if (i32.ne (local.get $at) (i32.const -1)) (then
            (i32.store (i32.mul (local.get $at) (i32.const 65536)) (i32.const 7))
            (br $more))))
    (i32.store (i32.const 16) (memory.size))
    (i32.store (i32.const 20) (memory.grow (i32.const 65535)))
    (call $put (i32.const 16) (i32.const 8))";
const GROW_TABLE: &str = "(loop (br_if 0 (i32.ne (i32.const -1)
    (table.grow $table (ref.null func) (i32.const 1000)))))";
const NANS: &str = "
    (f64.store (i32.const 64) (f64.add (f64.const nan:0x123) (f64.const 1)))
    (f64.store (i32.const 72) (f64.reinterpret_i64 (i64.const 0xfff4000000000001)))
    (f64.store (i32.const 80) (f64.copysign (f64.const nan:0x4) (f64.const -1)))
    (v128.store (i32.const 88) (f32x4.div (v128.const f32x4 0 -0 nan:0x5 -nan:0x7) (v128.const f32x4 0 0 1 1)))
    (v128.store (i32.const 104) (f64x2.min (v128.const f64x2 nan:0x5 1) (v128.const f64x2 1 -nan:0x7)))
    (call $put (i32.const 64) (i32.const 56))";

/// The output of `NANS`: arithmetic gives the one canonical NaN, and instructions that only move bits keep them.
fn nans() -> Vec<u8> {
    let canonical = 0x7ff8_0000_0000_0000u64;
    let (doubles, singles) = (
        [canonical, 0xfff4_0000_0000_0001, 0xfff0_0000_0000_0004],
        [0x7fc0_0000u32; 4],
    );
    let mut bytes: Vec<u8> = doubles.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    bytes.extend(singles.iter().flat_map(|bits| bits.to_le_bytes()));
    bytes.extend([canonical; 2].iter().flat_map(|bits| bits.to_le_bytes()));
    bytes
}

/// A command with `rest` in it, whose `_start` has that body. `$put` writes to standard output.
fn module(pages: usize, rest: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") {pages})
        {rest}
        (func $put (param i32 i32)
            (i32.store (i32.const 0) (local.get 0))
            (i32.store (i32.const 4) (local.get 1))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func (export "_start") {body}))"#
    );
    wat::parse_str(text).unwrap()
}

/// Functions that every module here has.
const OWN_FUNCTIONS: usize = 2;
/// Pages of memory that are filled with data.
const FULL: usize = 512;

fn functions(all: usize) -> Vec<u8> {
    module(1, &"(func)".repeat(all - OWN_FUNCTIONS), "")
}

fn locals(all: usize) -> Vec<u8> {
    module(1, &format!("(func (local {}))", "i64 ".repeat(all)), "")
}

fn br_table(labels: usize) -> Vec<u8> {
    let labels = "0 1 ".repeat(labels / 2);
    let body = format!("(block (block (br_table {labels} 0 (i32.const 999999))))");
    module(1, "", &body)
}

/// Data for the whole memory, of which the last four bytes are shown.
fn full_of_data() -> Vec<u8> {
    let bytes = FULL << 16;
    let data = format!(r#"(data (i32.const 0) "{}ring")"#, "x".repeat(bytes - 4));
    let body = format!("(call $put (i32.const {}) (i32.const 4))", bytes - 4);
    module(FULL, &data, &body)
}

/// All of them.
pub fn all() -> Vec<Attack> {
    [running(), growing(), of_great_size()].concat()
}

/// The attacks that run until their limit, with this much fuel.
pub fn running_with(fuel: u64) -> Vec<Attack> {
    let given = running().into_iter();
    given.map(|attack| Attack { fuel, ..attack }).collect()
}

fn attack(name: &'static str, module: Vec<u8>, end: End) -> Attack {
    Attack {
        name,
        module,
        fuel: FUEL,
        end,
    }
}

fn running() -> Vec<Attack> {
    let start = "(func $spin (loop (br 0))) (start $spin)";
    vec![
        attack("infinite loop", module(1, "", SPIN), FUEL_ENDS),
        attack(
            "a start function that loops",
            module(1, start, ""),
            FUEL_ENDS,
        ),
        attack(
            "recursion without end",
            module(1, RECURSION, "(drop (call $f (i64.const 0)))"),
            End::Failure("trap", Some("stack-overflow")),
        ),
        attack("output without end", module(1, "", FLOOD), FUEL_ENDS),
        attack(
            "reading on after the end",
            module(1, "", READ_ON),
            FUEL_ENDS,
        ),
    ]
}

fn growing() -> Vec<Attack> {
    let pages = u32::try_from(MEMORY >> 16).unwrap();
    let grown = [pages.to_le_bytes(), [0xff; 4]].concat();
    vec![
        attack(
            "memory to the limit and past it",
            module(1, "", GROW),
            End::Output(grown),
        ),
        attack(
            "a table that grows without end",
            module(1, "(table $table 0 funcref)", GROW_TABLE),
            End::Output(vec![]),
        ),
        attack(
            "a table of 10,000,000 elements",
            module(1, "(table 10000000 funcref)", ""),
            End::Refused("10000000 table elements; at most 1000000"),
        ),
        attack(
            "data that fills the memory",
            full_of_data(),
            End::Output(b"ring".to_vec()),
        ),
        attack(
            "NaNs with payloads",
            module(1, "", NANS),
            End::Output(nans()),
        ),
    ]
}

fn of_great_size() -> Vec<Attack> {
    let large = [
        attack("100,000 functions", functions(100_000), End::Output(vec![])),
        attack(
            "a br_table of 10,000 labels",
            br_table(10_000),
            End::Output(vec![]),
        ),
    ];
    let paid = large.into_iter().map(|attack| Attack {
        fuel: FUEL_TO_COMPILE,
        ..attack
    });
    let unpaid = [
        attack(
            "100,000 functions that are not paid for",
            functions(100_000),
            FUEL_ENDS,
        ),
        attack(
            "100,001 functions",
            functions(100_001),
            End::Refused("100001 functions; at most 100000"),
        ),
        attack(
            "50,000 locals",
            locals(50_000),
            End::Refused("50000 locals in one function; at most 20000"),
        ),
        attack("20,000 locals", locals(20_000), End::Output(vec![])),
        attack(
            "a br_table of a million labels",
            br_table(1_000_000),
            End::Refused("labels in one br_table; at most 65520"),
        ),
        attack(
            "as many labels as may be, at two places",
            br_table(65_520),
            End::Refused("units of effort to compile; at most 40000000000"),
        ),
    ];
    paid.chain(unpaid).collect()
}
