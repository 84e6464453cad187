//! A member whose key is not on its machine: a signer has it, which is a process of its own and shares no code with ours.

use super::quick::wc;
use rings_tests::{block_on, until, Program, Ring, Signer, SignerTls, LONG};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The member whose key the signer has.
const AWAY: usize = 2;

/// Takes the key of a member off its machine, and writes into its configuration who has it.
fn move_key(ring: &Ring, url: &str, lines: &str) {
    let address = ring.json().member(AWAY);
    let dir = ring.member_dir(AWAY);
    for file in ["key.json", "password"] {
        fs::remove_file(dir.join(file)).unwrap();
    }
    let path = dir.join("config.toml");
    let mut config: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config.remove("key").expect("it had its key");
    let signer = format!("url = \"{url}\"\naddress = \"{address}\"\n{lines}");
    let signer: toml::Table = toml::from_str(&signer).unwrap();
    config.insert("signer".into(), signer.into());
    fs::write(&path, config.to_string()).unwrap();
}

/// A certificate for localhost, and the key to it.
fn certificate(ring: &Ring, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = ring.write(&format!("{name}.pem"), made.cert.pem());
    let key = ring.write(&format!("{name}.key"), made.key_pair.serialize_pem());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    (certificate, key)
}

fn log(ring: &Ring) -> String {
    fs::read_to_string(ring.member_dir(AWAY).join("node.log")).unwrap()
}

fn metric(ring: &Ring, name: &str) -> Option<String> {
    let url = format!("{}/metrics", ring.json().rpc_urls()[AWAY]);
    let text = block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.ok()?.text().await.ok()
    })?;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("{name} ")))?;
    Some(value.to_owned())
}

#[test]
fn a_member_whose_key_a_signer_has_votes_registers_and_loses_nothing_while_it_is_away() {
    let ring = Ring::up(3);
    let key = ring.member_key(AWAY);
    ring.terminate(&[AWAY]);
    let ((own, own_key), (client, client_key)) =
        (certificate(&ring, "signer"), certificate(&ring, "client"));
    let tls = SignerTls {
        certificate: own.clone(),
        key: own_key,
        clients: client.clone(),
    };
    let mut signer = Signer::start(&ring.file("signer"), std::slice::from_ref(&key), Some(tls));
    let shown = |path: &Path| path.display().to_string();
    let lines = format!(
        "authority = \"{}\"\ncertificate = \"{}\"\nprivate_key = \"{}\"\n",
        shown(&own),
        shown(&client),
        shown(&client_key)
    );
    let url = signer.url().replace("://", "://operator:not-to-be-seen@");
    move_key(&ring, &url, &lines);
    let before = block_on(ring.client(0).status()).unwrap();
    ring.start_member(AWAY, Program::Honest);

    // The others know it by the name that it has announced, which is not that of its account's key.
    let own_status = block_on(ring.client(AWAY).status()).unwrap();
    assert_eq!(own_status.member, key.address());
    let announced = own_status.announced.last().unwrap();
    assert!(announced.ends_with(&own_status.peer_id), "{announced}");
    assert_ne!(own_status.peer_id, before.peer_id);
    assert_ne!(own_status.peer_id, ring.json().text("/members/2/peerId"));

    // Two of three must agree: without its vote there is no result.
    ring.kill(&[0]);
    let (output, receipt) = ring.result("wc", b"signed elsewhere\n");
    assert_eq!(output, wc(b"signed elsewhere\n"));
    assert!(receipt.signers().contains(&key.address()));
    assert!(signer.said().contains("POST /api/v1/eth1/sign/0x"));

    // Its signer goes. It says so, follows the ring, and signs when the signer is back: what it computed is not lost.
    signer.kill();
    let path = ring.write("later", b"signed later\n");
    let run = |timeout: &str| {
        let call = ring.rings(["run", "--timeout", timeout, "--input"]);
        call.arg(&path).arg(rings_tests::program("wc"))
    };
    let silent = run("4s").call();
    silent.ends_with(4);
    let said = "1 of 3 members have voted";
    assert!(silent.stderr.contains(said), "{}", silent.stderr);
    until("it says that the signer is away", LONG, || {
        let status = block_on(ring.client(AWAY).status()).ok()?;
        let mut warnings = status.warnings.iter();
        warnings
            .find(|text| text.contains("gives no signatures"))
            .cloned()
    });
    assert_eq!(metric(&ring, "rings_signer_away").as_deref(), Some("1"));
    signer.start_again();
    // It is asked again after a pause.
    assert_eq!(run("60s").ok(), wc(b"signed later\n"));
    assert_eq!(metric(&ring, "rings_signer_away").as_deref(), Some("0"));

    // It starts while the signer is away, waits, and goes on.
    signer.kill();
    ring.terminate(&[AWAY]);
    ring.launch_member(AWAY, Program::Honest, &[]);
    until("it waits for its signer", LONG, || {
        let (status, trouble) = ring.health(AWAY)?;
        (status == 503 && trouble?.contains("the signer at https://localhost:")).then_some(())
    });
    signer.start_again();
    ring.wait_connected(AWAY, 1);
    let (output, _) = ring.result("wc", b"and again\n");
    assert_eq!(output, wc(b"and again\n"));
    assert!(!log(&ring).contains("not-to-be-seen"), "{}", log(&ring));
}

#[test]
fn a_signer_without_the_key_and_a_configuration_that_cannot_work_are_refused() {
    let ring = Ring::up(1);
    let (dir, address) = (ring.member_dir(0), ring.json().member(0));
    ring.terminate(&[0]);
    let other = rings_member::keystore::generate();
    let signer = Signer::start(&ring.file("signer"), &[other], None);
    let path = dir.join("config.toml");
    let mut config: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let table = |text: &str| -> toml::Value { toml::from_str::<toml::Table>(text).unwrap().into() };
    let node = |config: &toml::Table| {
        let path = ring.write("member.toml", config.to_string());
        ring.rings(["node", "--config"]).arg(path)
    };
    let section = format!("url = \"{}\"\naddress = \"{address}\"", signer.url());
    config.insert("signer".into(), table(&section));
    config.insert(
        "store".into(),
        table(&format!("path = \"{}\"", dir.join("data").display())),
    );
    config.insert(
        "rpc".into(),
        table(&format!(
            "token_file = \"{}\"\nlisten = \"127.0.0.1:0\"",
            ring.dir().join("token").display()
        )),
    );
    let line = node(&config).refused(2);
    assert!(line.contains("[key] and [signer] are both set"), "{line}");
    config.remove("key");
    let mut private = config.clone();
    let readers = table(&format!(
        "address = \"{}\"\nreaders = [\"{address}\"]",
        ring.json().text("/ring")
    ));
    private.insert("ring".into(), readers);
    let line = node(&private).refused(2);
    assert!(line.contains("a signer unwraps nothing"), "{line}");
    let line = node(&config).refused(2);
    let expected = format!("has one key, and not that of {address}");
    assert!(line.contains(&expected), "{line}");
    assert!(signer.said().contains("GET /api/v1/eth1/publicKeys 200"));
}
