//! A data directory moves forward by itself, and a program that does not know its version touches nothing.

use rings_tests::Ring;
use std::fs;

#[test]
fn an_earlier_program_refuses_the_directory_of_a_later_one() {
    let ring = Ring::up(1);
    ring.result("wc", b"before the upgrade\n");
    ring.stop();
    let (data, config) = (
        ring.member_dir(0).join("data"),
        ring.member_dir(0).join("config.toml"),
    );
    let version = data.join("version");
    let own = fs::read_to_string(&version).unwrap();
    assert!(own.contains("\"program\":\"rings "), "{own}");

    let later = "{\"format\":99,\"program\":\"rings 9.9.9\"}\n";
    fs::write(&version, later).unwrap();
    let before = fs::metadata(data.join("state.redb"))
        .unwrap()
        .modified()
        .unwrap();
    let line = ring.rings(["node", "--config"]).arg(&config).refused(5);
    assert!(
        line.contains("run rings 9.9.9 or a later version"),
        "{line}"
    );
    let after = fs::metadata(data.join("state.redb"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after, "nothing was touched");

    // One from before directories named their version has no such file.
    fs::remove_file(&version).unwrap();
    ring.start(&[]);
    assert_eq!(fs::read_to_string(&version).unwrap(), own);
    ring.result("wc", b"after the upgrade\n");
}
