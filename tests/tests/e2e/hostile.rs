//! Hostile programs on a ring: each ends as expected, members agree on it, and afterwards the members are as they were
//! before.

use super::{
    attacks::{all, running_with, Attack, End, MEMORY},
    quick::wc,
};
use rings_protocol::Address;
use rings_tests::{until, Done, Footprint, RaiseOnDrop, Receipt, Ring, Running, LONG};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

const MEMBERS: usize = 5;
const QUORUM: usize = 4;
/// Hostile runs at the same time; as many gates as `rings status` shows.
const CROWD: usize = 20;
/// Fuel of each of them; much less for the one whose output is written to each member's disk.
const CROWD_FUEL: u64 = 100_000_000;
const LIMIT: Duration = Duration::from_secs(600);
const TIMEOUT: &str = "580";
/// Files and sockets of a member that may come and go: connections, and the database's own.
const MORE_DESCRIPTORS: usize = 16;
/// Its worker keeps compiled programs warm: for each, its code and the first content of its memory.
const WARM_FILES: usize = 2;
/// Resident memory of a member and its worker when it is quiet again, beyond what it was.
const MORE_RESIDENT: u64 = 150_000_000;

/// A ring that is under attack, and what it was before.
struct Besieged {
    ring: Ring,
    pids: Vec<u32>,
    before: Vec<Footprint>,
    /// Numbers that make each run a gate of its own.
    runs: u32,
    gates: BTreeSet<Address>,
}

/// A hostile run that goes on.
struct Hostile {
    attack: Attack,
    running: Running,
    receipt: PathBuf,
}

impl Besieged {
    fn new() -> Self {
        let ring = Ring::up(MEMBERS);
        // Its workers run, and have compiled the good program.
        good(&ring, b"warm\n");
        Self {
            pids: pids(&ring),
            before: ring.footprints(),
            ring,
            runs: 0,
            gates: BTreeSet::new(),
        }
    }

    fn start(&mut self, attack: &Attack) -> Hostile {
        self.runs += 1;
        let number = self.runs.to_string();
        let receipt = self.ring.file(&format!("receipt-{number}.json"));
        // A file for each: others are being read still.
        let program = format!("hostile-{number}.wasm");
        let program = self.ring.write(&program, &attack.module);
        let (fuel, memory) = (attack.fuel.to_string(), MEMORY.to_string());
        let call = self.ring.rings(["run", "--timeout", TIMEOUT, "--fuel"]);
        let call = call.args([&fuel, "--memory", &memory, "--receipt"]);
        let call = call.arg(&receipt).arg(program).arg(number);
        Hostile {
            attack: attack.clone(),
            running: call.stdin(b"some input").limit(LIMIT).start(),
            receipt,
        }
    }

    /// Waits for its end, which must be as expected.
    fn end(&mut self, hostile: Hostile) -> Duration {
        let done = hostile.running.end();
        let name = hostile.attack.name;
        let took = done.took;
        match &hostile.attack.end {
            End::Refused(words) => refused(name, words, &done),
            End::Output(bytes) => {
                assert_eq!((name, &done.clone().ok().stdout), (name, bytes));
                self.agreed(&Receipt::read(&hostile.receipt));
            }
            End::Failure(reason, trap) => {
                done.ends_with(3);
                let receipt = Receipt::read(&hostile.receipt);
                assert_eq!(receipt.text("/failure/reason"), *reason, "{name}");
                assert_eq!(receipt.get("/failure/trap").as_str(), *trap, "{name}");
                self.agreed(&receipt);
            }
        }
        took
    }

    fn agreed(&mut self, receipt: &Receipt) {
        assert!(receipt.signers().len() >= QUORUM);
        self.gates.insert(receipt.gate());
    }

    /// [`CROWD`] programs that never end, all at once.
    fn crowd(&mut self) -> Vec<Hostile> {
        let attacks = running_with(CROWD_FUEL);
        let known = self.shown_gates();
        let crowd: Vec<_> = (0..CROWD)
            .map(|index| self.start(&attacks[index % attacks.len()]))
            .collect();
        let patience = Instant::now() + LIMIT / 4;
        let missing = until("the crowd", LIMIT, || {
            let shown = self.shown_gates();
            let missing = CROWD - shown.difference(&known).count().min(CROWD);
            (missing == 0 || Instant::now() > patience).then_some(missing)
        });
        if missing > 0 {
            // One that has failed says why.
            for one in crowd {
                self.end(one);
            }
            panic!("{missing} of {CROWD} programs are not gates");
        }
        crowd
    }

    fn shown_gates(&self) -> BTreeSet<String> {
        let gates = status(&self.ring)["gates"].as_array().unwrap().clone();
        let addresses = gates.iter().map(|gate| gate["gate"].as_str().unwrap());
        addresses.map(str::to_owned).collect()
    }

    /// Checks that the same processes run, that all members voted for the same, and that nothing is running any more.
    fn check_after(&self) {
        assert_eq!(pids(&self.ring), self.pids, "no member was replaced");
        for member in status(&self.ring)["members"].as_array().unwrap() {
            assert_eq!(member["diverged"], Value::Array(vec![]), "{member}");
        }
        let logs = self.ring.logs();
        for gate in &self.gates {
            let votes: Vec<_> = logs.iter().filter_map(|log| log.result(*gate)).collect();
            assert!(votes.len() >= QUORUM, "{} votes for {gate}", votes.len());
            assert!(votes.iter().all(|vote| vote == &votes[0]), "{gate}");
        }
        self.check_footprints();
    }

