//! Everything at once: members, gates, providers, branches and the membership change and fail as a seed says, and
//! afterwards everything is as if nothing had been.
//!
//! A minute in the test command, with the seed that failed last; `RINGS_PERTURB_SECONDS=600` asks for ten minutes, half of
//! them with a new seed. `RINGS_PERTURB_SEED=N` repeats a run.

use super::providers::{end, troubles};
use rings_protocol::Address;
use rings_tests::{
    alive,
    perturb::{reorganise, Impostor, Job, Manners, Pin, Provider, Random, Seeds, Stage, RECOVERY},
    Anvil, Done, Footprint, Program,
};
use serde_json::{json, Value};
use std::{
    collections::BTreeSet,
    env,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

const MEMBERS: usize = 5;
/// The one that is not always honest, and that leaves and enters.
const ODD: usize = 4;
/// Gates of a run.
const GATES: usize = 100;
/// How long a run disturbs, unless the environment says otherwise.
const SECONDS: u64 = 60;
/// Between two steps.
const STEP: Duration = Duration::from_millis(400);
/// How many results are verified at once.
const VERIFIERS: usize = 3;
/// Gates in one circuit: fewer than the engine's bound of 536, each counting 8 and its inputs besides.
const CIRCUIT: usize = 40;
/// How long all gates may take to end when all is quiet.
const CALM: Duration = Duration::from_secs(120);
/// Resident memory of a member beyond what it was, and disk for each gate of a run.
const MORE_RESIDENT: u64 = 200_000_000;
const DISK_OF_GATE: u64 = 2_000_000;

/// What a member is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Honest,
    Down,
    Lying,
    Replaced,
}

/// A run.
struct Mix {
    stage: Stage,
    other: Anvil,
    providers: Vec<Provider>,
    /// When the trouble of each provider ends.
    troubled: Vec<Option<Instant>>,
    states: Vec<State>,
    impostor: Option<Impostor>,
    random: Random,
    jobs: Vec<Job>,
    gates: Vec<Address>,
    /// Reorganisations so far.
    branches: usize,
    before: Vec<Footprint>,
}

/// What can happen at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Trouble,
    Reorganisation,
    Kill,
    Return,
    Membership,
    Lie,
    Stall,
    Flood,
    Fork,
    Honesty,
    Nothing,
}

/// Those that are picked from: the more often one stands here, the more often it comes.
const EVENTS: [Event; 16] = [
    Event::Trouble,
    Event::Trouble,
    Event::Trouble,
    Event::Trouble,
    Event::Reorganisation,
    Event::Reorganisation,
    Event::Kill,
    Event::Return,
    Event::Return,
    Event::Membership,
    Event::Lie,
    Event::Stall,
    Event::Flood,
    Event::Fork,
    Event::Honesty,
    Event::Nothing,
];

impl Mix {
    fn new(seed: u64) -> Self {
        let stage = Stage::http(MEMBERS);
        let providers: Vec<_> = (0..MEMBERS)
            .map(|_| Provider::before(stage.chain.port()))
            .collect();
        let jobs = vec![
            stage.job("wc", None, b"a text\nof two lines\n"),
            stage.job("sort", None, b"b\na\n"),
            stage.job("clock", Some(1_234_567_890), b""),
            // One that fails: it ends all the same.
            stage.job("exit", None, b""),
        ];
        let mut mix = Self {
            other: Anvil::start(&[]),
            troubled: vec![None; MEMBERS],
            states: vec![State::Honest; MEMBERS],
            impostor: None,
            random: Random::new(seed),
            gates: Vec::new(),
            branches: 0,
            before: Vec::new(),
            stage,
            providers,
            jobs,
        };
        for index in 0..MEMBERS {
            mix.stage.ring.terminate(&[index]);
            mix.launch(index, Program::Honest);
        }
        (0..MEMBERS).for_each(|index| mix.stage.ring.wait_connected(index, MEMBERS - 1));
        mix.ask(4);
        mix.stage.wait_ended(&mix.gates, CALM);
        mix.before = mix.stage.ring.footprints();
        mix
    }

    /// Members 0 to 2 speak HTTP, the others WebSocket.
    fn launch(&mut self, index: usize, with: Program) {
        let member = self.stage.ring.json().member(index);
        if !self.stage.contracts().is_member(member) {
            // There is nothing for it to do; it starts when it has entered again.
            self.states[index] = State::Down;
            return;
        }
        let provider = &self.providers[index];
        let url = if index < 3 {
            provider.http()
        } else {
            provider.ws()
        };
        self.stage
            .ring
            .launch_member(index, with, &[("RINGS_CHAIN_RPC", &url)]);
        self.states[index] = match with {
            Program::Honest => State::Honest,
            Program::Faulty => State::Lying,
        };
    }

    /// Asks for some gates, in circuits that the engine takes.
    fn ask(&mut self, mut count: usize) {
        while count > 0 {
            let now = count.min(CIRCUIT);
            self.ask_in_one(now);
            count -= now;
        }
    }

