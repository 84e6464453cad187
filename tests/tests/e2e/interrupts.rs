//! Commands that are interrupted at any moment of their start leave no process and no unusable directory.
//!
//! What is waited for here is a moment in the life of another process, which is the subject of the test; the end of what it has
//! left is waited for as a condition.

use rings_tests::{alive, program, signal, until, Call, Program, Signal, LONG};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Between two moments.
const STEP: Duration = Duration::from_millis(20);
/// Moments of `up`: its first 600 ms.
const MOMENTS: u32 = 30;
/// Of so many interrupted starts, one is followed by another start. It has no common divisor with the number of signals.
const RESUMED: u32 = 7;
/// Moments of a run on a throw-away ring, and the steps between them.
const RUNS: u32 = 20;
const RUN_STEPS: u32 = 2;
/// Commands that are interrupted side by side.
const LANES: u32 = 4;
/// How a command may be told to end; the last one it cannot catch.
const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL];

/// Runs `test` for each number, several at a time.
fn side_by_side(count: u32, test: impl Fn(u32) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || (lane..count).step_by(LANES as usize).for_each(test));
        }
    });
}

/// Processes that work on `place`, as their arguments say.
fn processes(place: &Path) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let commands = pids.filter_map(|pid| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&bytes).replace('\0', " ")))
    });
    let place = place.to_str().unwrap();
    commands
        .filter(|(pid, command)| command.contains(place) && alive(*pid))
        .collect()
}

fn nothing_runs(place: &Path) {
    let since = Instant::now();
    until("what was started has ended", LONG, || {
        let left = processes(place);
        assert!(
            left.is_empty() || since.elapsed() < LONG / 2,
            "left: {left:?}"
        );
        left.is_empty().then_some(())
    });
}

fn up(dir: &Path, args: &[&str]) -> Call {
    let call = Call::new(Program::Honest).args(["--quiet", "up", "--dir"]);
    call.arg(dir).args(["--members", "1"]).args(args)
}

#[test]
fn an_interrupted_start_leaves_nothing_and_the_next_one_works() {
    let _serial = rings_tests::serial();
    let home = tempfile::tempdir().unwrap();
    let began = Instant::now();
    side_by_side(MOMENTS, |moment| {
        // Not a prefix of the name of another one.
        let dir = home.path().join(format!("ring{moment}."));
        let running = up(&dir, &[]).start();
        thread::sleep(STEP * moment);
        signal(running.pid(), SIGNALS[moment as usize % SIGNALS.len()]);
        running.end();
        nothing_runs(&dir);
        if moment % RESUMED == 0 {
            assert_eq!(up(&dir, &["--detach"]).text(), "ready\n", "{moment}");
            let down = Call::new(Program::Honest).args(["--quiet", "down", "--dir"]);
            down.arg(&dir).ok();
            nothing_runs(&dir);
        }
    });
    println!("{MOMENTS} interrupted starts: {:?}", began.elapsed());
}

#[test]
fn an_interrupted_run_takes_its_ring_with_it() {
    let _serial = rings_tests::serial();
    let home = tempfile::tempdir().unwrap();
    side_by_side(RUNS, |number| {
        let place = home.path().join(format!("tmp{number}."));
        fs::create_dir(&place).unwrap();
        let running = Call::new(Program::Honest)
            .args(["--quiet", "run"])
            .arg(program("wc"))
            .stdin("text\n")
            .env("TMPDIR", &place)
            .start();
        thread::sleep(STEP * RUN_STEPS * number);
        signal(running.pid(), SIGNALS[number as usize % SIGNALS.len()]);
        running.end();
        nothing_runs(&place);
        until("its directory is removed", LONG, || {
            (fs::read_dir(&place).unwrap().count() == 0).then_some(())
        });
    });
}

#[test]
fn down_ends_what_a_killed_start_has_left() {
    let _serial = rings_tests::serial();
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ring");
    let running = up(&dir, &[]).start();
    let chain = until("the chain has begun", LONG, || {
        let all = processes(&dir);
        let chain = all
            .iter()
            .find(|(_, command)| command.contains("state.json"))?;
        Some(chain.0)
    });
    // Both at once: nobody is left who could clean up.
    let guards = processes(&dir);
    let guards = guards
        .iter()
        .filter(|(_, command)| command.contains(" guard "));
    guards.for_each(|(pid, _)| signal(*pid, Signal::KILL));
    signal(running.pid(), Signal::KILL);
    running.end();
    let down = || {
        Call::new(Program::Honest)
            .args(["--quiet", "down", "--dir"])
            .arg(&dir)
    };
    if alive(chain) {
        down().ok();
    }
    nothing_runs(&dir);
    assert_eq!(up(&dir, &["--detach"]).text(), "ready\n");
    let ring =
        |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap()["ring"].clone();
    let before = ring(fs::read_to_string(dir.join("ring.json")).unwrap());
    let fresh = ring(up(&dir, &["--detach", "--fresh", "--json"]).text());
    assert_ne!(before, fresh, "another client, and so another ring");
    down().arg("--remove").ok();
    nothing_runs(&dir);
    assert!(!dir.exists());
}

/// Milliseconds of a start after which the directory is there and its chain runs, about.
const FIRST_MILLISECONDS: u32 = 250;

#[test]
#[ignore = "it starts some hundred rings: ./anvil-scripts/test --long does"]
fn a_start_may_be_interrupted_at_every_millisecond() {
    let _serial = rings_tests::serial();
    let home = tempfile::tempdir().unwrap();
    side_by_side(FIRST_MILLISECONDS, |moment| {
        let dir = home.path().join(format!("ring{moment}."));
        let running = up(&dir, &[]).start();
        thread::sleep(Duration::from_millis(moment.into()));
        signal(running.pid(), SIGNALS[moment as usize % SIGNALS.len()]);
        running.end();
        nothing_runs(&dir);
        assert_eq!(up(&dir, &["--detach"]).text(), "ready\n", "{moment}");
        let down = Call::new(Program::Honest).args(["--quiet", "down", "--remove", "--dir"]);
        down.arg(&dir).ok();
        nothing_runs(&dir);
        assert!(!dir.exists());
    });
}
