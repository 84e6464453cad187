use super::{functions::FUNCTIONS, import_names, signature, signatures::SIGNATURES};
use crate::fixture::{compiling, run, run_with_state, shown, start, task};
use crate::{
    costs::{BLOCK_FUEL, BYTE_FUEL, CALL_FUEL, ITEM_FUEL},
    Reason,
};
use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha20Rng,
};
use rings_protocol::operation::STDERR_TAIL;

const BADF: u32 = 8;
const FAULT: u32 = 21;
const INVAL: u32 = 28;
const NOSYS: u32 = 52;
const SPIPE: u32 = 70;

#[test]
fn all_functions_of_the_standard_are_there() {
    assert_eq!(import_names().count(), 46);
    for known in FUNCTIONS {
        assert!(signature(known.name).is_some(), "{}", known.name);
    }
}

#[test]
fn functions_for_files_sockets_and_processes_answer_nosys() {
    let absent: Vec<_> = SIGNATURES
        .iter()
        .filter(|signature| !FUNCTIONS.iter().any(|entry| entry.name == signature.name))
        .collect();
    assert_eq!(absent.len(), 46 - 19);
    for signature in absent {
        let zeros: String = signature
            .params()
            .iter()
            .map(|ty| format!("({ty}.const 0)"))
            .collect();
        let body = format!("(call $show (call ${} {zeros}))", signature.name);
        assert_eq!(shown(&body, b""), [NOSYS], "{}", signature.name);
    }
}

#[test]
fn arguments_are_the_programs_name_and_what_follows() {
    let module = start(
        "(call $show (call $args_sizes_get (i32.const 0) (i32.const 4)))
         (call $show (i32.load (i32.const 0)))
         (call $show (i32.load (i32.const 4)))
         (call $show (call $args_get (i32.const 8) (i32.const 100)))
         (call $show (i32.load (i32.const 8)))
         (call $show (i32.load (i32.const 12)))
         (call $put (i32.const 100) (i32.const 9))",
    );
    let mut task = task(&module);
    task.args = vec!["a\u{e9}".into()];
    let (_, output) = run(&module, &task, b"").unwrap();
    let expected: Vec<u8> = [0u32, 2, 9, 0, 100, 105]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .chain(*b"test\0a\xc3\xa9\0")
        .collect();
    assert_eq!(output, expected);
}

#[test]
fn the_environment_is_empty() {
    let body = "(i32.store (i32.const 0) (i32.const 9))
        (call $show (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (call $show (i32.load (i32.const 0)))
        (call $show (i32.load (i32.const 4)))
        (call $show (call $environ_get (i32.const 0) (i32.const 4)))";
    assert_eq!(shown(body, b""), [0, 0, 0, 0]);
}

#[test]
fn every_clock_shows_the_blocks_time_and_stands_still() {
    for clock in 0..4 {
        let body = format!(
            "(call $show (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const 0)))
             (call $show (i32.wrap_i64 (i64.div_u (i64.load (i32.const 0)) (i64.const 1000000000))))
             (drop (call $clock_time_get (i32.const {clock}) (i64.const 0) (i32.const 8)))
             (call $show (i64.eq (i64.load (i32.const 0)) (i64.load (i32.const 8))))
             (call $show (call $clock_res_get (i32.const {clock}) (i32.const 0)))
             (call $show (i32.wrap_i64 (i64.load (i32.const 0))))"
        );
        assert_eq!(shown(&body, b""), [0, 1_700_000_000, 1, 0, 1_000_000_000]);
    }
    let body = "(call $show (call $clock_time_get (i32.const 4) (i64.const 0) (i32.const 0)))
        (call $show (call $clock_res_get (i32.const -1) (i32.const 0)))";
    assert_eq!(shown(body, b""), [INVAL, INVAL]);
}

#[test]
fn random_bytes_are_the_stream_of_the_seed() {
    let module = start(
        "(drop (call $random_get (i32.const 0) (i32.const 64)))
         (drop (call $random_get (i32.const 64) (i32.const 64)))
         (call $put (i32.const 0) (i32.const 128))",
    );
    let mut expected = vec![0; 128];
    ChaCha20Rng::from_seed([7; 32]).fill_bytes(&mut expected);
    let (_, output) = run(&module, &task(&module), b"").unwrap();
    assert_eq!(output, expected);
}

#[test]
fn reading_fills_all_buffers_and_is_short_only_at_the_end() {
    let vectors =
        "(i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 3))
        (i32.store (i32.const 8) (i32.const 200)) (i32.store (i32.const 12) (i32.const 4))";
    let read =
        "(call $show (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 16)))
        (call $show (i32.load (i32.const 16)))";
    let body = format!("{vectors}{read}{read}{read}(call $show (i32.load (i32.const 200)))");
    let last = u32::from_le_bytes(*b"defg");
    assert_eq!(shown(&body, b"abcdefghi"), [0, 7, 0, 2, 0, 0, last]);
}

#[test]
fn pieces_of_the_input_cannot_be_seen() {
    // One read of 65,000 bytes, whatever the source's pieces are.
    let module = start(
        "(i32.store (i32.const 65520) (i32.const 0)) (i32.store (i32.const 65524) (i32.const 50000))
         (drop (call $fd_read (i32.const 0) (i32.const 65520) (i32.const 1) (i32.const 65528)))
         (call $show (i32.load (i32.const 65528)))",
    );
    struct Dripping(usize);
    impl std::io::Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.min(7);
            self.0 -= length;
            buffer[..length].fill(b'x');
            Ok(length)
        }
    }
    let output = crate::fixture::Kept::default();
    let mut local = crate::Local::new().unwrap();
    let slow = local
        .run(&task(&module), &module, Dripping(60_000), output.clone())
        .unwrap();
    let (fast, written) = run(&module, &task(&module), &[b'x'; 60_000]).unwrap();
    assert_eq!(slow, fast);
    assert_eq!(written, 50_000u32.to_le_bytes());
}

