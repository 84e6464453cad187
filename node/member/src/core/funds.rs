//! Who can pay for registrations.
//!
//! The first members in a gate's order are asked about when the gate is taken up, so that the turns of those who cannot
//! pay are known to pass before the votes are there. An account is not asked about again for [`FRESH`], so the cost
//! grows with the work and not with time; only the own account is looked at from time to time, to warn before it is
//! empty.
//!
//! The answers go three ways: to the protocol's state machine, which skips members that cannot pay; to `RingStatus`, for
//! status and metrics; and to the log of this process, once for each change of level. They never decide about a result: a
//! wrong answer costs a turn.

use super::{
    input::{report, Balances, Input},
    purse::{read, Level},
    Core,
};
use crate::ring_status::{Cost, FEW_REGISTRATIONS};
use rings_chain::calls;
use rings_protocol::{quorum::submitters, Address};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long what an account holds is taken to be the same.
const FRESH: Duration = Duration::from_secs(30);
/// How many of the first members in a gate's order are asked about.
const ASKED: usize = 8;
/// How often the own account is looked at while there is nothing to do.
const LOOK: Duration = Duration::from_secs(600);
/// How often the own account is looked at while it cannot pay, because somebody may send it ether.
const LOOK_POOR: Duration = Duration::from_secs(15);
/// Transactions offer up to twice the price, because it may rise before they are in a block.
const MARGIN: u128 = 2;
/// The usual number of outputs of a gate. Registering more costs more.
const OUTPUTS: usize = 1;
/// A registration without futures uses about this fraction of its gas limit (one third).
const SPARE: u64 = 3;

impl Core {
    /// What a registration in this ring costs.
    pub(super) fn cost(&self) -> Cost {
        let signatures = self.parts.member.needed();
        let limit = calls::register_gas(signatures, OUTPUTS, calls::FUTURES_COVERED);
        let price = self.funds.price;
        Cost {
            needed: u128::from(limit).saturating_mul(price.saturating_mul(MARGIN)),
            spent: u128::from(limit / SPARE).saturating_mul(price),
        }
    }

    fn is_poor(&self, member: Address) -> bool {
        let wei = self.funds.wei.get(&member);
        wei.and_then(|wei| self.cost().affordable(*wei)) == Some(0)
    }

    /// The own account, if it cannot pay.
    pub(super) fn poor_account(&self) -> Option<Address> {
        self.is_poor(self.me).then_some(self.me)
    }

    /// Asks what the first members in a gate's order have.
    pub(super) fn ask_funds_of_submitters(&mut self, gate: Address) {
        let mut accounts = submitters(gate, self.parts.member.members());
        accounts.truncate(ASKED);
        accounts.push(self.me);
        self.ask_funds(accounts);
    }

    /// When the own account is to be looked at.
    pub(super) fn funds_due(&self) -> Instant {
        let pause = match self.is_poor(self.me) {
            true => LOOK_POOR,
            false => LOOK,
        };
        self.funds
            .looked
            .map_or_else(|| self.started, |looked| looked + pause)
    }

    /// Looks at the own account if that is due.
    pub(super) fn ask_funds_if_due(&mut self) {
        if self.funds_due() <= Instant::now() {
            self.funds.asked.remove(&self.me);
            self.ask_funds(vec![self.me]);
        }
    }

    /// A transaction was refused because the own account cannot pay: nobody has to ask.
    pub(super) fn found_poor(&mut self) {
        let me = self.me;
        self.funds.asked.remove(&me);
        if !self.is_poor(me) {
            self.take_funds(&[(me, 0)]);
        }
    }

    /// Reads the balances of those accounts that were not looked at lately.
    fn ask_funds(&mut self, accounts: Vec<Address>) {
        let now = Instant::now();
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= FRESH;
        let asked = &mut self.funds.asked;
        let accounts: BTreeSet<_> = accounts.into_iter().collect();
        let accounts: Vec<_> = accounts
            .into_iter()
            .filter(|account| asked.get(account).is_none_or(is_old))
            .collect();
        if accounts.is_empty() {
            return;
        }
        asked.extend(accounts.iter().map(|account| (*account, now)));
        if accounts.contains(&self.me) {
            self.funds.looked = Some(now);
        }
        let (chain, outbox) = (self.parts.chain.clone(), self.parts.outbox.clone());
        tokio::spawn(async move {
            let balances = read(&chain, &accounts).await;
            report(&outbox, Input::Funds(balances)).await;
        });
    }

    pub(super) fn on_funds(&mut self, balances: &Balances) {
        if let Some(price) = balances.price {
            self.funds.price = price;
        }
        self.take_funds(&balances.wei);
    }

    /// Takes balances that were read, of members only, and lets those that can pay have the turns.
    fn take_funds(&mut self, wei: &[(Address, u128)]) {
        self.funds.wei.extend(wei.iter().copied());
        let members: BTreeSet<_> = self.parts.member.members().iter().copied().collect();
        self.funds
            .wei
            .retain(|account, _| members.contains(account));
        self.funds
            .asked
            .retain(|account, _| members.contains(account));
        let poor = members.into_iter().filter(|member| self.is_poor(*member));
        let poor: BTreeSet<_> = poor.collect();
        self.ring.assembler.cannot_pay(poor.clone());
        self.parts.member.cannot_pay(poor);
        self.parts.shared.funds(wei, self.cost());
        self.tell_level();
    }

    /// Tells when the own ether comes to an end, and when there is more again.
    fn tell_level(&mut self) {
        let Some(wei) = self.funds.wei.get(&self.me).copied() else {
            return;
        };
        let Some(registrations) = self.cost().affordable(wei) else {
            return;
        };
        let level = match registrations {
            0 => Level::None,
            few if few < FEW_REGISTRATIONS => Level::Little,
            _ => Level::Enough,
        };
        // Said once for each change, and not at each look.
        if std::mem::replace(&mut self.funds.told, level) == level {
            return;
        }
        let account = self.me;
        match level {
            Level::Enough => tracing::info!(%account, registrations, "this member can pay again"),
            Level::Little => {
                tracing::warn!(%account, registrations, "this member is running out of ether: send it some");
            }
            Level::None => {
                tracing::error!(%account, "this member cannot pay for registrations: send it ether; until then the others register results");
            }
        }
    }
}
