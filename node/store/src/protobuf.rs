//! The part of the protobuf wire format that dag-pb and UnixFS need.
//!
//! `Fields` goes through a message and gives each field's number and [`Value`]; [`put_varint`] appends a number.
//! Numbers must have their shortest encoding: no writer of these formats pads numbers, and with padding one content
//! would have many encodings. Wire types that the two formats do not use are refused, and no length is believed beyond
//! the end of the block.

/// Most bytes of a varint of 64 bits.
const VARINT_BYTES: usize = 10;

/// What stands in one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order they stand.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Of this message.
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn next_field(&mut self) -> Result<(u64, Value<'a>), &'static str> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            2 => Value::Bytes(self.bytes()?),
            _ => return Err("a wire type that its format does not use"),
        };
        Ok((tag >> 3, value))
    }

    /// A number in groups of seven bits, the lowest first. A longer form of the same number is refused, so that each has
    /// one encoding.
    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0u64;
        for index in 0..VARINT_BYTES {
            let (byte, rest) = self.rest.split_first().ok_or("a number that ends early")?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if index == VARINT_BYTES - 1 && bits > 1 {
                break;
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                let is_padded = index > 0 && *byte == 0;
                return match is_padded {
                    true => Err("a number that is padded"),
                    false => Ok(value),
                };
            }
        }
        Err("a number of more than 64 bits")
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = usize::try_from(self.varint()?).map_err(|_| "a field longer than memory")?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or("a field longer than the block")?;
        self.rest = rest;
        Ok(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Appends `value` as a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, and the mark that more follow.
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, &'static str> {
        Fields::of(message).collect()
    }

    #[test]
    fn fields_come_in_order() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i'];
        assert_eq!(
            all(&message),
            Ok(vec![(1, Value::Varint(150)), (2, Value::Bytes(b"hi"))])
        );
        assert_eq!(all(&[]), Ok(vec![]));
    }

    #[test]
    fn what_ends_early_or_overflows_is_refused() {
        for message in [
            &[0x08][..],
            &[0x12, 0x05, b'x'],
            &[0x80],
            &[0x0d, 0, 0, 0, 0],
            &[0x09],
        ] {
            assert!(all(message).is_err(), "{message:x?}");
        }
        let mut long = vec![0x08];
        long.extend([0xff; 9]);
        long.push(0x02);
        assert!(all(&long).is_err());
        *long.last_mut().unwrap() = 0x01;
        assert_eq!(all(&long), Ok(vec![(1, Value::Varint(u64::MAX))]));
    }

    #[test]
    fn padded_numbers_are_refused() {
        for padded in [
            &[0x08, 0x80, 0x00][..],
            &[0x88, 0x00, 0x01],
            &[0x12, 0x81, 0x00, 0x07],
        ] {
            assert!(all(padded).is_err(), "{padded:x?}");
        }
        assert_eq!(all(&[0x08, 0x00]), Ok(vec![(1, Value::Varint(0))]));
    }

    proptest! {
        #[test]
        fn a_varint_reads_as_it_was_written(value: u64) {
            let mut bytes = vec![0x08];
            put_varint(&mut bytes, value);
            prop_assert_eq!(all(&bytes), Ok(vec![(1, Value::Varint(value))]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            for _ in Fields::of(&bytes) {}
        }
    }
}
