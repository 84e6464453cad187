//! `rings status` as text for people: one line for each thing, and what needs attention beside the member that it
//! concerns. The same reason is shown once with all who give it.

use super::{
    out::count,
    status::{ChainView, Member, View},
};
use rings_member::clock;
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

/// Digits after the point of an ether, and how many of them are shown.
const WEI_DIGITS: usize = 18;
const SHOWN_DIGITS: usize = 6;

impl Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChainView {
            id,
            url,
            pid,
            block,
        } = &self.chain;
        write!(f, "chain    {id} at {url}")?;
        match (block, pid) {
            (Some(block), Some(pid)) => writeln!(f, ", block {block}, process {pid}")?,
            (Some(block), None) => writeln!(f, ", block {block}")?,
            (None, _) => writeln!(f, ", does not run (`rings up` starts it)")?,
        }
        writeln!(f, "engine   {}\nscope    {}", self.engine, self.scope)?;
        write!(f, "ring     {}", self.ring)?;
        if let (Some(epoch), Some(keeping)) = (self.epoch, &self.keeping) {
            let (quorum, counted) = (keeping.quorum, keeping.counted);
            write!(f, ", epoch {epoch}, quorum {quorum} of {counted}")?;
        }
        if let Some(keeping) = &self.keeping {
            write!(f, "\n         {keeping}")?;
        }
        for (index, member) in self.members.iter().enumerate() {
            write!(f, "\nmember {index} {member}")?;
            self.reach_text(f, member)?;
        }
        self.compute_text(f)?;
        for ring in &self.client_rings {
            write!(f, "\n{ring}")?;
        }
        self.gates_text(f)
    }
}

impl View {
    fn gates_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.more_gates, self.gates_since) {
            (0, _) | (_, None) => {}
            (more, Some(since)) => write!(
                f,
                "\ngates    {} of {} since block {since}; `rings gate list` shows all",
                self.gates.len(),
                self.gates.len() + more
            )?,
        }
        for gate in &self.gates {
            write!(f, "\ngate     {gate}")?;
            if self.unsubmitted.contains(&gate.gate) {
                f.write_str(", QUORUM REACHED and not on chain")?;
                if self.members.iter().any(|member| member.low_balance) {
                    f.write_str(": members are short of ether")?;
                }
            }
        }
        Ok(())
    }

    /// Who cannot reach a member: once for each reason, since they are often the same.
    fn reach_text(&self, f: &mut fmt::Formatter<'_>, member: &Member) -> fmt::Result {
        let mut reasons: BTreeMap<&str, (u64, Vec<String>)> = BTreeMap::new();
        for away in &member.unreachable_by {
            let index = self.members.iter().position(|by| by.address == away.member);
            let by = index.map_or_else(|| away.member.to_string(), |index| index.to_string());
            let entry = reasons
                .entry(&away.reason)
                .or_insert((away.since, Vec::new()));
            entry.0 = entry.0.min(away.since);
            entry.1.push(by);
        }
        for (reason, (since, by)) in reasons {
            let seconds = seconds_since(since);
            let by = by.join(", ");
            // The system's number of an error says nothing to a person.
            let reason = reason.split(" (os error").next().unwrap_or(reason);
            write!(
                f,
                "\n         NOT CONNECTED with member {by} for {seconds} s: {reason}"
            )?;
        }
        Ok(())
    }

    /// The profiles of the members; different profiles may be the reason for different results.
    fn compute_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut profiles: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            if let Some(profile) = &member.compute {
                profiles.entry(profile).or_default().push(index);
            }
        }
        let differ = profiles.len() > 1;
        for (profile, members) in &profiles {
            write!(f, "\ncompute  {profile}")?;
            if differ {
                let members: Vec<_> = members.iter().map(ToString::to_string).collect();
                write!(f, "  of member {}: THE PROFILES DIFFER", members.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.address)?;
        if !self.is_member {
            f.write_str("NOT A MEMBER any more, ")?;
        }
        let process = match self.pid {
            Some(pid) => format!("process {pid}, "),
            None => String::new(),
        };
        // A member of another machine is judged by its answers alone.
        match (self.local, self.pid, self.peers) {
            (true, None, _) => f.write_str("DOWN")?,
            (false, None, None) if self.rpc_url.is_empty() => {
                f.write_str("no URL is known; `rings join --member URL` adds it")?;
            }
            (_, _, None) => write!(f, "{process}DOES NOT ANSWER")?,
            (_, _, Some(_)) if !self.following => {
                write!(f, "{process}DOES NOT FOLLOW the chain")?;
            }
            (_, _, Some(peers)) => {
                write!(f, "{process}{}", count(peers as usize, "peer"))?;
            }
        }
        if let Some(trouble) = &self.trouble {
            write!(f, " ({trouble})")?;
        }
        if let Some(head) = self.head {
            write!(f, ", log node {}", head.seq)?;
        }
        if let Some(seen) = self.last_seen {
            write!(f, ", seen {} s ago", seconds_since(seen))?;
        }
        write!(f, "\n         {}  {}", self.peer_id, self.rpc_url)?;
        if let Some(balance) = &self.balance {
            write!(f, "\n         {}", ether(balance))?;
            if let Some(registrations) = self.registrations.filter(|_| self.low_balance) {
                write!(
                    f,
                    ", enough for about {}",
                    count(registrations, "registration")
                )?;
            }
            if self.low_balance {
                f.write_str(": SHORT OF ETHER; send it some, or it cannot register results")?;
            }
        }
        if !self.announced.is_empty() {
            write!(f, "\n         announced {}", self.announced.join(", "))?;
        }
        for warning in &self.warnings {
            write!(f, "\n         {warning}")?;
        }
        for gate in &self.diverged {
            write!(f, "\n         DIVERGED on gate {gate}")?;
        }
        if self.forked {
            f.write_str(
                "\n         FORKED: it signed two log nodes for one position (does it run twice with one key?)",
            )?;
        }
        if let Some(seq) = self.held_back {
            write!(
                f,
                ", LOG NOT HELD from node {seq} on: its quota for today is used up"
            )?;
        }
        if self.stalled > 0 {
            write!(
                f,
                "\n         did not deliver log nodes {}",
                count(self.stalled, "time")
            )?;
        }
        Ok(())
    }
}