#[test]
fn the_streams_have_their_directions() {
    let body = "(i32.store (i32.const 4) (i32.const 0))
        (call $show (call $fd_read (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
        (call $show (call $fd_write (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
        (call $show (call $fd_read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 16)))
        (call $show (call $fd_write (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 16)))";
    assert_eq!(shown(body, b""), [BADF; 4]);
}

#[test]
fn a_closed_descriptor_is_gone() {
    let body = "(call $show (call $fd_close (i32.const 0)))
        (call $show (call $fd_close (i32.const 0)))
        (call $show (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16)))
        (call $show (call $fd_close (i32.const 3)))";
    assert_eq!(shown(body, b"x"), [0, BADF, BADF, BADF]);
}

/// Copies descriptor `from` to descriptor `to`, a hundred bytes at most.
fn copying(from: u32, to: u32) -> String {
    format!(
        "(i32.store (i32.const 0) (i32.const 200)) (i32.store (i32.const 4) (i32.const 100))
        (call $show (call $fd_read (i32.const {from}) (i32.const 0) (i32.const 1) (i32.const 16)))
        (i32.store (i32.const 4) (i32.load (i32.const 16)))
        (call $show (call $fd_write (i32.const {to}) (i32.const 0) (i32.const 1) (i32.const 16)))"
    )
}

#[test]
fn a_state_is_read_on_3_and_the_next_is_written_on_4() {
    let module = start(&(copying(3, 4) + &copying(0, 4)));
    let mut task = task(&module);
    task.state = true;
    let (outcome, output, next) = run_with_state(&module, &task, b", more", b"before").unwrap();
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(output, [0; 16], "four times success");
    assert_eq!(next, b"before, more");
    assert_eq!(outcome.output, 16 + 12);
    // Together they are bounded.
    task.limits.output = 16 + 11;
    let (outcome, _, _) = run_with_state(&module, &task, b", more", b"before").unwrap();
    let trap = crate::OUTPUT_TRAP;
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Trap { trap });
}

#[test]
fn a_state_has_its_directions_and_is_not_there_unasked() {
    let body =
        "(call $show (call $fd_read (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 16)))
        (call $show (call $fd_write (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 16)))
        (call $show (call $fd_fdstat_get (i32.const 3) (i32.const 0)))
        (call $show (call $fd_read (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 16)))
        (call $show (call $fd_write (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 16)))
        (call $show (call $fd_close (i32.const 4)))
        (call $show (call $fd_write (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 16)))";
    assert_eq!(shown(body, b""), [BADF; 7]);
    let module = start(body);
    let mut task = task(&module);
    task.state = true;
    let (_, output, next) = run_with_state(&module, &task, b"", b"x").unwrap();
    let answers: Vec<_> = output.chunks(4).map(|word| u32::from(word[0])).collect();
    assert_eq!(answers, [BADF, BADF, 0, 0, 0, 0, BADF]);
    assert!(next.is_empty());
}

#[test]
fn streams_are_no_files_and_no_terminals() {
    let body =
        "(call $show (call $fd_seek (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
        (call $show (call $fd_tell (i32.const 1) (i32.const 0)))
        (call $show (call $fd_seek (i32.const 3) (i64.const 0) (i32.const 0) (i32.const 0)))
        (call $show (call $fd_prestat_get (i32.const 3) (i32.const 0)))
        (call $show (call $fd_prestat_dir_name (i32.const 3) (i32.const 0) (i32.const 0)))
        (call $show (call $fd_fdstat_get (i32.const 0) (i32.const 0)))
        (call $show (i32.load (i32.const 0)))
        (call $show (i32.load (i32.const 8)))
        (call $show (call $fd_fdstat_get (i32.const 1) (i32.const 0)))
        (call $show (i32.load (i32.const 8)))
        (call $show (call $fd_fdstat_get (i32.const 3) (i32.const 0)))
        (call $show (call $fd_filestat_get (i32.const 2) (i32.const 0)))
        (call $show (i32.load (i32.const 16)))
        (call $show (i32.load (i32.const 24)))
        (call $show (call $fd_filestat_get (i32.const 9) (i32.const 0)))";
    let poll_and_stat = (1 << 27) | (1 << 21);
    let (read, write) = (poll_and_stat | 2, poll_and_stat | 64);
    assert_eq!(
        shown(body, b""),
        [SPIPE, SPIPE, BADF, BADF, BADF, 0, 0, read, 0, write, BADF, 0, 0, 1, BADF]
    );
}

#[test]
fn every_pointer_is_checked_and_nothing_moves_when_one_is_wrong() {
    for (call, name) in [
        ("$args_sizes_get (i32.const 65533) (i32.const 0)", "count"),
        ("$args_get (i32.const 0) (i32.const 65534)", "text"),
        ("$environ_sizes_get (i32.const -1) (i32.const 0)", "environ"),
        (
            "$clock_time_get (i32.const 0) (i64.const 0) (i32.const 65529)",
            "time",
        ),
        ("$clock_res_get (i32.const 0) (i32.const -4)", "resolution"),
        ("$fd_fdstat_get (i32.const 0) (i32.const 65513)", "fdstat"),
        (
            "$fd_filestat_get (i32.const 0) (i32.const 65473)",
            "filestat",
        ),
        ("$random_get (i32.const 65000) (i32.const 1000)", "random"),
        ("$random_get (i32.const 1) (i32.const -1)", "wrap"),
        (
            "$fd_read (i32.const 0) (i32.const 65532) (i32.const 1) (i32.const 0)",
            "vectors",
        ),
        (
            "$fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 65533)",
            "read",
        ),
        (
            "$fd_read (i32.const 0) (i32.const 40000) (i32.const 1) (i32.const 0)",
            "buffer",
        ),
        (
            "$fd_write (i32.const 1) (i32.const 40000) (i32.const 1) (i32.const 0)",
            "source",
        ),
        (
            "$poll_oneoff (i32.const 65500) (i32.const 0) (i32.const 1) (i32.const 0)",
            "subscription",
        ),
        (
            "$poll_oneoff (i32.const 0) (i32.const 65510) (i32.const 1) (i32.const 64)",
            "event",
        ),
    ] {
        // The vector at 40000 begins in memory and ends outside.
        let body = format!(
            "(i32.store (i32.const 40000) (i32.const 65000)) (i32.store (i32.const 40004) (i32.const 1000))
             (call $show (call {call}))"
        );
        assert_eq!(shown(&body, b"input"), [FAULT], "{name}");
    }
}

#[test]
fn lengths_that_overflow_are_refused() {
    // Two vectors of all of memory each are fine; 65,537 of them are more than 32 bits hold.
    let module = crate::fixture::module(
        r#"(func (export "_start") (local i32)
            (loop
                (i32.store (i32.mul (local.get 0) (i32.const 8)) (i32.const 0))
                (i32.store (i32.add (i32.mul (local.get 0) (i32.const 8)) (i32.const 4)) (i32.const 65536))
                (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 70000))))
            (call $show (call $fd_write (i32.const 1) (i32.const 0) (i32.const 65537) (i32.const 0))))
           (func $grow (drop (memory.grow (i32.const 15)))) (start $grow)"#,
    );
    let (outcome, output) = run(&module, &task(&module), b"").unwrap();
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(output, INVAL.to_le_bytes());
}

