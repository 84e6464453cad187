//! The table of keys: one entry gives the key of the file, its environment variable, its default, its place in
//! `docs/config.toml`, and the name in errors. A new key is a new entry here, and a field where it is used.
//!
//! The macro `config_keys!` turns the table into [`ConfigFile`] (the sections as they are read, each key optional), the
//! list [`KEYS`], and the functions that put the environment on top and fill in defaults. The doc comments of the
//! entries are not only comments: they are the text of `docs/config.toml`, which [`documentation`] writes and a test
//! compares. An unknown variable that begins with `RINGS_` is an error ([`unknown_variable`]), with the name that was
//! probably meant.

use super::{
    error::{ConfigError, UnknownVariable},
    values::{
        Agree, Bytes, ChainUrls, Connectors, Fuel, HostName, HostPort, HttpUrl, KindName, List,
        LogFormat, LogLevel, NamedProgram, Origin, Percent, Workers, CONNECTORS_AT_ONCE,
    },
};
use rings_protocol::{operation::DEFAULT_OUTPUT, Address};
use serde::{Deserialize, Serialize};
use std::{
    fmt::{Display, Write},
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
};

/// How a key stands in `docs/config.toml`, and what happens without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The configuration is refused without it; the documentation shows an example.
    Required,
    /// Nothing takes its place; the documentation shows an example.
    Optional,
    /// The value that is shown is used.
    Default,
    /// What takes its place depends on other keys or on the machine; the documentation shows an example.
    Derived,
}

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its section.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it means, line by line.
    pub docs: &'static [&'static str],
    /// What happens without it.
    pub presence: Presence,
    /// The default, or an example.
    pub shown: fn() -> Result<toml::Value, toml::ser::Error>,
}

impl Key {
    /// The environment variable that gives the key.
    pub fn variable(&self) -> String {
        variable(self.section, self.name)
    }
}

/// The environment variable that gives a key.
pub(super) fn variable(section: &str, key: &str) -> String {
    format!("RINGS_{section}_{key}").to_uppercase()
}

/// The environment variables that give keys. A parent that starts nodes with files of their own takes these out of
/// their environment.
pub fn variables() -> impl Iterator<Item = String> {
    KEYS.iter().map(Key::variable)
}

/// How the name of every environment variable of this program begins.
pub const PREFIX: &str = "RINGS_";
/// Variables that the program reads, besides those of the keys.
const PROGRAM_VARIABLES: [&str; 3] = ["RINGS_DIR", "RINGS_ANVIL", "RINGS_TOOLS"];
/// Variables of the scripts and tests of this source tree, which programs that they start inherit.
const DEVELOPMENT_VARIABLES: [&str; 8] = [
    "RINGS_FORGE",
    "RINGS_CAST",
    "RINGS_SOLC",
    "RINGS_IPFS",
    "RINGS_REGENERATE",
    "RINGS_GOLDEN",
    "RINGS_SMITH",
    "RINGS_SCRIPT_RUN",
];
/// How other variables of the tests begin.
const DEVELOPMENT_PREFIXES: [&str; 3] = ["RINGS_PERTURB_", "RINGS_SEARCH", "RINGS_STORE_TEST_"];
/// Two names that differ in at most this many characters are taken for one name with a typing error.
const MISTYPED: usize = 2;

/// The first of these variables that begins as those of this program do, and is unknown.
pub fn unknown_variable(names: impl IntoIterator<Item = String>) -> Option<UnknownVariable> {
    let known: Vec<String> = PROGRAM_VARIABLES
        .iter()
        .map(ToString::to_string)
        .chain(variables())
        .collect();
    let is_ours = |name: &String| {
        known.contains(name)
            || DEVELOPMENT_VARIABLES.contains(&name.as_str())
            || DEVELOPMENT_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
    };
    let mut names = names.into_iter().filter(|name| name.starts_with(PREFIX));
    let name = names.find(|name| !is_ours(name))?;
    let meant = meant(&name, known.iter().map(String::as_str)).map(Into::into);
    Some(UnknownVariable { name, meant })
}

