//! Which operators the compiler may compute wherever they are used.

/// Whether an operator is pure, by its code: it neither traps nor depends on anything but its arguments.
pub(super) fn is_pure(code: &[u8]) -> bool {
    match code.first() {
        // Selections and constants.
        Some(0x1b | 0x1c | 0x41..=0x44) => true,
        // Divisions, and conversions to integers, trap.
        Some(0x6d..=0x70 | 0x7f..=0x82 | 0xa8..=0xab | 0xae..=0xb1) => false,
        Some(0x45..=0xc4) => true,
        // References.
        Some(0xd0 | 0xd1) => true,
        // Conversions that saturate.
        Some(0xfc) => second(code) < 8,
        // Vectors, without loads and stores.
        Some(0xfd) => !matches!(second(code), 0..=11 | 84..=93),
        _ => false,
    }
}

/// The number behind a prefix.
fn second(code: &[u8]) -> u32 {
    let mut number = 0;
    for (at, byte) in code.iter().skip(1).take(5).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_traps_or_touches_memory_is_not_pure() {
        let pure: [&[u8]; 7] = [
            &[0x7c],
            &[0x41, 5],
            &[0x1b],
            &[0xfc, 7],
            &[0xfd, 12],
            &[0xfd, 0xe4, 1],
            &[0xfc, 0x82, 0x80, 0],
        ];
        let not: [&[u8]; 9] = [
            &[0x7f],
            &[0xa8],
            &[0x28],
            &[0x10],
            &[0x23],
            &[0xfc, 10],
            &[0xfd, 0],
            &[0xfd, 93],
            &[],
        ];
        for code in pure {
            assert!(is_pure(code), "{code:x?}");
        }
        for code in not {
            assert!(!is_pure(code), "{code:x?}");
        }
    }
}