#[test]
fn sleeping_takes_no_time_but_moves_the_clock() {
    let body = "(i32.store8 (i32.const 8) (i32.const 0))
        (i64.store (i32.const 0) (i64.const 77))
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 5000000000))
        (call $show (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))
        (call $show (i32.load (i32.const 200)))
        (call $show (i32.load (i32.const 100)))
        (call $show (i32.load (i32.const 108)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
        (call $show (i32.wrap_i64 (i64.div_u (i64.load (i32.const 0)) (i64.const 1000000000))))";
    assert_eq!(shown(body, b""), [0, 1, 77, 0, 1_700_000_005]);
}

#[test]
fn of_a_stream_and_a_clock_the_stream_is_ready() {
    // Subscription 0: a clock in an hour. Subscription 1: standard input.
    let body = "(i32.store (i32.const 16) (i32.const 0))
        (i64.store (i32.const 24) (i64.const 3600000000000))
        (i64.store (i32.const 48) (i64.const 5))
        (i32.store8 (i32.const 56) (i32.const 1))
        (call $show (call $poll_oneoff (i32.const 0) (i32.const 200) (i32.const 2) (i32.const 400)))
        (call $show (i32.load (i32.const 400)))
        (call $show (i32.load (i32.const 200)))
        (call $show (i32.load8_u (i32.const 210)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)))
        (call $show (i32.wrap_i64 (i64.div_u (i64.load (i32.const 0)) (i64.const 1000000000))))";
    assert_eq!(shown(body, b""), [0, 1, 5, 1, 1_700_000_000]);
}

