//! Five parties on five machines, each with the documented defaults and an address of its own; the last one is behind a
//! router, and reached by a name and another port.

use super::quick::wc;
use rings_member::keystore;
use rings_protocol::crypto::SecretKey;
use rings_tests::{
    forwarder, free_port, program, signal, until, until_said, Anvil, Call, Machines, Process,
    Program, Signal, GATEWAY, LONG,
};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const PARTIES: usize = 5;
/// The default ports of a member.
const LIBP2P: u16 = 7645;
const HTTP: u16 = 7545;
/// The port at the router that leads to the machine behind it.
const MAPPED: u16 = 17_645;
const TEXT: &[u8] = b"from one machine to four others\n";

/// Five parties, a chain at the hub, and a ring on it whose members do not run yet.
struct Parties {
    /// Members that run; first, so that they end before their machines.
    members: Vec<Option<Process>>,
    /// The chain, and the router's port mapping.
    _hub: [Process; 2],
    keys: Vec<SecretKey>,
    ring: String,
    port: u16,
    machines: Machines,
}

impl Parties {
    fn gather() -> Self {
        let machines = Machines::start(PARTIES);
        let port = match machines.are_apart() {
            true => 8545,
            false => free_port(),
        };
        let hub = [start_chain(&machines, port), start_mapping(&machines)];
        let keys: Vec<_> = (1..=PARTIES as u8)
            .map(|n| SecretKey::from_bytes(&[n; 32]).unwrap())
            .collect();
        let ring = deploy(&machines, port, &keys);
        let mut parties = Self {
            members: (0..PARTIES).map(|_| None).collect(),
            _hub: hub,
            keys,
            ring,
            port,
            machines,
        };
        for party in 0..PARTIES {
            parties.configure(party);
            parties.start(party);
        }
        parties
    }

    fn chain(&self, party: usize) -> String {
        format!("http://{}:{}", self.machines.hub_from(party), self.port)
    }

    /// What a party writes: the keys without a default, and what its own place in the world needs.
    fn configure(&self, party: usize) {
        let (dir, chain, ring) = (self.machines.dir(party), self.chain(party), &self.ring);
        secret(&dir.join("key"), &hex::encode(*self.keys[party].to_bytes()));
        secret(&dir.join("token"), &"t".repeat(40));
        let mut text = format!("[chain]\nrpc = \"{chain}\"\n[ring]\naddress = \"{ring}\"\n");
        text += "[key]\nkeystore = \"key\"\n[rpc]\ntoken_file = \"token\"\n";
        if !self.machines.are_apart() {
            writeln!(text, "listen = \"{}:{HTTP}\"", self.machines.address(party)).unwrap();
        }
        text += "[compute]\nworkers = 1\n[network]\n";
        if !self.machines.are_apart() {
            let address = self.machines.address(party);
            writeln!(text, "listen = [\"/ip4/{address}/tcp/{LIBP2P}\"]").unwrap();
        }
        if self.machines.is_hidden(party) {
            writeln!(text, "announce = [\"{}\"]", self.mapped()).unwrap();
        }
        fs::write(dir.join("config.toml"), text).unwrap();
    }

    /// The address that the party behind the router announces.
    fn mapped(&self) -> String {
        match self.machines.are_apart() {
            true => format!("/dns4/{GATEWAY}/tcp/{MAPPED}"),
            false => format!("/dns4/localhost/tcp/{MAPPED}"),
        }
    }

    fn log(&self, party: usize) -> PathBuf {
        self.machines.dir(party).join("node.log")
    }

    fn start(&mut self, party: usize) {
        let (rings, config) = (
            Program::Honest.path(),
            self.machines.dir(party).join("config.toml"),
        );
        let words: [&OsStr; 4] = [
            rings.as_ref(),
            "node".as_ref(),
            "--config".as_ref(),
            config.as_ref(),
        ];
        let member = self.machines.run_on(party, &words, &self.log(party));
        self.members[party] = Some(member);
    }

