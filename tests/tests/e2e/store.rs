//! Stores of members: collecting, checking, repairing, archives for Kubo, backups.

use super::quick::wc;
use rings_protocol::Address;
use rings_tests::{block_on, until, Call, Kubo, Program, Ring, LONG};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

const TEXT: &[u8] = b"what a person added\n";

/// Bytes that do not repeat, and stand in the database as they are.
fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

/// Adds lines to `[store]` in the configuration of a member that is down.
fn configure(ring: &Ring, member: usize, lines: &str) {
    let path = ring.member_dir(member).join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("[store]\n"), "{text}");
    fs::write(
        &path,
        text.replace("[store]\n", &format!("[store]\n{lines}\n")),
    )
    .unwrap();
}

fn json(call: Call) -> Value {
    serde_json::from_slice(&call.ok()).unwrap()
}

#[test]
fn what_nobody_needs_is_collected_and_the_rest_stays() {
    let ring = Ring::up(3);
    let added = ring.rings(["add", "-"]).stdin(TEXT).text();
    let (output, receipt) = ring.result("wc", &content(700_000, 1));
    let cid = receipt.text("/outputs/0/cid").to_owned();
    let all = json(ring.rings(["store", "check", "--json"]));
    assert_eq!(all.as_array().unwrap().len(), 3);
    // The newest results stay unless it is said that none do.
    ring.rings(["store", "gc"]).ok();
    assert_eq!(ring.rings(["cat", &cid]).ok(), output);
    ring.stop();
    (0..3).for_each(|member| configure(&ring, member, "keep_results = 0"));
    ring.start(&[]);
    let before: Vec<_> = ring.logs().iter().map(|log| log.nodes.len()).collect();
    let collected = json(ring.rings(["store", "gc", "--json"]));
    for of in collected.as_array().unwrap() {
        assert!(of["removedBlocks"].as_u64().unwrap() > 0, "{collected}");
        assert_eq!(of["over"], Value::Null);
    }
    ring.rings(["store", "check"]).ok();
    let gone = ring.rings(["cat", &cid]).refused(5);
    assert!(gone.contains(&cid), "{gone}");
    assert_eq!(ring.rings(["cat", added.trim()]).ok(), TEXT);
    let after: Vec<_> = ring.logs().iter().map(|log| log.nodes.len()).collect();
    assert_eq!(after, before, "logs are not collected");
    // What was collected can be computed and fetched again.
    assert_eq!(ring.result("wc", b"more\n").0, wc(b"more\n"));
}

#[test]
fn archives_go_to_kubo_and_come_back() {
    let kubo = Kubo::start();
    let ring = Ring::up(3);
    let file = ring.write("file", content(1_000_000, 2));
    let added = ring.rings(["add"]).arg(&file).text();
    let (_, receipt) = ring.result("wc", b"one two\n");
    let car = ring.file("all.car");
    let took = ring
        .rings(["store", "export", "--member", "0"])
        .arg(&car)
        .call();
    took.ends_with(0);
    // `add` gives the file to the first member that takes it.
    let all = ring.file("below.car");
    let root = added.trim();
    ring.rings(["store", "export", "--root", root])
        .arg(&all)
        .ok();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    kubo.ipfs(&["dag", "import", &path(&car)]).ok();
    let told = kubo.ipfs(&["dag", "import", &path(&all)]).text();
    assert!(told.contains(root), "{told}");
    assert!(kubo.ipfs(&["cat", root]).ok() == fs::read(&file).unwrap());
    let output = receipt.text("/outputs/0/cid");
    assert_eq!(kubo.ipfs(&["cat", output]).ok(), wc(b"one two\n"));

    let other = content(600_000, 3);
    let theirs = kubo
        .ipfs(&["add", "--quieter", "--raw-leaves"])
        .stdin(other.clone());
    let theirs = theirs.text().trim().to_owned();
    let archive = kubo.ipfs(&["dag", "export", &theirs]).ok();
    let imported = ring
        .rings(["store", "import", "-"])
        .stdin(archive.clone())
        .text();
    assert_eq!(imported.trim(), theirs);
    ring.rings(["store", "gc"]).ok();
    assert!(ring.rings(["cat", &theirs]).ok() == other, "it is pinned");
    let line = ring
        .rings(["store", "import", "-"])
        .stdin(&archive[..archive.len() - 1])
        .refused(2);
    assert!(line.contains("archive"), "{line}");
}

