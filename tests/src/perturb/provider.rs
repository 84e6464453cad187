//! A running provider: the handle by which a test commands it and reads what it was asked.

use super::{
    conduct::Conduct,
    desk::{Bucket, Desk},
    serve,
};
use crate::wait::{block_on, runtime};
use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex,
    },
    time::Instant,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A provider before a chain; it ends with this value.
#[derive(Debug)]
pub struct Provider {
    port: u16,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Starts a good one before the chain on this port.
    pub fn before(upstream: u16) -> Self {
        Self::with(upstream, Conduct::default())
    }

    /// Starts a good one on this port, where nobody has listened before.
    pub fn on(port: u16, upstream: u16) -> Self {
        Self::listening(port, upstream, Conduct::default())
    }

    /// Starts one with this conduct.
    pub fn with(upstream: u16, conduct: Conduct) -> Self {
        Self::listening(0, upstream, conduct)
    }

    fn listening(port: u16, upstream: u16, conduct: Conduct) -> Self {
        let listener = block_on(TcpListener::bind(("127.0.0.1", port))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Arc::new(Desk {
            upstream: upstream.into(),
            conduct: Mutex::new(conduct),
            asked: Mutex::default(),
            bucket: Mutex::new(Bucket {
                left: 0.0,
                since: Instant::now(),
            }),
            turn: AtomicU64::new(0),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            cut: watch::Sender::new(0),
        });
        let task = runtime().spawn(serve::accept(listener, Arc::clone(&desk)));
        Self { port, desk, task }
    }

    /// From now on it behaves so.
    pub fn behave(&self, conduct: Conduct) {
        let burst = conduct.rate.map_or(0.0, |rate| rate.per_second);
        *self.desk.bucket.lock().unwrap() = Bucket {
            left: burst,
            since: Instant::now(),
        };
        *self.desk.conduct.lock().unwrap() = conduct;
    }

    /// From now on its head stands where it is.
    pub fn stand_still(&self) {
        let head = block_on(self.desk.head());
        self.behave(Conduct {
            head: Some(head),
            ..Conduct::default()
        });
    }

    /// From now on it is a good one again.
    pub fn be_good(&self) {
        self.behave(Conduct::default());
    }

    /// From now on another chain is behind it. Connections that were made before are closed.
    pub fn lead_to(&self, upstream: u16) {
        self.desk.upstream.store(upstream, Ordering::Relaxed);
        self.cut();
    }

    /// Whether the chain on this port is behind it.
    pub fn leads_to(&self, upstream: u16) -> bool {
        self.desk.upstream() == upstream
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.desk.cut.send_modify(|count| *count += 1);
    }

    /// Its URL for HTTP.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its URL for WebSocket.
    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often each method was asked for that it has.
    pub fn served(&self) -> BTreeMap<String, usize> {
        self.desk.asked.lock().unwrap().served.clone()
    }

    /// How often each method was asked for that it has not.
    pub fn refused(&self) -> BTreeMap<String, usize> {
        self.desk.asked.lock().unwrap().refused.clone()
    }

    /// How many requests got 429.
    pub fn limited(&self) -> usize {
        self.desk.asked.lock().unwrap().limited
    }

    /// How many requests came, whatever became of them.
    pub fn total(&self) -> usize {
        let asked = self.desk.asked.lock().unwrap();
        asked
            .served
            .values()
            .chain(asked.refused.values())
            .sum::<usize>()
            + asked.limited
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}
