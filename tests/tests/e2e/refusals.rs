//! Things that do not work: each ends with one clear line and its status, and leaves nothing running.

use super::{
    files::numbers,
    programs::{hungry, trapping, unknown_import},
    quick::wc,
};
use rings_tests::{alive, block_on, program, until, Anvil, Call, Program, Receipt, Ring, LONG};
use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::{chown, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

const TEXT: &[u8] = b"a line\n";
const MEGABYTE: usize = 1_000_000;
/// A user that is not root and owns nothing of ours.
const NOBODY: u32 = 65_534;

#[test]
fn what_is_no_program_is_refused_before_anything_starts() {
    let ring = Ring::prepare();
    let missing = ring.file("missing.wasm");
    let text = ring.write("text.wasm", "#!/bin/sh\necho hello\n");
    let empty = ring.write("empty.wasm", "");
    let import = unknown_import(&ring);
    let shown = |path: &Path| path.to_str().unwrap().to_owned();
    let cases: [(&PathBuf, &[&str]); 4] = [
        (&missing, &["missing.wasm"]),
        (&text, &["text.wasm", "not a WASM module"]),
        (&empty, &["empty.wasm", "not a WASM module"]),
        (&import, &["launch_rocket", "env"]),
    ];
    for (path, words) in cases {
        let line = ring.rings(["run"]).arg(path).refused(2);
        assert!(line.contains(&shown(path)), "{line}");
        words
            .iter()
            .for_each(|word| assert!(line.contains(word), "{word}: {line}"));
    }
    let line = ring
        .rings(["run", "--input"])
        .arg(ring.file("no-input"))
        .arg(program("wc"))
        .refused(2);
    assert!(line.contains("no-input"), "{line}");
    let line = ring
        .rings(["run", "--input"])
        .arg(ring.dir().parent().unwrap())
        .arg(program("wc"))
        .refused(2);
    assert!(line.contains("directory"), "{line}");
    assert!(!ring.dir().exists(), "nothing was started");
}

#[test]
fn wrong_options_are_mistakes_of_usage() {
    let ring = Ring::prepare();
    let cases: &[&[&str]] = &[
        &[],
        &["fly"],
        &["run"],
        &["run", "--fuel", "much", "x.wasm"],
        &["run", "--memory", "1", "x.wasm"],
        &["up", "--members", "0"],
        &["up", "--members", "257"],
        &["up", "--store", "floppy"],
        &["up", "--key", "file"],
        &["verify", "0x1234"],
        &["cat", "nonsense"],
        &["node"],
        &["node", "--config", "/nonexistent/node.toml"],
        &["down"],
        &["status"],
        &["add", "/nonexistent/file"],
        &[
            "deploy",
            "--rpc",
            "http://127.0.0.1:1",
            "--key",
            "/nonexistent",
            "--members",
            "/nonexistent",
        ],
        &["key", "show", "/nonexistent"],
        &["run", "--memory", "5GiB", "x.wasm"],
        &["run", "--stack", "17MiB", "x.wasm"],
        &["run", "--timeout", "0", "x.wasm"],
        &["run", "--time", "18446744074", "x.wasm"],
        &["up", "--entry-delay", "3651d"],
        &["up", "--rpc", "ftp://x", "--key", "/nonexistent"],
        &[
            "log",
            "show",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "--limit",
            "0",
        ],
        &[
            "status",
            "--rpc",
            "ftp://x",
            "--ring",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ],
        &["status", "--rpc", "http://127.0.0.1:1"],
    ];
    for case in cases {
        let done = ring.rings(case.iter()).call();
        done.ends_with(2);
        assert!(done.stdout.is_empty(), "{case:?}");
        assert!(!done.stderr.is_empty(), "{case:?}");
    }
    assert!(!ring.dir().exists(), "nothing was started");
}

#[test]
fn a_configuration_names_the_line_that_is_wrong() {
    let ring = Ring::up(1);
    ring.stop();
    let config = ring.member_dir(0).join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let wrong = ring.member_dir(0).join("wrong.toml");
    let line_of = |needle: &str| text.lines().position(|line| line == needle).unwrap() + 2;
    fs::write(
        &wrong,
        text.replace("[chain]\n", "[chain]\ncolour = \"red\"\n"),
    )
    .unwrap();
    let line = ring.rings(["node", "--config"]).arg(&wrong).refused(2);
    assert!(
        line.contains("colour") && line.contains(&line_of("[chain]").to_string()),
        "{line}"
    );
    let keystore = ring.member_dir(0).join("key.json");
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o644)).unwrap();
    let line = ring.rings(["node", "--config"]).arg(&config).refused(2);
    assert!(line.contains("key.json") && line.contains("644"), "{line}");
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o600)).unwrap();
    ring.start(&[]);
}