fn seconds_since(milliseconds: u64) -> u64 {
    clock::seconds().saturating_sub(milliseconds / 1000)
}

/// Wei as a decimal number of ether, rounded down.
pub fn ether(wei: &str) -> String {
    let padded = format!("{wei:0>19}");
    let (whole, part) = padded.split_at(padded.len() - WEI_DIGITS);
    match part[..SHOWN_DIGITS].trim_end_matches('0') {
        "" if whole == "0" && wei.bytes().any(|digit| digit != b'0') => {
            "less than 0.000001 ether".to_owned()
        }
        "" => format!("{whole} ether"),
        part => format!("{whole}.{part} ether"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::{Gate, GateState};
    use rings_protocol::Address;

    fn gate(number: u8) -> Gate {
        Gate {
            gate: Address([number; 20]),
            state: GateState::Open,
            block: number.into(),
            resolved_block: None,
            requesters: Vec::new(),
        }
    }

    fn view(gates: u8, more_gates: usize) -> View {
        View {
            chain: ChainView {
                id: 1,
                url: "http://127.0.0.1:8545".into(),
                pid: None,
                block: Some(9),
            },
            engine: Address([1; 20]),
            scope: Address([2; 20]),
            ring: Address([3; 20]),
            epoch: Some(1),
            quorum: Some(1),
            keeping: None,
            members: Vec::new(),
            client_rings: Vec::new(),
            gates: (1..=gates).map(gate).collect(),
            more_gates,
            gates_since: Some(7),
            unsubmitted: vec![Address([1; 20])],
        }
    }

    #[test]
    fn that_there_are_more_gates_is_said_to_people_and_programs() {
        let text = view(20, 3).to_string();
        assert!(
            text.contains("gates    20 of 23 since block 7; `rings gate list` shows all"),
            "{text}"
        );
        let json = serde_json::to_value(view(20, 3)).unwrap();
        assert_eq!(json["moreGates"], 3);
        assert_eq!(json["gatesSince"], 7);
        assert_eq!(json["gates"].as_array().unwrap().len(), 20);
        let few = view(2, 0).to_string();
        assert!(!few.contains("rings gate list"), "{few}");
        let waits = few.lines().filter(|line| line.contains("QUORUM REACHED"));
        assert_eq!(waits.count(), 1, "{few}");
    }

    #[test]
    fn wei_are_shown_as_ether() {
        for (wei, shown) in [
            ("0", "0 ether"),
            ("1", "less than 0.000001 ether"),
            ("50000000000000000", "0.05 ether"),
            ("49999999999999999", "0.049999 ether"),
            ("100000000000000000000", "100 ether"),
        ] {
            assert_eq!(ether(wei), shown);
        }
    }
}
