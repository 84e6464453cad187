//! What it takes to compute the value of a pure operator again, in units of effort: measured on chains of each.

/// For a floating-point value that is computed again, and a conversion.
pub(super) const FLOAT_AGAIN: u32 = 17_000;
/// For a vector, and a conversion that saturates.
pub(super) const VECTOR_AGAIN: u32 = 30_000;
/// For a division, which may become a product, shifts and sums.
pub(super) const DIVISION_AGAIN: u32 = 20_000;
/// For a selection or a count of zeros.
pub(super) const CHOICE_AGAIN: u32 = 8_000;
/// For another value.
pub(super) const INTEGER_AGAIN: u32 = 3_000;

/// What it takes to compute the value of a pure operator again, by the first byte of its code.
pub(super) fn weight(code: u8) -> u32 {
    match code {
        // Floating point: the compiler makes all NaN alike.
        0x8b..=0xbf => FLOAT_AGAIN,
        0xfc | 0xfd => VECTOR_AGAIN,
        0x6d..=0x70 | 0x7f..=0x82 => DIVISION_AGAIN,
        // Selections, leading and trailing zeros: several instructions.
        0x1b | 0x1c | 0x67 | 0x68 | 0x79 | 0x7a => CHOICE_AGAIN,
        _ => INTEGER_AGAIN,
    }
}
