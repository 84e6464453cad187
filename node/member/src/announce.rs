//! Announces on chain how this member can be reached.
//!
//! What is announced is what `[network] announce` says, or else what the network has found out: the addresses of this
//! machine's interfaces, and those at which the others see it. The latter may change, so the announcement is compared
//! with them whenever they do. Each announcement is a transaction, so changes wait for one another: a pause that grows
//! with each change, up to half an hour.
//!
//! A [`Policy`] says which addresses are wanted, and when what is on chain may stay although it is not exactly that.
//! The [`Announcer`] is a part of the running member (`run.rs`): it reads the chain, sends the transaction through the
//! submitter, and writes into [`RingStatus`] what is announced or why it is not. After a reorganisation it is notified
//! and looks again. If nothing can be announced, the member goes on: it may still dial the others.

use super::{config::NodeConfig, error::MemberError, opened::Opened, ring_status::RingStatus};
use rings_api::with_causes;
use rings_chain::{calls, is_on_this_machine, Chain, ChainError, Submitter};
use rings_network::{address_texts, is_of_this_machine, joined, Network, OwnAddresses, PeerId};
use rings_protocol::{
    backoff::Backoff,
    cids::keccak256,
    crypto::{PublicKey, Signer},
    Address,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{watch, Notify};
use tokio_util::sync::CancellationToken;

/// First and longest pause after an announcement that failed: no ether yet, or the chain cannot be reached.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// First and longest pause before a change is announced: each announcement costs a transaction, and changes often come
/// together.
const CHANGE_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_CHANGE_PAUSE: Duration = Duration::from_secs(1800);
/// The system reports interfaces one after the other. When no further one has come for this long, all are there.
const SETTLED: Duration = Duration::from_millis(300);

/// Which addresses are announced.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    /// What a person has configured; nothing if it is to be found out.
    configured: Vec<Vec<u8>>,
    /// The name of this member among its peers, where it does not follow from the member's key.
    peer: Option<PeerId>,
    /// Whether the chain is one of this machine, so that a loopback address may be of use.
    here: bool,
    /// Whether this member listens on all interfaces, which are not known at once.
    wildcard: bool,
}

impl Policy {
    /// Reads what is configured.
    ///
    /// # Errors
    /// When an address to announce cannot be dialled by others.
    pub(super) fn new(config: &NodeConfig, peer: Option<PeerId>) -> Result<Self, MemberError> {
        let is_wildcard =
            |text: &String| text.starts_with("/ip4/0.0.0.0/") || text.starts_with("/ip6/::/");
        let policy = Self {
            configured: rings_network::announcement(&config.network.announce)?,
            peer,
            here: config.chain.rpc.iter().all(|url| is_on_this_machine(url)),
            wildcard: config.network.listen.iter().any(is_wildcard),
        };
        let joined = joined(&policy.configured, policy.peer.as_ref());
        if address_texts(&joined).len() < policy.configured.len() {
            return Err(MemberError::TooManyAddresses);
        }
        let useless = |address: &&Vec<u8>| is_of_this_machine(address);
        if let Some(address) = policy
            .configured
            .iter()
            .find(useless)
            .filter(|_| !policy.here)
        {
            let address = rings_network::address_text(address);
            tracing::warn!(
                address,
                "[network] announce names a loopback address, and the chain is not on this machine: other machines cannot reach this member at that address"
            );
        }
        Ok(policy)
    }

    /// The bytes for the chain.
    fn wanted(&self, own: &OwnAddresses) -> Vec<u8> {
        let addresses = match self.configured.is_empty() {
            true => own.to_announce(self.here),
            false => self.configured.clone(),
        };
        joined(&addresses, self.peer.as_ref())
    }

    /// Whether what is on chain may stay although it is not quite what is wanted now: it has all of that, and addresses
    /// that others may have seen before this member was started again; nobody has said yet where they see it now.
    fn may_stay(&self, known: &[u8], own: &OwnAddresses) -> bool {
        let (known, wanted) = (address_texts(known), address_texts(&self.wanted(own)));
        self.configured.is_empty()
            && own.seen.is_empty()
            && !wanted.is_empty()
            && wanted.iter().all(|address| known.contains(address))
    }
}

/// What announces this member.
pub(super) struct Announcer {
    chain: Chain,
    submitter: Arc<Submitter>,
    network: Network,
    ring: Address,
    key: PublicKey,
    policy: Policy,
    /// Where other parts read what is announced.
    shared: Arc<RingStatus>,
    /// Notified when a reorganisation may have removed the announcement.
    again: Arc<Notify>,
}

impl Opened {
    pub(super) fn announcer(
        &self,
        network: Network,
        policy: Policy,
        again: Arc<Notify>,
    ) -> Announcer {
        Announcer {
            chain: self.chain.clone(),
            submitter: Arc::clone(&self.submitter),
            network,
            ring: self.domain.ring,
            key: self.key.public_key(),
            policy,
            shared: Arc::clone(&self.shared),
            again,
        }
    }
}

