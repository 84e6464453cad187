//! The commands one by one: keys, help, processes, HTTP.

use super::quick::wc;
use rings_api::views::GateState;
use rings_protocol::cids;
use rings_tests::{
    alive, block_on, children, program, signal, until, Call, Program, Ring, Signal, LONG,
};
use serde_json::{json, Value};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

const TEXT: &[u8] = b"to be looked at\n";

fn rings(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(args)
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    let names = lines
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

fn check_help(path: &[String], seen: &mut BTreeSet<String>) {
    let args: Vec<_> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = rings(&args).text();
    assert!(help.contains("Usage: rings"), "{path:?}: {help}");
    seen.insert(path.join(" "));
    let below = subcommands(&help);
    if below.is_empty() {
        let plain = path == ["completions"] || path.last().is_some_and(|name| name == "help");
        assert!(
            plain || help.contains("Example"),
            "{path:?} has no example: {help}"
        );
    }
    for name in below.into_iter().filter(|name| name != "help") {
        check_help(&[path, &[name]].concat(), seen);
    }
}

#[test]
fn every_command_has_help_and_an_example() {
    let mut seen = BTreeSet::new();
    check_help(&[], &mut seen);
    for command in [
        "up",
        "down",
        "status",
        "run",
        "verify",
        "add",
        "cat",
        "node",
        "deploy",
        "join",
        "ring show",
        "gate show",
        "gate list",
        "request show",
        "request list",
        "request proof",
        "log show",
        "log follow",
        "log prove",
        "log verify",
        "log export",
        "key new",
        "key show",
        "key import",
        "key export",
        "bench",
        "completions",
    ] {
        assert!(seen.contains(command), "{command} of {seen:?}");
    }
    assert!(rings(&["--version"]).text().starts_with("rings "));
    assert!(rings(&["help", "run"]).text().contains("--receipt"));
}

#[test]
fn help_comes_at_once() {
    let _serial = rings_tests::serial();
    rings(&["--help"]).ok();
    let times: Vec<_> = (0..10)
        .map(|_| rings(&["--help"]).call().ok().took)
        .collect();
    let best = times.iter().min().unwrap();
    println!("rings --help: {times:?}");
    assert!(*best < Duration::from_millis(50), "{times:?}");
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = rings(&["completions", shell]).text();
        assert!(
            script.contains("rings") && script.contains("verify"),
            "{shell}"
        );
    }
    let script = rings(&["completions", "bash"]).ok();
    Call::of("bash").arg("-n").stdin(script).ok();
}

#[test]
fn keys_go_round() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let mode = |name: &str| fs::metadata(file(name)).unwrap().permissions().mode() & 0o777;
    fs::write(file("password"), "correct horse").unwrap();
    fs::set_permissions(file("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let with_password = |args: &[&str]| rings(args).args(["--password-file", &file("password")]);

    let address = with_password(&["key", "new", "--out", &file("a.json")]).text();
    assert!(
        address.starts_with("0x") && address.trim().len() == 42,
        "{address}"
    );
    assert_eq!(mode("a.json"), 0o600);
    let keystore: Value =
        serde_json::from_str(&fs::read_to_string(file("a.json")).unwrap()).unwrap();
    assert_eq!(keystore["version"], 3);
    assert_eq!(
        with_password(&["key", "show", &file("a.json")]).text(),
        address
    );
    with_password(&["key", "export", &file("a.json"), "--out", &file("a.hex")]).ok();
    assert_eq!(mode("a.hex"), 0o600);
    assert_eq!(rings(&["key", "show", &file("a.hex")]).text(), address);
    assert_eq!(
        with_password(&["key", "import", &file("a.hex"), "--out", &file("b.json")]).text(),
        address
    );

    assert_eq!(keystore["crypto"]["kdfparams"]["n"], 262_144);
    let key = fs::read(file("a.hex")).unwrap();
    let shown = rings(&["key", "show", "-"]).stdin(key.clone()).text();
    assert_eq!(shown, address);
    let exported = with_password(&["key", "export", &file("a.json"), "--out", "-"]).ok();
    assert_eq!(exported, key);
    fs::write(file("empty"), "\n").unwrap();
    fs::set_permissions(file("empty"), fs::Permissions::from_mode(0o600)).unwrap();
    let new = ["key", "new", "--out", &file("e.json"), "--password-file"];
    let line = rings(&new).arg(file("empty")).refused(2);
    assert!(line.contains("is empty"), "{line}");

    // A known test vector: the first account of every development chain.
    fs::write(
        file("dev.hex"),
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80\n",
    )
    .unwrap();
    fs::set_permissions(file("dev.hex"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        rings(&["key", "show", &file("dev.hex")]).text(),
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n"
    );

    let before = fs::read(file("a.json")).unwrap();
    let line = with_password(&["key", "new", "--out", &file("a.json")]).refused(2);
    assert!(line.contains("a.json"), "{line}");
    assert_eq!(
        fs::read(file("a.json")).unwrap(),
        before,
        "never overwritten"
    );
    fs::write(file("wrong"), "wrong horse").unwrap();
    fs::set_permissions(file("wrong"), fs::Permissions::from_mode(0o600)).unwrap();
    let line = rings(&[
        "key",
        "export",
        &file("a.json"),
        "--out",
        &file("c.hex"),
        "--password-file",
        &file("wrong"),
    ])
    .refused(2);
    assert!(line.contains("password"), "{line}");
    assert!(!Path::new(&file("c.hex")).exists());
    fs::set_permissions(file("a.hex"), fs::Permissions::from_mode(0o644)).unwrap();
    let line = rings(&["key", "show", &file("a.hex")]).refused(2);
    assert!(line.contains("644"), "{line}");
}

#[test]
fn down_leaves_nothing_and_up_goes_on() {
    let ring = Ring::up(3);
    ring.result("wc", TEXT);
    let pids: Vec<_> = (0..3)
        .map(|index| ring.pid(index))
        .chain([ring.chain_pid()])
        .collect();
    let all: Vec<_> = pids
        .iter()
        .flat_map(|pid| [children(*pid), vec![*pid]].concat())
        .collect();
    assert!(all.len() > pids.len(), "workers run too: {all:?}");

    ring.start(&[]);
    let same: Vec<_> = (0..3)
        .map(|index| ring.pid(index))
        .chain([ring.chain_pid()])
        .collect();
    assert_eq!(same, pids, "what runs is left alone");

    let done = ring.rings(["down"]).call().ok();
    println!("down: {:?}", done.took);
    until("nothing runs", LONG, || {
        all.iter().all(|pid| !alive(*pid)).then_some(())
    });
    for member in ring.json().0["members"].as_array().unwrap() {
        assert_eq!(member["pid"], Value::Null);
    }
    ring.rings(["down"]).ok();
    ring.start(&[]);
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));
}

