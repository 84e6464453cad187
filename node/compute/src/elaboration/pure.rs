//! Which operators the compiler may compute wherever they are used, and which need an operand in just the form that it has.

/// What the compiler may do with an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It neither traps nor depends on anything but its arguments, or may turn out so: a division by a constant becomes products
    /// and shifts.
    Pure,
    /// It is computed where it stands. What it needs may be another form of its operands, or not be needed.
    Loose,
    /// As `Loose`, but it passes its topmost operand on as it is: to memory or to a global.
    Stores,
    /// It passes all operands on as they are: a call.
    Calls,
    /// The topmost says whom to call; it passes on the others.
    CallsIndirectly,
}

impl Class {
    /// Of that many operands, from the top: how many it may need in another form, then how many as they are, and then again.
    pub(super) fn operands(self, takes: u32) -> [u32; 3] {
        match self {
            Self::Pure | Self::Loose => [takes, 0, 0],
            Self::Stores => [0, takes.min(1), takes.saturating_sub(1)],
            Self::Calls => [0, takes, 0],
            Self::CallsIndirectly => [takes.min(1), takes.saturating_sub(1), 0],
        }
    }
}

/// What an operator is, by its code.
pub(super) fn class_of(code: &[u8]) -> Class {
    match code.first() {
        // Selections and constants.
        Some(0x1b | 0x1c | 0x41..=0x44) => Class::Pure,
        // Conversions of floating-point numbers to integers trap.
        Some(0xa8..=0xab | 0xae..=0xb1) => Class::Loose,
        Some(0x45..=0xc4) => Class::Pure,
        // References.
        Some(0xd0 | 0xd1) => Class::Pure,
        // Conversions that saturate.
        Some(0xfc) if second(code) < 8 => Class::Pure,
        // Vectors, without loads and stores.
        Some(0xfd) if !matches!(second(code), 0..=11 | 84..=93) => Class::Pure,
        // A store of all bits of a value; shorter ones need less of it.
        Some(0x24 | 0x36..=0x39) => Class::Stores,
        Some(0xfd) if second(code) == 11 => Class::Stores,
        Some(0x10) => Class::Calls,
        Some(0x11) => Class::CallsIndirectly,
        _ => Class::Loose,
    }
}

/// Pure operators for which the compiler tries many rules when they take each other's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Hardly any rules.
    Other,
    /// Sums, products and shifts of integers.
    Arithmetic,
    /// Rotations.
    Rotation,
    /// `and`, `or` and `xor`.
    Bitwise,
    /// From one type or width to another.
    Conversion,
}

impl Family {
    /// By the first byte of the operator's code.
    pub(super) fn of(code: u8) -> Self {
        match code {
            0x71..=0x73 | 0x83..=0x85 => Self::Bitwise,
            0x77 | 0x78 | 0x89 | 0x8a => Self::Rotation,
            0x6a..=0x8a => Self::Arithmetic,
            0xa7 | 0xac | 0xad | 0xb2..=0xc4 => Self::Conversion,
            _ => Self::Other,
        }
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
        // With a division, which may be one by a constant.
        let pure: [&[u8]; 8] = [
            &[0x7c],
            &[0x7f],
            &[0x41, 5],
            &[0x1b],
            &[0xfc, 7],
            &[0xfd, 12],
            &[0xfd, 0xe4, 1],
            &[0xfc, 0x82, 0x80, 0],
        ];
        let not: [&[u8]; 8] = [
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
            assert_eq!(class_of(code), Class::Pure, "{code:x?}");
        }
        for code in not {
            assert_ne!(class_of(code), Class::Pure, "{code:x?}");
        }
    }

    #[test]
    fn only_what_is_passed_on_whole_is_needed_as_it_is() {
        let firm = |code: &[u8], takes| class_of(code).operands(takes)[1];
        // i64.store, global.set, v128.store; a call, and one through a table.
        assert_eq!(firm(&[0x37], 2), 1);
        assert_eq!(firm(&[0x24], 1), 1);
        assert_eq!(firm(&[0xfd, 11], 2), 1);
        assert_eq!(firm(&[0x10], 3), 3);
        assert_eq!(firm(&[0x11], 3), 2);
        // i64.store8, i64.load.
        assert_eq!(firm(&[0x3c], 2), 0);
        assert_eq!(firm(&[0x29], 1), 0);
    }
}