    fn check_footprints(&self) {
        let programs = all().len() + 1;
        let quiet = |before: &Footprint, now: &Footprint| {
            now.descriptors <= before.descriptors + MORE_DESCRIPTORS
                && now.of_children <= before.of_children + programs * WARM_FILES
                && now.resident <= before.resident + MORE_RESIDENT
                && now.processes <= before.processes
        };
        // Connections close, and workers give back, a moment after the result; then the figures are judged as they are.
        let patience = Instant::now() + LONG / 2;
        let now = until("the figures", LONG, || {
            let now = self.ring.footprints();
            let all_quiet = self.before.iter().zip(&now).all(|(a, b)| quiet(a, b));
            (all_quiet || Instant::now() > patience).then_some(now)
        });
        for (index, (before, now)) in self.before.iter().zip(&now).enumerate() {
            println!("member {index}: before {before}; after {now}");
        }
        for (before, now) in self.before.iter().zip(&now) {
            assert!(quiet(before, now), "before {before}; after {now}");
        }
    }
}

/// Status 2, with one line that names the limit, and no gate.
fn refused(name: &str, words: &str, done: &Done) {
    done.ends_with(2);
    let line = done.stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("error: "), "{name}: {}", done.stderr);
    assert!(line.contains(words), "{name}: {line}");
    assert!(!done.stderr.contains("gate 0x"), "{name}: {}", done.stderr);
}

fn pids(ring: &Ring) -> Vec<u32> {
    (0..MEMBERS).map(|index| ring.pid(index)).collect()
}

/// `rings status --json`
fn status(ring: &Ring) -> Value {
    serde_json::from_slice(&ring.rings(["status", "--json"]).ok()).unwrap()
}

/// Runs the good program, and gives how long that took.
fn good(ring: &Ring, input: &[u8]) -> Duration {
    let options = ["--timeout", TIMEOUT];
    let call = ring.run(&options, "wc", &[]).stdin(input).limit(LIMIT);
    let done = call.call().ok();
    assert_eq!(done.stdout, wc(input));
    done.took
}

/// The median of five of them.
fn usual(ring: &Ring, what: &str) -> Duration {
    let inputs = (0..5).map(|index| format!("{what} {index}\n"));
    let mut times: Vec<_> = inputs.map(|input| good(ring, input.as_bytes())).collect();
    times.sort();
    times[2]
}

/// The most of each member, while something is done.
fn watched<T>(pids: &[u32], doing: impl FnOnce() -> T) -> (T, Vec<Footprint>) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = vec![Footprint::default(); pids.len()];
            while !stop.load(Ordering::Relaxed) {
                for (most, pid) in most.iter_mut().zip(pids) {
                    *most = most.most(Footprint::of(*pid));
                }
                // Often enough to see a peak, and seldom enough to leave the machine to the ring.
                std::thread::sleep(Duration::from_millis(50));
            }
            most
        });
        let stopping = RaiseOnDrop(&stop);
        let done = doing();
        drop(stopping);
        (done, watching.join().unwrap())
    })
}

fn show(what: &str, footprints: &[Footprint]) {
    for (index, footprint) in footprints.iter().enumerate() {
        println!("  {what}, member {index}: {footprint}");
    }
}

#[test]
fn hostile_programs_end_as_written_and_a_good_one_follows_each() {
    let mut besieged = Besieged::new();
    let before = usual(&besieged.ring, "before");
    println!("a good program usually takes {before:.2?}");
    for (number, attack) in all().iter().enumerate() {
        let pids = besieged.pids.clone();
        let (took, most) = watched(&pids, || {
            let hostile = besieged.start(attack);
            besieged.end(hostile)
        });
        let resident = most.iter().map(|one| one.resident).max().unwrap();
        let then = good(&besieged.ring, format!("after {number}\n").as_bytes());
        println!(
            "{}: {took:.2?}, at most {} MB at a member; a good program then takes {then:.2?}",
            attack.name,
            resident / 1_000_000
        );
    }
    println!("after all: {:.2?}", usual(&besieged.ring, "after"));
    besieged.check_after();
}

#[test]
fn a_good_program_behind_twenty_hostile_ones_gets_its_turn() {
    let mut besieged = Besieged::new();
    let usual_time = usual(&besieged.ring, "before");
    let pids = besieged.pids.clone();
    let (alone, most) = watched(&pids, || {
        let began = Instant::now();
        for hostile in besieged.crowd() {
            besieged.end(hostile);
        }
        began.elapsed()
    });
    show("during", &most);
    let mut crowd = besieged.crowd();
    let ended = crowd
        .iter_mut()
        .filter_map(|one| one.running.has_ended().then_some(()));
    let (ended, waited) = (ended.count(), good(&besieged.ring, b"behind them\n"));
    for hostile in crowd {
        besieged.end(hostile);
    }
    let after = usual(&besieged.ring, "after");
    println!(
        "{CROWD} hostile programs alone {alone:.2?}; a good one usually {usual_time:.2?}, behind {} of them {waited:.2?}, after all {after:.2?}",
        CROWD - ended
    );
    // Twice, because others may use the machine more now than a moment ago; a queue that starves it takes for ever.
    assert!(waited <= 2 * (alone + usual_time), "{waited:?} {alone:?}");
    besieged.check_after();
}
