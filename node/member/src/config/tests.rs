use super::*;
use rings_protocol::{operation::DEFAULT_OUTPUT, Address};
use std::path::Path;

const PATH: &str = "/etc/rings/node.toml";
const SAMPLE: &str = include_str!("../../../../docs/config.toml");
const SMALL: &str = r#"
[chain]
rpc = "http://127.0.0.1:8545"
[ring]
address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
[key]
keystore = "key.json"
[rpc]
token_file = "/run/token"
"#;

fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
    NodeConfig::parse(text, Path::new(PATH), |_| None)
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn the_documented_sample_is_read_and_names_every_key() {
    let config = parse(SAMPLE).unwrap();
    assert_eq!(config.chain.rpc, ["wss://ethereum.example/ws"]);
    assert_eq!(config.ring.requesters.len(), 1);
    assert_eq!(config.store.path, Path::new("/etc/rings/data"));
}

#[test]
fn the_documentation_is_what_the_table_of_keys_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.toml");
    let made = documentation().unwrap();
    if std::env::var_os("RINGS_REGENERATE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert!(
        made == std::fs::read_to_string(path).unwrap(),
        "docs/config.toml is out of date: run this test with RINGS_REGENERATE=1"
    );
}

/// The sample with every key set: what is shown behind "#" is set too.
fn all_set() -> String {
    let is_key = |line: &&str| {
        let mut keys = KEYS.iter().map(|key| format!("{} = ", key.name));
        keys.any(|key| line.starts_with(&key))
    };
    let mut section = "";
    let lines = SAMPLE.lines().map(|line| {
        if line.starts_with('[') {
            section = line;
        }
        // It takes the place of [key], and is not set beside it.
        let shown = line.strip_prefix("# ").filter(is_key);
        let shown = shown.filter(|_| section != "[signer]");
        shown.unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_shown_as_a_default_is_the_default() {
    let (mut shown, mut left_out) = (parse(&all_set()).unwrap(), parse(SAMPLE).unwrap());
    // It depends on the machine; what is shown is an example.
    (shown.compute.workers, left_out.compute.workers) = (0, 0);
    assert_eq!(shown, left_out);
}

#[test]
fn without_a_required_key_the_configuration_is_refused() {
    for left_out in KEYS {
        let mut is_section = false;
        let keep = |line: &&str| {
            if line.starts_with('[') {
                is_section = **line == format!("[{}]", left_out.section);
            }
            !(is_section && line.starts_with(&format!("{} = ", left_out.name)))
        };
        let text: Vec<_> = SAMPLE.lines().filter(keep).collect();
        match (left_out.presence, parse(&text.join("\n"))) {
            (Presence::Required, Err(error)) => {
                assert!(error.to_string().contains(&left_out.variable()), "{error}");
            }
            (Presence::Required, Ok(_)) => panic!("{} is not missed", left_out.variable()),
            (_, Err(error @ ConfigError::HalfOfTls { .. })) => {
                assert!(error.to_string().contains(&left_out.variable()), "{error}");
            }
            (_, parsed) => assert!(parsed.is_ok(), "{}", left_out.variable()),
        }
    }
}

#[test]
fn defaults_fill_what_a_small_file_leaves_out() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.chain.confirmations, 12);
    assert_eq!(config.store.kind, StoreKind::Embedded);
    assert_eq!(config.store.path, Path::new("/etc/rings/data"));
    let key = config.key.files().unwrap();
    assert_eq!(key.keystore, Path::new("/etc/rings/key.json"));
    assert_eq!(config.rpc.token_file, Path::new("/run/token"));
    assert_eq!(config.rpc.listen.port(), 7545);
    assert_eq!(config.network.listen.len(), 2);
    assert_eq!(config.compute.output, DEFAULT_OUTPUT);
    assert!(config.compute.workers >= 1);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        (SMALL.replace("[key]", "[kye]"), 6, "unknown field `kye`"),
        (
            SMALL.replace("keystore", "keystor"),
            7,
            "unknown field `keystor`",
        ),
        (SMALL.replace("http://", "ftp://"), 3, "expected a URL"),
        (SMALL.replace("0x5aA", "0x5AA"), 5, "checksum"),
        (SMALL.replace("[rpc]", "[rpc"), 8, ""),
        (
            format!("{SMALL}[compute]\nworkers = 0\n"),
            11,
            "from 1 to 256",
        ),
        (format!("{SMALL}[compute]\nmemory = -1\n"), 11, ""),
        (format!("{SMALL}[log]\nformat = \"xml\"\n"), 11, "text"),
        (format!("{SMALL}listen = \"localhost\"\n"), 10, ""),
        (format!("{SMALL}hosts = [\"http://x\"]\n"), 10, "host"),
        (format!("{SMALL}hosts = [\"x:80\"]\n"), 10, "host"),
        (format!("{SMALL}origins = [\"x\"]\n"), 10, "origin"),
        (
            format!("{SMALL}origins = [\"https://x/y\"]\n"),
            10,
            "origin",
        ),
        (
            format!("{SMALL}[log]\nlevel = \"loud\"\n"),
            11,
            "unknown variant",
        ),
    ];
    for (text, line, reason) in cases {
        let message = message(&text);
        let place = format!("{PATH}:{line}: ");
        assert!(
            message.starts_with(&place) && message.contains(reason),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_variable() {
    let text = SMALL.replace("keystore = \"key.json\"", "");
    assert_eq!(
        message(&text),
        "/etc/rings/node.toml: [key] keystore is missing; write it there or set RINGS_KEY_KEYSTORE"
    );
    let text = format!("{SMALL}[store]\nkind = \"kubo\"\n");
    assert!(message(&text).contains("RINGS_STORE_URL"));
}

/// The variables of a member whose key is on its machine.
fn with_key() -> impl Iterator<Item = String> {
    variables().filter(|name| !name.starts_with("RINGS_SIGNER_"))
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    let values = [
        "ws://127.0.0.1:1, https://ethereum.example",
        "2",
        "3",
        "17",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed, 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "other.json",
        "secret",
        "kubo",
        "/var/lib/rings",
        "http://127.0.0.1:5001",
        "70001",
        "https://ring.example.org",
        "5",
        "true",
        "true",
        "6",
        "70002",
        "/ip4/127.0.0.1/tcp/1,/ip4/127.0.0.1/udp/1/quic-v1",
        "/dns/ring.example.org/tcp/1",
        "[::1]:80",
        "tokens",
        "ring.example.org, [::1]",
        "https://app.example.org",
        "tls.pem",
        "/run/tls.key",
        "2",
        "65536",
        "1000",
        "70000",
        "25",
        "/opt/rings-0.1/rings, other",
        "/var/cache/rings",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "5000",
        "4000",
        "3000",
        "2000000",
        "50",
        "60",
        "900",
        "7",
        "70",
        "20",
        "mail=bin/mail,sms=/opt/sms",
        "api.example.org,127.0.0.1:8080",
        "127.0.0.1:8080",
        "instances",
        "3",
        "json",
        "debug",
    ];
    let environment = |name: &str| {
        let index = with_key().position(|variable| variable == name)?;
        Some(values[index].to_owned())
    };
    let value = |name: &str| environment(name).unwrap();
    let config = NodeConfig::parse("", Path::new(PATH), environment).unwrap();
    let expected = NodeConfig {
        chain: ChainConfig {
            rpc: vec!["ws://127.0.0.1:1".into(), "https://ethereum.example".into()],
            agree: 2,
            confirmations: 3,
            start_block: 17,
        },
        ring: RingConfig {
            address: value("RINGS_RING_ADDRESS").parse().unwrap(),
            requesters: vec![
                "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
                    .parse()
                    .unwrap(),
                value("RINGS_RING_ADDRESS").parse().unwrap(),
            ],
            readers: vec!["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
                .parse()
                .unwrap()],
        },
        key: KeyConfig::Here(KeyFiles {
            keystore: "/etc/rings/other.json".into(),
            password_file: Some("/etc/rings/secret".into()),
        }),
        store: StoreConfig {
            kind: StoreKind::Kubo {
                url: value("RINGS_STORE_URL"),
            },
            path: "/var/lib/rings".into(),
            max_bytes: Some(70_001),
            gateways: vec![value("RINGS_STORE_GATEWAYS")],
            keep_results: 5,
            collect_logs: true,
            logs_from_heads: true,
            author_daily_nodes: 6,
            author_daily_bytes: 70_002,
        },
        network: NetworkConfig {
            listen: vec![
                "/ip4/127.0.0.1/tcp/1".into(),
                "/ip4/127.0.0.1/udp/1/quic-v1".into(),
            ],
            announce: vec![value("RINGS_NETWORK_ANNOUNCE")],
        },
        rpc: RpcConfig {
            listen: value("RINGS_RPC_LISTEN").parse().unwrap(),
            token_file: "/etc/rings/tokens".into(),
            hosts: vec!["ring.example.org".into(), "[::1]".into()],
            origins: vec!["https://app.example.org".into()],
            tls: Some(TlsFiles {
                certificate: "/etc/rings/tls.pem".into(),
                private_key: "/run/tls.key".into(),
            }),
        },
        compute: ComputeConfig {
            workers: 2,
            memory: 65_536,
            fuel: 1000,
            output: 70_000,
            second_opinion: 25,
            profiles: vec!["/opt/rings-0.1/rings".into(), "/etc/rings/other".into()],
            cache: "/var/cache/rings".into(),
        },
        clients: ClientsConfig {
            granted: vec![value("RINGS_CLIENTS_GRANTED").parse().unwrap()],
            gas_per_ring: 5_000,
            gas_for_others: 4_000,
            gas_per_avatar: 3_000,
            bytes_per_ring: 2_000_000,
        },
        ring_log: RingLogConfig {
            entries: 50,
            wait: 60,
            gates: 900,
        },
        requests: RequestsConfig {
            open: 7,
            lifetime: 70,
            until: 20,
        },
        connectors: ConnectorsConfig {
            programs: [
                ("mail".to_owned(), "/etc/rings/bin/mail".into()),
                ("sms".to_owned(), "/opt/sms".into()),
            ]
            .into(),
            hosts: vec!["api.example.org".into(), "127.0.0.1:8080".into()],
            private_hosts: vec!["127.0.0.1:8080".into()],
            instances: Some("/etc/rings/instances".into()),
            at_once: 3,
        },
        log: LogConfig {
            format: LogFormat::Json,
            level: LogLevel::Debug,
        },
    };
    assert_eq!(config, expected);
}

#[test]
fn providers_are_one_or_several() {
    let with = |chain: &str| SMALL.replace("rpc = \"http://127.0.0.1:8545\"", chain);
    let three = parse(&with(r#"rpc = ["http://a:1", "ws://b:2", "https://c"]"#)).unwrap();
    assert_eq!(three.chain.rpc, ["http://a:1", "ws://b:2", "https://c"]);
    assert_eq!(three.chain.agree, 2, "two thirds of three");
    let two = parse(&with(r#"rpc = ["http://a:1", "ws://b:2"]"#)).unwrap();
    assert_eq!(two.chain.agree, 1, "one of two may fail");
    let none = message(&with("rpc = []"));
    assert!(none.contains("expected 1 to 8 URLs"), "{none}");
    let wrong = message(&with(r#"rpc = ["http://a:1", "ftp://b"]"#));
    assert!(wrong.contains("expected a URL"), "{wrong}");
    let few = message(&with("rpc = \"http://a:1\"\nagree = 2"));
    assert!(
        few.contains("agree = 2") && few.contains("1 provider"),
        "{few}"
    );
}

#[test]
fn a_bad_variable_is_named() {
    let environment = |name: &str| (name == "RINGS_RPC_LISTEN").then(|| "here".into());
    let error = NodeConfig::parse(SMALL, Path::new(PATH), environment).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the environment variable RINGS_RPC_LISTEN: "),
        "{error}"
    );
}

#[test]
fn a_mistyped_variable_is_named_with_what_may_be_meant() {
    let unknown = |name: &str| unknown_variable([name.to_owned()]);
    for known in [
        "RINGS_CHAIN_RPC",
        "RINGS_DIR",
        "RINGS_IPFS",
        "RINGS_PERTURB_SEED",
        "RING",
        "HOME",
    ] {
        assert_eq!(unknown(known), None, "{known}");
    }
    let meant = |name| unknown(name).unwrap().meant;
    assert_eq!(meant("RINGS_CHIAN_RPC").unwrap(), "RINGS_CHAIN_RPC");
    assert_eq!(meant("RINGS_DIRR").unwrap(), "RINGS_DIR");
    assert_eq!(meant("RINGS_SOMETHING_ELSE"), None);
    let error = ConfigError::from(unknown("RINGS_DIRR").unwrap()).to_string();
    assert!(error.contains("RINGS_DIRR") && error.contains("RINGS_DIR may"));
}

#[test]
fn a_written_file_reads_back() {
    let mut file = ConfigFile::default();
    file.chain.rpc = Some("http://127.0.0.1:8545".parse().unwrap());
    file.ring.address = Some(Address([1; 20]));
    file.key.keystore = Some("key.json".into());
    file.rpc.token_file = Some("../../token".into());
    let text = toml::to_string(&file).unwrap();
    assert_eq!(toml::from_str::<ConfigFile>(&text).unwrap(), file);
    assert_eq!(parse(&text).unwrap().ring.address, Address([1; 20]));
}

/// What is printed goes to logs, and from there to whoever collects them.
#[test]
fn the_error_about_a_url_does_not_show_its_credentials() {
    for url in [
        "htps://user:SECRET@127.0.0.1:1/APIKEY",
        "user:SECRET@127.0.0.1:1/APIKEY",
        "http:/user:SECRET@127.0.0.1:1/APIKEY",
        "htp://user:SECRET/x@127.0.0.1:1/APIKEY",
    ] {
        let in_file = message(&format!("[chain]\nrpc = {url:?}\n"));
        let variable = |name: &str| (name == "RINGS_CHAIN_RPC").then(|| url.to_owned());
        let in_variable = NodeConfig::parse("", Path::new("c.toml"), variable).unwrap_err();
        let in_store = message(&format!("[store]\nurl = {url:?}\n"));
        for error in [in_file, in_variable.to_string(), in_store] {
            assert!(error.contains("expected a URL"), "{error}");
            assert!(
                !error.contains("SECRET") && !error.contains("APIKEY"),
                "{error}"
            );
        }
    }
}

const SIGNER: &str = r#"
[signer]
url = "https://me:hidden@signer.example.org:9000"
address = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
"#;

#[test]
fn a_signer_takes_the_place_of_the_key() {
    let without_key = SMALL.replace("[key]\nkeystore = \"key.json\"\n", "");
    let text = format!("{without_key}{SIGNER}authority = \"ca.pem\"\n");
    let config = parse(&text).unwrap();
    assert_eq!(config.key.files(), None);
    let KeyConfig::Signer(signer) = &config.key else {
        panic!("{:?}", config.key);
    };
    assert_eq!(
        signer.authority.as_deref(),
        Some(Path::new("/etc/rings/ca.pem"))
    );
    assert!(!format!("{config:?}").contains("hidden"), "{config:?}");

    // By variables alone.
    let environment = |name: &str| {
        let value = match name {
            "RINGS_SIGNER_URL" => "https://me:hidden@signer.example.org:9000",
            "RINGS_SIGNER_ADDRESS" => "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "RINGS_SIGNER_AUTHORITY" => "ca.pem",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let by_variables = NodeConfig::parse(&without_key, Path::new(PATH), environment);
    assert_eq!(by_variables.unwrap(), config);

    let both = message(&format!("{SMALL}{SIGNER}"));
    assert!(both.contains("[key] and [signer] are both set"), "{both}");
    let readers = "readers = [\"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359\"]\n[rpc]";
    let private = message(&text.replacen("[rpc]", readers, 1));
    assert!(private.contains("a signer unwraps nothing"), "{private}");
    let half = message(&format!("{text}certificate = \"client.pem\"\n"));
    assert!(
        half.contains("[signer] certificate is set and private_key is not"),
        "{half}"
    );
    assert!(half.contains("RINGS_SIGNER_PRIVATE_KEY"), "{half}");
    for key in ["url", "address"] {
        let mut lines: Vec<_> = text.lines().collect();
        let at = lines
            .iter()
            .rposition(|line| line.starts_with(key))
            .unwrap();
        lines.remove(at);
        let missing = message(&lines.join("\n"));
        assert!(
            missing.contains(&format!("[signer] {key} is missing")),
            "{missing}"
        );
    }
    let wrong = message(&text.replace("https://me", "ssh://me"));
    assert!(
        wrong.contains("expected a URL") && !wrong.contains("hidden"),
        "{wrong}"
    );
}