    /// A call of `rings` on a party's machine, which asks the chain and that party's member.
    fn rings(&self, party: usize, command: &[&str]) -> Call {
        let host = match self.machines.are_apart() {
            true => "127.0.0.1".to_owned(),
            false => self.machines.address(party),
        };
        let (chain, member) = (self.chain(party), format!("http://{host}:{HTTP}"));
        let call = self
            .machines
            .on(party, Program::Honest.path())
            .args(command);
        call.args(["--rpc", &chain, "--ring", &self.ring, "--member", &member])
    }

    fn json(&self, party: usize, command: &[&str]) -> Option<Value> {
        let done = self.rings(party, command).arg("--json").call();
        done.status
            .success()
            .then(|| serde_json::from_slice(&done.stdout).unwrap())
    }

    /// What a party's member says of itself in `rings status`.
    fn own_status(&self, party: usize) -> Option<Value> {
        let status = self.json(party, &["status"])?;
        let members = status["members"].as_array()?;
        let address = self.keys[party].address().to_string();
        members
            .iter()
            .find(|member| member["address"] == address.as_str())
            .cloned()
    }

    fn wait_met(&self, party: usize, others: usize) {
        until("a party has met the others", LONG, || {
            let own = self.own_status(party)?;
            (own["following"] == true && own["peers"] == others).then_some(())
        });
    }

    /// Runs a program from a party's machine, as the ring's keeper.
    fn run(&self, party: usize, input: &[u8]) -> Vec<u8> {
        let (dir, payer) = (
            self.machines.dir(party).join("joined"),
            self.machines.home().join("payer.key"),
        );
        if !dir.exists() {
            let join = self.rings(party, &["join", "--dir", dir.to_str().unwrap()]);
            let token = self.machines.dir(party).join("token");
            join.arg("--token").arg(token).arg("--key").arg(payer).ok();
        }
        let call = self.machines.on(party, Program::Honest.path());
        let call = call.args(["run", "--dir"]).arg(&dir).arg(program("wc"));
        call.stdin(input).ok()
    }

    /// Ends a member with SIGKILL.
    fn kill(&mut self, party: usize) {
        let lock = self.machines.dir(party).join("data/lock");
        let pid = fs::read_to_string(lock).unwrap().trim().parse().unwrap();
        signal(pid, Signal::KILL);
        self.members[party] = None;
    }
}

impl Drop for Parties {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for party in 0..PARTIES {
                let text = fs::read_to_string(self.log(party)).unwrap_or_default();
                let lines: Vec<_> = text.lines().rev().take(12).collect();
                println!("--- party {party}");
                lines.iter().rev().for_each(|line| println!("{line}"));
            }
        }
    }
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn start_chain(machines: &Machines, port: u16) -> Process {
    let (anvil, port) = (Anvil::program(), port.to_string());
    let words: [&OsStr; 8] = [
        anvil.as_ref(),
        "--silent".as_ref(),
        "--host".as_ref(),
        "0.0.0.0".as_ref(),
        "--port".as_ref(),
        port.as_ref(),
        "--chain-id".as_ref(),
        "1337".as_ref(),
    ];
    machines.run_at_hub(&words, &machines.home().join("chain.log"))
}

/// The router's mapping of a port to the machine behind it.
fn start_mapping(machines: &Machines) -> Process {
    let forwarder = forwarder();
    let from = match machines.are_apart() {
        true => format!("0.0.0.0:{MAPPED}"),
        false => format!("127.0.0.1:{MAPPED}"),
    };
    let to = format!("{}:{LIBP2P}", machines.address(PARTIES - 1));
    let words: [&OsStr; 3] = [forwarder.as_ref(), from.as_ref(), to.as_ref()];
    machines.run_at_hub(&words, &machines.home().join("mapping.log"))
}

