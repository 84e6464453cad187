//! The parts of a member that run side by side, and which of them is to blame when the member stops.

use super::NodeError;
use std::future::Future;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a part is called, and how it ended.
type Ended = (Part, Result<(), NodeError>);

/// One of them.
#[derive(Debug, Clone, Copy)]
struct Part {
    name: &'static str,
    /// Whether it may be done before the member is.
    ends: bool,
}

/// All that run.
pub(super) struct Running {
    tasks: JoinSet<Ended>,
    /// Tells them to stop. Nobody else but the member's own shutdown does, so that the first to end with an error is known:
    /// if a failing part stopped the others itself, one of those could be seen to end well before it, and the error be lost.
    stop: CancellationToken,
}

impl Running {
    /// None yet.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            stop,
        }
    }

    /// Starts a part that runs until all are stopped.
    pub(super) fn run<E: Into<NodeError>>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(Part { name, ends: false }, work);
    }

    /// Starts a part that has an end of its own.
    pub(super) fn run_once<E: Into<NodeError>>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(Part { name, ends: true }, work);
    }

    fn start<E: Into<NodeError>>(
        &mut self,
        part: Part,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks
            .spawn(async move { (part, work.await.map_err(Into::into)) });
    }

    /// Waits until all are told to stop, or one ends that should not have; then tells the others.
    ///
    /// # Errors
    /// Why a part ended.
    pub(super) async fn first_failure(&mut self) -> Result<(), NodeError> {
        let outcome = loop {
            match self.tasks.join_next().await {
                None => break Ok(()),
                Some(Ok((part, Err(error)))) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::error!(part = part.name, error = cause, "the member stops");
                    break Err(error);
                }
                Some(Ok((part, Ok(())))) if part.ends => {}
                Some(Ok((_, Ok(())))) if self.stop.is_cancelled() => break Ok(()),
                Some(Ok((Part { name: part, .. }, Ok(())))) => {
                    break Err(NodeError::Ended { part, source: None });
                }
                Some(Err(source)) => {
                    let (part, source) = ("task", Some(source));
                    break Err(NodeError::Ended { part, source });
                }
            }
        };
        self.stop.cancel();
        outcome
    }

    /// Waits until none is left.
    pub(super) async fn end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> NodeError {
        NodeError::Ended {
            part: "the one to blame",
            source: None,
        }
    }

    async fn until(stop: CancellationToken) -> Result<(), NodeError> {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_fails_is_to_blame_whoever_ends_with_it() {
        for _ in 0..200 {
            let stop = CancellationToken::new();
            let mut parts = Running::new(stop.clone());
            for _ in 0..4 {
                parts.run("another", until(stop.clone()));
            }
            parts.run_once::<NodeError>("done soon", async { Ok(()) });
            parts.run("failing", async { Err(failure()) });
            let blamed = parts.first_failure().await.unwrap_err();
            assert!(blamed.to_string().contains("the one to blame"), "{blamed}");
            assert!(stop.is_cancelled());
            parts.end().await;
        }
    }

    #[tokio::test]
    async fn a_part_that_ends_unasked_is_named_and_one_that_is_asked_is_not() {
        let mut parts = Running::new(CancellationToken::new());
        parts.run::<NodeError>("watcher", async { Ok(()) });
        let unasked = parts.first_failure().await.unwrap_err();
        assert!(unasked.to_string().contains("watcher"), "{unasked}");

        let stop = CancellationToken::new();
        let mut parts = Running::new(stop.clone());
        parts.run("watcher", until(stop.clone()));
        parts.run("core", until(stop.clone()));
        stop.cancel();
        parts.first_failure().await.unwrap();
        parts.end().await;
    }
}
