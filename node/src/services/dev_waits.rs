//! Nodes that wait for one more event, in `rings process dev`: on one machine, what is told first decides, an event or the time.
//!
//! The time is that of the blocks that were told (`time SECONDS`). As long as none was told, that of this machine's clock passes.

use super::dev_input::{awaited, by_hand};
use cid::Cid;
use rings_process::{
    data::Fields,
    event::{Event, Source, VERSION},
    plan::{Plan, StepKind},
    run::Run,
    shape::Record,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Events that are kept for nodes that begin to wait later.
const MAX_EARLIER: usize = 1_024;

/// A run of `dev`, and an execution of it.
pub type Place = (u64, Cid);

/// Makes the event of data and a nonce.
pub type Make<'p> = Box<dyn Fn(Fields, u64) -> Result<Event, String> + 'p>;

/// How an event that is told by this name is made, and the shape of its data. Without a name it is the one that starts the process.
///
/// # Errors
/// When the process knows no such event.
pub fn named<'p>(plan: &'p Plan, name: Option<&str>) -> Result<(Make<'p>, &'p Record), String> {
    let start: Make<'p> = Box::new(|data, nonce| by_hand(plan, data, nonce));
    let Some(name) = name else {
        return Ok((start, plan.event_data()));
    };
    if let Some((wait, shape)) = awaited(plan, name) {
        let make = |data, nonce| {
            Ok(Event {
                data,
                event: wait.event.clone(),
                instance: None,
                process: None,
                service: Some(wait.service),
                source: Source::Hand { nonce },
                version: VERSION,
            })
        };
        return Ok((Box::new(make), shape));
    }
    let own = plan.event_service().zip(plan.event());
    let is_start = own.is_some_and(|(service, (_, event))| {
        name == event || name.split_once('.') == Some((service, event))
    });
    match is_start {
        true => Ok((start, plan.event_data())),
        false => Err(format!("no node waits for event {name}")),
    }
}

#[derive(Debug)]
struct Wait {
    within: u64,
    /// The time of blocks at which it expires, once one was told.
    until: Option<u64>,
    began: Instant,
}

/// The executions that wait.
#[derive(Debug, Default)]
pub struct Waits {
    open: BTreeMap<Place, Wait>,
    /// Events, each with the number of the run that would have begun next.
    came: VecDeque<(u64, Vec<u8>)>,
}

impl Waits {
    /// An execution begins to wait. Gives the event that it waits for, if that came since its run began.
    pub fn begin(
        &mut self,
        place: Place,
        (within, time): (u64, Option<u64>),
        run: &Run,
    ) -> Option<Vec<u8>> {
        let mut came = self.came.iter();
        let earlier = came.find(|(next, bytes)| *next > place.0 && fits(run, &place.1, bytes));
        if let Some((_, bytes)) = earlier {
            return Some(bytes.clone());
        }
        let wait = Wait {
            within,
            until: time.map(|time| time.saturating_add(within)),
            began: Instant::now(),
        };
        self.open.insert(place, wait);
        None
    }

    /// The executions that wait for an event. They wait no more.
    pub fn came<T>(
        &mut self,
        next_run: u64,
        bytes: &[u8],
        runs: &BTreeMap<u64, (Run, T)>,
    ) -> Vec<Place> {
        if self.came.len() >= MAX_EARLIER {
            self.came.pop_front();
        }
        self.came.push_back((next_run, bytes.to_vec()));
        self.take(|(number, id), _| {
            runs.get(number)
                .is_some_and(|(run, _)| fits(run, id, bytes))
        })
    }

    /// The executions whose time is over when a block has this time. They wait no more.
    pub fn over(&mut self, time: u64) -> Vec<Place> {
        for wait in self.open.values_mut() {
            // The first time that is told is when those of before began.
            wait.until.get_or_insert(time.saturating_add(wait.within));
        }
        self.take(|_, wait| wait.until.is_some_and(|until| until <= time))
    }

    /// The same by this machine's clock.
    pub fn over_by_clock(&mut self) -> Vec<Place> {
        self.take(|_, wait| wait.began.elapsed() >= Duration::from_secs(wait.within))
    }

    /// How many executions wait.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// The runs that wait.
    pub fn runs(&self) -> BTreeSet<u64> {
        self.open.keys().map(|(number, _)| *number).collect()
    }

    fn take(&mut self, mut is_it: impl FnMut(&Place, &Wait) -> bool) -> Vec<Place> {
        let found = self.open.iter().filter(|(place, wait)| is_it(place, wait));
        let found: Vec<_> = found.map(|(place, _)| *place).collect();
        for place in &found {
            self.open.remove(place);
        }
        found
    }
}

/// Whether an event is what an execution waits for.
fn fits(run: &Run, id: &Cid, bytes: &[u8]) -> bool {
    let Some(job) = run.job(id) else {
        return false;
    };
    match run.plan().step(&job.execution.node).map(|step| &step.kind) {
        Some(StepKind::Wait(wait)) => wait.event(&job.execution.inputs, bytes).is_ok(),
        _ => false,
    }
}