#[test]
fn an_anvil_that_does_not_start() {
    let ring = Ring::prepare();
    for (anvil, words) in [
        ("/bin/false", "ended at once"),
        ("/nonexistent/anvil", "/nonexistent/anvil"),
        ("/bin/cat", "ended at once"),
    ] {
        let line = ring.rings(["up"]).env("RINGS_ANVIL", anvil).refused(5);
        assert!(line.contains("anvil") && line.contains(words), "{line}");
    }
    let line = ring
        .rings(["up"])
        .env("PATH", "/nonexistent")
        .env("RINGS_TOOLS", "/nonexistent")
        .env_remove("RINGS_ANVIL")
        .refused(2);
    assert!(
        line.contains("anvil") && line.contains("quickstart"),
        "{line}"
    );
    ring.start(&["--members", "3"]);
    assert_eq!(
        ring.result("wc", TEXT).0,
        wc(TEXT),
        "what failed is no obstacle"
    );
}

#[test]
fn a_chain_that_cannot_be_reached_or_is_none() {
    let ring = Ring::prepare();
    let key = Anvil::write_key(ring.dir().parent().unwrap());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("127.0.0.1:{}", other.local_addr().unwrap().port());
    for url in [
        "http://127.0.0.1:1".to_owned(),
        "ws://127.0.0.1:1".to_owned(),
        format!("http://{silent}"),
        format!("ws://{silent}"),
    ] {
        let line = ring
            .rings(["up", "--rpc", &url, "--key"])
            .arg(&key)
            .refused(5);
        assert!(line.contains(url.trim_end_matches('/')), "{line}");
    }
    let line = ring.rings(["up", "--rpc", "http://127.0.0.1:1"]).refused(2);
    assert!(line.contains("--key"), "{line}");
    let line = ring
        .rings(["up", "--rpc", "gopher://x", "--key"])
        .arg(&key)
        .call();
    assert!(matches!(line.status.code(), Some(2 | 5)), "{}", line.stderr);

    // An account without ether cannot deploy.
    let chain = Anvil::start(&["--chain-id", "1337", "--balance", "0"]);
    let line = ring
        .rings(["up", "--members", "1", "--rpc", &chain.http(), "--key"])
        .arg(&key)
        .refused(5);
    assert!(
        line.contains("0xf39F") || line.contains("funds") || line.contains("ether"),
        "{line}"
    );
}

#[test]
fn ports_that_are_taken() {
    let ring = Ring::up(3);
    let json = ring.json();
    let port = |pointer: &str| {
        json.text(pointer)
            .rsplit_once(':')
            .unwrap()
            .1
            .parse::<u16>()
            .unwrap()
    };
    let (rpc, chain) = (port("/members/0/rpcUrl"), port("/rpcUrl"));
    ring.stop();
    let taken: Vec<_> = [rpc, chain]
        .map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap())
        .into();

    // A member that is started by hand says so.
    let config = ring.member_dir(0).join("config.toml");
    ring.rings(["node", "--config"]).arg(&config).refused(5);
    drop(taken);
    ring.start(&[]);
    ring.terminate(&[0]);
    let taken = TcpListener::bind(("127.0.0.1", rpc)).unwrap();
    let line = ring.rings(["node", "--config"]).arg(&config).refused(5);
    assert!(line.contains(&rpc.to_string()), "{line}");

    // A ring takes others.
    ring.stop();
    let taken = [taken, TcpListener::bind(("127.0.0.1", chain)).unwrap()];
    ring.start(&[]);
    let now = ring.json();
    assert_ne!(now.text("/rpcUrl"), json.text("/rpcUrl"));
    assert_ne!(
        now.text("/members/0/rpcUrl"),
        json.text("/members/0/rpcUrl")
    );
    assert_eq!(
        now.text("/members/1/rpcUrl"),
        json.text("/members/1/rpcUrl")
    );
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));
    drop(taken);
}

/// Puts something in the place of a member's file while `check` runs, with the ring down.
fn with_file(ring: &Ring, index: usize, name: &str, change: impl Fn(&Path), check: impl Fn(&Path)) {
    let path = ring.member_dir(index).join("data").join(name);
    let kept = ring.write("kept", fs::read(&path).unwrap());
    change(&path);
    check(&path);
    assert_eq!(ring.left(), Vec::<u32>::new(), "nothing was left running");
    fs::copy(kept, &path).unwrap();
}

