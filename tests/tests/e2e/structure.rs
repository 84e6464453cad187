//! Which crate may depend on which.

use std::{collections::BTreeSet, path::Path, process::Command};

/// What `package` is built with, without what only its tests and build scripts need.
fn dependencies(package: &str) -> BTreeSet<String> {
    tree(package, &[])
}

fn tree(package: &str, options: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}",
        ])
        .args(["--locked", "--offline"])
        .args(options)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.contains(package));
    names
}

fn rooms(package: &str) -> BTreeSet<String> {
    let mut names = dependencies(package);
    names.retain(|name| (name == "rings" || name.starts_with("rings-")) && name != package);
    names
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn starts_with(names: &BTreeSet<String>, prefix: &str) -> Vec<String> {
    names
        .iter()
        .filter(|name| name.starts_with(prefix))
        .cloned()
        .collect()
}

#[test]
fn protocol_and_processes_are_built_without_io() {
    for room in ["rings-protocol", "rings-process"] {
        is_built_without_io(&dependencies(room));
    }
}

fn is_built_without_io(names: &BTreeSet<String>) {
    for prefix in [
        "tokio",
        "ethers",
        "libp2p",
        "jsonrpsee",
        "redb",
        "reqwest",
        "hyper",
        "wasmtime",
        "futures",
        "async-",
    ] {
        assert_eq!(starts_with(names, prefix), Vec::<String>::new(), "{prefix}");
    }
}

#[test]
fn a_room_depends_on_the_protocol_at_most() {
    assert_eq!(rooms("rings-protocol"), set(&[]));
    assert_eq!(rooms("rings-abi"), set(&[]));
    assert_eq!(rooms("rings-chain"), set(&["rings-abi", "rings-protocol"]));
    for room in [
        "rings-store",
        "rings-compute",
        "rings-network",
        "rings-process",
    ] {
        assert!(
            rooms(room).is_subset(&set(&["rings-protocol"])),
            "{room}: {:?}",
            rooms(room)
        );
    }
}

/// The HTTP side knows only a trait; the member knows every room but the command line.
#[test]
fn the_api_knows_no_member_and_the_member_no_command_line() {
    assert_eq!(rooms("rings-api"), set(&["rings-protocol", "rings-store"]));
    let below = [
        "rings-abi",
        "rings-api",
        "rings-chain",
        "rings-compute",
        "rings-network",
        "rings-process",
        "rings-protocol",
        "rings-store",
    ];
    assert_eq!(rooms("rings-member"), set(&below));
    for library in ["clap", "indicatif"] {
        let names = starts_with(&dependencies("rings-member"), library);
        assert_eq!(names, Vec::<String>::new(), "{library}");
    }
    let mut all = set(&below);
    all.insert("rings-client".to_owned());
    all.insert("rings-member".to_owned());
    assert_eq!(rooms("rings"), all);
}

/// An avatar's device runs no node.
#[test]
fn the_client_is_built_without_a_node() {
    assert_eq!(rooms("rings-client"), set(&["rings-protocol"]));
    let names = dependencies("rings-client");
    for prefix in ["tokio", "ethers", "libp2p", "redb", "reqwest", "hyper"] {
        let found = starts_with(&names, prefix);
        assert_eq!(found, Vec::<String>::new(), "{prefix}");
    }
}

#[test]
fn ethers_and_libp2p_stay_in_their_rooms() {
    for room in [
        "rings-protocol",
        "rings-store",
        "rings-compute",
        "rings-network",
        "rings-api",
    ] {
        assert_eq!(
            starts_with(&dependencies(room), "ethers"),
            Vec::<String>::new(),
            "{room}"
        );
    }
    for room in [
        "rings-protocol",
        "rings-store",
        "rings-compute",
        "rings-chain",
        "rings-abi",
        "rings-api",
    ] {
        assert_eq!(
            starts_with(&dependencies(room), "libp2p"),
            Vec::<String>::new(),
            "{room}"
        );
    }
    for package in ["rings", "rings-member"] {
        let direct = tree(package, &["--depth", "1"]);
        for prefix in ["ethers", "libp2p", "wasmtime"] {
            let names = starts_with(&direct, prefix);
            assert_eq!(names, Vec::<String>::new(), "of {package} itself");
        }
    }
}
