//! The parts of a member that run side by side: starting them, and finding the one that failed first.
//!
//! A part is a task that runs until it is told to stop. When one ends with an error, all others are told to stop, and
//! that first error becomes the error of the member; the errors that follow from it are not shown in its place.

use super::error::MemberError;
use std::future::Future;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a part is called, and how it ended.
type Ended = (&'static str, Result<(), MemberError>);

/// All parts that run.
pub(super) struct Running {
    tasks: JoinSet<Ended>,
    /// Tells the parts to stop. Only the shutdown of the member and [`Running::first_failure`] cancel it. If a failing part
    /// stopped the others itself, one of them could be seen to end without an error before it, and the error would be lost.
    stop: CancellationToken,
}

impl Running {
    /// No part runs yet.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            stop,
        }
    }

    /// Starts a part that runs until all are stopped.
    pub(super) fn run<E: Into<MemberError>>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks
            .spawn(async move { (name, work.await.map_err(Into::into)) });
    }

    /// Waits until all parts are told to stop, or one of them ends unexpectedly; then tells the others to stop.
    ///
    /// # Errors
    /// Why a part ended.
    pub(super) async fn first_failure(&mut self) -> Result<(), MemberError> {
        let outcome = match self.tasks.join_next().await {
            None => Ok(()),
            Some(Ok((part, Err(error)))) => {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(part, error = cause, "the member stops");
                Err(error)
            }
            Some(Ok((_, Ok(())))) if self.stop.is_cancelled() => Ok(()),
            Some(Ok((part, Ok(())))) => Err(MemberError::Ended { part, source: None }),
            Some(Err(source)) => {
                let (part, source) = ("task", Some(source));
                Err(MemberError::Ended { part, source })
            }
        };
        self.stop.cancel();
        outcome
    }

    /// Waits until all parts have ended.
    pub(super) async fn end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> MemberError {
        MemberError::Ended {
            part: "the one to blame",
            source: None,
        }
    }

    async fn until(stop: CancellationToken) -> Result<(), MemberError> {
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
        parts.run::<MemberError>("watcher", async { Ok(()) });
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
