//! Keystores: those of other tools open here, and ours open elsewhere.

use aes::cipher::{KeyIvInit, StreamCipher};
use ethers_core::utils::keccak256;
use rings_tests::{Call, Program};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

type Cipher = ctr::Ctr128BE<aes::Aes128>;

/// What each tool wrote, byte for byte: `{tool, version, address, key, password, keystore}`, the last as a text. Each was
/// made by running the tool on the key, but for two: Brownie writes what eth-account gives it, and for MyEtherWallet the
/// figures of another tool stand in the form of its files.
const WRITTEN: &str = include_str!("keystores.json");

fn secret(directory: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn key(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(["key"]).args(args)
}

#[test]
fn what_other_tools_write_opens_here() {
    let cases: Vec<Value> = serde_json::from_str(WRITTEN).unwrap();
    let tools: Vec<_> = cases
        .iter()
        .map(|case| case["tool"].as_str().unwrap())
        .collect();
    for tool in [
        "geth",
        "ethers 5",
        "ethers 6",
        "MyEtherWallet",
        "Brownie",
        "eth-account",
        "Foundry",
    ] {
        assert!(
            tools.iter().any(|name| name.starts_with(tool)),
            "{tool} is not in the table"
        );
    }
    for case in &cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let name = format!("{} {}", text("tool"), text("version"));
        let place = tempfile::tempdir().unwrap();
        let keystore = secret(place.path(), "key.json", text("keystore"));
        let password = secret(place.path(), "password", text("password"));
        let shown = key(&["show"])
            .arg("--password-file")
            .arg(&password)
            .arg(&keystore)
            .call();
        assert_eq!(shown.status.code(), Some(0), "{name}: {}", shown.stderr);
        assert_eq!(shown.text().trim(), text("address"), "{name}");
        // The key itself, and not only what the file says about it.
        let out = place.path().join("hex");
        let export = key(&["export"])
            .arg("--password-file")
            .arg(&password)
            .arg(&keystore)
            .arg("--out")
            .arg(&out);
        let done = export.call();
        assert_eq!(done.status.code(), Some(0), "{name}: {}", done.stderr);
        let hex = fs::read_to_string(&out).unwrap();
        assert_eq!(hex.trim().trim_start_matches("0x"), text("key"), "{name}");
        // Another password is said to be wrong.
        let wrong = secret(place.path(), "wrong", "another password");
        let out = place.path().join("none");
        let call = key(&["export"])
            .arg("--password-file")
            .arg(&wrong)
            .arg(&keystore)
            .arg("--out")
            .arg(&out);
        let line = call.refused(2);
        assert!(line.contains("password"), "{name}: {line}");
    }
}

/// Opens a keystore by the words of Web3 Secret Storage v3, with another implementation of scrypt and AES than ours.
fn open(text: &str, password: &[u8]) -> Vec<u8> {
    let keystore: Value = serde_json::from_str(text).unwrap();
    assert_eq!(keystore["version"], 3);
    let crypto = &keystore["crypto"];
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let parameters = &crypto["kdfparams"];
    let number = |name: &str| u32::try_from(parameters[name].as_u64().unwrap()).unwrap();
    assert_eq!(
        (crypto["cipher"].as_str(), crypto["kdf"].as_str()),
        (Some("aes-128-ctr"), Some("scrypt"))
    );
    let log_n = number("n").ilog2() as u8;
    let costs = scrypt::Params::new(log_n, number("r"), number("p")).unwrap();
    let mut derived = vec![0; number("dklen") as usize];
    scrypt::scrypt(password, &bytes(&parameters["salt"]), &costs, &mut derived).unwrap();
    let mut text = bytes(&crypto["ciphertext"]);
    let mac = keccak256([&derived[16..32], &text].concat());
    assert_eq!(
        mac.to_vec(),
        bytes(&crypto["mac"]),
        "the password does not open it"
    );
    let iv = bytes(&crypto["cipherparams"]["iv"]);
    Cipher::new_from_slices(&derived[..16], &iv)
        .unwrap()
        .apply_keystream(&mut text);
    text
}

#[test]
fn what_is_written_here_opens_elsewhere() {
    const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
    for password in ["testpassword", "pässwörd mit Leerzeichen"] {
        let place = tempfile::tempdir().unwrap();
        let (hex, password_file) = (
            secret(place.path(), "hex", KEY),
            secret(place.path(), "password", password),
        );
        let out = place.path().join("key.json");
        let call = key(&["import"])
            .arg("--password-file")
            .arg(&password_file)
            .arg("--out")
            .arg(&out);
        assert_eq!(
            call.arg(&hex).text().trim(),
            "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b"
        );
        let text = fs::read_to_string(&out).unwrap();
        assert_eq!(hex::encode(open(&text, password.as_bytes())), KEY);
        // As geth wants them: the address without 0x, an id.
        let keystore: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            keystore["address"],
            "008aeeda4d805471df9b2a5b0f38a0c3bcba786b"
        );
        assert_eq!(keystore["id"].as_str().unwrap().len(), 36);
        assert_eq!(
            fs::metadata(&out).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    // The check above does not pass for another password.
    let cases: Vec<Value> = serde_json::from_str(WRITTEN).unwrap();
    let foundry = cases.iter().find(|case| case["tool"] == "Foundry").unwrap();
    assert_eq!(
        hex::encode(open(foundry["keystore"].as_str().unwrap(), b"testpassword")),
        KEY
    );
}
