//! Programs that others have written, unchanged: what a worker gives is what the same program gives natively.
//!
//! Where they are missing they are built first (`examples/build-foreign`), which takes minutes.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests may panic as the tests do, and show figures.

mod common;

use bytes::Bytes;
use common::{input, pool_with, task, WALL_LIMIT};
use rings_compute::{check_module, HashedOutput, Opinion, Pool};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// A text with words in several scripts, long lines and numbers.
fn text() -> Vec<u8> {
    let line = |number: u32| {
        let word = [
            "ring",
            "na\u{ef}ve",
            "\u{440}\u{438}\u{43d}\u{433}",
            "don't",
            "vote",
        ][number as usize % 5];
        format!(
            "{number} {word} {} {}\n",
            number.wrapping_mul(2_654_435_761),
            "x".repeat(number as usize % 37)
        )
    };
    (0..5_000).map(line).collect::<String>().into_bytes()
}

/// A database in memory: joins, windows, recursion, JSON, floating point, text functions.
const SQL: &str = include_str!("../../../examples/foreign/members.sql");

struct Case {
    program: &'static str,
    args: &'static [&'static str],
    input: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let case = |program, args, input| Case {
        program,
        args,
        input,
    };
    vec![
        case("choose", &["1", "0"][..], text()),
        case("choose", &["-f", "[xn]+", "0:2"], text()),
        case("choose", &["no", "such", "choice"], text()),
        case("hexyl", &["--color=never"], text()),
        case("hexyl", &["--plain", "--length=300", "--skip=17"], text()),
        case("words", &[], text()),
        case("query", &[], SQL.into()),
        case(
            "query",
            &[],
            b"select 1;\nselect nonsense from nowhere;\n".to_vec(),
        ),
        case("deflate", &[], text()),
        case("deflate", &["-d"], natively("deflate", &[], &text()).1),
        case("deflate", &["-d"], b"this is no gzip file".to_vec()),
    ]
}

fn built() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/target/foreign")
}

/// Exit status and output of the same program on this machine.
fn natively(program: &str, args: &[&str], input: &[u8]) -> (i32, Vec<u8>) {
    let mut child = Command::new(built().join("native").join(program))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // A program that fails may not read all of it.
    let writing = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    (output.status.code().unwrap(), output.stdout)
}

async fn check(pool: &Pool, case: &Case) {
    let Case {
        program,
        args,
        input: bytes,
    } = case;
    let module = fs::read(built().join(format!("wasm/{program}.wasm"))).unwrap();
    assert_eq!(check_module(&module), Ok(()), "{program}");
    let mut task = task(&module);
    task.program = (*program).into();
    task.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    task.limits.memory = 256 << 20;
    let (mut output, source) = (Vec::new(), Bytes::from(module));
    let mut hashed = HashedOutput::new(&mut output);
    let started = Instant::now();
    let outcome = pool
        .run(&task, source.clone(), input(bytes), &mut hashed)
        .await
        .unwrap();
    let elapsed = started.elapsed();
    let first = hashed.witness(outcome);
    let status = match &first.outcome.result {
        Ok(()) => 0,
        Err(failure) => match failure.reason {
            rings_compute::Reason::Exit { code } => code as i32,
            reason => panic!("{program} {args:?}: {reason}"),
        },
    };
    let (native_status, native) = natively(program, args, bytes);
    assert_eq!(status, native_status, "{program} {args:?}");
    // Of a run that failed, a ring keeps no output.
    if status == 0 {
        assert!(
            output == native,
            "{program} {args:?} gives other bytes than natively"
        );
        assert!(!output.is_empty());
    }
    let opinion = pool
        .second_opinion(&task, source.clone(), input(bytes), &first)
        .await
        .unwrap();
    assert_eq!(opinion, Opinion::Agrees, "{program} {args:?}");
    println!(
        "{program} {args:?}: {} KB module, {elapsed:?}, {} fuel, {} KiB of memory, {} bytes; as natively, and the second engine agrees",
        source.len() / 1000,
        first.outcome.fuel,
        first.outcome.memory >> 10,
        first.outcome.output
    );
}

#[tokio::test]
async fn programs_of_others_give_the_bytes_that_they_give_natively() {
    // Not by way of the directory that it makes: that may not be there yet.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/build-foreign");
    let status = Command::new(script).status().unwrap();
    assert!(status.success(), "examples/build-foreign: {status}");
    let cache = tempfile::tempdir().unwrap();
    let pool = pool_with(1, Some(cache.path().into()), WALL_LIMIT);
    for case in cases() {
        check(&pool, &case).await;
    }
    pool.shutdown().await;
}