#[test]
fn a_subscription_that_cannot_be_is_answered_with_its_error() {
    let body = "(i32.store8 (i32.const 8) (i32.const 2))
        (i32.store (i32.const 16) (i32.const 9))
        (call $show (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))
        (call $show (i32.load16_u (i32.const 108)))
        (i32.store8 (i32.const 8) (i32.const 9))
        (call $show (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))
        (call $show (i32.load16_u (i32.const 108)))
        (call $show (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 200)))";
    assert_eq!(shown(body, b""), [0, BADF, 0, INVAL, INVAL]);
}

#[test]
fn yielding_succeeds() {
    assert_eq!(shown("(call $show (call $sched_yield))", b""), [0]);
}

#[test]
fn exit_ends_the_run_with_its_status() {
    let module = start(r#"(call $show (i32.const 1)) (call $proc_exit (i32.const 0)) unreachable"#);
    let (outcome, output) = run(&module, &task(&module), b"").unwrap();
    assert_eq!((outcome.result, output.len()), (Ok(()), 4));
    let module = start("(call $proc_exit (i32.const -1)) unreachable");
    let (outcome, _) = run(&module, &task(&module), b"").unwrap();
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.reason, Reason::Exit { code: u32::MAX });
}

#[test]
fn the_end_of_standard_error_is_kept() {
    // 10,000 bytes in pieces of 16: only the last 4 KiB matter.
    let module = crate::fixture::module(
        r#"(func (export "_start") (local i32)
            (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 16))
            (loop
                (i32.store8 (i32.const 100) (i32.rem_u (local.get 0) (i32.const 251)))
                (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
                (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 625))))
            unreachable)"#,
    );
    let (outcome, output) = run(&module, &task(&module), b"").unwrap();
    let failure = outcome.result.unwrap_err();
    assert_eq!(
        failure.reason,
        Reason::Trap {
            trap: "unreachable"
        }
    );
    assert_eq!(failure.stderr.len(), STDERR_TAIL);
    let last = &failure.stderr[STDERR_TAIL - 16..];
    assert_eq!(last[0], (624 % 251) as u8);
    assert!(output.is_empty());
}

#[test]
fn host_calls_cost_fuel_and_bytes_cost_more() {
    let fuel = |body: &str| {
        let module = start(body);
        run(&module, &task(&module), b"").unwrap().0.fuel
    };
    let none = fuel("");
    let call = fuel("(drop (call $sched_yield))");
    let random = fuel("(drop (call $random_get (i32.const 0) (i32.const 1000)))");
    assert!(call >= none + CALL_FUEL, "{none} {call}");
    assert!(random >= call + 1000 * BYTE_FUEL, "{call} {random}");
}

