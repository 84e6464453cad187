#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rings_fuzz::sync(bytes));