#[test]
fn databases_that_are_damaged_or_of_others() {
    let ring = Ring::up(3);
    ring.result("wc", TEXT);
    ring.stop();
    let says = |what: &'static str| {
        let ring = &ring;
        move |path: &Path| {
            let line = ring.rings(["up", "--detach"]).refused(5);
            assert!(line.contains(path.to_str().unwrap()), "{what}: {line}");
        }
    };
    for name in ["state.redb", "blocks.redb", "submitter.redb"] {
        let garbage = |path: &Path| fs::write(path, vec![0x5a; 100_000]).unwrap();
        with_file(&ring, 0, name, garbage, says("garbage"));
        let cut = |path: &Path| {
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(5000)
                .unwrap()
        };
        with_file(&ring, 0, name, cut, says("cut off"));
    }
    for (name, other) in [
        ("state.redb", "blocks.redb"),
        ("blocks.redb", "submitter.redb"),
        ("submitter.redb", "state.redb"),
    ] {
        let swap = |path: &Path| assert!(fs::copy(path.with_file_name(other), path).unwrap() > 0);
        with_file(&ring, 1, name, swap, says("of another kind"));
    }
    // A member that forgot what it signed does not begin anew.
    let empty = |path: &Path| fs::write(path, "").unwrap();
    with_file(&ring, 0, "state.redb", empty, |path| {
        let line = ring.rings(["up", "--detach"]).refused(5);
        let directory = path.parent().unwrap().to_str().unwrap();
        assert!(
            line.contains(directory) && line.contains("state.redb"),
            "{line}"
        );
    });
    let neighbour = |path: &Path| {
        let other = ring
            .member_dir(2)
            .join("data")
            .join(path.file_name().unwrap());
        fs::copy(other, path).unwrap();
    };
    for name in ["state.redb", "submitter.redb"] {
        with_file(&ring, 0, name, neighbour, says("of another member"));
    }
    ring.start(&[]);
    assert_eq!(ring.result("wc", b"whole again\n").0, wc(b"whole again\n"));
}

