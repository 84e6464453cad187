//! Computations on their way to a worker.
//!
//! A computation is first wanted. Then it is prepared: everything that it needs is fetched and checked, and its program
//! is compiled, which takes no worker. Then it is ready, and runs as soon as a worker is free. At both steps requesters
//! take turns. Blocks that nobody has and programs that compile slowly hold a place of the first step for long, so some
//! of these places are kept for requesters that hold none.
//!
//! What is ready stands in a [`Line`], which the tasks that run programs share: a worker that becomes free goes on with the
//! next one at once ([`Line::go_on`]), also while the core writes a round to disk.

use super::fair::Fair;
use rings_protocol::{gate::Computation, Address};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Computations that are prepared at a time: each may read a file of many blocks.
const PREPARED_AT_ONCE: usize = 32;
/// Places of these that a requester may take when it holds one already. Only its first may take one of the others, so as
/// many requesters as there are others have a place at once, whatever is prepared for those before them.
const SHARED_PLACES: usize = 16;
/// Computations of one requester that are prepared at a time.
const PREPARED_PER_REQUESTER: usize = 12;
/// Computations that are ready and wait for a worker, besides one for each worker: as many as short programs can run while
/// the core writes one round.
const READY_BESIDES: usize = 32;

/// Computations on their way; `P` is what preparing one gives.
#[derive(Debug)]
pub(super) struct Desk<P> {
    /// How many computations run at the same time.
    workers: usize,
    /// What waits to be prepared, by requester.
    wanted: Fair<Computation>,
    /// What is being prepared, and for whom.
    preparing: HashMap<Computation, Address>,
    /// What is prepared and waits for a worker.
    line: Arc<Line<P>>,
    /// All computations that are on the desk, in any step.
    here: HashSet<Computation>,
}

/// What is ready, and how much runs.
#[derive(Debug)]
pub(super) struct Line<P>(Mutex<Ready<P>>);

#[derive(Debug)]
struct Ready<P> {
    /// What waits for a worker, by requester.
    waiting: Fair<(Computation, P)>,
    /// How many run now.
    running: usize,
}

impl<P> Desk<P> {
    /// An empty desk in front of `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            wanted: Fair::default(),
            preparing: HashMap::new(),
            line: Arc::new(Line(Mutex::new(Ready {
                waiting: Fair::default(),
                running: 0,
            }))),
            here: HashSet::new(),
        }
    }

    /// Adds a computation that somebody wants. Does nothing if it is here already.
    pub fn want(&mut self, requester: Address, computation: Computation) {
        if self.here.insert(computation) {
            self.wanted.push(requester, computation);
        }
    }

    /// The next to be prepared, if there is room for it.
    pub fn next_to_prepare(&mut self) -> Option<Computation> {
        if self.line.ready().waiting.len() >= self.workers + READY_BESIDES {
            return None;
        }
        let preparing = &self.preparing;
        let next = self.wanted.next(|who| may_prepare(preparing, who));
        let (requester, computation) = next?;
        self.preparing.insert(computation, requester);
        Some(computation)
    }

    /// It is prepared.
    pub fn prepared(&mut self, computation: Computation, prepared: P) {
        if let Some(requester) = self.preparing.remove(&computation) {
            let mut ready = self.line.ready();
            ready.waiting.push(requester, (computation, prepared));
        }
    }

    /// It could not be prepared, or is not wanted any more.
    pub fn not_prepared(&mut self, computation: Computation) {
        self.preparing.remove(&computation);
        self.here.remove(&computation);
    }

    /// The computations that are ready and do not run yet.
    pub fn ready(&self) -> Vec<Computation> {
        let ready = self.line.ready();
        let waiting = ready.waiting.iter();
        waiting.map(|(computation, _)| *computation).collect()
    }

    /// Whether computations wait for a worker.
    pub fn is_busy(&self) -> bool {
        self.line.ready().waiting.len() > 0
    }

    /// Takes one that is not wanted any more out of those that are ready, unless it runs by now.
    pub fn not_wanted(&mut self, computation: Computation) {
        let mut ready = self.line.ready();
        let before = ready.waiting.len();
        ready.waiting.retain(|(other, _)| *other != computation);
        if ready.waiting.len() < before {
            self.here.remove(&computation);
        }
    }

    /// The next to be run, if a worker is free. Whoever runs it calls [`Line::go_on`] at its end.
    pub fn next_to_run(&mut self) -> Option<(Computation, P)> {
        let mut ready = self.line.ready();
        if ready.running >= self.workers {
            return None;
        }
        let (_, next) = ready.waiting.next(|_| true)?;
        ready.running += 1;
        Some(next)
    }

    /// What the tasks that run programs share.
    pub fn line(&self) -> Arc<Line<P>> {
        Arc::clone(&self.line)
    }

    /// Its run has ended, and what it gave is known: it may be wanted again.
    pub fn ran(&mut self, computation: Computation) {
        self.here.remove(&computation);
    }
}