    /// Asks for some gates in one circuit: alone, or one behind the other.
    fn ask_in_one(&mut self, count: usize) {
        let (contracts, by) = (self.stage.contracts(), self.stage.requester());
        let specs: Vec<_> = (0..count)
            .map(|number| {
                let job = self.random.pick(&self.jobs).clone();
                match number > 0 && self.random.below(3) == 0 {
                    // Its input is the output of the gate before it in this circuit.
                    true => {
                        let mut before = [0; 20];
                        before[19] = number as u8;
                        let pins = vec![Pin::Token(job.operation), Pin::Output(Address(before), 0)];
                        self.stage.spec_of(pins)
                    }
                    false => self.stage.spec(&job),
                }
            })
            .collect();
        self.gates.extend(contracts.create_circuit(&by, &specs));
    }

    fn step(&mut self) {
        let now = Instant::now();
        for (provider, troubled) in self.providers.iter().zip(&mut self.troubled) {
            if troubled.is_some_and(|until| until < now) {
                end(provider, self.stage.chain.port());
                *troubled = None;
            }
        }
        let event = *self.random.pick(&EVENTS);
        self.happen(event);
    }

    fn happen(&mut self, event: Event) {
        let odd = self.states[ODD];
        match event {
            Event::Trouble => self.trouble(),
            Event::Reorganisation => {
                self.branches += 1;
                let depth = 1 + self.random.below(3) as u64;
                reorganise(&self.stage.eth(), depth, self.random.below(20) as u64);
                self.stage.eth().mine(1);
            }
            Event::Kill if self.states.iter().all(|state| *state == State::Honest) => {
                let index = self.random.below(MEMBERS);
                self.stop(index);
            }
            Event::Return => self.restart_all(),
            Event::Membership => self.change(),
            Event::Lie if odd == State::Honest => {
                self.stop(ODD);
                self.launch(ODD, Program::Faulty);
            }
            Event::Stall if odd == State::Honest => self.replace(Manners::Stalls),
            Event::Flood if odd == State::Honest => self.replace(Manners::Floods),
            Event::Fork if odd == State::Honest => self.replace(Manners::Forks),
            Event::Honesty if odd != State::Honest => self.make_honest(),
            _ => {}
        }
    }

    fn trouble(&mut self) {
        let index = self.random.below(MEMBERS);
        let troubles = troubles();
        let trouble = self.random.pick(&troubles);
        (trouble.begin)(&self.providers[index], &self.other);
        let lasts = Duration::from_millis(500 + self.random.below(3_000) as u64);
        self.troubled[index] = Some(Instant::now() + lasts);
    }

    fn stop(&mut self, index: usize) {
        self.stage.ring.kill(&[index]);
        self.states[index] = State::Down;
    }

    fn replace(&mut self, manners: Manners) {
        self.stop(ODD);
        self.impostor = Some(Impostor::start(&self.stage.ring, ODD, manners));
        self.states[ODD] = State::Replaced;
    }

    fn make_honest(&mut self) {
        if self.states[ODD] == State::Lying {
            self.stop(ODD);
        }
        self.impostor = None;
        self.launch(ODD, Program::Honest);
    }

    fn restart_all(&mut self) {
        for index in 0..MEMBERS {
            if self.states[index] == State::Down {
                self.launch(index, Program::Honest);
            }
        }
    }

    /// The odd member leaves, or enters again: whichever is the other of what the chain says now.
    fn change(&mut self) {
        let (contracts, keeper) = (self.stage.contracts(), self.stage.keeper());
        let odd = self.stage.ring.json().member(ODD);
        if contracts.is_member(odd) {
            assert_eq!(contracts.change(&keeper, "exit", odd)["status"], "0x1");
            return;
        }
        assert_eq!(contracts.change(&keeper, "enter", odd)["status"], "0x1");
        if !contracts.is_member(odd) {
            // Its ring has no entry delay.
            assert_eq!(contracts.settle(&keeper, odd)["status"], "0x1");
        }
    }

    /// Ends all that disturbs.
    fn calm(&mut self) {
        self.providers
            .iter()
            .for_each(|provider| end(provider, self.stage.chain.port()));
        let odd = self.stage.ring.json().member(ODD);
        if !self.stage.contracts().is_member(odd) {
            self.change();
        }
        if matches!(self.states[ODD], State::Lying | State::Replaced) {
            self.make_honest();
        }
        self.restart_all();
        self.stage.eth().mine(2);
    }

    /// What must be so after any run.
    fn check(&mut self) {
        let took = self.stage.wait_ended(&self.gates, CALM);
        println!(
            "{} gates have ended, the last {took:.1?} after the end of all troubles",
            self.gates.len()
        );
        let odd = self.stage.ring.json().member(ODD);
        self.check_results(odd);
        self.check_registrations();
        self.check_bounds();
        for index in 0..MEMBERS {
            let pid = self.stage.ring.pid(index);
            assert!(alive(pid), "member {index} has ended by itself");
        }
        let fresh = self.stage.gates(&self.jobs[0].clone(), 2);
        assert!(self.stage.wait_ended(&fresh, RECOVERY) <= RECOVERY);
    }

