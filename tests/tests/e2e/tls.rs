//! A member that speaks TLS, asked by a client that is not ours.

use rings_tests::{until, Program, Ring, LONG};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// Asks for `/health` over HTTPS and prints what came, with Node.js.
const CLIENT: &str = "
require('node:https').get(process.argv[1], (answer) => {
  answer.setEncoding('utf8').on('data', (text) => process.stdout.write(text));
}).on('error', (error) => { console.error(error.code); process.exitCode = 1; });";

fn ask(url: &str, trusted: Option<&Path>) -> Output {
    let mut client = Command::new("node");
    client.args(["-e", CLIENT, url]);
    match trusted {
        Some(path) => client.env("NODE_EXTRA_CA_CERTS", path),
        None => client.env_remove("NODE_EXTRA_CA_CERTS"),
    };
    client.output().unwrap()
}

#[test]
fn a_member_with_a_certificate_is_asked_over_https() {
    let ring = Ring::up(1);
    ring.terminate(&[0]);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (ring.dir().join("tls.pem"), ring.dir().join("tls.key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.key_pair.serialize_pem()).unwrap();
    let environment = [
        ("RINGS_RPC_CERTIFICATE", certificate.to_str().unwrap()),
        ("RINGS_RPC_PRIVATE_KEY", key.to_str().unwrap()),
    ];
    // A key that others can read is refused, as every secret is.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let config = ring.member_dir(0).join("config.toml");
    let refused = ring
        .rings(["node", "--config"])
        .arg(&config)
        .env(environment[0].0, environment[0].1)
        .env(environment[1].0, environment[1].1)
        .refused(2);
    assert!(refused.contains("tls.key"), "{refused}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    ring.launch_member(0, Program::Honest, &environment);
    let file = ring.json();
    let port = file.text("/members/0/rpcUrl").rsplit(':').next().unwrap();
    let url = format!("https://localhost:{}/health", port.trim_end_matches('/'));
    let health = until("it follows its chain", LONG, || {
        let answer = ask(&url, Some(&certificate));
        let text = String::from_utf8(answer.stdout).unwrap();
        text.contains("\"following\":true").then_some(text)
    });
    assert!(!health.contains("trouble"), "{health}");
    let stranger = ask(&url, None);
    let said = String::from_utf8(stranger.stderr).unwrap();
    assert!(said.contains("SELF_SIGNED"), "{said}");
}
