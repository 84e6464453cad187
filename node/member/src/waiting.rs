//! Waiting for the chain, or for a signer, while a member starts.
//!
//! A member needs its chain before it can open its state: the chain's id says whose state it is. An endpoint that cannot be
//! reached does not end the member. [`Waiting::patiently`] asks again, and [`Waiting::trouble`] says meanwhile, to status
//! and health, what is waited for.

use super::{
    config::SignerConfig,
    signer::{RemoteSigner, SignerError},
};
use rings_chain::{ChainError, Class};
use rings_protocol::backoff::Backoff;
use std::{
    error::Error,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// First and longest pause before the chain is asked again. The longest is short, so that a member goes on soon after
/// its endpoint is back.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What a member that starts waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Option<String>>);

impl Waiting {
    /// What is waited for, if something went wrong.
    pub fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the chain until it answers. Only an error that waiting cannot mend is returned, such as a URL that is not one,
    /// or a ring that is not there.
    pub async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ChainError>>,
    {
        let may_pass = |error: &ChainError| error.class() == Class::Transient;
        self.until_it_answers("its chain", ask, may_pass).await
    }

    /// Asks a signer for the member's key until it answers.
    ///
    /// # Errors
    /// [`SignerError`] that waiting cannot mend: it does not have the key, or a file is wrong.
    pub async fn signer(&self, config: &SignerConfig) -> Result<RemoteSigner, SignerError> {
        let ask = || RemoteSigner::connect(config);
        self.until_it_answers("its signer", ask, SignerError::is_transient)
            .await
    }

    async fn until_it_answers<T, E: Error + 'static, F>(
        &self,
        what: &'static str,
        ask: impl Fn() -> F,
        may_pass: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        loop {
            match ask().await {
                Err(error) if may_pass(&error) => self.note(what, &error),
                answer => {
                    *self.lock() = None;
                    return answer;
                }
            }
            tokio::time::sleep(backoff.failed(rand::random())).await;
        }
    }

    fn note(&self, what: &'static str, error: &(impl Error + 'static)) {
        let cause = error as &(dyn Error + 'static);
        tracing::warn!(
            error = cause,
            "the member waits for {what}, and asks it again"
        );
        *self.lock() = Some(error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::Address;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn an_endpoint_that_is_away_is_asked_again_and_named_meanwhile() {
        let (waiting, asked) = (Waiting::default(), AtomicUsize::new(0));
        let seen = Mutex::new(Vec::new());
        let answer = waiting.patiently(|| async {
            seen.lock().unwrap().push(waiting.trouble());
            match asked.fetch_add(1, Ordering::Relaxed) {
                1 => Ok(7),
                _ => Err(ChainError::Timeout {
                    endpoint: "http://127.0.0.1:1".into(),
                    method: "eth_chainId".into(),
                    seconds: 1,
                }),
            }
        });
        assert_eq!(answer.await.unwrap(), 7);
        let seen = seen.into_inner().unwrap();
        let [None, Some(trouble)] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert!(trouble.contains("http://127.0.0.1:1"), "{trouble}");
        assert_eq!(waiting.trouble(), None, "it is over");
    }

    #[tokio::test]
    async fn what_waiting_does_not_mend_is_an_error_at_once() {
        let waiting = Waiting::default();
        let refused = waiting.patiently(|| async {
            Err::<(), _>(ChainError::NotAContract {
                address: Address::ZERO,
                what: "ring",
            })
        });
        assert!(matches!(
            refused.await,
            Err(ChainError::NotAContract { .. })
        ));
    }
}