#[test]
fn running_out_in_a_host_call_uses_exactly_all() {
    let module = start("(drop (call $random_get (i32.const 0) (i32.const 60000)))");
    let mut task = task(&module);
    let fuel = compiling(&module) + 5000;
    task.limits.fuel = fuel;
    let (outcome, _) = run(&module, &task, b"").unwrap();
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Fuel);
    assert_eq!(outcome.fuel, fuel);
}

#[test]
fn arguments_fit_to_the_last_byte_of_memory_and_are_paid_for_before_they_are_copied() {
    // "test", "a" and "bc", each with a zero byte: ten bytes.
    let module = start(
        "(call $show (call $args_get (i32.const 0) (i32.const 65526)))
         (call $show (i32.load (i32.const 8)))
         (call $show (i32.load8_u (i32.const 65534)))
         (call $show (call $args_get (i32.const 0) (i32.const 65527)))
         (call $show (call $args_get (i32.const 65525) (i32.const 0)))",
    );
    let mut task = task(&module);
    task.args = vec!["a".into(), "bc".into()];
    let (outcome, output) = run(&module, &task, b"").unwrap();
    assert_eq!(outcome.result, Ok(()));
    let numbers: Vec<_> = output
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!(numbers, [0, 65533, u32::from(b'c'), FAULT, FAULT]);
}

#[test]
fn arguments_fit_at_the_end_of_the_largest_memory() {
    let module = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 65536)
            (func (export "_start") (call $exit (call $get (i32.const 0) (i32.const -5)))))"#,
    )
    .unwrap();
    let mut task = task(&module);
    task.limits.memory = 1 << 32;
    // "test" and its zero byte end exactly at 4 GiB.
    let (outcome, _) = run(&module, &task, b"").unwrap();
    assert_eq!(outcome.result, Ok(()));
}

#[test]
fn asking_for_arguments_in_vain_costs_as_much_as_getting_them() {
    let module = start("(drop (call $args_get (i32.const -4) (i32.const 8)))");
    let mut few = task(&module);
    few.args = vec!["x".into(); 10];
    let mut many = few.clone();
    many.args = vec!["x".into(); 30_010];
    let fuel = |task: &crate::Task| run(&module, task, b"").unwrap().0.fuel;
    assert_eq!(
        fuel(&many) - fuel(&few),
        30_000 * (ITEM_FUEL + 2 * BYTE_FUEL)
    );
}

#[test]
fn a_clock_that_is_read_and_was_not_set_is_noted_and_changes_nothing() {
    let reading = start(
        "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 8))) unreachable",
    );
    let sleeping = start(SLEEP);
    let noted = |module: &[u8], time: u64| {
        let mut task = task(module);
        task.time = time;
        let (outcome, _) = run(module, &task, b"").unwrap();
        let stderr = outcome
            .result
            .as_ref()
            .err()
            .map(|failure| failure.stderr.clone());
        assert_eq!(
            stderr.unwrap_or_default(),
            b"",
            "the program's own standard error is as it was"
        );
        (
            outcome.notes.unset_clock,
            outcome.notes.lines().len(),
            outcome.fuel,
        )
    };
    let (set, unset) = (noted(&reading, 5), noted(&reading, 0));
    assert_eq!((set.0, unset.0), (false, true));
    assert_eq!((set.1, unset.1), (0, 1));
    assert_eq!(set.2, unset.2);
    assert!(!noted(&sleeping, 0).0);
}

/// Sleeps a second, and does not ask what time it is.
const SLEEP: &str = "
    (i32.store8 (i32.const 8) (i32.const 0)) (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 1000000000))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))";

#[test]
fn blocks_of_the_input_are_paid_for_before_the_program_starts() {
    let module = start("(call $show (i32.const 1))");
    let with = |blocks, fuel| {
        let mut task = task(&module);
        task.blocks = blocks;
        task.limits.fuel = fuel;
        run(&module, &task, b"input").unwrap()
    };
    let (none, three) = (with(0, 1_000_000).0, with(3, 1_000_000).0);
    assert_eq!(three.fuel - none.fuel, 3 * BLOCK_FUEL);
    let most = compiling(&module) + 100 * BLOCK_FUEL;
    for blocks in [101, u64::MAX] {
        let (outcome, output) = with(blocks, most);
        assert_eq!(outcome.result.unwrap_err().reason, Reason::Fuel);
        assert_eq!((outcome.fuel, output.len()), (most, 0));
    }
}