/// Flips a byte of a file where these bytes stand in it, each time.
fn damage(path: &Path, pattern: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<_> = bytes
        .windows(pattern.len())
        .enumerate()
        .filter(|(_, window)| *window == pattern)
        .map(|(at, _)| at)
        .collect();
    assert!(
        !places.is_empty(),
        "the bytes are not in {}",
        path.display()
    );
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_found_and_healed_from_other_members() {
    let ring = Ring::up(3);
    let input = content(300_000, 4);
    let (_, receipt) = ring.result("wc", &input);
    let cid = receipt.text("/inputs/0").to_owned();
    ring.terminate(&[1]);
    damage(
        &ring.member_dir(1).join("data/blocks.redb"),
        &input[1_000..1_100],
    );
    // Without the member: in its files, and from the gateways of the others.
    let found = ring.rings(["store", "check", "--member", "1"]).call();
    found.ends_with(1);
    let faults: Vec<_> = found.text().lines().map(str::to_owned).collect();
    let [fault, file, _sum] = &faults[..] else {
        panic!("a line for the fault and one for the file: {faults:?}");
    };
    assert!(fault.contains("corrupt"), "{faults:?}");
    assert!(
        file.contains("blocks.redb is damaged") && file.contains("store repair"),
        "{faults:?}"
    );
    // With the member, from the others.
    ring.start(&[]);
    ring.wait_connected(1, 2);
    ring.rings(["store", "check", "--member", "1"])
        .call()
        .ends_with(1);
    let healed = ring.rings(["store", "repair", "--member", "1"]).text();
    assert!(
        healed.contains("1 healed") && healed.contains("0 lost"),
        "{healed}"
    );
    ring.rings(["store", "check"]).ok();
    // The same without it.
    ring.terminate(&[1]);
    damage(
        &ring.member_dir(1).join("data/blocks.redb"),
        &input[2_000..2_100],
    );
    let healed = ring.rings(["store", "repair", "--member", "1"]).text();
    assert!(healed.contains("1 healed"), "{healed}");
    ring.start(&[]);
    ring.wait_connected(1, 2);
    // What is read is healed by itself.
    ring.terminate(&[1]);
    damage(
        &ring.member_dir(1).join("data/blocks.redb"),
        &input[3_000..3_100],
    );
    ring.start(&[]);
    ring.wait_connected(1, 2);
    let file = block_on(async {
        let url = ring.json().text("/members/1/rpcUrl").to_owned();
        let source = rings_api::GatewaySource::new(&[url]).unwrap();
        rings_store::read_small_file(std::sync::Arc::new(source), cid.parse().unwrap(), 1 << 20)
            .await
            .unwrap()
    });
    assert!(file == input);
    ring.rings(["store", "check", "--member", "1"]).ok();
}

#[test]
fn a_restored_member_does_not_contradict_what_it_signed() {
    let ring = Ring::up(4);
    let added = ring.rings(["add", "-"]).stdin(TEXT).text();
    ring.result("wc", b"before\n");
    let backup = ring.file("ring.tar");
    ring.rings(["backup"]).arg(&backup).ok();
    for n in 0..4 {
        ring.result("wc", format!("after {n}\n").as_bytes());
    }
    let length = ring.log(3, 3).nodes.len();
    nothing_is_started_over_a_backup(&ring, &backup);
    ring.kill(&[3]);
    let refused = ring.rings(["restore"]).arg(&backup).refused(2);
    assert!(refused.contains("data"), "{refused}");
    fs::remove_dir_all(ring.member_dir(3).join("data")).unwrap();
    let told = ring.rings(["restore", "--member", "3"]).arg(&backup).text();
    let member = ring.json().member(3);
    assert!(told.contains(&member.to_string()), "{told}");

    // With one of the three others it does not know enough; it waits, and says so.
    ring.terminate(&[1, 2]);
    ring.launch_member(3, Program::Honest, &[]);
    let client = ring.client(3);
    let waits = |warnings: &[String]| {
        let found = warnings.iter().find(|text| text.contains("backup"));
        found.cloned()
    };
    until("it says what it waits for", LONG, || {
        let status = block_on(client.status()).ok()?;
        waits(&status.warnings).filter(|text| text.contains("1 of 2"))
    });
    ring.start(&[]);
    until("it knows where its log ends", LONG, || {
        let status = block_on(client.status()).ok()?;
        waits(&status.warnings).is_none().then_some(())
    });
    assert!(
        ring.log(3, 3).nodes.len() >= length,
        "its own log came back"
    );
    // Its vote is needed again.
    ring.terminate(&[0]);
    let (output, receipt) = ring.result("wc", b"at last\n");
    assert_eq!(output, wc(b"at last\n"));
    assert!(receipt.signers().contains(&member));
    ring.start(&[]);
    assert_eq!(ring.rings(["cat", added.trim()]).ok(), TEXT);
    let status = json(ring.rings(["status", "--json"]));
    for member in status["members"].as_array().unwrap() {
        assert_eq!(member["forked"], false, "{status}");
    }
    let seen: Vec<_> = (0..4).map(|from| ring.log(3, from).nodes.len()).collect();
    assert!(
        seen.iter().all(|nodes| *nodes >= length),
        "{seen:?} {length}"
    );
    ring.rings(["store", "check"]).ok();
}

/// A directory that was put back has members and no ring: no command takes it for a start that was interrupted.
fn nothing_is_started_over_a_backup(ring: &Ring, backup: &Path) {
    let elsewhere = ring.file("elsewhere");
    let restored = ring.rings(["restore", "--dir"]).arg(&elsewhere);
    restored.arg(backup).ok();
    let config = elsewhere.join("members/0/config.toml");
    let before = fs::read(&config).unwrap();
    for command in ["status", "up"] {
        let call = ring.rings([command, "--dir"]).arg(&elsewhere);
        let told = call.refused(2);
        assert!(told.contains("backup"), "{command}: {told}");
    }
    assert_eq!(fs::read(&config).unwrap(), before);
}

/// Votes that are asked for cost nothing: with no quota at all the ring works, and everybody holds all logs.
#[test]
fn an_honest_voter_is_never_cut_off() {
    let ring = Ring::prepare();
    ring.start(&["--members", "3"]);
    ring.stop();
    (0..3).for_each(|member| {
        configure(
            &ring,
            member,
            "author_daily_nodes = 0\nauthor_daily_bytes = 65536",
        );
    });
    ring.start(&[]);
    let gates: BTreeSet<Address> = (0..6)
        .map(|n| ring.result("wc", format!("{n}\n").as_bytes()).1.gate())
        .collect();
    for author in 0..3 {
        let own = ring.log(author, author).nodes.len();
        for reader in 0..3 {
            until("all logs are held", LONG, || {
                (ring.log(author, reader).nodes.len() >= own).then_some(())
            });
        }
    }
    assert_eq!(gates.len(), 6);
    let status = json(ring.rings(["status", "--json"]));
    for member in status["members"].as_array().unwrap() {
        assert_eq!(member["heldBack"], Value::Null, "{status}");
    }
}