/// The known name that an unknown one may stand for.
pub fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.into_iter();
    let near = known.map(|known| (distance(name, known), known)).min();
    let near = near.filter(|(distance, _)| (1..=MISTYPED).contains(distance));
    near.map(|(_, known)| known)
}

/// How many characters have to be put in, taken out or changed to make one text of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

macro_rules! config_keys {
    ($($section:ident: $Section:ident {
        $($(#[doc = $doc:literal])* $key:ident: $type:ty => $presence:ident($shown:expr),)*
    })*) => {
        /// Every key of the configuration, in the order of `docs/config.toml`.
        pub const KEYS: &[Key] = &[$($(
            Key {
                section: stringify!($section),
                name: stringify!($key),
                docs: &[$($doc),*],
                presence: Presence::$presence,
                shown: || toml::Value::try_from($shown),
            },
        )*)*];

        /// The file as it is written: what is not there has a default, or is an error later.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ConfigFile {
            $(
                #[doc = concat!("`[", stringify!($section), "]`")]
                pub $section: $Section,
            )*
        }

        $(
            #[doc = concat!("`[", stringify!($section), "]` as written.")]
            #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $Section {
                $(
                    $(#[doc = $doc])*
                    #[serde(default, skip_serializing_if = "Option::is_none")]
                    pub $key: Option<$type>,
                )*
            }
        )*

        impl ConfigFile {
            /// Puts environment variables in place of what the file says.
            ///
            /// # Errors
            /// [`ConfigError::Environment`] names a variable whose value is not of its key's type.
            pub(super) fn overlay(
                &mut self,
                environment: &impl Fn(&str) -> Option<String>,
            ) -> Result<(), ConfigError> {
                $($(
                    let name = variable(stringify!($section), stringify!($key));
                    set(&mut self.$section.$key, environment, name)?;
                )*)*
                Ok(())
            }

            /// Gives each key that has a fixed default and is not set that default.
            pub(super) fn fill_defaults(&mut self) {
                $($(
                    if self.$section.$key.is_none() {
                        self.$section.$key = config_keys!(@default $presence($shown));
                    }
                )*)*
            }
        }
    };
    (@default Default($shown:expr)) => { Some($shown) };
    (@default $other:ident($shown:expr)) => { None };
}

config_keys! {
    chain: ChainSection {
        /// Provider of the chain: http, https, ws or wss; or a list of at most 8. A websocket tells of new blocks at once. Of
        /// several, the first that works is asked; one that fails, lags or contradicts the others is put aside for a while.
        /// Heads are pushed only if all are websockets.
        rpc: ChainUrls => Required("wss://ethereum.example/ws"),
        /// How many providers must give the same answer about events and about the membership, where a lie would cost. Unless
        /// set: of three or more, two thirds; otherwise one. With as many as there are, one that fails stops this member.
        agree: Agree => Derived(1),
        /// Blocks on top of a result before it is called final. Members act on the newest block whatever this is: a result is
        /// right on every branch of the chain.
        confirmations: u64 => Default(12),
        /// First block that can hold an event of the ring: the one in which it was deployed, or an earlier one. 0 unless set.
        start_block: u64 => Optional(21_000_000),
    }
    ring: RingSection {
        /// The ring that this node works for. `rings deploy` prints it.
        address: Address => Required("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        /// Whose gates are computed, besides those of the ring's keeper and its members. Gates that only others asked for are
        /// declined; `rings gate show` says so.
        requesters: List<Address> => Optional(["0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"]),
        /// The members that may read this ring's logs: the ring is private if there are any. Members seal their log nodes then,
        /// and this one gives keys to nobody else, whoever the ring's keeper enters. All members of a ring should have the same
        /// here; the own account need not be named. `rings ring private` and `rings ring approve` write it.
        readers: List<Address> => Optional(["0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"]),
    }
    key: KeySection {
        /// The member's key: a keystore (Web3 Secret Storage v3; `rings key new`), or a file with its hex. Mode 0600.
        keystore: PathBuf => Required("key.json"),
        /// The keystore's password, in a file of mode 0600. Without this key, the node asks for the password when it starts.
        password_file: PathBuf => Optional("password"),
    }
    signer: SignerSection {
        /// In place of [key]: a service that has the member's key and signs, so that the key need not lie on this machine. It speaks
        /// the API of Web3Signer for Ethereum's keys (`eth1`). Https, unless it is on this machine or in a network of your own: whoever
        /// reaches it can sign. A name and a password in the URL are sent with each request. Private rings need a key here.
        url: HttpUrl => Derived("https://signer.example.org:9000"),
        /// The member's account. The signer must have the key to it.
        address: Address => Derived("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        /// Who vouches for the signer's certificate, as PEM; unless set, the usual authorities.
        authority: PathBuf => Derived("signer-authority.pem"),
        /// The certificate with which this member shows who it is, where the signer asks for one: PEM.
        certificate: PathBuf => Derived("signer-client.pem"),
        /// The key to it: PEM without a password, in a file of mode 0600.
        private_key: PathBuf => Derived("signer-client-key.pem"),
    }
    store: StoreSection {
        /// Where blocks are kept: "embedded" (a database in `path`) or "kubo" (the Kubo node at `url`).
        kind: KindName => Default(KindName::Embedded),
        /// Directory of this node's databases. With both kinds it holds the signing journal: never delete it,
        /// and never start a copy of it elsewhere.
        path: PathBuf => Default(PathBuf::from("data")),
        /// RPC of the Kubo node. Needed with kind = "kubo".
        url: HttpUrl => Derived("http://127.0.0.1:5001"),
        /// Most bytes of blocks in the embedded store. The node collects what nobody needs before it has so many, and then the
        /// inputs and outputs of gates that are over, the oldest first. What must be kept stays, whatever this says: logs, files
        /// that a person added, data of open gates. No bound unless set.
        max_bytes: Bytes => Optional(Bytes(100 << 30)),
        /// URLs of gateways, of members of other rings for example, where blocks are looked for that no member of this ring has: the
        /// inputs of gates that another ring asks of this one, and the outputs of gates that this one asks of another. What comes
        /// is hashed, so they need not be trusted.
        gateways: List<HttpUrl> => Optional(["https://ring.example.org"]),
        /// Gates that are over and whose inputs and outputs `rings store gc` leaves, the newest ones.
        keep_results: u64 => Default(1024),
        /// Whether `rings store gc` also removes nodes of the other members' logs from before the newest archived ring node (each
        /// hundredth) that is final. They are fetched again from their authors when somebody asks for them. Of each log, one more
        /// member than may be faulty keeps all of it nevertheless, so that its author gets it back after a loss; which ones
        /// follows from the addresses. It may be set at all members.
        collect_logs: bool => Default(false),
        /// Whether a log of which nothing is held is begun at the head that the chain names, and not at its first node: so a
        /// member that enters late is ready at once. Older nodes are fetched when somebody asks for them. Requests that were
        /// asked before and are open still are left to the others. Leave it off at the members from the start.
        logs_from_heads: bool => Default(false),
        /// Most nodes of one other member's log that are written to this disk in a day. Votes that this node waits for do not
        /// count. Beyond it the log is not held further until the next day; status says so.
        author_daily_nodes: u64 => Default(100_000),
        /// Most bytes of one other member's log that are written to this disk in a day, counted in the same way.
        author_daily_bytes: Bytes => Default(Bytes(256 << 20)),
    }
    network: NetworkSection {
        /// Where libp2p listens, as multiaddresses. Only members of the ring may connect.
        listen: List<String> => Default(List(vec![
            String::from("/ip4/0.0.0.0/tcp/7645"),
            String::from("/ip4/0.0.0.0/udp/7645/quic-v1"),
        ])),
        /// Where the other members reach this one, as multiaddresses of IP addresses or names, at most 8: needed behind a port
        /// mapping (a router, a container), and where a name stays and the address does not. Unless set, the addresses of this
        /// machine's interfaces are announced, and those at which the others see it; never a loopback address, unless the
        /// chain is one of this machine (its URL is a loopback address) and there is no other.
        announce: List<String> => Optional(["/dns/ring.example.org/tcp/7645"]),
    }
    rpc: RpcSection {
        /// Address and port of JSON-RPC, gateway, health and metrics.
        listen: SocketAddr => Default(SocketAddr::from(([127, 0, 0, 1], 7545))),
        /// The bearer token that may add files: a secret text of at least 32 visible ASCII characters, in a file of mode 0600.
        token_file: PathBuf => Required("token"),
        /// Names under which this node is reached, besides localhost and the address that a request comes to. Requests for
        /// other hosts are refused: they may come from a web page that misuses a browser.
        hosts: List<HostName> => Optional(["ring.example.org"]),
        /// Origins of web pages that may call this node from a browser (CORS), JSON-RPC and gateway alike. None unless set.
        origins: List<Origin> => Optional(["https://app.example.org"]),
        /// The certificate with which this address speaks TLS, and then nothing else: PEM, the own certificate first, then those
        /// that vouch for it. Both files are read at the start: start the member again when they have been renewed.
        certificate: PathBuf => Optional("certificate.pem"),
        /// The key to it: PEM without a password, in a file of mode 0600.
        private_key: PathBuf => Optional("private-key.pem"),
    }
    compute: ComputeSection {
        /// Programs that run at the same time, each in a process of its own. Unless set, one for each core of the machine.
        workers: Workers => Derived(2),
        /// Most bytes of memory that one run may ask of this machine. This member does not vote on a gate that asks for more.
        memory: Bytes => Default(Bytes(1 << 30)),
        /// Most units of fuel that one run may ask for; an instruction costs one to some dozens. This member does not vote on a gate that
        /// asks for more.
        fuel: Fuel => Default(Fuel(1_000_000_000_000)),
        /// Most bytes of output that one run may ask for. This member does not vote on a gate that asks for more. `rings gate
        /// show` shows each of these three cases as "declined", with the reason.
        output: Bytes => Default(Bytes(DEFAULT_OUTPUT)),
        /// Of a hundred gates, how many this member computes on a second WebAssembly engine (wasmi) too, which takes many times
        /// as long. Where the two engines differ, one of them is wrong: the member does not vote, and says so.
        second_opinion: Percent => Default(Percent(0)),
        /// Further worker programs, such as an earlier version of this one: each computes the operations that name its profile, so
        /// that a ring can be upgraded one member after the other. A member declines an operation whose profile it has no worker
        /// of.
        profiles: List<PathBuf> => Optional(["/usr/local/lib/rings/rings-0.1"]),
        /// Directory of compiled modules; "modules" in the store's directory, unless set. Members on one machine may share one,
        /// so that each module is compiled once. Whoever can write to it can make this member compute anything: let nobody else.
        cache: PathBuf => Derived("data/modules"),
    }
    clients: ClientsSection {
        /// Client rings for which this member pays more gas than for others.
        granted: List<Address> => Optional(["0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"]),
        /// Most gas that this member pays for in a day (UTC), for each of those rings.
        gas_per_ring: u64 => Default(50_000_000),
        /// The same for all other client rings together: whoever registers rings cannot spend more.
        gas_for_others: u64 => Default(50_000_000),
        /// The same for each avatar.
        gas_per_avatar: u64 => Default(20_000_000),
        /// Most bytes of log nodes that this member keeps of one client ring.
        bytes_per_ring: Bytes => Default(Bytes(1 << 30)),
    }
    ring_log: RingLogSection {
        /// So many results that two thirds agree on, and that no ring node lists yet, make one due at once. A ring node costs one
        /// transaction.
        entries: usize => Default(1000),
        /// A result that has waited for so many seconds makes a ring node due. All members of a ring should have the same
        /// values here: a member endorses no ring node before one is due by its own.
        wait: u64 => Default(10),
        /// Ring nodes list the results of gates too, though each is on chain already: with the next one, or, when none is due for
        /// so many seconds, with one of their own. It also moves the heads of the members' logs on chain.
        gates: u64 => Default(600),
    }
    requests: RequestsSection {
        /// Most open requests of one member. This member takes up none beyond that until some are listed or have expired.
        open: usize => Default(1024),
        /// Most ring nodes from the next one to the last that may list a request: this member takes up none that stays open for
        /// longer.
        lifetime: u64 => Default(10_000),
        /// The same for requests that are asked of this member without saying how long they may stay open.
        until: u64 => Default(1000),
    }
    connectors: ConnectorsSection {
        /// Connectors that external tasks may use at this member, each as NAME=PROGRAM: it gets one line of JSON and answers with
        /// one. None unless set.
        programs: List<NamedProgram> => Optional(["mail=/usr/local/lib/rings/mail"]),
        /// Hosts that the connector `http` may ask, with or without a port. None unless set. A host whose address is a private
        /// one is refused.
        hosts: List<HostPort> => Optional(["api.example.org"]),
        /// Hosts of those whose address may be a private one: services in the own network.
        private_hosts: List<HostPort> => Optional(["prices.example.internal:8080"]),
        /// Directory with the values of instances' configurations, as `rings service deploy` writes them (HASH.json). Members on
        /// other machines need a copy. Without it, tasks that use such values are left to other members.
        instances: PathBuf => Optional("instances"),
        /// External tasks that run at the same time.
        at_once: Connectors => Default(Connectors(CONNECTORS_AT_ONCE)),
    }
    log: LogSection {
        /// What is written to standard error: "text" for people, "json" for machines.
        format: LogFormat => Default(LogFormat::Text),
        /// Which lines: "error", "warn", "info", "debug" or "trace". `rings node --log-level` wins over it, and the variable
        /// RUST_LOG, which can name a level for each part of the program (such as "info,rings_network=debug"), over both.
        level: LogLevel => Default(LogLevel::Info),
    }
}

/// Puts the variable `name` in place of what the file says, when it is set.
fn set<T>(
    slot: &mut Option<T>,
    environment: &impl Fn(&str) -> Option<String>,
    name: String,
) -> Result<(), ConfigError>
where
    T: FromStr<Err: Display>,
{
    let Some(text) = environment(&name) else {
        return Ok(());
    };
    match text.trim().parse() {
        Ok(value) => *slot = Some(value),
        Err(error) => {
            let reason = error.to_string();
            return Err(ConfigError::Environment { name, reason });
        }
    }
    Ok(())
}

/// How `docs/config.toml` begins.
const HEADER: &str = "\
# Configuration of `rings node --config FILE`. Every key is here; a key behind \"#\" shows its default, or an example.
#
# Each key can also be set by the environment variable RINGS_SECTION_KEY, such as RINGS_CHAIN_RPC or
# RINGS_STORE_PATH, which wins over this file (lists are separated by commas there). Relative paths are relative
# to the directory of this file. Unknown keys are refused, and so are unknown variables that begin with RINGS_.
#
# Written from the table of keys in node/member/src/config/keys.rs; a test compares the two.
";

/// The text of `docs/config.toml`.
///
/// # Errors
/// When a default or an example cannot be written as TOML.
pub fn documentation() -> Result<String, toml::ser::Error> {
    let mut text = String::from(HEADER);
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            line(&mut text, format_args!("\n[{section}]"));
        }
        for doc in key.docs {
            line(&mut text, format_args!("#{doc}"));
        }
        let mark = match key.presence {
            Presence::Required | Presence::Optional => "",
            Presence::Default | Presence::Derived => "# ",
        };
        line(
            &mut text,
            format_args!("{mark}{} = {}", key.name, (key.shown)()?),
        );
    }
    Ok(text)
}

fn line(text: &mut String, line: impl Display) {
    // Writing into a string does not fail.
    writeln!(text, "{line}").unwrap_or_default();
}
