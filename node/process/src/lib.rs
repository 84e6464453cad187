//! Services and processes, without I/O: when this happens, these tasks run, and anyone can trace why.
//!
//! A [`Service`](service::Service) says what can be done (tasks) and what can happen (events). A
//! [`Process`](process::Process) is a graph of tasks, filters and maps that one event starts. People write both as YAML
//! ([`service_file`], [`process_file`]), and are told about each mistake with its line. What counts is the canonical
//! [`Document`](document::Document), whose CID is its name. A [`Plan`](plan::Plan) is a process that was checked against its
//! services: nothing in it refers to what is not there.
//!
//! An [`Event`](event::Event) and a plan make a [`Run`](run::Run). The run says which [`Execution`](execution::Execution)s are to
//! be done; the caller has them computed, by a ring or on one machine, and tells the results, of which further executions
//! follow. Filters, maps and texts are resolved here ([`formula`], [`template`]), as all members must find the same.
//!
//! On a ring, members write what happens into their logs ([`words`]), and each execution is a request ([`work`]). Events may be
//! logs of contracts, messages in logs, or results of another ring ([`event_origin`]). Which event a node that waits gets, or that none came in time, the ring decides ([`wait`]).
//!
//! Nothing here reads a clock, a file or a socket. Everything that others write has a bound ([`bounds`]).

pub mod abi;
pub mod abi_value;
pub mod attempt;
pub mod bounds;
pub mod data;
pub mod document;
pub mod event;
pub mod event_origin;
pub mod execution;
pub mod external;
mod external_file;
pub mod files;
pub mod formula;
pub mod graph;
pub mod instance;
pub mod message_origin;
pub mod missing;
pub mod mistake;
pub mod origin;
pub mod plan;
pub mod process;
pub mod process_file;
mod reader;
pub mod reference;
pub mod result_origin;
pub mod run;
#[cfg(test)]
mod run_tests;
pub mod runners;
pub mod schedule;
pub mod schema;
pub mod selection;
pub mod service;
pub mod service_file;
pub mod settle;
#[cfg(test)]
mod settle_tests;
pub mod shape;
pub mod template;
pub mod trace;
pub mod wait;
pub mod words;
pub mod work;
pub mod yaml;
