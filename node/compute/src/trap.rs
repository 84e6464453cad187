//! The names of traps in a failure record. They are part of results, so they are fixed here and do not follow the words
//! of an engine.

/// The trap of a recursion without end.
pub(crate) const STACK_TRAP: &str = "stack-overflow";
/// The trap of a program that writes more than its operation allows.
pub const OUTPUT_TRAP: &str = "output-limit";
/// The trap of an `unreachable` instruction.
pub(crate) const UNREACHABLE: &str = "unreachable";
/// The trap of a load or store outside of memory.
pub(crate) const MEMORY_BOUNDS: &str = "memory-out-of-bounds";
/// The trap of an index outside of a table.
pub(crate) const TABLE_BOUNDS: &str = "table-out-of-bounds";
/// The trap of an indirect call to an empty place of a table.
pub(crate) const NULL_CALL: &str = "indirect-call-to-null";
/// The trap of an indirect call to a function of another type.
pub(crate) const TYPE_MISMATCH: &str = "indirect-call-type-mismatch";
/// The trap of a division whose result does not fit.
pub(crate) const INTEGER_OVERFLOW: &str = "integer-overflow";
/// The trap of a division by zero.
pub(crate) const DIVISION_BY_ZERO: &str = "integer-division-by-zero";
/// The trap of a conversion of a NaN, or of a number that does not fit.
pub(crate) const BAD_CONVERSION: &str = "bad-conversion-to-integer";

/// All of them.
const NAMES: &[&str] = &[
    STACK_TRAP,
    OUTPUT_TRAP,
    UNREACHABLE,
    MEMORY_BOUNDS,
    TABLE_BOUNDS,
    NULL_CALL,
    TYPE_MISMATCH,
    INTEGER_OVERFLOW,
    DIVISION_BY_ZERO,
    BAD_CONVERSION,
];

/// The trap of that name, given any copy of the name.
pub(crate) fn trap_name(name: &str) -> Option<&'static str> {
    NAMES.iter().copied().find(|known| *known == name)
}