/// As root, since only root can give files away.
#[test]
fn a_database_of_another_user() {
    let ring = Ring::up(1);
    ring.stop();
    let data = ring.member_dir(0).join("data");
    if fs::metadata(&data).unwrap().uid() != 0 {
        // If this process is not root, a file without any permission stands for a file of another user.
        let path = data.join("state.redb");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let line = ring.rings(["up", "--detach"]).refused(5);
        assert!(line.contains("state.redb"), "{line}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        return ring.start(&[]);
    }
    // Everything belongs to nobody, and one file at a time to root.
    let home = ring.dir().parent().unwrap().to_owned();
    let all = [
        home.clone(),
        ring.dir(),
        ring.dir().join("members"),
        ring.member_dir(0),
        data.clone(),
        ring.dir().join("token"),
    ];
    let files = fs::read_dir(ring.member_dir(0))
        .unwrap()
        .chain(fs::read_dir(&data).unwrap());
    let all: Vec<_> = all
        .into_iter()
        .chain(files.map(|entry| entry.unwrap().path()))
        .collect();
    all.iter()
        .for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
    let binary = ring.write("rings", fs::read(Program::Honest.path()).unwrap());
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let chain = ring
        .json()
        .text("/rpcUrl")
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    let anvil = Anvil::on(
        chain,
        &[
            "--state",
            ring.dir().join("anvil/state.json").to_str().unwrap(),
        ],
    );
    for name in ["state.redb", "blocks.redb", "submitter.redb"] {
        let path = data.join(name);
        chown(&path, Some(0), Some(0)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let done = Call::of("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&binary)
            .args(["--quiet", "node", "--config"])
            .arg(ring.member_dir(0).join("config.toml"))
            .current_dir(&home)
            .env("RUST_LOG", "off")
            .call();
        assert!(matches!(done.status.code(), Some(2 | 5)), "{}", done.stderr);
        let line = done.line();
        assert!(line.contains(name), "{line}");
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    drop(anvil);
    all.iter()
        .for_each(|path| chown(path, Some(0), Some(0)).unwrap());
    ring.start(&[]);
}

/// A small file system, as root; elsewhere a process that may not write large files.
struct Small(PathBuf);

impl Small {
    fn mount(place: &Path, megabytes: usize) -> Option<Self> {
        fs::create_dir_all(place).unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(place)
            .output();
        status
            .is_ok_and(|output| output.status.success())
            .then(|| Self(place.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            status.unwrap().success(),
            "the file system goes with the test"
        );
    }
}

#[test]
fn a_full_disk() {
    // Declared first, to go last.
    let small;
    let ring = Ring::prepare();
    small = Small::mount(&ring.dir(), 100);
    if small.is_none() {
        return files_may_not_grow(&ring);
    }
    ring.start(&["--members", "3"]);
    let reserve = ring.dir().join("reserve");
    fs::write(&reserve, vec![1; 20 * MEGABYTE]).unwrap();
    let large = ring.write("large", numbers(100 * MEGABYTE));
    let done = ring.rings(["--quiet", "add"]).arg(&large).call();
    done.ends_with(5);
    assert!(
        done.stderr.contains("space") || done.stderr.contains("full"),
        "{}",
        done.stderr
    );

    // The disk is full to the last byte: nothing can be written, no member ends, and all goes on when there is room.
    let filler = ring.dir().join("filler");
    let fill = || {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    fill();
    let done = ring.run(&["--timeout", "3"], "wc", &[]).stdin(TEXT).call();
    assert!(
        matches!(done.status.code(), Some(4 | 5)),
        "{:?} {}",
        done.status,
        done.stderr
    );
    // What was added in part stays, as it does in Kubo; so the room comes from elsewhere.
    fs::remove_file(&filler).unwrap();
    fs::remove_file(&reserve).unwrap();
    until("the ring works again", LONG, || {
        let done = ring.run(&["--timeout", "10"], "wc", &[]).stdin(TEXT).call();
        println!("{}: {}", done.status, done.stderr);
        done.status
            .success()
            .then(|| assert_eq!(done.stdout, wc(TEXT)))
    });
    ring.logs();
    // A disk that is full keeps no process running. (What anvil cannot write of its state is lost.)
    fill();
    let pids: Vec<_> = (0..3).map(|index| ring.pid(index)).collect();
    ring.rings(["down"]).ok();
    assert!(!pids.into_iter().any(alive));
}

fn files_may_not_grow(ring: &Ring) {
    let done = Call::of("sh")
        .args([
            "-c",
            r#"ulimit -f 200; trap "" XFSZ; exec "$0" --quiet up --detach --members 1"#,
        ])
        .arg(Program::Honest.path())
        .env("RINGS_DIR", ring.dir())
        .call();
    done.ends_with(5);
    assert!(
        done.stderr.contains("space")
            || done.stderr.contains("full")
            || done.stderr.contains("large"),
        "{}",
        done.stderr
    );
}

/// Reason, options, program, its arguments, what the last line tells, and what the program said.
type Failing<'a> = (
    &'a str,
    &'a [&'a str],
    PathBuf,
    &'a [&'a str],
    &'a str,
    &'a str,
);

#[test]
fn a_program_that_fails_is_a_result_too() {
    let ring = Ring::up(3);
    let path = ring.file("receipt.json");
    let wasm = |name: &str| program(name);
    let (trapping, hungry) = (trapping(&ring), hungry(&ring));
    let cases: [Failing<'_>; 5] = [
        (
            "exit",
            &[],
            wasm("exit"),
            &["7"],
            "exit status 7",
            "exiting with status 7",
        ),
        (
            "trap",
            &[],
            trapping,
            &[],
            "trap (unreachable)",
            "here it ends",
        ),
        (
            "fuel",
            &["--fuel", "1000000"],
            wasm("spin"),
            &[],
            "--fuel",
            "",
        ),
        (
            "memory",
            &["--memory", "1048576"],
            hungry,
            &[],
            "memory",
            "",
        ),
        (
            "exit",
            &[],
            wasm("mean"),
            &[],
            "exit status 1",
            "not a number",
        ),
    ];
    for (reason, options, module, args, told, said) in cases {
        let call = || {
            let call = ring.rings(["run", "--receipt"]).arg(&path).args(options);
            let done = call.arg(&module).args(args).stdin("1 2 x\n").call();
            done.ends_with(3);
            assert_eq!(done.stdout, b"", "{reason}");
            let last = done.stderr.lines().last().unwrap().to_owned();
            assert!(
                last.starts_with("error: the ring agreed that the program failed")
                    && last.contains(told),
                "{last}"
            );
            assert!(done.stderr.contains(said), "{reason}: {}", done.stderr);
            Receipt::read(&path)
        };
        let receipt = call();
        assert_eq!(receipt.text("/failure/reason"), reason);
        assert!(receipt.text("/failure/stderr").contains(said));
        assert!(receipt.get("/outputs").as_array().unwrap().is_empty());
        assert!(receipt.signers().len() >= 2);
        let state = block_on(ring.chain().gate_state(receipt.gate())).unwrap();
        assert!(state.failed, "{reason}");
        assert_eq!(
            call().transaction(),
            receipt.transaction(),
            "the answer is known"
        );
        ring.rings(["verify", &receipt.gate().to_string()]).ok();
        let shown = ring
            .rings(["gate", "show", &receipt.gate().to_string()])
            .text();
        assert!(shown.contains("failed"), "{shown}");
    }
    // A failure in one of several runs names the input.
    let inputs = [ring.write("good", "1\n"), ring.write("bad", "x\n")];
    let done = ring
        .rings(["run", "--each", "--receipt"])
        .arg(&path)
        .inputs(&inputs)
        .arg(wasm("mean"))
        .call();
    done.ends_with(3);
    assert!(done.stderr.contains("input 1"), "{}", done.stderr);
    assert_eq!(Receipt::read(&path).number("/failure/input"), 1);
    // A stranger's program that asks for more than there is changes nothing for the next.
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));
}

#[test]
fn what_cannot_be_written_is_told_first() {
    let ring = Ring::prepare();
    for option in ["--receipt", "--next-state"] {
        let path = "/nonexistent/directory/file";
        let options = [option, path, "--dry", "--state", "new"];
        let line = ring.run(&options, "wc", &[]).stdin(TEXT).refused(2);
        assert!(line.contains(path), "{line}");
    }
    let line = ring
        .run(&["--dry", "--input", "-", "--input", "-"], "wc", &[])
        .stdin(TEXT)
        .refused(2);
    assert!(line.contains("more than once"), "{line}");
    let line = ring
        .rings(["status"])
        .env("RINGS_DIRR", ring.dir())
        .refused(2);
    assert!(line.contains("RINGS_DIR may be meant"), "{line}");
}

#[test]
fn a_gate_that_members_decline_is_not_waited_for() {
    let ring = Ring::up(3);
    let path = ring.file("receipt.json");
    let options = [
        "--memory",
        "2GiB",
        "--timeout",
        "10m",
        "--receipt",
        path.to_str().unwrap(),
    ];
    let done = ring.run(&options, "wc", &[]).stdin(TEXT).call();
    done.ends_with(4);
    assert!(done.took < LONG, "{:?}", done.took);
    let last = done.stderr.lines().last().unwrap();
    assert!(
        last.contains("have declined it") && last.contains("memory"),
        "{last}"
    );
    let receipt = Receipt::read(&path);
    let declined = receipt.get("/declined").as_array().unwrap().clone();
    assert!(declined.len() >= 2, "{declined:?}");
    for one in &declined {
        assert!(one["reason"].as_str().unwrap().contains("memory"), "{one}");
    }
    let silent = receipt.get("/silent").as_array().unwrap().len();
    assert_eq!(silent + declined.len(), 3);
}

#[test]
fn nobody_there() {
    let ring = Ring::up(3);
    let gate = ring.result("wc", TEXT).1.gate().to_string();
    let cid = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
    let line = ring.rings(["cat", cid]).refused(5);
    assert!(line.contains(cid), "{line}");
    let line = ring.rings(["run", cid]).refused(5);
    assert!(line.contains(cid), "{line}");
    let line = ring
        .rings(["verify", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"])
        .refused(2);
    assert!(
        line.contains("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        "{line}"
    );
    let line = ring
        .rings(["log", "show", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"])
        .refused(2);
    assert!(line.contains("not a member"), "{line}");
    let unknown = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let line = ring.rings(["gate", "show", unknown]).refused(2);
    assert!(line.contains(unknown), "{line}");
    for state in [unknown, gate.as_str()] {
        let line = ring
            .run(&["--state", state], "wc", &[])
            .stdin(TEXT)
            .refused(2);
        assert!(line.contains("--state") && line.contains(state), "{line}");
    }

    ring.kill(&[0, 1, 2]);
    let input = ring.write("input", "new\n");
    for args in [
        &["verify", gate.as_str()][..],
        &["gate", "show", &gate],
        &["ring", "show"],
        &["add", input.to_str().unwrap()],
    ] {
        let line = ring.rings(args).refused(5);
        assert!(line.contains("rings up"), "{line}");
    }
    let line = ring
        .rings(["run", "--input"])
        .arg(&input)
        .arg(program("wc"))
        .refused(5);
    assert!(line.contains("rings up"), "{line}");
    let status = ring.rings(["status"]).text();
    assert_eq!(status.matches("DOWN").count(), 3, "{status}");

    ring.stop();
    let line = ring
        .rings(["run", "--input"])
        .arg(&input)
        .arg(program("wc"))
        .refused(5);
    assert!(line.contains("rings up"), "{line}");
}