#[test]
fn a_ring_in_the_foreground_stops_in_order() {
    let ring = Ring::prepare();
    let mut up = ring.rings(["up", "--members", "3"]).start();
    until("the ring is ready", LONG, || {
        assert!(!up.has_ended());
        (ring.dir().join("ring.json").exists() && (0..3).all(|index| ring.answers(index)))
            .then_some(())
    });
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));
    let pids: Vec<_> = (0..3)
        .map(|index| ring.pid(index))
        .chain([ring.chain_pid()])
        .collect();
    signal(up.pid(), Signal::INT);
    let done = up.end().ok();
    assert_eq!(done.stdout, b"ready\n");
    assert!(pids.iter().all(|pid| !alive(*pid)));
}

#[test]
fn a_run_without_a_ring_leaves_nothing() {
    let ring = Ring::prepare();
    let place = ring.file("tmp");
    fs::create_dir(&place).unwrap();
    let done = ring
        .run(&[], "wc", &[])
        .stdin(TEXT)
        .env("RINGS_DIR", "")
        .env("TMPDIR", &place)
        .call()
        .ok();
    assert_eq!(done.stdout, wc(TEXT));
    let last = done.stderr.lines().last().unwrap();
    assert!(last.contains("throw-away"), "{last}");
    // A directory that is named and has no ring is a mistake.
    let line = ring.run(&[], "wc", &[]).stdin(TEXT).refused(2);
    assert!(line.contains(ring.dir().to_str().unwrap()), "{line}");
    assert!(!ring.dir().exists());
    assert_eq!(
        fs::read_dir(&place).unwrap().count(),
        0,
        "the throw-away ring is thrown away"
    );
    let marks = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(place.to_str().unwrap())
    });
    assert_eq!(marks.count(), 0, "no process of it runs");
}

#[test]
fn one_process_for_one_data_directory() {
    let ring = Ring::up(1);
    let config = ring.member_dir(0).join("config.toml");
    let done = ring
        .rings(["--quiet", "node", "--config"])
        .arg(&config)
        .env("RUST_LOG", "off")
        .call();
    done.ends_with(5);
    assert!(
        done.line().contains(&ring.pid(0).to_string()),
        "{}",
        done.stderr
    );
    assert_eq!(
        ring.result("wc", TEXT).0,
        wc(TEXT),
        "the first is not disturbed"
    );
}

