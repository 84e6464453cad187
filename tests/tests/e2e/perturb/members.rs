//! One member against the others: it stalls, floods, forks.

use super::super::quick::wc;
use rings_tests::{
    block_on, free_port,
    perturb::{Impostor, Manners, Provider, RECOVERY},
    until, Program, Ring, LONG,
};
use std::{fs, path::Path, time::Instant};

/// What each member's log says to people.
fn logs(ring: &Ring) -> Vec<String> {
    let members = 0..ring.json().count();
    members
        .map(|index| fs::read_to_string(ring.member_dir(index).join("node.log")).unwrap())
        .collect()
}

#[test]
fn a_member_that_claims_and_does_not_deliver() {
    let ring = Ring::up(5);
    ring.terminate(&[3]);
    let gates: Vec<_> = (0..5)
        .map(|number: u8| ring.result("wc", &[number]).1.gate())
        .collect();
    ring.terminate(&[4]);
    let impostor = Impostor::start(&ring, 4, Manners::Stalls);
    until("somebody asks the impostor", LONG, || {
        (impostor.deeds() > 0).then_some(())
    });
    // One that was away catches up from the others, and is needed: the impostor gives no vote.
    let began = Instant::now();
    ring.launch_member(3, Program::Honest, &[]);
    ring.wait_connected(3, 3);
    for number in 0..3 {
        let text = format!("{number} while one stalls\n").into_bytes();
        assert_eq!(ring.result("wc", &text).0, wc(&text));
    }
    until("the logs of the others are there", LONG, || {
        let holds = |of| {
            let log = ring.log(of, 3);
            gates.iter().all(|gate| log.result(*gate).is_some())
        };
        (0..3).all(holds).then_some(())
    });
    println!("caught up and voted within {:?}", began.elapsed());
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    // It is named.
    let names = [impostor.peer_id.clone(), ring.json().member(4).to_string()];
    until("the one who stalls is named", 3 * RECOVERY, || {
        let all = logs(&ring).concat();
        let warnings = all.lines().filter(|line| line.contains("WARN"));
        let mut named = warnings.filter(|line| names.iter().any(|name| line.contains(name)));
        named.next().map(|_| ())
    });
}

#[test]
fn a_member_that_floods() {
    let ring = Ring::up(5);
    ring.result("wc", b"before\n");
    let before: Vec<_> = ring.footprints();
    ring.terminate(&[4]);
    let impostor = Impostor::start(&ring, 4, Manners::Floods);
    until("the flood flows", LONG, || {
        (impostor.deeds() > 200).then_some(())
    });
    for number in 0..5 {
        let (text, began) = (
            format!("{number} in a flood\n").into_bytes(),
            Instant::now(),
        );
        assert_eq!(ring.result("wc", &text).0, wc(&text));
        println!("a result in a flood: {:?}", began.elapsed());
        assert!(began.elapsed() < RECOVERY);
    }
    // A member that starts now is let in.
    ring.kill(&[3]);
    ring.start_member(3, Program::Honest);
    ring.wait_connected(3, 3);
    drop(impostor);
    for (index, before) in before.iter().take(3).enumerate() {
        let now = rings_tests::Footprint::of(ring.pid(index));
        println!("member {index}: before {before}; after {now}");
        assert!(
            now.resident < before.resident + 200_000_000,
            "before {before}; after {now}"
        );
    }
    ring.start_member(4, Program::Honest);
    assert_eq!(ring.result("wc", b"after\n").0, wc(b"after\n"));
}

#[test]
fn a_member_that_forks_is_shown() {
    let ring = Ring::prepare();
    ring.start(&["--members", "5", "--fork-rule", "freeze"]);
    let forker = ring.json().member(4).to_string();
    // A member that is late does not vote for a gate that is resolved by then, so there may be more than one.
    let mut gates = 0;
    until("all hold the log of the forker", LONG, || {
        if (0..4).all(|at| !ring.log(4, at).nodes.is_empty()) {
            return Some(());
        }
        gates += 1;
        ring.result("wc", format!("before {gates}\n").as_bytes());
        None
    });
    let size = |ring: &Ring| {
        fs::metadata(ring.member_dir(0).join("data/state.redb"))
            .unwrap()
            .len()
    };
    ring.terminate(&[4]);
    let before = size(&ring);
    let impostor = Impostor::start(&ring, 4, Manners::Forks);
    until("a thousand forks", LONG, || {
        (impostor.deeds() > 1_000).then_some(())
    });
    assert_eq!(
        ring.result("wc", b"beside forks\n").0,
        wc(b"beside forks\n")
    );
    let grown = size(&ring).saturating_sub(before);
    println!("{} forks, {grown} bytes more of state", impostor.deeds());
    assert!(
        grown < 4_000_000,
        "one proof is kept for each author: {grown} bytes more"
    );
    for command in [&["status"][..], &["status", "--json"], &["ring", "show"]] {
        let text = ring.rings(command.iter()).text();
        let at = text
            .find(&forker)
            .unwrap_or_else(|| panic!("{command:?}: {text}"));
        let about = text[at..].to_lowercase();
        assert!(about.contains("fork"), "{command:?} shows the fork: {text}");
    }
    let (chain, address) = (ring.chain(), ring.json().address("/ring"));
    let frozen = block_on(chain.is_frozen(address, ring.json().member(4)));
    assert!(frozen.unwrap(), "the contract has frozen the log");
    assert_eq!(proofs_sent(&ring), 1, "one member pays for the proof");
    let warned = logs(&ring)[0]
        .lines()
        .filter(|line| line.contains("two nodes at one position"))
        .count();
    assert!(warned <= 20, "{warned} lines about one fork");
}

