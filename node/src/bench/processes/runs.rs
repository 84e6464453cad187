//! Runs of processes: how long they take, one after the other, and how many executions come in a second.

use super::definitions::{instance, CHAIN};
use crate::{bench::stage::Stage, exit::ExitError};
use futures::{stream, StreamExt, TryStreamExt};
use rings_api::{
    notices::{Notice, ProcessChange, SubscribeParams, Topic},
    processes::{EmitParams, GetProcessParams, ListProcessesParams, ProcessState, MAX_PAGE},
    Notices,
};
use rings_chain::{register, withdraw, Registered, Registration};
use rings_protocol::{cids::keccak256, Digest};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Longest time for one run.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the chain, and at a member that has much to do.
const LOOK: Duration = Duration::from_millis(1);
const SLOW_LOOK: Duration = Duration::from_millis(100);
/// Events that are told at one time.
const LANES: usize = 16;
/// Longest time without any progress of many runs.
const STUCK: Duration = Duration::from_secs(120);

/// Listens to what a member says of processes.
///
/// # Errors
/// When the member does not answer.
pub async fn listen(stage: &Stage, installation: Digest) -> Result<Notices, ExitError> {
    let what = SubscribeParams {
        installation: Some(installation),
        ..SubscribeParams::all(Topic::Processes)
    };
    Ok(stage.member()?.subscribe(&what).await?)
}

/// Waits until so many executions of one run have succeeded.
async fn succeeded(notices: &mut Notices, count: usize) -> Result<Instant, ExitError> {
    let mut seen = 0;
    while seen < count {
        let notice = timeout(PATIENCE, notices.next()).await;
        let notice = notice.map_err(|_| silent())??;
        match notice {
            Notice::Processes(notice) if notice.change == ProcessChange::Succeeded => seen += 1,
            Notice::Processes(notice) if notice.change == ProcessChange::Failed => {
                return Err(ExitError::internal("a task of the bench has failed"));
            }
            _ => {}
        }
    }
    Ok(Instant::now())
}

/// Waits until the run is over, so that the next one begins with an idle ring.
async fn over(notices: &mut Notices) -> Result<(), ExitError> {
    loop {
        let notice = timeout(PATIENCE, notices.next()).await;
        if let Notice::Processes(notice) = notice.map_err(|_| silent())?? {
            if notice.change == ProcessChange::Over {
                return Ok(());
            }
        }
    }
}

fn silent() -> ExitError {
    ExitError::unavailable("a run has not ended in time; the members' logs may say why")
}

/// Tells the member of an event by hand. Gives how many processes it starts.
async fn emit(stage: &Stage, n: u64) -> Result<u64, ExitError> {
    let event = EmitParams {
        instance: instance(),
        event: "asked".into(),
        data: serde_json::json!({ "n": n }),
        nonce: n,
    };
    Ok(stage.member()?.emit(&event).await?.starts.len() as u64)
}

/// Runs of a chain of ten tasks, one after the other: from before the event is told to the last result.
///
/// # Errors
/// When a run does not end.
pub async fn chains(
    stage: &Stage,
    installation: Digest,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<Duration>, ExitError> {
    let mut notices = listen(stage, installation).await?;
    let mut times = Vec::new();
    for n in numbers {
        let began = Instant::now();
        emit(stage, n).await?;
        let ended = succeeded(&mut notices, CHAIN).await?;
        times.push(ended - began);
        over(&mut notices).await?;
    }
    Ok(times)
}

/// Ends a process for good, and waits until the ring has decided it: from then on, no event starts it.
///
/// # Errors
/// When the ring does not decide it in time.
pub async fn cancel(stage: &Stage, installation: Digest) -> Result<(), ExitError> {
    let member = stage.member()?;
    member.cancel_process(installation).await?;
    let which = GetProcessParams {
        installation,
        before: None,
        limit: Some(1),
    };
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let state = member.get_process(&which).await?.process.state;
        if state == ProcessState::Cancelled {
            return Ok(());
        }
        tokio::time::sleep(SLOW_LOOK).await;
    }
    Err(silent())
}

/// Runs that logs of a contract start, one after the other: from the block to the result of the first task.
///
/// # Errors
/// When a run does not end, or the chain refuses.
pub async fn logs(
    stage: &Stage,
    installation: Digest,
    count: u64,
) -> Result<Vec<Duration>, ExitError> {
    let entry = Registration {
        kind: Registered::Service,
        hash: keccak256(b"bench"),
        name: "bench".into(),
        version: "1".into(),
        description: None,
    };
    stage
        .send(keccak256(b"registered"), register(&entry))
        .await?;
    let mut notices = listen(stage, installation).await?;
    let mut times = Vec::new();
    for n in 0..count {
        let before = stage.chain().head().await?.number;
        let purpose = keccak256(&[b"withdrawn", &n.to_be_bytes()[..]].concat());
        let sent = stage.send(purpose, withdraw(entry.hash, n % 2 == 0));
        let (sent, mined) = tokio::join!(sent, block_after(stage, before));
        sent?;
        let mined = mined?;
        let ended = succeeded(&mut notices, 1).await?;
        times.push(ended.saturating_duration_since(mined));
        over(&mut notices).await?;
    }
    Ok(times)
}

/// When there is a block behind this one.
async fn block_after(stage: &Stage, before: u64) -> Result<Instant, ExitError> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let number = stage.chain().head().await?.number;
        if number > before {
            return Ok(Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(silent())
}

/// Tells so many events, each of which starts all processes of the event, and waits until all runs are over. The time of all.
///
/// # Errors
/// When runs make no progress any more.
pub async fn many(stage: &Stage, events: std::ops::Range<u64>) -> Result<Duration, ExitError> {
    let (before, _) = runs(stage).await?;
    let began = Instant::now();
    let told = stream::iter(events.map(|n| emit(stage, n)));
    let starts: Vec<u64> = told.buffer_unordered(LANES).try_collect().await?;
    let after = before + starts.iter().sum::<u64>();
    let mut last = (Instant::now(), 0);
    loop {
        let (all, open) = runs(stage).await?;
        if open == 0 && all >= after {
            return Ok(began.elapsed());
        }
        if open != last.1 {
            last = (Instant::now(), open);
        }
        if last.0.elapsed() > STUCK {
            return Err(silent());
        }
        tokio::time::sleep(SLOW_LOOK).await;
    }
}

/// The runs of all processes, and those that are not over.
async fn runs(stage: &Stage) -> Result<(u64, u64), ExitError> {
    let (mut all, mut open) = (0, 0);
    let mut which = ListProcessesParams {
        from: None,
        limit: Some(MAX_PAGE),
    };
    loop {
        let page = stage.member()?.list_processes(&which).await?;
        for process in page.processes {
            all += process.runs;
            open += process.open;
        }
        match page.next {
            Some(next) => which.from = Some(next),
            None => return Ok((all, open)),
        }
    }
}
