//! Credentials in URLs: used as RFC 3986 and RFC 7617 say, and never shown.

use rings_tests::perturb::{Conduct, Door, Stage};

/// `user:p@ss`, as `Basic` wants it.
const AUTHORIZATION: &str = "Basic dXNlcjpwQHNz";
const TARGET: &str = "/v3/K3Yofth1sPlan?x=1";
/// What must never be written anywhere for people.
const SECRETS: [&str; 3] = ["p%40ss", "p@ss", "K3Yofth1sPlan"];

fn door() -> Conduct {
    Conduct {
        door: Some(Door {
            authorization: AUTHORIZATION.into(),
            target: TARGET.into(),
        }),
        ..Conduct::default()
    }
}

fn check_silence(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

fn with_credentials(web_socket: bool) {
    let stage = Stage::prepare(web_socket, &["--chain-id", "4242"]);
    stage.provider.behave(door());
    let url = |user: &str| {
        let (scheme, rest) = stage
            .url()
            .split_once("://")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        format!("{scheme}://{user}@{rest}{TARGET}")
    };
    let key = rings_tests::Anvil::write_key(stage.ring.dir().parent().unwrap());
    let up = |user: &str, options: &[&str]| {
        let call = stage.ring.rings([
            "-v",
            "up",
            "--members",
            "3",
            "--detach",
            "--rpc",
            &url(user),
        ]);
        call.arg("--key").arg(&key).args(options).call()
    };
    // A wrong password is refused with one line, and is not in it.
    let wrong = up("user:wrong%2Fs3cret", &[]);
    wrong.ends_with(5);
    check_silence("a refusal", &wrong.stderr);
    assert!(!wrong.stderr.contains("s3cret"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("401"), "{}", wrong.stderr);

    let done = up("user:p%40ss", &[]);
    done.ends_with(0);
    check_silence("up", &done.stderr);
    let run = stage
        .ring
        .run(&["--timeout", "30"], "wc", &[])
        .stdin("credentials\n")
        .call();
    run.ends_with(0);
    check_silence("run", &run.stderr);
    for command in [
        &["-v", "status"][..],
        &["status", "--json"],
        &["ring", "show"],
        &["gate", "list"],
    ] {
        let shown = stage.ring.rings(command.iter()).call();
        check_silence(command[0], &shown.text());
        check_silence(command[0], &shown.stderr);
    }
    // A chain that is gone is named without them, by commands and by members.
    stage.provider.lead_to(rings_tests::free_port());
    let line = stage.ring.rings(["status"]).refused(5);
    check_silence("status", &line);
    stage.provider.lead_to(stage.chain.port());
    check_silence("what members and commands wrote", &stage.ring.written());
}

#[test]
fn a_password_with_escapes_over_http() {
    with_credentials(false);
}

#[test]
fn a_password_with_escapes_over_websocket() {
    with_credentials(true);
}