/// How many members have brought the proof of a fork to the contract.
fn proofs_sent(ring: &Ring) -> usize {
    let logs = logs(ring).into_iter();
    logs.filter(|log| log.contains("proved on chain that this member forked"))
        .count()
}

#[test]
fn a_member_that_forks_is_removed_and_the_others_go_on() {
    let ring = Ring::up(4);
    let forker = ring.json().member(3);
    ring.result("wc", b"before\n");
    until("all hold the log of the forker", LONG, || {
        (0..3)
            .all(|at| !ring.log(3, at).nodes.is_empty())
            .then_some(())
    });
    ring.terminate(&[3]);
    let _impostor = Impostor::start(&ring, 3, Manners::Forks);
    let (chain, address) = (ring.chain(), ring.json().address("/ring"));
    until("the contract has removed the forker", LONG, || {
        let is_member = block_on(chain.is_member(address, forker)).unwrap();
        (!is_member).then_some(())
    });
    let text = ring.rings(["status"]).text();
    let at = text.find(&forker.to_string()).expect("it is named");
    assert!(text[at..].contains("FORKED"), "{text}");
    let text = ring.rings(["ring", "show"]).text();
    let line = text.lines().find(|line| line.contains("proven on chain"));
    assert!(
        line.is_some_and(|line| line.contains(&forker.to_string())),
        "{text}"
    );
    let (output, receipt) = ring.result("wc", b"without the forker\n");
    assert_eq!(output, wc(b"without the forker\n"));
    assert!(!receipt.signers().contains(&forker));
    assert_eq!(proofs_sent(&ring), 1, "one member pays for the proof");
}

#[test]
fn two_processes_with_one_key_are_shown() {
    const TRIES: usize = 20;
    let ring = Ring::up(4);
    let twin = ring.json().member(3).to_string();
    ring.result("wc", b"before\n");
    ring.terminate(&[3]);
    let copy = ring.file("copy");
    copy_dir(&ring.member_dir(3).join("data"), &copy);
    ring.start_member(3, Program::Honest);
    let (rpc, libp2p) = (free_port(), free_port());
    let environment = [
        ("RINGS_STORE_PATH", copy.to_str().unwrap()),
        ("RINGS_RPC_LISTEN", &format!("127.0.0.1:{rpc}")),
        (
            "RINGS_NETWORK_LISTEN",
            &format!("/ip4/127.0.0.1/tcp/{libp2p}"),
        ),
    ];
    ring.launch_member(3, Program::Honest, &environment);
    let shown = (0..TRIES).find_map(|number| {
        ring.result("wc", number.to_string().as_bytes());
        let text = ring.rings(["status"]).text();
        let about = text[text.find(&twin).unwrap()..].to_lowercase();
        about.contains("fork").then_some(text)
    });
    assert!(shown.is_some(), "{}", ring.rings(["status"]).text());
}

#[test]
fn a_member_whose_chain_is_away_at_its_start_waits_for_it() {
    let ring = Ring::up(3);
    ring.terminate(&[2]);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    ring.launch_member(2, Program::Honest, &[("RINGS_CHAIN_RPC", &url)]);
    let (code, trouble) = until("its health says why", LONG, || {
        let (code, trouble) = ring.health(2)?;
        trouble
            .filter(|why| why.contains(&url))
            .map(|why| (code, why))
    });
    assert_eq!(code, 503);
    let status = ring.rings(["status"]).text();
    assert!(status.contains(&trouble), "{trouble}: {status}");
    // It is not only patient, but goes on soon.
    let chain = ring
        .json()
        .text("/rpcUrl")
        .rsplit(':')
        .next()
        .unwrap()
        .parse();
    let (_provider, began) = (Provider::on(port, chain.unwrap()), Instant::now());
    ring.wait_connected(2, 2);
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    assert_eq!(ring.health(2), Some((200, None)));
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