    /// One transaction for each result, and few that came too late.
    fn check_registrations(&self) {
        let (registered, reverted) = self.stage.registered(0);
        println!(
            "{} registrations, {} reverted ones",
            registered.len(),
            reverted.len()
        );
        for late in &reverted {
            let first = registered.iter().find(|sent| sent.gate == late.gate);
            let by_then = first.map(|first| (&first.by, &first.block));
            let (refused, resolved) = self.stage.refusal(late);
            println!(
                "reverted: {} by {} in {}, resolved {resolved}: {refused:?}; registered by and in: {by_then:?}",
                late.gate, late.by, late.block
            );
        }
        let distinct: BTreeSet<_> = registered.iter().map(|sent| sent.gate).collect();
        assert_eq!(
            distinct.len(),
            registered.len(),
            "one transaction for each result"
        );
        for gate in self.gates.iter().filter(|gate| !self.failed_before(**gate)) {
            assert!(distinct.contains(gate), "{gate} was registered");
        }
        // On another branch a registration can come after one that it was sent before.
        let most = registered.len() / 10 + self.branches;
        let late = reverted.len();
        assert!(late <= most, "{late} reverted, at most {most} may");
    }

    /// Whether a gate has failed because one before it did, so that nothing was registered for it.
    fn failed_before(&self, gate: Address) -> bool {
        let contracts = self.stage.contracts();
        contracts.is_failed(gate) && contracts.failure_of(gate).is_zero()
    }

    /// What `rings verify` says of each result, several at a time.
    fn verified(&self) -> Vec<(Address, Done)> {
        let gates = self.gates.iter().filter(|gate| !self.failed_before(**gate));
        let verify = |gate: &Address| {
            self.stage
                .ring
                .rings(["verify", "--json", &gate.to_string()])
        };
        let calls: Vec<_> = gates.map(|gate| (*gate, verify(gate))).collect();
        let calls = Mutex::new(calls);
        let next = || calls.lock().unwrap().pop();
        let work = || std::iter::from_fn(next).map(|(gate, call)| (gate, call.call()));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..VERIFIERS)
                .map(|_| scope.spawn(|| work().collect::<Vec<_>>()))
                .collect();
            let done = workers.into_iter().map(|worker| worker.join().unwrap());
            done.flatten().collect()
        })
    }

    fn check_results(&self, odd: Address) {
        for (gate, done) in self.verified() {
            let text = done.text();
            let report: Value = serde_json::from_str(&text).unwrap_or_default();
            assert_eq!(report["right"], true, "{gate}: {text}\n{}", done.stderr);
            for member in report["members"].as_array().unwrap() {
                let honest = member["address"] != json!(odd);
                assert!(!honest || member["right"] != false, "{gate}: {member}");
            }
        }
        for member in self.stage.status()["members"].as_array().unwrap() {
            let honest = member["address"] != json!(odd);
            assert!(!honest || member["diverged"] == json!([]), "{member}");
        }
    }

    fn check_bounds(&self) {
        let now = self.stage.ring.footprints();
        for (index, (before, now)) in self.before.iter().zip(&now).enumerate() {
            println!("member {index}: before {before}; after {now}");
            assert!(
                now.resident <= before.resident + MORE_RESIDENT,
                "before {before}; after {now}"
            );
        }
        let disk = self.stage.disk();
        println!("{} MB on disk", disk / 1_000_000);
        assert!(
            disk <= DISK_OF_GATE * self.gates.len() as u64,
            "{disk} bytes on disk"
        );
    }
}

/// Seconds that the environment asks for.
fn asked() -> Option<u64> {
    let text = env::var("RINGS_PERTURB_SECONDS").ok()?;
    Some(text.parse().expect("RINGS_PERTURB_SECONDS is a number"))
}

#[test]
fn everything_at_once() {
    let seeds = Seeds::of("perturb-seeds.txt");
    let asked = asked();
    let plan = seeds.plan(asked.is_some());
    let lasts = Duration::from_secs(asked.unwrap_or(SECONDS)) / plan.len() as u32;
    for seed in &plan {
        let _watched = seeds.watch(*seed);
        run(*seed, lasts, GATES / plan.len());
    }
}

/// Disturbs a ring for that long, and asks for so many gates meanwhile.
fn run(seed: u64, lasts: Duration, gates: usize) {
    let mut mix = Mix::new(seed);
    let began = Instant::now();
    while began.elapsed() < lasts {
        let part = began.elapsed().as_secs_f64() / lasts.as_secs_f64();
        if mix.gates.len() <= (gates as f64 * part) as usize {
            let count = 2 + mix.random.below(4);
            mix.ask(count);
        }
        mix.step();
        thread::sleep(STEP);
    }
    let missing = gates.saturating_sub(mix.gates.len());
    if missing > 0 {
        mix.ask(missing);
    }
    mix.calm();
    mix.check();
}
