//! Services that others find on chain (`rings search`), and services that need others.

use super::processes::example;
use rings_tests::{Call, Program, Ring};
use serde_json::Value;
use std::{fs, path::Path};

/// A service without programs in a directory of its own. `lines` are added to it.
fn service(home: &Path, name: &str, lines: &str) -> String {
    let directory = home.join(name);
    fs::create_dir_all(&directory).unwrap();
    let text = format!("service: {name}\nevents: {{happened: {{}}}}\n{lines}");
    fs::write(directory.join("service.yml"), text).unwrap();
    directory.to_str().unwrap().to_owned()
}

fn json(ring: &Ring, args: &[&str]) -> Value {
    let args = args.iter().copied().chain(["--json"]);
    serde_json::from_slice(&ring.rings(args).ok()).unwrap()
}

#[test]
fn a_service_is_registered_found_and_withdrawn_and_starts_what_it_needs() {
    let ring = Ring::up(1);
    is_registered(&ring);
    starts_what_it_needs(&ring);
}

fn is_registered(ring: &Ring) {
    let nothing = ring.rings(["search", "car"]).call().ok();
    assert!(
        nothing.stderr.contains("nothing is registered"),
        "{}",
        nothing.stderr
    );
    let car = example("electric-car");
    let (car, about) = (car.to_str().unwrap(), ring.file("README.md"));
    fs::write(&about, "How to charge a car\n").unwrap();
    let about = about.to_str().unwrap();
    ring.rings([
        "service",
        "deploy",
        car,
        "--register",
        "1.0",
        "--description",
        about,
    ])
    .ok();
    ring.rings(["process", "create", car, "--register", "0.9"])
        .ok();

    let found = json(ring, &["search", "CAR"]);
    let hash = ring.rings(["service", "check", car]).text();
    assert_eq!(found[0]["cid"], hash.trim(), "{found}");
    assert_eq!(
        (&found[0]["kind"], &found[0]["version"]),
        (&"service".into(), &"1.0".into())
    );
    let description = found[0]["description"].as_str().unwrap();
    assert_eq!(
        ring.rings(["cat", description]).text(),
        "How to charge a car\n"
    );
    let line = ring.rings(["search", "charging"]).text();
    assert!(
        line.contains("  process  \"charging\" \"0.9\"  by 0x"),
        "{line}"
    );

    ring.rings(["service", "withdraw", hash.trim()]).ok();
    assert_eq!(json(ring, &["search", "car"]), Value::Array(vec![]));
    assert_eq!(
        json(ring, &["search", "car", "--all"])[0]["withdrawn"],
        true
    );
    ring.rings(["service", "withdraw", "--undo", hash.trim()])
        .ok();
    assert_eq!(json(ring, &["search", "car"])[0]["withdrawn"], false);
    let unknown = ring.rings(["service", "withdraw", description]).refused(2);
    assert!(unknown.contains("has not registered it"), "{unknown}");
}

fn starts_what_it_needs(ring: &Ring) {
    let home = ring.file("services");
    service(&home, "mail", "config: [token]\n");
    let post = service(&home, "post", "depends: {mail: ../mail}\n");
    let shop = service(
        &home,
        "shop",
        "depends: {mail: ../mail/service.yml, post: ../post}\n",
    );
    let before = json(ring, &["service", "list"]);
    let missing = ring.rings(["service", "deploy", &shop]).refused(2);
    assert!(
        missing.contains("nothing was deployed: mail needs values for token"),
        "{missing}"
    );
    assert_eq!(json(ring, &["service", "list"]), before);

    let values = home.join("values.json");
    fs::write(&values, r#"{"token": "abc"}"#).unwrap();
    let values = format!("mail={}", values.display());
    let done = ring
        .rings(["service", "deploy", &shop, "--config-of", &values])
        .call()
        .ok();
    let told: Vec<_> = done
        .stderr
        .lines()
        .filter(|line| line.contains("is started as 0x"))
        .collect();
    assert!(
        told.len() == 2 && told[0].contains("service mail") && told[1].contains("service post"),
        "{told:?}"
    );
    // What runs is found, also by somebody who names it by its hash only.
    let hash = ring.rings(["service", "check", &post]).text();
    let by_hash = service(
        &home,
        "by_hash",
        &format!("depends: {{post: {}}}\n", hash.trim()),
    );
    let done = ring.rings(["service", "deploy", &by_hash]).call().ok();
    assert!(!done.stderr.contains("is started"), "{}", done.stderr);
    let count = |found: &Value| found.as_array().unwrap().len();
    assert_eq!(count(&json(ring, &["service", "list"])), count(&before) + 4);
    // Where no instance is in DIR, the definition comes out of the ring's store.
    let instances = ring.dir().join("instances");
    for file in fs::read_dir(&instances).unwrap().flatten() {
        let text = fs::read_to_string(file.path()).unwrap();
        if text.contains(hash.trim()) {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let done = ring.rings(["service", "deploy", &by_hash]).call().ok();
    assert!(
        done.stderr
            .contains("service post, on which it depends, is started"),
        "{}",
        done.stderr
    );
    let nowhere = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
    let lost = service(&home, "lost", &format!("depends: {{nowhere: {nowhere}}}\n"));
    let missing = ring.rings(["service", "deploy", &lost]).refused(2);
    assert!(
        missing.contains(nowhere) && missing.contains("nothing was deployed"),
        "{missing}"
    );
}

#[test]
fn a_circle_of_services_is_refused_with_its_place() {
    let home = tempfile::TempDir::new().unwrap();
    let one = service(home.path(), "one", "depends: {two: ../two}\n");
    service(home.path(), "two", "depends:\n  three: ../three\n");
    service(
        home.path(),
        "three",
        "depends: {one: ../one/service.yml, gone: ../gone}\n",
    );
    let check = Call::new(Program::Honest).args(["service", "check", &one]);
    let told = check.call().stderr;
    for part in [
        "three/service.yml:3:16: a service cannot depend on itself",
        "there is no service",
        "needs",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}
