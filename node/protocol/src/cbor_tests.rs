use super::*;
use proptest::prelude::*;

#[test]
fn a_length_is_believed_only_as_far_as_the_bytes_reach() {
    let bomb = [0x9b, 0, 0, 0, 1, 0, 0, 0, 0];
    let error = Reader::new(&bomb).list(usize::MAX, 1);
    assert!(matches!(error, Err(CborError::TooMany { .. })));
    let bytes = [0x5a, 0xff, 0xff, 0xff, 0xff];
    assert!(Reader::new(&bytes).bytes(usize::MAX).is_err());
}

#[test]
fn longer_forms_and_indefinite_lengths_are_refused() {
    for bytes in [
        &[0x18, 23][..],
        &[0x19, 0, 255],
        &[0x1a, 0, 0, 255, 255],
        &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
        &[0x1f],
        &[0x1c],
    ] {
        let error = Reader::new(bytes).uint();
        assert_eq!(error, Err(CborError::NotShortest { at: 0 }), "{bytes:x?}");
    }
    assert!(Reader::new(&[0x9f, 0xff]).list(9, 1).is_err());
}

proptest! {
    /// The widely used library writes the same bytes, and reads ours.
    #[test]
    fn integers_texts_and_bytes_are_as_others_write_them(number: u64, text: String, bytes: Vec<u8>) {
        let theirs = serde_ipld_dagcbor::to_vec(&(number, &text, serde_bytes::Bytes::new(&bytes))).unwrap();
        let mut writer = Writer::default();
        writer.list(3).uint(number).text(&text).bytes(&bytes);
        prop_assert_eq!(&writer.finish(), &theirs);
        let mut reader = Reader::new(&theirs);
        reader.tuple(3).unwrap();
        prop_assert_eq!(reader.uint().unwrap(), number);
        prop_assert_eq!(reader.text(usize::MAX).unwrap(), text);
        prop_assert_eq!(reader.bytes(usize::MAX).unwrap(), bytes);
        reader.end().unwrap();
    }

    /// Whatever the bytes are, a reader takes no more than there is and never panics.
    #[test]
    fn anything_can_be_read(bytes: Vec<u8>) {
        let mut reader = Reader::new(&bytes);
        for step in 0..bytes.len() {
            let _ = match step % 5 {
                0 => reader.uint().is_ok(),
                1 => reader.text(64).is_ok(),
                2 => reader.list(64, 1).is_ok(),
                3 => reader.link_or_null().is_ok(),
                _ => reader.bytes(64).is_ok(),
            };
            prop_assert!(reader.at() <= bytes.len());
        }
    }
}