#[test]
fn members_keep_their_secrets() {
    let ring = Ring::up(2);
    ring.result("wc", TEXT);
    let secrets = ring.secrets();
    assert_eq!(
        secrets.len(),
        2 + 2 * 2,
        "token, client, and key and password of each member"
    );
    assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), secrets.len());
    for index in 0..2 {
        let pid = ring.pid(index);
        let workers = children(pid);
        assert!(!workers.is_empty());
        for pid in [vec![pid], workers.clone()].concat() {
            for name in ["cmdline", "environ"] {
                let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(
                    secrets.iter().all(|secret| !text.contains(secret)),
                    "{name} of {pid}"
                );
            }
        }
        for worker in workers {
            let environment = fs::read(format!("/proc/{worker}/environ")).unwrap();
            assert!(
                !String::from_utf8_lossy(&environment).contains("HOME="),
                "a worker knows nothing of its user"
            );
            let files = fs::read_dir(format!("/proc/{worker}/fd"))
                .unwrap()
                .flatten();
            let targets: Vec<_> = files
                .filter_map(|file| fs::read_link(file.path()).ok())
                .collect();
            // Of the member's files, it has only the compiled program open.
            let modules = ring.dir().join("modules");
            let held = targets
                .iter()
                .filter(|target| target.starts_with(ring.dir()));
            assert!(
                held.into_iter().all(|target| target.starts_with(&modules)),
                "{targets:?}"
            );
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        for name in ["key.json", "password", "config.toml"] {
            assert_eq!(mode(&ring.member_dir(index).join(name)), 0, "{name}");
        }
    }
    assert!(
        ring.written().contains("the member runs"),
        "logs are looked through"
    );
}

#[test]
fn json_for_machines() {
    let ring = Ring::up(3);
    let (_, receipt) = ring.result("wc", TEXT);
    let gate = receipt.gate().to_string();
    let json = ring.json();
    // A member that signed: one that was slower than the others' registration has nothing to say any more.
    let member = receipt.text("/signers/0").to_owned();
    let show = |args: &[&str]| -> Value {
        serde_json::from_slice(&ring.rings(args.iter()).arg("--json").ok()).unwrap()
    };
    let status = show(&["status"]);
    assert_eq!(status["ring"], json.text("/ring"));
    assert_eq!(status["gates"][0]["gate"], gate);
    assert_eq!(status["members"].as_array().unwrap().len(), 3);
    let shown = show(&["ring", "show"]);
    assert_eq!((&shown["quorum"], &shown["epoch"]), (&json!(2), &json!(1)));
    let shown = show(&["gate", "show", &gate]);
    assert_eq!(shown["state"], "resolved");
    assert_eq!(shown["result"][0]["cid"], *receipt.get("/outputs/0/cid"));
    until("the log is there", LONG, || {
        (!show(&["log", "show", &member])["nodes"]
            .as_array()?
            .is_empty())
        .then_some(())
    });
    let shown = show(&["log", "show", &member, "--limit", "1"]);
    assert_eq!(shown["nodes"].as_array().unwrap().len(), 1);
    let file = ring.write("added", TEXT);
    let added = show(&["add", file.to_str().unwrap()]);
    let cid = ring.rings(["add"]).arg(&file).text();
    assert!(added.to_string().contains(cid.trim()), "{added}");
    let shown = show(&["verify", &gate]);
    assert_eq!(shown["right"], true);
    assert_eq!(shown["computed"], shown["registered"]);
    let text = ring.rings(["verify", &gate]).text();
    assert!(
        text.contains("right") && !text.contains("DIVERGED"),
        "{text}"
    );
}

#[test]
fn the_gateway_gives_blocks_that_prove_themselves() {
    let ring = Ring::up(3);
    let (output, receipt) = ring.result("wc", TEXT);
    let cid: cid::Cid = receipt.parsed("/outputs/0/cid");
    let base = ring.json().text("/members/2/rpcUrl").to_owned();
    let get = |path: &str| -> (u16, Vec<u8>) {
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let response = client.get(format!("{base}{path}")).send().await.unwrap();
            (
                response.status().as_u16(),
                response.bytes().await.unwrap().to_vec(),
            )
        })
    };
    let (status, raw) = get(&format!("/ipfs/{cid}?format=raw"));
    assert_eq!(status, 200);
    cids::verify(&cid, &raw).unwrap();
    assert_eq!(get(&format!("/ipfs/{cid}")), (200, output));
    let (status, car) = get(&format!("/ipfs/{cid}?format=car"));
    assert_eq!(status, 200);
    assert!(
        car.windows(raw.len()).any(|window| window == raw),
        "the archive holds the block"
    );
    assert_eq!(get("/health").0, 200);
    let (status, metrics) = get("/metrics");
    assert!(status == 200 && String::from_utf8(metrics).unwrap().contains("rings_"));
    let refused = block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .post(format!("{base}/ipfs"))
            .body("x")
            .send()
            .await
            .unwrap()
            .status()
    });
    assert_eq!(refused, 401, "nothing is added without the token");
    let view = ring.gate(1, receipt.gate());
    assert!(matches!(view.state, GateState::Resolved | GateState::Ready));
}

#[test]
fn a_program_that_the_ring_has_is_named_by_its_cid() {
    let ring = Ring::up(3);
    let cid = ring.rings(["add"]).arg(program("wc")).text();
    let output = ring.rings(["run", cid.trim()]).stdin(TEXT).ok();
    assert_eq!(output, wc(TEXT));
    // It is the same gate as with the file.
    let sent = ring.sent_by_client();
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));
    assert_eq!(ring.sent_by_client(), sent);
}
