//! The program as a user runs it, as far as it needs no ring: help, mistakes and their statuses, keys.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Time within which help is there, on a machine that does other things too.
const HELP_LIMIT: Duration = Duration::from_millis(50);
/// The shortest WASM module: a header and nothing in it.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn rings(directory: &Path, arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rings"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("RINGS_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdin.take());
    child.wait_with_output().expect("the program ends")
}

/// The one line of an error, with the status that came with it.
fn error(output: &Output, status: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(output.stdout.is_empty(), "an error is not a result");
    let line = text.lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with("error: "), "{text}");
    line
}

#[test]
fn help_is_there_at_once_and_names_every_status() {
    let directory = tempfile::tempdir().unwrap();
    let run = || {
        let began = Instant::now();
        let output = rings(directory.path(), &["--help"]);
        (output, began.elapsed())
    };
    let runs: Vec<_> = (0..5).map(|_| run()).collect();
    let fastest = runs.iter().map(|(_, time)| *time).min().unwrap();
    assert!(fastest < HELP_LIMIT, "{fastest:?}");
    let text = String::from_utf8_lossy(&runs[0].0.stdout).into_owned();
    assert_eq!(runs[0].0.status.code(), Some(0));
    for part in [
        "Usage: rings",
        "Exit status:",
        "no quorum",
        "verify",
        "Example: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("worker"), "what is hidden stays hidden");
}

#[test]
fn mistakes_have_status_2_and_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("text.wasm"), "hello").unwrap();
    fs::write(at.join("empty.wasm"), EMPTY_MODULE).unwrap();
    fs::write(at.join("node.toml"), "[chain]\nrcp = \"http://x\"\n").unwrap();
    let cases: [(&[&str], &str); 13] = [
        (&["run", "missing.wasm"], "missing.wasm"),
        (&["run", "text.wasm"], "not a WASM module"),
        (&["run", "empty.wasm"], "empty.wasm: "),
        (&["run", "--input", "missing.txt", "text.wasm"], "text.wasm"),
        (&["status"], "`rings up`"),
        (&["down", "--dir", "nowhere"], "nowhere"),
        (
            &["node", "--config", "node.toml"],
            "node.toml:2: unknown field `rcp`",
        ),
        (&["node", "--config", "missing.toml"], "No such file"),
        (&["key", "show", "missing.json"], "missing.json"),
        (&["verify", "missing.proof"], "No such file"),
        (
            &["verify", "text.wasm"],
            "neither the proof of a request nor an accusation",
        ),
        (&["log", "verify", "missing.proof"], "No such file"),
        (
            &["log", "verify", "text.wasm"],
            "not a proof of `rings log prove`",
        ),
    ];
    for (arguments, part) in cases {
        let line = error(&rings(at, arguments), 2);
        assert!(line.contains(part), "{arguments:?}: {line}");
    }
    for arguments in [
        &["no-such-command"][..],
        &["run"],
        &["verify", "0x12"],
        &[
            "verify",
            "text.wasm",
            "--accused",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ],
        &["run", "--no-wait", "text.wasm"],
        &["request", "show", "0x12"],
        &["up", "--members", "0"],
    ] {
        assert_eq!(rings(at, arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn keys_are_made_shown_exported_and_guarded() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let secret = |name: &str, text: &str| {
        fs::write(at.join(name), text).unwrap();
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    };
    secret("password", "correct horse\n");
    secret("wrong", "battery staple\n");
    let password = ["--password-file", "password"];
    let new = rings(at, &[&["key", "new"], &password[..]].concat());
    assert_eq!(new.status.code(), Some(0));
    let shown = rings(at, &["key", "show", "key.json"]);
    assert_eq!(shown.stdout, new.stdout);

    let export = |password| {
        rings(
            at,
            &[
                "key",
                "export",
                "key.json",
                "--out",
                "key.hex",
                "--password-file",
                password,
            ],
        )
    };
    assert!(error(&export("wrong"), 2).contains("password"));
    let exported = export("password");
    assert_eq!(exported.status.code(), Some(0));
    let hex = fs::read_to_string(at.join("key.hex")).unwrap();
    for output in [&new, &shown, &exported] {
        for stream in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(stream);
            assert!(!text.contains(&hex[2..66]), "a secret was printed");
        }
    }
    fs::set_permissions(at.join("key.hex"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(error(&rings(at, &["key", "show", "key.hex"]), 2).contains("chmod 600"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rings"))
        .arg("reference")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn completions_are_scripts() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = rings(directory.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("rings"),
            "{shell}"
        );
    }
}

#[test]
fn a_key_can_come_through_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "x").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rings"))
        .args([
            "key",
            "import",
            "-",
            "--out",
            "key.json",
            "--password-file",
            "password",
        ])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let hex = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    writeln!(child.stdin.take().unwrap(), "{hex}").unwrap();
    let output = child.wait_with_output().unwrap();
    let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), address);
}
