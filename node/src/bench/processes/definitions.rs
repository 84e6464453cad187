//! What the measurements have a ring run: a service with one small task, and processes of it.

use crate::{
    bench::stage::Stage,
    exit::{Context, ExitError, ExitStatus},
};
use cid::Cid;
use rings_api::processes::CreateProcessParams;
use rings_chain::registry_address;
use rings_process::{
    document::{cid_of, Document},
    mistake::Mistakes,
    process_file::ProcessDraft,
    service::Service,
    service_file::ServiceDraft,
};
use rings_protocol::{cids::keccak256, Digest};

/// The task's program: `answer.wat`, assembled. A test compares the two.
pub const PROGRAM: &[u8] = include_bytes!("answer.wasm");
/// Tasks of the chain.
pub const CHAIN: usize = 10;

/// What starts a process.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// An event by hand.
    Hand,
    /// A log of a contract.
    Log,
    /// A schedule, which is not due for long.
    Cron,
}

/// The service.
///
/// # Errors
/// Never, unless its text is wrong.
pub fn service() -> Result<Service, ExitError> {
    let contract = registry_address();
    let text = format!(
        "service: bench
events:
  asked: {{data: {{n: integer}}}}
  written:
    from: {{contract: \"{contract}\", log: \"Withdrawn(bytes32 indexed hash, address indexed owner, bool withdrawn)\", confirmations: 0}}
    data: {{withdrawn: boolean}}
tasks:
  answer: {{program: answer.wasm, statuses: {{done: {{n: integer}}}}}}
"
    );
    let draft = ServiceDraft::read("service.yml", &text).map_err(wrong)?;
    draft.finish(|_| Ok(cid_of(PROGRAM))).map_err(wrong)
}

/// A process of so many tasks, one behind the other. The number makes it another one.
///
/// # Errors
/// Never, unless its text is wrong.
fn process(start: Start, tasks: usize, number: u64) -> Result<Vec<u8>, ExitError> {
    let on = match start {
        Start::Hand => "bench.asked",
        Start::Log => "bench.written",
        Start::Cron => "{cron: \"0 0 29 2 *\"}",
    };
    let mut text = format!(
        "process: p\nabout: number {number}\nservices: {{bench: service.yml}}\non: {on}\nnodes:\n"
    );
    for task in 0..tasks {
        let after = match task {
            0 => String::new(),
            _ => format!("after: t{}.done, ", task - 1),
        };
        text.push_str(&format!("  t{task}: {{{after}task: bench.answer}}\n"));
    }
    let draft = ProcessDraft::read("process.yml", &text).map_err(wrong)?;
    let service = service()?;
    let plan = draft.finish(|_| Ok(service.clone())).map_err(wrong)?;
    let bytes = plan.process().to_bytes();
    bytes.context(ExitStatus::Internal, "a process cannot be written")
}

/// The one instance.
pub fn instance() -> Digest {
    keccak256(b"bench")
}

/// Puts program and service into the ring's store.
///
/// # Errors
/// When the member does not take them.
pub async fn prepare(stage: &Stage) -> Result<(), ExitError> {
    stage.add(PROGRAM).await?;
    let bytes = service()?.to_bytes();
    let bytes = bytes.context(ExitStatus::Internal, "a service cannot be written")?;
    stage.add(&bytes).await.map(drop)
}

/// Has the ring run a process. Gives its installation.
///
/// # Errors
/// When the member refuses.
pub async fn install(
    stage: &Stage,
    start: Start,
    tasks: usize,
    number: u64,
) -> Result<Digest, ExitError> {
    let process: Cid = stage.add(&process(start, tasks, number)?).await?;
    let asked = CreateProcessParams {
        ring: stage.ring(),
        process,
        instances: [("bench".to_owned(), instance())].into(),
        nonce: 0,
    };
    Ok(stage.member()?.create_process(&asked).await?.installation)
}

fn wrong(mistakes: Mistakes) -> ExitError {
    ExitError::internal("a definition is wrong").because(mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assembled_program_is_the_one_in_the_source() {
        let made = wat::parse_str(include_str!("answer.wat")).unwrap();
        assert_eq!(PROGRAM, made);
    }

    #[test]
    fn each_number_is_a_process_of_its_own() {
        for start in [Start::Hand, Start::Log, Start::Cron] {
            let one = process(start, CHAIN, 1).unwrap();
            assert_ne!(one, process(start, CHAIN, 2).unwrap());
        }
    }
}
