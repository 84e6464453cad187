//! What is wrong with this member or around it, for status, health and metrics.
//!
//! There are two grades. A trouble means that the member does not do its work: it does not follow the chain, or its block
//! store fails (`watched_store.rs`). A warning is something that a person should look at while the member works: another
//! process uses its key, little ether, members that are not connected, a provider that was put aside. Each is one sentence
//! that says what to do.

use super::Api;
use crate::{
    clock,
    ring_status::{Snapshot, FEW_REGISTRATIONS},
};
use rings_api::views::{ProviderView, UnreachableView};
use rings_network::address_texts;

/// Blocks that a member may be behind the chain's head, beyond confirmations, and still count as following.
const LAG: u64 = 64;
/// How long a member must be away, in milliseconds, before that is a warning: one that is started again is back sooner.
const AWAY: u64 = 10_000;

impl Api {
    /// Why this member does not keep up with its chain.
    pub(super) fn chain_trouble(&self) -> Option<String> {
        if let Some(trouble) = self.chain.trouble() {
            return Some(trouble.to_string());
        }
        let Snapshot { block, head, .. } = self.shared.snapshot();
        if head == 0 {
            return Some("the member has just started and has not read the chain yet".into());
        }
        let is_behind = head.saturating_sub(block) > LAG;
        is_behind.then(|| {
            format!("the member is catching up: it has read up to block {block} of {head}")
        })
    }

    /// Whether another process uses this member's key, in words.
    pub(super) fn twin(&self) -> Option<String> {
        let twin = self.shared.snapshot().twin?;
        let at = rings_network::address_text(&twin).unwrap_or_default();
        Some(format!(
            "another process uses this member's key, and announced itself at {at}: the two fork its log; stop one of them"
        ))
    }

    /// Whether what must be kept is more than the store may hold, in words.
    fn full(&self) -> Option<String> {
        let over = self.keeper.over();
        (over > 0).then(|| {
            format!("what must be kept exceeds [store] max_bytes by {over} bytes: raise it, or unpin files that are not needed any more")
        })
    }

    /// Where others can reach this member, as the chain has it.
    pub(super) fn announced(&self, snapshot: &Snapshot) -> Vec<String> {
        let own = snapshot.contacts.get(&self.me);
        let bytes = own.map(|contact| &contact.multiaddress);
        address_texts(
            bytes
                .or(snapshot.own_address.as_ref())
                .map_or(&[], Vec::as_slice),
        )
    }

    /// The providers of the chain.
    pub(super) fn providers(&self) -> Vec<ProviderView> {
        let states = self.chain.providers().into_iter();
        let views = states.map(|state| ProviderView {
            endpoint: state.endpoint,
            used: state.is_used,
            trouble: state.trouble,
        });
        views.collect()
    }

    /// The members that are not connected, in the order of their accounts. A member that has never announced itself has no
    /// name among peers, and so nobody can connect with it.
    pub(super) fn unreachable(&self, snapshot: &Snapshot) -> Vec<UnreachableView> {
        let away = self.network.unreachable();
        let others = snapshot.members.iter().filter(|member| **member != self.me);
        let views = others.filter_map(|member| {
            let (since, reason) = match snapshot.contacts.get(member) {
                Some(contact) => {
                    let away = away.iter().find(|away| away.peer == contact.peer)?;
                    (away.since, away.reason.clone())
                }
                None => (
                    self.started,
                    "it has never announced itself on chain: it was not started yet, or has no ether".into(),
                ),
            };
            Some(UnreachableView {
                member: *member,
                since,
                reason,
            })
        });
        views.collect()
    }

    /// What somebody should look at on this member itself, besides its ether.
    pub(super) fn own_warnings(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut warnings: Vec<String> = self.twin().into_iter().collect();
        warnings.extend(self.shared.recovering());
        warnings.extend(self.key.trouble());
        warnings.extend(self.full());
        if let Some(name) = snapshot.locked_out {
            warnings.push(format!(
                "the others' logs are sealed with key {name}, which nobody has given to this member: set [ring] readers here, and have a member that reads the ring approve this one with `rings ring approve`"
            ));
        }
        if let Some(reason) = &snapshot.not_announced {
            warnings.push(format!(
                "the chain does not say yet how this member can be reached: {reason}"
            ));
        }
        let own = snapshot.own_address.as_ref();
        if own.is_some_and(|own| address_texts(own).is_empty()) {
            warnings.push("this member has no address that another machine could dial, and can only dial the others; set [network] announce if there is one".into());
        }
        let providers = self.providers();
        // One alone is told as what keeps this member from following its chain.
        if providers.len() > 1 {
            warnings.extend(providers.into_iter().filter_map(|provider| {
                let trouble = provider.trouble?;
                let endpoint = provider.endpoint;
                Some(format!(
                    "the chain's provider {endpoint} is put aside: {trouble}"
                ))
            }));
        }
        warnings
    }

    /// Whether this member's ether ends, in words.
    fn ether(&self, snapshot: &Snapshot) -> Option<String> {
        let affordable = snapshot.affordable(self.me)?;
        let count = match affordable {
            0 => "for no registration any more".to_owned(),
            1 => "for one more registration".to_owned(),
            count if count < FEW_REGISTRATIONS => format!("for about {count} more registrations"),
            _ => return None,
        };
        Some(format!(
            "the account of this member can pay {count}: send it ether"
        ))
    }

    /// All warnings: those of `own_warnings`, little ether, and members that cannot be reached.
    pub(super) fn all_warnings(&self) -> Vec<String> {
        let (snapshot, now) = (self.shared.snapshot(), clock::milliseconds());
        let mut warnings = self.own_warnings(&snapshot);
        warnings.extend(self.ether(&snapshot));
        let away = self.unreachable(&snapshot).into_iter();
        let away = away.filter(|away| now.saturating_sub(away.since) >= AWAY);
        warnings.extend(away.map(|away| {
            let seconds = now.saturating_sub(away.since) / 1000;
            let UnreachableView { member, reason, .. } = away;
            format!("member {member} is not connected for {seconds} s: {reason}")
        }));
        warnings
    }
}
