use super::{
    vectors::{KNOWN_KEY, KNOWN_PASSWORD, PBKDF2, SCRYPT, WRITTEN},
    *,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        write_secret(&path, text.as_bytes()).unwrap();
        path
    }
}

#[test]
fn what_other_programs_wrote_opens() {
    let files = Files::new();
    let password = files.write("password", "testpassword\n");
    for (name, text) in [("pbkdf2", PBKDF2), ("scrypt", SCRYPT)] {
        let path = files.write(name, text);
        let key = load(&path, Some(&password)).unwrap();
        assert_eq!(hex::encode(*key.to_bytes()), KNOWN_KEY, "{name}");
        assert_eq!(address(&path, Some(&password)).unwrap(), key.address());
    }
    assert_eq!(KNOWN_PASSWORD, "testpassword");
}

#[test]
fn keystores_of_other_tools_open() {
    let files = Files::new();
    let known = Address(
        hex::decode("008aeeda4d805471df9b2a5b0f38a0c3bcba786b")
            .unwrap()
            .try_into()
            .unwrap(),
    );
    let wrong = files.write("wrong", "another");
    for (index, (tool, password, text)) in WRITTEN.into_iter().enumerate() {
        let path = files.write(&format!("{index}.json"), text);
        let password = files.write(&format!("{index}.password"), password);
        let key = load(&path, Some(&password)).unwrap_or_else(|error| panic!("{tool}: {error}"));
        assert_eq!(hex::encode(*key.to_bytes()), KNOWN_KEY, "{tool}");
        assert_eq!(address(&path, Some(&password)).unwrap(), known, "{tool}");
        let refused = load(&path, Some(&wrong));
        assert!(
            matches!(refused, Err(KeystoreError::Password { .. })),
            "{tool}"
        );
    }
}

#[test]
fn spelling_and_what_is_left_out_do_not_matter() {
    let files = Files::new();
    let password = files.write("password", KNOWN_PASSWORD);
    let forms = [
        ("MyEtherWallet", SCRYPT.replace("\"crypto\"", "\"Crypto\"")),
        (
            "all in capitals",
            SCRYPT
                .replace("\"crypto\"", "\"CRYPTO\"")
                .replace("\"kdfparams\"", "\"KdfParams\""),
        ),
        (
            "no id",
            SCRYPT.replace("\"id\":\"3198bc9c-6672-5ab3-d995-4942343ae5b6\",", ""),
        ),
        (
            "no UUID",
            SCRYPT.replace("3198bc9c-6672-5ab3-d995-4942343ae5b6", "my key"),
        ),
        (
            "0x",
            SCRYPT
                .replace("\"mac\":\"", "\"mac\":\"0x")
                .replace("\"iv\":\"", "\"iv\":\"0X"),
        ),
        (
            "version as text",
            SCRYPT.replace("\"version\":3", "\"version\":\"3\""),
        ),
        ("byte order mark", format!("\u{feff}{SCRYPT}")),
        (
            "more fields",
            SCRYPT.replace(
                "\"version\":3",
                "\"version\":3,\"x-ethers\":{\"client\":\"ethers.js\"}",
            ),
        ),
    ];
    for (name, text) in forms {
        let path = files.write(name, &text);
        let key = load(&path, Some(&password)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex::encode(*key.to_bytes()), KNOWN_KEY, "{name}");
    }
    let twice = files.write(
        "twice",
        &SCRYPT.replace("\"version\":3", "\"version\":3,\"Crypto\":{}"),
    );
    assert!(matches!(
        load(&twice, Some(&password)),
        Err(KeystoreError::Form { .. })
    ));
}

#[test]
fn a_key_comes_back_with_its_password_only() {
    let files = Files::new();
    let path = files.0.path().join("key.json");
    let key = generate();
    store(&path, &key, "right", Strength::Light).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let right = files.write("right", "right\r\n");
    let wrong = files.write("wrong", "wrong");
    let loaded = load(&path, Some(&right)).unwrap();
    assert_eq!(loaded.to_bytes(), key.to_bytes());
    assert!(matches!(
        load(&path, Some(&wrong)),
        Err(KeystoreError::Password { .. })
    ));
    assert_eq!(
        address(&path, None).unwrap(),
        key.address(),
        "no password needed"
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&hex::encode(*key.to_bytes())));
}

