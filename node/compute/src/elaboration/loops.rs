//! Which locals the loops of a function change.

use wasmparser::{FunctionBody, Operator};

/// For each loop, in the order in which they begin, the locals that are assigned in it.
pub(super) fn assigned(body: &FunctionBody<'_>) -> Vec<Vec<u32>> {
    const LOOP: u8 = 0x03;
    let mut loops: Vec<Vec<u32>> = Vec::new();
    if !body.as_bytes().contains(&LOOP) {
        return loops;
    }
    // The loop of each open block, if it is one, and the innermost loop there.
    let mut open: Vec<(bool, Option<usize>)> = vec![(false, None)];
    let Ok(mut reader) = body.get_operators_reader() else {
        return loops;
    };
    // The main pass reports what is malformed.
    while let (false, Ok(operator)) = (reader.eof(), reader.read()) {
        let inner = open.last().and_then(|(_, inner)| *inner);
        match operator {
            Operator::Loop { .. } => {
                open.push((true, Some(loops.len())));
                loops.push(Vec::new());
            }
            Operator::Block { .. } | Operator::If { .. } => open.push((false, inner)),
            Operator::End => {
                let ended = open.pop();
                let outer = open.last().and_then(|(_, inner)| *inner);
                if let Some((true, Some(ended))) = ended {
                    close(&mut loops, ended, outer);
                }
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                if let Some(inner) = inner {
                    loops[inner].push(local_index);
                }
            }
            _ => {}
        }
    }
    loops
}

/// What an inner loop assigns, the outer one assigns too.
fn close(loops: &mut [Vec<u32>], ended: usize, outer: Option<usize>) {
    loops[ended].sort_unstable();
    loops[ended].dedup();
    if let Some(outer) = outer {
        let inner = std::mem::take(&mut loops[ended]);
        loops[outer].extend(&inner);
        loops[ended] = inner;
    }
}
