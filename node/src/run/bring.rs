//! Brings the files of a run to a member, and insists while members are late or their stores fail.
//!
//! What a member says of the files themselves is final. That members answer too late, or that a store is away for a moment, may
//! pass before `--timeout` is over, so it is tried again until then, and told if it does not pass.

use super::{
    declined::until_stuck,
    job::{self, ProgramSource},
    receipt::milliseconds,
    session::{too_late, Session},
};
use crate::{
    exit::{ExitError, ExitStatus},
    place::nobody_answers,
    process::Pauses,
    votes::{who_answers, Answering},
};
use futures::{stream, StreamExt, TryStreamExt};
use rings_api::{Client, GatewaySource};
use rings_store::BlockSource;
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout_at};

/// How long a member keeps the files of a run at least, in seconds: until its gate is asked for, and they are needed.
const KEPT_SECONDS: u64 = 60 * 60;
/// Files that are added at one moment; a member takes a few at once and sends others away.
const UPLOADS_AT_ONCE: usize = 4;
/// Longest pause before members are asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why members did not do what was asked of them.
pub(super) enum Hindrance {
    /// It may be over a moment later.
    Passing(ExitError),
    /// Asking again would not help.
    Final(ExitError),
}

impl From<ExitError> for Hindrance {
    fn from(failure: ExitError) -> Self {
        match failure.may_pass() {
            true => Self::Passing(failure),
            false => Self::Final(failure),
        }
    }
}

/// The time is over.
fn late(what: &str, timeout: Duration, hindrance: Option<String>) -> ExitError {
    let failure = ExitError::unavailable(too_late(what, timeout));
    match hindrance {
        Some(hindrance) => failure.because(hindrance),
        None => failure,
    }
}

impl Session<'_> {
    /// Gives the files to one member after the other, as long as members say that they cannot get what they need: the one that
    /// took the files may be gone, or cut off from the others.
    pub(super) async fn bring_again(&self, lacking: &mut watch::Receiver<bool>) -> Infallible {
        let others = self.clients.iter();
        for client in others.filter(|client| Some(client.url()) != self.brought) {
            until_stuck(lacking).await;
            if let Err(error) = self.publish(&[client]).await {
                self.out.note(format_args!("{error}"));
            }
        }
        std::future::pending().await
    }

    /// Puts the files into a member's store, and tries again until the deadline where that may help.
    ///
    /// # Errors
    /// What a member refuses for good; what was the case at the deadline.
    pub(super) async fn bring(&mut self) -> Result<(), ExitError> {
        let bring = async |session: &mut Self| session.bring_once().await;
        self.insist("the members do not take the files", bring)
            .await
    }

    async fn bring_once(&mut self) -> Result<(), Hindrance> {
        let clients = self.clients.clone();
        let members = match who_answers(&clients).await {
            Answering::Members(members) => members,
            Answering::Late => return Err(self.nobody_in_time()),
            Answering::Away => return Err(Hindrance::Final(self.nobody())),
        };
        let began = Instant::now();
        if let ProgramSource::There(cid) = &self.job.program {
            job::read_program(self.source(&members)?, *cid).await?;
        }
        let taken_by = self.publish(&members).await?;
        self.brought = Some(taken_by);
        self.times.store = Some(milliseconds(began));
        Ok(())
    }

    /// Asks again until the deadline while only something hinders it that may pass.
    ///
    /// # Errors
    /// What does not pass; at the deadline what hindered it last.
    pub(super) async fn insist<T>(
        &mut self,
        what: &str,
        mut ask: impl AsyncFnMut(&mut Self) -> Result<T, Hindrance>,
    ) -> Result<T, ExitError> {
        let (deadline, timeout, out) = (self.deadline.into(), self.args.timeout, self.out);
        let mut pauses = Pauses::new(LONGEST_PAUSE);
        let mut hindrance = None;
        loop {
            let asked = timeout_at(deadline, ask(self)).await;
            match asked {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(Hindrance::Final(failure))) => return Err(failure),
                Ok(Err(Hindrance::Passing(failure))) => {
                    let said = failure.to_string();
                    if hindrance.is_none() {
                        out.note(format_args!("trying again: {said}"));
                    }
                    hindrance = Some(said);
                }
                Err(_) => return Err(late(what, timeout, hindrance)),
            }
            if timeout_at(deadline, pauses.next()).await.is_err() {
                return Err(late(what, timeout, hindrance));
            }
        }
    }

    /// Gives all files to the first member that takes them, and tells its URL.
    pub(super) async fn publish(&self, members: &[&Client]) -> Result<String, ExitError> {
        let mut last = None;
        for member in members {
            let contents = self.job.contents();
            let added =
                contents.map(|content| content.add_to(member, Some(KEPT_SECONDS), self.out));
            let added = stream::iter(added).buffer_unordered(UPLOADS_AT_ONCE);
            match added.try_collect().await {
                Ok(()) => return Ok(member.url()),
                Err(failure) if failure.status() == ExitStatus::Usage => return Err(failure),
                // One that may pass says more than one of a member that cannot be asked at all.
                Err(failure) if !last.as_ref().is_some_and(ExitError::may_pass) => {
                    last = Some(failure);
                }
                Err(_) => {}
            }
        }
        Err(last.unwrap_or_else(|| ExitError::unavailable("the ring has no members")))
    }

    pub(super) fn nobody(&self) -> ExitError {
        let root = self.dir.root();
        match self.members.is_empty() {
            false => nobody_answers(root.display()),
            true => ExitError::unavailable(format!(
                "{} names no URL of a member of today; add one with `rings join --member URL`",
                self.dir.ring_json().display()
            )),
        }
    }

    /// The members let the time pass.
    pub(super) fn nobody_in_time(&self) -> Hindrance {
        let root = self.dir.root().display();
        Hindrance::Passing(ExitError::unavailable(format!(
            "no member of the ring in {root} answers in time, though some take connections; see `rings status`"
        )))
    }

    /// The members' stores, in this order.
    pub(super) fn source(&self, members: &[&Client]) -> Result<Arc<dyn BlockSource>, ExitError> {
        Ok(Arc::new(GatewaySource::of(members)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hindered_is_told_when_the_time_is_over() {
        let (what, time) = ("the members do not take the files", Duration::from_secs(9));
        let failure = late(what, time, Some("the store is away".into()));
        assert_eq!(
            failure.to_string(),
            "the members do not take the files within 9 s: the store is away; try again, or give it more with --timeout"
        );
        assert_eq!(failure.status(), ExitStatus::Unavailable);
    }

    #[test]
    fn a_mistake_is_final() {
        let mistake = Hindrance::from(ExitError::usage("no such file"));
        assert!(matches!(mistake, Hindrance::Final(_)));
    }
}