/// Deploys the ring, as soon as the chain answers; gives its address.
fn deploy(machines: &Machines, port: u16, keys: &[SecretKey]) -> String {
    let (payer, dir) = (
        Anvil::write_key(machines.home()),
        machines.home().join("deployed"),
    );
    let members: Vec<_> = keys.iter().map(|key| key.address().to_string()).collect();
    let url = format!("http://{}:{port}", machines.hub_address());
    let deployed = until("the ring is deployed", LONG, || {
        let call = machines.at_hub(Program::Honest.path());
        let call = call.args(["deploy", "--json", "--rpc", &url, "--members", "-"]);
        let call = call.args(["--fund", "0.5", "--key"]).arg(&payer);
        let call = call.arg("--dir").arg(&dir);
        let done = call.stdin(members.join("\n")).call();
        done.status.success().then_some(done.stdout)
    });
    let deployed: Value = serde_json::from_slice(&deployed).unwrap();
    assert!(keystore::load(&payer, None).is_ok());
    deployed["ring"].as_str().unwrap().to_owned()
}

#[test]
fn five_parties_on_five_machines_meet_with_the_documented_defaults() {
    let mut parties = Parties::gather();
    (0..PARTIES).for_each(|party| parties.wait_met(party, PARTIES - 1));
    announced_what_others_can_dial(&parties);
    assert_eq!(parties.run(0, TEXT), wc(TEXT));

    // One of them goes: the others say who, since when and why, in four places.
    let (lost, address) = (1, parties.keys[1].address().to_string());
    parties.kill(lost);
    parties.wait_met(0, PARTIES - 2);
    let again = [TEXT, TEXT].concat();
    assert_eq!(
        parties.run(0, &again),
        wc(&again),
        "four of five are enough"
    );
    let place = format!("/ip4/{}/tcp/{LIBP2P}", parties.machines.address(lost));
    until("the status says why", LONG, || {
        let status = parties.json(0, &["status"])?;
        let members = status["members"].as_array()?;
        let lost = members.iter().find(|m| m["address"] == address.as_str())?;
        let by = &lost["unreachableBy"][0];
        let reason = by["reason"].as_str()?;
        assert!(by["since"].as_u64()? > 1_600_000_000_000);
        (reason.contains(&place) && reason.contains("refused")).then_some(())
    });
    let text = parties.rings(0, &["status"]).text();
    assert!(text.contains("NOT CONNECTED with member"), "{text}");
    until("the metrics say for how long", LONG, || {
        let metrics = parties.machines.get(0, HTTP, "/metrics")?;
        let line = format!("rings_member_unreachable_seconds{{member=\"{address}\"}} ");
        let value = metrics.lines().find_map(|text| text.strip_prefix(&line))?;
        (value.parse::<f64>().unwrap() >= 10.0).then_some(())
    });
    until("health says it", LONG, || {
        let health: Value =
            serde_json::from_str(&parties.machines.get(0, HTTP, "/health")?).unwrap();
        assert_eq!(
            health["following"], true,
            "the chain is followed all the same"
        );
        let warning = health["warnings"][0].as_str()?;
        (warning.contains(&address) && warning.contains("is not connected for")).then_some(())
    });
    until_said(&parties.log(0), "a member cannot be reached");

    // It comes back, and so does the one behind the router, whom the others can only dial through the mapping.
    parties.start(lost);
    parties.wait_met(0, PARTIES - 1);
    until_said(&parties.log(0), "a member can be reached again");
    parties.kill(PARTIES - 1);
    parties.wait_met(2, PARTIES - 2);
    parties.start(PARTIES - 1);
    parties.wait_met(PARTIES - 1, PARTIES - 1);
    parties.wait_met(2, PARTIES - 1);
    let own = parties.own_status(2).unwrap();
    assert_eq!(own["warnings"], Value::Array(Vec::new()));
}

/// That every member's addresses on chain are those of its machine, or what it has configured.
fn announced_what_others_can_dial(parties: &Parties) {
    let shown = parties.json(0, &["ring", "show"]).unwrap();
    for (party, key) in parties.keys.iter().enumerate() {
        let address = key.address().to_string();
        let members = shown["members"].as_array().unwrap();
        let member = members
            .iter()
            .find(|member| member["address"] == address.as_str())
            .unwrap();
        let announced: Vec<_> = member["multiaddresses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect();
        let own = match parties.machines.is_hidden(party) {
            true => parties.mapped(),
            false => format!("/ip4/{}/tcp/{LIBP2P}", parties.machines.address(party)),
        };
        assert_eq!(announced, [own], "party {party}");
    }
}