/// A stranger who changes the account in the file would have ether sent to an account that nobody has the key of.
#[test]
fn a_keystore_that_names_another_account_is_refused() {
    let files = Files::new();
    let (path, key) = (files.0.path().join("key.json"), generate());
    store(&path, &key, "right", Strength::Light).unwrap();
    let named = hex::encode(key.address().0);
    let text = fs::read_to_string(&path).unwrap().to_lowercase();
    assert!(text.contains(&named), "{text}");
    let other = files.write("other.json", &text.replace(&named, &"0".repeat(40)));
    let right = files.write("right", "right");
    let refused = load(&other, Some(&right)).unwrap_err();
    assert!(
        matches!(&refused, KeystoreError::OtherAccount { actual, .. } if *actual == key.address()),
        "{refused}"
    );
}

#[test]
fn hex_files_need_no_password() {
    let files = Files::new();
    let key = generate();
    let path = files.0.path().join("client.key");
    store_hex(&path, &key).unwrap();
    assert_eq!(load(&path, None).unwrap().to_bytes(), key.to_bytes());
    let bare = files.write("bare", &hex::encode(*key.to_bytes()));
    assert_eq!(load(&bare, None).unwrap().address(), key.address());
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let files = Files::new();
    let path = files.write("key", KNOWN_KEY);
    for mode in [0o640, 0o604, 0o666, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let message = load(&path, None).unwrap_err().to_string();
        assert!(
            message.contains("chmod 600") && message.contains(&format!("{mode:o}")),
            "{message}"
        );
    }
}

#[test]
fn a_key_is_never_written_over() {
    let files = Files::new();
    let path = files.write("key", KNOWN_KEY);
    for result in [
        store_hex(&path, &generate()),
        store(&path, &generate(), "x", Strength::Light),
    ] {
        assert!(matches!(result, Err(KeystoreError::Exists { .. })));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), KNOWN_KEY);
    let left: Vec<_> = fs::read_dir(files.0.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left behind");
}

#[test]
fn keystores_that_would_crash_or_take_for_ever_are_refused() {
    let files = Files::new();
    let password = files.write("password", KNOWN_PASSWORD);
    let bad = [
        ("heavy", SCRYPT.replace("4096", "2147483648")),
        ("short", SCRYPT.replace("\"dklen\":32", "\"dklen\":8")),
        ("odd", SCRYPT.replace("4096", "4095")),
        ("none", SCRYPT.replace("4096", "1")),
        ("lanes", SCRYPT.replace("\"p\":6", "\"p\":1000000")),
        ("cipher", SCRYPT.replace("aes-128-ctr", "aes-128-cbc")),
        ("iv", SCRYPT.replace("83dbcc02", "")),
        ("version", SCRYPT.replace("\"version\":3", "\"version\":1")),
        ("mixed", PBKDF2.replace("\"pbkdf2\"", "\"scrypt\"")),
        ("rounds", PBKDF2.replace("262144", "4294967295")),
        ("prf", PBKDF2.replace("hmac-sha256", "md5")),
        ("json", "{}".into()),
        ("text", "hello".into()),
        ("empty", String::new()),
        ("long", "0".repeat(70_000)),
    ];
    for (name, text) in bad {
        let path = files.write(name, &text);
        let error = load(&path, Some(&password)).unwrap_err();
        assert!(
            matches!(error, KeystoreError::Form { .. }),
            "{name}: {error}"
        );
    }
    let zero = files.write("zero", &"0".repeat(64));
    assert!(matches!(load(&zero, None), Err(KeystoreError::Key { .. })));
}

#[test]
fn errors_do_not_repeat_what_is_in_the_file() {
    let files = Files::new();
    let path = files.write("typo", &KNOWN_KEY[1..]);
    let error = load(&path, None).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(&KNOWN_KEY[2..20]), "{text}");
}
