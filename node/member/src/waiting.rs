//! Waiting for the chain, or for a signer, while a member starts.
//!
//! A member needs its chain before it can open its state: the chain's id says whose state it is. An endpoint that cannot be
//! reached does not end the member. [`Waiting::patiently`] asks again, and [`Waiting::trouble`] says meanwhile, to status
//! and health, what is waited for.
//!
//! Nor does one odd answer: an endpoint may be behind, lie, or have a block that is reorganised away. [`Outlook`] says which
//! errors another look may show otherwise; such a one ends the member when each look shows the same for [`CERTAIN_AFTER`].

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
use tokio::time::{sleep, Instant};

/// First and longest pause before the chain is asked again. The longest is short, so that a member goes on soon after
/// its endpoint is back.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long what speaks against a start must stay the same before it ends the member.
const CERTAIN_AFTER: Duration = Duration::from_secs(30);
/// What the chain is called in the log.
const CHAIN: &str = "its chain";

/// What another look may change about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Nothing was found out: it may pass at any time.
    Passing,
    /// Another look may show something else.
    Doubtful,
    /// No look will change it.
    Certain,
}

impl Outlook {
    /// Of what the chain says, only what comes from the configuration or from this machine is certain.
    pub(super) fn of_chain(error: &ChainError) -> Self {
        match error.class() {
            Class::Transient => Self::Passing,
            Class::Invalid if !matches!(error, ChainError::Url { .. }) => Self::Doubtful,
            Class::Invalid | Class::Fatal => Self::Certain,
        }
    }

    fn of_signer(error: &SignerError) -> Self {
        match error.is_transient() {
            true => Self::Passing,
            false => Self::Certain,
        }
    }
}

/// What a member that starts waits for.
#[derive(Debug)]
pub(super) struct Waiting {
    trouble: Mutex<Option<String>>,
    certain_after: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::believing_after(CERTAIN_AFTER)
    }
}

impl Waiting {
    /// One that believes what is doubtful after this time.
    pub(super) fn believing_after(certain_after: Duration) -> Self {
        Self {
            trouble: Mutex::default(),
            certain_after,
        }
    }

    /// What is waited for, if something went wrong.
    pub fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the chain until it answers. Only an error that waiting cannot mend is returned, such as a URL that is not one,
    /// or a contract that is not there whenever it is asked.
    pub async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ChainError>>,
    {
        self.until_it_answers(CHAIN, ask, Outlook::of_chain).await
    }

    /// Asks a signer for the member's key until it answers.
    ///
    /// # Errors
    /// [`SignerError`] that waiting cannot mend: it does not have the key, or a file is wrong.
    pub async fn signer(&self, config: &SignerConfig) -> Result<RemoteSigner, SignerError> {
        let ask = || RemoteSigner::connect(config);
        self.until_it_answers("its signer", ask, Outlook::of_signer)
            .await
    }

    async fn until_it_answers<T, E: Error + 'static, F>(
        &self,
        what: &'static str,
        ask: impl Fn() -> F,
        outlook: impl Fn(&E) -> Outlook,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut patience = self.patience(what);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let outlook = outlook(&error);
                    patience.after(error, outlook).await?;
                }
            }
        }
    }

    /// Patience with the chain, for whoever asks it several things in turn.
    pub(super) fn for_chain(&self) -> Patience<'_> {
        self.patience(CHAIN)
    }

    fn patience(&self, what: &'static str) -> Patience<'_> {
        Patience {
            waiting: self,
            what,
            backoff: Backoff::new(PAUSE, LONGEST_PAUSE),
            seen: None,
        }
    }
}

/// One wait: how often it failed, and since when a doubtful error has been the same. Nothing is waited for any more when it is
/// dropped.
pub(super) struct Patience<'a> {
    waiting: &'a Waiting,
    what: &'static str,
    backoff: Backoff,
    seen: Option<(Instant, String)>,
}

impl Patience<'_> {
    /// Waits until it is time to ask again after an error.
    ///
    /// # Errors
    /// The same error when there is no use in asking again.
    pub(super) async fn after<E: Error + 'static>(
        &mut self,
        error: E,
        outlook: Outlook,
    ) -> Result<(), E> {
        let said = error.to_string();
        let shown = match outlook {
            Outlook::Certain => return Err(error),
            Outlook::Passing => {
                self.seen = None;
                said
            }
            Outlook::Doubtful => {
                let (since, certain_after) = (self.since(said.clone()), self.waiting.certain_after);
                if since.elapsed() >= certain_after {
                    return Err(error);
                }
                let seconds = certain_after.as_secs();
                format!("{said} (the member looks again, and ends if it stays so for {seconds} s)")
            }
        };
        let cause = &error as &(dyn Error + 'static);
        tracing::warn!(
            error = cause,
            "the member waits for {}, and asks it again",
            self.what
        );
        *self.waiting.lock() = Some(shown);
        sleep(self.backoff.failed(rand::random())).await;
        Ok(())
    }

    /// Since when each look has shown this.
    fn since(&mut self, said: String) -> Instant {
        let seen = self.seen.take().filter(|(_, before)| *before == said);
        let since = seen.map_or_else(Instant::now, |(since, _)| since);
        self.seen = Some((since, said));
        since
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        *self.waiting.lock() = None;
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
            Err::<(), _>(ChainError::Url {
                url: "x".into(),
                reason: "it is none".into(),
            })
        });
        assert!(matches!(refused.await, Err(ChainError::Url { .. })));
    }

    fn not_there(what: &'static str) -> ChainError {
        ChainError::NotAContract {
            address: Address::ZERO,
            what,
        }
    }

    #[tokio::test]
    async fn what_is_doubtful_is_looked_at_again_and_told_meanwhile() {
        let waiting = Waiting::default();
        let (asked, seen) = (AtomicUsize::new(0), Mutex::new(None));
        let answer = waiting.patiently(|| async {
            *seen.lock().unwrap() = waiting.trouble();
            match asked.fetch_add(1, Ordering::Relaxed) {
                1 => Ok(7),
                _ => Err(not_there("ring")),
            }
        });
        assert_eq!(answer.await.unwrap(), 7);
        let trouble = seen.into_inner().unwrap().unwrap();
        assert!(
            trouble.contains("there is no ring")
                && trouble.contains("ends if it stays so for 30 s"),
            "{trouble}"
        );
        assert_eq!(waiting.trouble(), None, "it is over");
    }

    #[tokio::test]
    async fn what_stays_the_same_is_believed_and_what_changes_is_not() {
        let short = Duration::from_millis(200);
        let waiting = Waiting::believing_after(short);
        let began = Instant::now();
        let refused = waiting.patiently(|| async { Err::<(), _>(not_there("ring")) });
        assert!(matches!(
            refused.await,
            Err(ChainError::NotAContract { .. })
        ));
        assert!(began.elapsed() >= short);
        assert_eq!(waiting.trouble(), None);

        // No two looks show the same, or a look shows nothing: there is nothing to believe.
        let asked = AtomicUsize::new(0);
        let answer = waiting.patiently(|| async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Err(not_there("ring")),
                1 => Err(not_there("engine")),
                2 => Err(ChainError::NoSuchBlock { number: 1 }),
                3 => Err(not_there("engine")),
                _ => Ok(7),
            }
        });
        assert_eq!(answer.await.unwrap(), 7);
    }
}