impl<P> Line<P> {
    fn ready(&self) -> MutexGuard<'_, Ready<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run has ended. Returns what its worker is to run next; if there is nothing, the worker's place is free.
    pub fn go_on(&self) -> Option<(Computation, P)> {
        let mut ready = self.ready();
        let next = ready.waiting.next(|_| true);
        if next.is_none() {
            ready.running = ready.running.saturating_sub(1);
        }
        next.map(|(_, next)| next)
    }
}

/// Whether there is a place for one more computation of this requester, beside those that are prepared.
fn may_prepare(preparing: &HashMap<Computation, Address>, who: Address) -> bool {
    match preparing.values().filter(|other| **other == who).count() {
        0 => preparing.len() < PREPARED_AT_ONCE,
        own => own < PREPARED_PER_REQUESTER && preparing.len() < SHARED_PLACES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rings_protocol::Digest;

    fn computation(n: u8) -> Computation {
        Computation {
            gate: Address([n; 20]),
            inputs: Digest::ZERO,
        }
    }

    fn requester(n: u8) -> Address {
        Address([n; 20])
    }

    /// As a task does at the end of a run that is the last of its worker.
    fn end<P>(desk: &mut Desk<P>, computation: Computation) {
        assert!(desk.line().go_on().is_none());
        desk.ran(computation);
    }

    #[test]
    fn gates_whose_blocks_nobody_has_hold_no_worker_and_not_all_places() {
        let mut desk = Desk::new(1);
        for n in 0..2 * PREPARED_PER_REQUESTER as u8 {
            desk.want(requester(1), computation(n));
        }
        let stuck: Vec<_> = std::iter::from_fn(|| desk.next_to_prepare()).collect();
        assert_eq!(stuck.len(), PREPARED_PER_REQUESTER);
        desk.want(requester(2), computation(100));
        let honest = desk.next_to_prepare().unwrap();
        assert_eq!(honest, computation(100));
        desk.prepared(honest, ());
        assert_eq!(desk.next_to_run(), Some((honest, ())));
        assert!(!desk.is_busy(), "one runs, and none waits");
        end(&mut desk, honest);
    }

    /// Requesters whose programs compile for ever, and one more.
    #[test]
    fn programs_that_compile_slowly_leave_a_place_for_who_has_none() {
        let mut desk = Desk::new(1);
        for n in 0..100 {
            desk.want(requester(n % 4), computation(n));
        }
        let stuck: Vec<_> = std::iter::from_fn(|| desk.next_to_prepare()).collect();
        assert_eq!(stuck.len(), SHARED_PLACES);
        for n in 100..104 {
            desk.want(requester(4), computation(n));
        }
        for n in 100..104 {
            let quick = computation(n);
            assert_eq!(desk.next_to_prepare(), Some(quick));
            assert_eq!(desk.next_to_prepare(), None, "one at a time");
            desk.prepared(quick, ());
            assert_eq!(desk.next_to_run(), Some((quick, ())));
            end(&mut desk, quick);
        }
    }

    proptest! {
        /// What is wanted and prepared in any order: no bound is exceeded, and nobody who holds no place waits while fewer
        /// than [`PREPARED_AT_ONCE`] places are taken.
        #[test]
        fn places_are_shared(steps in proptest::collection::vec((0u8..40, any::<bool>()), 0..600)) {
            let mut desk: Desk<()> = Desk::new(1);
            let mut waiting = std::collections::BTreeMap::<u8, usize>::new();
            let mut held: Vec<(u8, Computation)> = Vec::new();
            for (n, (who, is_new)) in (0u16..).zip(steps) {
                match is_new || held.is_empty() {
                    true => {
                        let mut inputs = Digest::ZERO;
                        inputs.0[..2].copy_from_slice(&n.to_be_bytes());
                        desk.want(requester(who), Computation { gate: Address([who; 20]), inputs });
                        *waiting.entry(who).or_default() += 1;
                    }
                    false => desk.not_prepared(held.swap_remove(usize::from(who) % held.len()).1),
                }
                while let Some(next) = desk.next_to_prepare() {
                    let who = next.gate.0[0];
                    *waiting.entry(who).or_default() -= 1;
                    held.push((who, next));
                }
                let of = |who: u8| held.iter().filter(|(other, _)| *other == who).count();
                prop_assert!(held.len() <= PREPARED_AT_ONCE);
                for (who, waiting) in &waiting {
                    prop_assert!(of(*who) <= PREPARED_PER_REQUESTER);
                    let starves = *waiting > 0 && of(*who) == 0;
                    prop_assert!(!starves || held.len() == PREPARED_AT_ONCE);
                }
            }
        }
    }

    #[test]
    fn no_more_run_than_there_are_workers_and_few_wait_ready() {
        let mut desk = Desk::new(2);
        for n in 0..100 {
            desk.want(requester(n), computation(n));
        }
        let mut ready = 0;
        while let Some(next) = desk.next_to_prepare() {
            desk.prepared(next, ());
            ready += 1;
        }
        assert_eq!(ready, 2 + READY_BESIDES);
        assert!(desk.is_busy());
        desk.next_to_run().unwrap();
        desk.next_to_run().unwrap();
        assert_eq!(desk.next_to_run(), None);
        assert!(desk.next_to_prepare().is_some());
    }

    #[test]
    fn a_worker_that_becomes_free_goes_on_with_the_next_in_turn() {
        let mut desk = Desk::new(1);
        for n in 0..3 {
            desk.want(requester(1), computation(n));
        }
        desk.want(requester(2), computation(3));
        while let Some(next) = desk.next_to_prepare() {
            desk.prepared(next, ());
        }
        let (first, ()) = desk.next_to_run().unwrap();
        let line = desk.line();
        assert_eq!(line.go_on(), Some((computation(3), ())), "the other's turn");
        assert_eq!(desk.next_to_run(), None, "the worker is busy");
        // What nobody wants any more does not run; what runs is not taken back.
        desk.not_wanted(computation(1));
        desk.not_wanted(computation(3));
        assert_eq!(desk.ready(), [computation(2)]);
        desk.want(requester(1), first);
        desk.want(requester(1), computation(3));
        assert_eq!(
            desk.next_to_prepare(),
            None,
            "what they gave is not known yet"
        );
        assert_eq!(line.go_on(), Some((computation(2), ())));
        assert_eq!(line.go_on(), None);
        desk.ran(first);
        desk.want(requester(1), first);
        assert_eq!(desk.next_to_prepare(), Some(first));
        desk.prepared(first, ());
        assert!(desk.next_to_run().is_some(), "the place is free again");
    }

    #[test]
    fn what_is_here_is_not_wanted_twice_and_can_be_wanted_again() {
        let mut desk: Desk<()> = Desk::new(1);
        let (who, what) = (requester(1), computation(1));
        desk.want(who, what);
        desk.want(who, what);
        assert_eq!(desk.next_to_prepare(), Some(what));
        assert_eq!(desk.next_to_prepare(), None);
        desk.not_prepared(what);
        desk.want(who, what);
        assert_eq!(desk.next_to_prepare(), Some(what));
        desk.prepared(what, ());
        desk.next_to_run().unwrap();
        desk.want(who, what);
        assert_eq!(desk.next_to_prepare(), None, "it runs");
        end(&mut desk, what);
        desk.want(who, what);
        assert_eq!(desk.next_to_prepare(), Some(what));
    }
}
