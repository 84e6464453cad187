//! How large a program may be, part by part.
//!
//! Each bound limits something that the module's author decides and a member pays for, mostly the memory and the time
//! of the compiler. They are part of the profile: a module beyond one of them is the failure `input`.

/// Largest module, in bytes.
pub const MAX_MODULE_BYTES: usize = 64 << 20;
/// Most functions that a module may define.
pub const MAX_FUNCTIONS: usize = 100_000;
/// Largest body of one function, in bytes.
pub const MAX_FUNCTION_BYTES: usize = 1 << 20;
/// Most locals of one function, parameters not counted.
pub const MAX_FUNCTION_LOCALS: u32 = 20_000;
/// Deepest nesting of `if` and `loop` in one function: the compiler's time grows with its square. Plain blocks are not
/// counted, because compilers make thousands of them for one `switch`.
pub const MAX_NESTING: usize = 1_000;
/// Deepest nesting of `loop` in one function: the compiler goes through all loops again for each jump back to one of them.
pub const MAX_NESTED_LOOPS: u64 = 200;
/// Most operators of one function.
pub const MAX_FUNCTION_OPERATORS: u64 = 200_000;
/// Most values that the calls, blocks and jumps of one function take and give, all added up: the compiler keeps each.
pub const MAX_MOVED_VALUES: u64 = 100_000;
/// Most blocks and branches of one function, an `if` counted twice: the compiler keeps much more for one than for another
/// operator.
pub const MAX_JOINS: u64 = 30_000;
/// Most locals of a function (with its parameters) times its blocks and branches: at each of them the compiler has to
/// find out where each local got its value.
pub const MAX_JOINED_LOCALS: u64 = 5_000_000;
/// Most locals of a function (with its parameters) times its deepest nesting: each loop may change each local.
pub const MAX_NESTED_LOCALS: u64 = 100_000;
/// Most `table.copy`, `table.init`, `table.grow` and `table.fill` of one function: the compiler's memory grows with them.
pub const MAX_TABLE_OPERATIONS: u64 = 4_000;
/// Most labels of one `br_table`: what the compiler can encode.
pub const MAX_LABELS: u32 = 65_520;
/// Most values that are alive at the blocks and branches of one function, all added up: the compiler keeps each.
pub const MAX_ALIVE: u64 = 10_000_000;
/// Most entries in the lists that the compiler keeps for the values that blocks of one function take and give: for each value one
/// for each basic block before its block's end. An entry has 4 bytes, and 8 while a list grows.
pub const MAX_LABEL_ENTRIES: u64 = 50_000_000;
/// Most effort of computing values of one function again, in the same units: with it go about 0.3 bytes of the compiler's memory
/// for each unit.
pub const MAX_AGAIN: u64 = 1_400_000_000;
/// Most values that are followed in one function: one for each operator that gives one, and for each local that differs where paths
/// meet. The check keeps 32 bytes for each.
pub const MAX_VALUES: u64 = 2_000_000;
/// Most memory that compiling one function takes, in thousandths of what each of the bounds on memory above allows by itself.
pub const MAX_SHARES: u64 = 1_500;
/// Most effort of compiling the module, in units of about a nanosecond of one core.
pub const MAX_EFFORT: u64 = 40_000_000_000;
/// Most types.
pub const MAX_TYPES: u64 = 100_000;
/// Most parameters and results of all types together, and of all functions together.
pub const MAX_SIGNATURE_VALUES: u64 = 1_000_000;
/// Most imports.
pub const MAX_IMPORTS: u64 = 1_000;
/// Most exports.
pub const MAX_EXPORTS: u64 = 100_000;
/// Most globals.
pub const MAX_GLOBALS: u64 = 100_000;
/// Most elements of all element segments together.
pub const MAX_SEGMENT_ELEMENTS: u64 = 1_000_000;
/// Most first values of memory, tables and globals that the engine computes by code: segments of data and of tables that it cannot
/// turn into images, their elements, and globals that do not begin as numbers. It compiles all of them as one function.
pub const MAX_COMPUTED: u64 = 20_000;
/// Most elements of all tables together.
pub const MAX_TABLE_ELEMENTS: u64 = 1_000_000;
/// Most stack that an operation can grant, in bytes as the program's own counter counts them.
pub const MAX_STACK: u64 = 16 << 20;
/// Most linear memory that a program can have: what 32-bit addresses reach.
pub(crate) const MAX_MEMORY: u64 = 1 << 32;
/// [`MAX_MEMORY`] in pages.
pub(crate) const MAX_PAGES: i32 = (MAX_MEMORY / PAGE) as i32;
/// Bytes in a page of linear memory.
pub(crate) const PAGE: u64 = 64 * 1024;
/// How many bytes of the machine's stack there are for each byte of the program's. No frame is larger than this many
/// times what it costs. A frame holds what the compiler keeps: at most each parameter, local and operand (twice, where
/// they are passed on), and one value of 16 bytes for each operator, whose cost is one byte.
pub(crate) const STACK_FACTOR: usize = 16;
/// Stack of the machine behind the program's, in bytes. Memory is taken only for the part that a program uses.
pub(crate) const MACHINE_STACK: usize = STACK_FACTOR * MAX_STACK as usize;
/// Stack of the thread that runs a program: the program's, and room for the host functions that it calls.
pub(crate) const RUN_STACK: usize = MACHINE_STACK + (4 << 20);
