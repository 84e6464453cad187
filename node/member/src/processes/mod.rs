//! Processes: the members run them, with no command line open.
//!
//! What happens is written into the members' logs first (`rings_process::words`): that a process is installed, that an event has
//! happened. `hear` reads all logs for it, and writes what it finds into `processes.redb` (`state/processes`), together with how far
//! it has read. `sources` finds events that need nobody to tell them, in logs of contracts and by schedules, again after any
//! time of being away; the members have their turns to write each into a log. `listening` finds those that are messages in logs
//! (`messages`) or results of another ring (`results`).
//!
//! `drive` goes on with all runs that are open. Every member does so, from the same events and the same results, so each
//! knows which executions are to be done. Each execution (`job`) is a request whose digest follows from the execution, and the
//! members have their turns to ask it: who comes later finds that it was asked. What two thirds have voted for is what it gave.
//! So a member may be killed at any moment: another one asks, and the same follows.
//!
//! What a connector does for an external task (`errand`) is the word of a member, so nothing follows from it before the ring has
//! decided. No member waits for a connector: it runs beside the rest, and what it gave comes back through the own log.
//!
//! A node that waits for one more event (`waits`) gets what the ring decides: an event that members have found for it, or that none
//! came in time. A run that only waits is not in memory.
//!
//! A task that is settled on the chain, or by another ring (`settle`), waits in the same way for its gate, which `gates` opens and
//! watches.
//!
//! [`Processes`] holds what these share, and answers the HTTP side (`answers`, `views`, `instance_views`).

mod agenda;
mod answers;
mod concerned;
mod decisions;
mod drive;
mod errand;
mod errand_rules;
mod error;
mod gates;
mod hear;
mod instance_views;
mod job;
mod keeper;
mod listener;
mod listening;
mod live;
mod log_pages;
mod look;
mod messages;
mod missing;
mod moment;
mod openings;
mod parking;
mod plan_cache;
mod plans;
mod result_depth;
mod results;
mod runs;
mod settle;
mod sources;
mod taken_up;
mod trigger;
mod users;
mod views;
mod waits;
mod watched;
mod written;

pub use drive::drive;
pub use keeper::{ProcessParts, Processes};
pub use listening::find_in_logs;
pub use sources::find;
