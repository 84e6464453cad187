//! Real input: many files, and large ones.

use super::quick::{sorted, wc};
use rings_tests::{children, peak_memory, program, Ring};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// What a member may have resident at most.
const MEMBER_LIMIT: u64 = 400_000_000;
const LARGE_BYTES: usize = 50_000_000;
const LARGE_LIMIT: Duration = Duration::from_secs(600);

/// The licences of a Debian machine; elsewhere our own, and texts that are made.
fn texts(ring: &Ring) -> Vec<PathBuf> {
    let debian = Path::new("/usr/share/common-licenses");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files: Vec<PathBuf> = match debian.is_dir() {
        true => fs::read_dir(debian)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect(),
        false => ["LICENSE-MIT", "LICENSE-APACHE"]
            .map(|name| own.join(name))
            .into(),
    };
    files.retain(|file| file.is_file());
    for index in files.len()..12 {
        files.push(ring.write(&format!("text-{index}"), numbers(20_000 + index)));
    }
    files.sort();
    files
}

/// Lines of numbers that look random and are the same every time.
pub fn numbers(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 32);
    let mut state = 1u64;
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(format!("{} {}\n", state >> 40, state >> 20 & 0xfff).as_bytes());
    }
    text.truncate(bytes);
    text
}

/// The peak memory of each member and of its workers, below the limit.
fn check_memory(ring: &Ring) {
    for index in 0..ring.json().count() {
        let pid = ring.pid(index);
        let workers: Vec<_> = children(pid)
            .into_iter()
            .map(|worker| peak_memory(worker) / 1_000_000)
            .collect();
        let peak = peak_memory(pid);
        println!(
            "member {index}: peak {} MB; its workers: {workers:?} MB",
            peak / 1_000_000
        );
        assert!(
            peak < MEMBER_LIMIT,
            "member {index} had {peak} bytes resident"
        );
        assert!(
            workers
                .iter()
                .all(|megabytes| megabytes * 1_000_000 < MEMBER_LIMIT),
            "{workers:?}"
        );
    }
}

#[test]
fn all_licences_as_several_inputs() {
    let ring = Ring::up(5);
    let files = texts(&ring);
    let contents: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let run = |options: &[&str], name: &str| {
        let call = ring.rings(["run"]).args(options).inputs(&files);
        call.arg(program(name)).ok()
    };
    assert_eq!(run(&[], "wc"), wc(&contents.concat()));
    assert_eq!(
        run(&["--each"], "wc"),
        contents
            .iter()
            .flat_map(|text| wc(text))
            .collect::<Vec<u8>>()
    );
    assert_eq!(run(&[], "echo"), contents.concat());
    assert_eq!(run(&["--each"], "echo"), contents.concat());
    let lines: Vec<u8> = contents.concat();
    assert_eq!(
        run(&[], "sort").len(),
        lines.len() + usize::from(!lines.ends_with(b"\n"))
    );
    check_memory(&ring);
}

#[test]
fn fifty_megabytes_in_and_out() {
    let ring = Ring::up(5);
    let text = numbers(LARGE_BYTES);
    let file = ring.write("large", &text);
    let run = |name: &str| {
        let call = ring.rings(["run", "--timeout", "300"]).inputs([&file]);
        let done = call.arg(program(name)).limit(LARGE_LIMIT).call().ok();
        println!("{name}: {:?}", done.took);
        done.stdout
    };
    assert_eq!(run("wc"), wc(&text));
    check_memory(&ring);
    assert!(run("echo") == text, "all bytes come back");
    check_memory(&ring);
}

#[test]
fn a_program_that_holds_all_it_reads() {
    let ring = Ring::up(3);
    let text = numbers(5_000_000);
    let output = ring
        .run(&["--timeout", "120"], "sort", &[])
        .stdin(text.clone())
        .ok();
    assert!(output == sorted(&text), "sorted");
}
