//! Being told of new lines: each member that keeps the ring's logs is subscribed to, and says when one grows.
//!
//! The member that tells first is asked first, so a line is shown as soon as any of them has it. A member that tells nothing (it is
//! down, or behind TLS) is tried again in a while; while none tells, the conversation looks by itself, often
//! ([`LogWatch::is_live`]).

use rings_api::{
    notices::{HeadNotice, Notice, SubscribeParams, Topic},
    Client,
};
use rings_protocol::{backoff::Backoff, Address};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};

/// Heads that were told and not looked at yet. Beyond it, members wait.
const TOLD: usize = 64;
/// First and longest pause before a member is subscribed to again.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a member tells.
pub(super) struct TellingMember {
    /// Its place among the members.
    pub at: usize,
    /// A log that has grown; nothing when all of them are to be looked at.
    pub head: Option<HeadNotice>,
}

/// The members that keep a ring's logs, as far as they tell.
pub(super) struct LogWatch {
    told: mpsc::Receiver<TellingMember>,
    live: Arc<AtomicUsize>,
    /// Ends with this value.
    _tasks: JoinSet<()>,
}

impl LogWatch {
    /// Begins.
    pub(super) fn new(clients: &[Client], ring: Address) -> Self {
        let (sender, told) = mpsc::channel(TOLD);
        let (live, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for (at, client) in clients.iter().cloned().enumerate() {
            tasks.spawn(listen(
                (at, client),
                ring,
                sender.clone(),
                Arc::clone(&live),
            ));
        }
        Self {
            told,
            live,
            _tasks: tasks,
        }
    }

    /// Whether a member tells of what is new.
    pub(super) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0
    }

    /// What is told next. Nothing is lost when this is cancelled.
    pub(super) async fn next(&mut self) -> TellingMember {
        match self.told.recv().await {
            Some(told) => told,
            // There is no member at all.
            None => std::future::pending().await,
        }
    }
}

/// Listens to one member, again and again.
async fn listen(
    (at, client): (usize, Client),
    ring: Address,
    told: mpsc::Sender<TellingMember>,
    live: Arc<AtomicUsize>,
) {
    let what = SubscribeParams {
        ring: Some(ring),
        ..SubscribeParams::all(Topic::Heads)
    };
    let mut pauses = Backoff::new(PAUSE, LONGEST_PAUSE);
    loop {
        if let Ok(mut notices) = client.subscribe(&what).await {
            pauses.reset();
            live.fetch_add(1, Ordering::Relaxed);
            // What came before the subscription is looked for once.
            let mut head = None;
            while told.send(TellingMember { at, head }).await.is_ok() {
                head = match notices.next().await {
                    Ok(Notice::Heads(next)) => Some(next),
                    Ok(_) => None,
                    Err(_) => break,
                };
            }
            live.fetch_sub(1, Ordering::Relaxed);
        }
        if told.is_closed() {
            return;
        }
        tokio::time::sleep(pauses.failed(rand::random())).await;
    }
}
