//! Turns at compiling: a program that compiles quickly does not wait behind those that do not.
//!
//! Every compilation begins in a quick turn. One that needs longer than [`QUICK`] goes on in a slow turn if there is one;
//! if not, it is ended, and begins anew when a slow turn comes. So all quick turns are free again after [`QUICK`],
//! whatever is compiled.

use std::{future::Future, pin::pin, time::Duration};
use tokio::{
    sync::{AcquireError, Semaphore},
    time::timeout,
};

/// Quick turns at one time.
const QUICK_TURNS: usize = 2;
/// Slow turns at one time.
const SLOW_TURNS: usize = 1;
/// How long a quick turn lasts. Most programs compile in a tenth of it.
const QUICK: Duration = Duration::from_secs(5);

/// The turns of one pool.
pub(crate) struct Turns {
    quick: Semaphore,
    slow: Semaphore,
    /// How long a quick turn lasts.
    limit: Duration,
}

impl Turns {
    /// All of them free.
    pub(crate) fn new() -> Self {
        Self {
            quick: Semaphore::new(QUICK_TURNS),
            slow: Semaphore::new(SLOW_TURNS),
            limit: QUICK,
        }
    }

    /// Waits for a turn, and does the work in it. `work` is called a second time if the first was ended.
    ///
    /// # Errors
    /// When the pool is gone.
    pub(crate) async fn take<T, F: Future<Output = T>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, AcquireError> {
        match self.quickly(work()).await? {
            Some(done) => Ok(done),
            None => {
                let _turn = self.slow.acquire().await?;
                Ok(work().await)
            }
        }
    }

    /// `None` if the work was ended.
    async fn quickly<T>(&self, work: impl Future<Output = T>) -> Result<Option<T>, AcquireError> {
        let turn = self.quick.acquire().await?;
        let mut work = pin!(work);
        if let Ok(done) = timeout(self.limit, &mut work).await {
            return Ok(Some(done));
        }
        let Ok(_slow) = self.slow.try_acquire() else {
            return Ok(None);
        };
        drop(turn);
        Ok(Some(work.await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join;
    use std::sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    };
    use tokio::time::sleep;

    const SLOW: Duration = Duration::from_millis(800);

    fn turns() -> Arc<Turns> {
        Arc::new(Turns {
            limit: Duration::from_millis(50),
            ..Turns::new()
        })
    }

    #[tokio::test]
    async fn what_is_quick_does_not_wait_for_what_is_slow() {
        let (turns, ended) = (turns(), Arc::new(AtomicU32::new(0)));
        let slow: Vec<_> = (0..3)
            .map(|_| {
                let (turns, ended) = (Arc::clone(&turns), Arc::clone(&ended));
                tokio::spawn(async move {
                    turns.take(|| sleep(SLOW)).await.unwrap();
                    ended.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        turns.take(|| async {}).await.unwrap();
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        for slow in slow {
            slow.await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_slow_and_alone_is_done_once() {
        let (turns, begun) = (turns(), AtomicU32::new(0));
        let work = || async {
            begun.fetch_add(1, Ordering::Relaxed);
            sleep(SLOW).await;
        };
        turns.take(work).await.unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        let (one, other) = join(turns.take(work), turns.take(work)).await;
        one.and(other).unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 4, "one of the two twice");
    }
}
