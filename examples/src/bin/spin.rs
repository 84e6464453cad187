//! Never ends, to see what a ring makes of that: it agrees that the program ran out of fuel.

use std::hint::black_box;

fn main() {
    let mut number = 0u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}