impl Announcer {
    /// Makes sure that the chain says how this member can be reached, until `shutdown`. If it does not work, the member
    /// goes on: it may reach the others itself.
    pub(super) async fn run<E>(self, shutdown: CancellationToken) -> Result<(), E> {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.keep_announced() => {}
        }
        Ok(())
    }

    /// Announces, then waits until an address changes or a reorganisation may have taken the announcement back. Failures
    /// and changes have pauses of their own: a failed call costs nothing and is repeated soon, a change costs a
    /// transaction.
    async fn keep_announced(&self) {
        let mut own = self.network.own_addresses();
        if self.policy.wildcard {
            settle(&mut own).await;
        }
        let mut failures = Backoff::new(PAUSE, LONGEST_PAUSE);
        let mut changes = Backoff::new(CHANGE_PAUSE, LONGEST_CHANGE_PAUSE);
        loop {
            let now = own.borrow_and_update().clone();
            match self.announce(&now).await {
                Ok(()) => {
                    failures.reset();
                    tokio::select! {
                        () = self.again.notified() => {}
                        () = self.changed(&mut own, &now) => {
                            tokio::time::sleep(changes.failed(rand::random())).await;
                        }
                    }
                }
                Err(error) => {
                    let reason = with_causes(&error);
                    tracing::warn!(
                        reason,
                        "the chain does not say yet how this member can be reached; it is tried again"
                    );
                    self.shared.not_announced(Some(reason));
                    tokio::time::sleep(failures.failed(rand::random())).await;
                }
            }
        }
    }

    /// Waits until something else is to be announced than at `before`.
    async fn changed(&self, own: &mut watch::Receiver<OwnAddresses>, before: &OwnAddresses) {
        let wanted = self.policy.wanted(before);
        let is_other = |now: &OwnAddresses| {
            let is_new = self.policy.wanted(now) != wanted;
            is_new && !self.policy.may_stay(&wanted, now)
        };
        if own.wait_for(is_other).await.is_err() {
            // The network has ended, and this member with it.
            std::future::pending::<()>().await;
        }
    }

    /// Announces how this member can be reached, unless the chain says so already.
    async fn announce(&self, own: &OwnAddresses) -> Result<(), ChainError> {
        let wanted = self.policy.wanted(own);
        let known = self.chain.contact(self.ring, self.key.address()).await?;
        let known = known.filter(|contact| contact.public_key == self.key);
        if let Some(known) = known.map(|contact| contact.multiaddress) {
            if known == wanted || self.policy.may_stay(&known, own) {
                self.done(known);
                return Ok(());
            }
        }
        // The block is part of the purpose: going back to an earlier address is a new announcement.
        let block = self.chain.block_number().await?;
        let purpose = keccak256(&[b"announce".as_slice(), &block.to_be_bytes(), &wanted].concat());
        let call = calls::announce(self.ring, &self.key, &wanted);
        self.shared.announces(wanted.clone());
        self.submitter.submit(purpose, call).await?;
        self.done(wanted);
        Ok(())
    }

    fn done(&self, announced: Vec<u8>) {
        let addresses = rings_network::address_text(&announced);
        match &addresses {
            Some(addresses) => tracing::info!(addresses, "the chain says how this member can be reached"),
            None => tracing::warn!(
                "this member announces no address, because it has none that another machine could dial: it can only dial the others; set [network] announce if there is one"
            ),
        }
        self.shared.not_announced(None);
        self.shared.own_address(announced);
    }
}

/// Waits until no further address has come for a while.
async fn settle(own: &mut watch::Receiver<OwnAddresses>) {
    own.mark_unchanged();
    while let Ok(Ok(())) = tokio::time::timeout(SETTLED, own.changed()).await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
        let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
        rings_network::announcement(&texts).unwrap()
    }

    fn found_out() -> Policy {
        Policy {
            configured: Vec::new(),
            peer: None,
            here: false,
            wildcard: true,
        }
    }

    fn own(listening: &[&str], seen: &[&str]) -> OwnAddresses {
        OwnAddresses {
            listening: bytes(listening),
            seen: seen.iter().map(|ip| ip.parse().unwrap()).collect(),
        }
    }

    const PRIVATE: &str = "/ip4/10.0.0.1/tcp/7645";
    const ROUTER: &str = "/ip4/203.0.113.7/tcp/7645";

    #[test]
    fn what_is_configured_wins_over_what_is_found_out() {
        let policy = Policy {
            configured: bytes(&["/dns/ring.example.org/tcp/1"]),
            ..found_out()
        };
        let own = own(&[PRIVATE], &["203.0.113.7"]);
        assert_eq!(
            address_texts(&policy.wanted(&own)),
            ["/dns/ring.example.org/tcp/1"]
        );
        assert!(!policy.may_stay(&bytes(&[PRIVATE]).concat(), &own));
        assert_eq!(address_texts(&found_out().wanted(&own)), [ROUTER, PRIVATE]);
    }

    #[test]
    fn a_member_that_is_started_again_announces_only_what_is_new() {
        let (policy, known) = (found_out(), bytes(&[ROUTER, PRIVATE]).concat());
        assert!(policy.may_stay(&known, &own(&[PRIVATE], &[])));
        // Others see it elsewhere now, or it listens elsewhere.
        assert!(!policy.may_stay(&known, &own(&[PRIVATE], &["198.51.100.1"])));
        assert!(!policy.may_stay(&known, &own(&["/ip4/10.0.0.2/tcp/7645"], &[])));
        assert!(!policy.may_stay(&known, &own(&[], &[])));
    }
}
