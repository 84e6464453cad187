//! Private keys in files: encrypted keystores (Web3 Secret Storage v3) or, where a program makes and guards them, hex.
//!
//! A file that others than its owner can read is refused. What is read is wiped from memory when it is dropped,
//! and nothing here prints a secret.

use eth_keystore::{EthKeystore, KdfType, KdfparamsType, KeystoreError as FormatError};
use rand::RngCore;
use rings_protocol::{
    crypto::{CryptoError, SecretKey},
    Address,
};
use std::{
    error::Error,
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// Largest file of a key or password that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Permission bits that let others at a file.
const OTHERS: u32 = 0o077;
/// Random bytes in a generated password.
const PASSWORD_BYTES: usize = 32;
/// Most bytes of memory that a keystore may make us use.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
/// Most scrypt lanes, which multiply the time.
const MAX_SCRYPT_LANES: u32 = 16;
/// Most rounds of PBKDF2: seconds of work.
const MAX_PBKDF2_ROUNDS: u32 = 1 << 24;
/// The only cipher of version 3.
const CIPHER: &str = "aes-128-ctr";

/// Why a key cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file cannot be read.
    #[error("cannot read {}; check the path and who owns it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}; check the directory and its free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There is a file already, and a key is never written over.
    #[error("{} exists, and a key is never written over; name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the file.
    #[error("{} has mode {mode:03o}, so that others can read the secret in it; run chmod 600 on it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Neither a keystore nor hex.
    #[error("{} is neither a keystore (Web3 Secret Storage v3) nor the hex of a private key: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The MAC does not fit.
    #[error("the password does not open {}; try another", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
    /// The keystore could not be decrypted or encrypted.
    #[error("the keystore {} cannot be used", path.display())]
    Crypto {
        /// The file.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The 32 bytes are no key.
    #[error("{} does not hold a private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: CryptoError,
    },
    /// There is nobody to ask for the password.
    #[error("cannot ask for the password of {}; give it with --password-file", path.display())]
    NoTerminal {
        /// The keystore.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A new password was typed in two ways.
    #[error("the two passwords differ; try again")]
    Differ,
}

/// Reads the key in `path`: hex as it is, a keystore with the password in `password_file`, which is asked for on
/// the terminal when there is none. Takes as long as the keystore's scrypt takes, and so blocks.
///
/// # Errors
/// [`KeystoreError`], which says what to do.
pub fn load(path: &Path, password_file: Option<&Path>) -> Result<SecretKey, KeystoreError> {
    let content = read_secret(path)?;
    match parse(path, &content)? {
        Content::Hex(key) => Ok(key),
        Content::Keystore { .. } => decrypt(path, &password(path, password_file)?),
    }
}

/// The account of the key in `path`, without asking for a password when the keystore says it.
///
/// # Errors
/// As [`load`].
pub fn address(path: &Path, password_file: Option<&Path>) -> Result<Address, KeystoreError> {
    match parse(path, &read_secret(path)?)? {
        Content::Hex(key) => Ok(key.address()),
        Content::Keystore {
            address: Some(address),
        } => Ok(address),
        Content::Keystore { address: None } => Ok(load(path, password_file)?.address()),
    }
}

/// Encrypts `key` into the new file `path`, of mode 0600. The scrypt parameters are light (N = 8192, r = 8, p = 1,
/// as Foundry's): some 20 ms and 8 MB, so that a good password matters.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Write`], [`KeystoreError::Crypto`].
pub fn store(path: &Path, key: &SecretKey, password: &str) -> Result<(), KeystoreError> {
    let crypto = |source: FormatError| KeystoreError::Crypto {
        path: path.into(),
        source: source.into(),
    };
    let scratch =
        tempfile::tempdir_in(directory(path)).map_err(|source| unwritten(path, source))?;
    let mut random = rand::thread_rng();
    let name = Some("keystore");
    eth_keystore::encrypt_key(scratch.path(), &mut random, key.to_bytes(), password, name)
        .map_err(crypto)?;
    let text = std::fs::read_to_string(scratch.path().join("keystore"))
        .map_err(|source| unwritten(path, source))?;
    write_secret(path, with_address(path, &text, key.address())?.as_bytes())
}

/// Puts the account into the keystore's text, so that it can be shown without the password.
fn with_address(path: &Path, text: &str, address: Address) -> Result<String, KeystoreError> {
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| malformed(path, error))?;
    fields.insert("address".into(), hex::encode(address.0).into());
    serde_json::to_string(&fields).map_err(|error| malformed(path, error))
}

/// Writes the hex of `key` into the new file `path`, of mode 0600.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Write`].
pub fn store_hex(path: &Path, key: &SecretKey) -> Result<(), KeystoreError> {
    let text = Zeroizing::new(format!("0x{}\n", hex::encode(*key.to_bytes())));
    write_secret(path, text.as_bytes())
}

/// Writes a new file of mode 0600, whole or not at all.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Write`].
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), KeystoreError> {
    let write = || {
        let mut file = NamedTempFile::new_in(directory(path))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)
    };
    match write() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeystoreError::Exists { path: path.into() })
        }
        Err(source) => Err(unwritten(path, source)),
    }
}

/// Reads a small file that only its owner can read.
///
/// # Errors
/// [`KeystoreError::Read`], [`KeystoreError::Permissions`], [`KeystoreError::Form`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let failed = |source| KeystoreError::Read {
        path: path.into(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        let path = path.into();
        return Err(KeystoreError::Permissions { path, mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = (&mut file).take(MAX_FILE + 1).read_to_string(&mut text);
    match read.map_err(failed)? {
        length if length as u64 > MAX_FILE => Err(malformed(path, "it is too long")),
        _ => Ok(text),
    }
}

/// A new key from the operating system's random bytes.
pub fn generate() -> SecretKey {
    SecretKey::generate(|bytes| rand::rngs::OsRng.fill_bytes(bytes))
}

/// A password that nobody has to remember.
pub fn generate_password() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; PASSWORD_BYTES]);
    rand::rngs::OsRng.fill_bytes(&mut *bytes);
    Zeroizing::new(hex::encode(*bytes))
}

/// The password in `file`, without the end of its line; asked for on the terminal when there is no file.
///
/// # Errors
/// [`KeystoreError::NoTerminal`], and as [`read_secret`].
pub fn password(keystore: &Path, file: Option<&Path>) -> Result<Zeroizing<String>, KeystoreError> {
    match file {
        Some(file) => Ok(Zeroizing::new(
            read_secret(file)?.trim_end_matches(['\r', '\n']).to_owned(),
        )),
        None => ask(keystore, &format!("Password of {}: ", keystore.display())),
    }
}

/// The password for a new keystore: from `file`, or typed twice.
///
/// # Errors
/// [`KeystoreError::Differ`], and as [`password`].
pub fn new_password(
    keystore: &Path,
    file: Option<&Path>,
) -> Result<Zeroizing<String>, KeystoreError> {
    if file.is_some() {
        return password(keystore, file);
    }
    let first = ask(keystore, "New password: ")?;
    match ask(keystore, "The same again: ")? {
        second if second == first => Ok(first),
        _ => Err(KeystoreError::Differ),
    }
}

fn ask(keystore: &Path, prompt: &str) -> Result<Zeroizing<String>, KeystoreError> {
    let answer = rpassword::prompt_password(prompt);
    answer
        .map(Zeroizing::new)
        .map_err(|source| KeystoreError::NoTerminal {
            path: keystore.into(),
            source,
        })
}

/// What is in a key file.
enum Content {
    Hex(SecretKey),
    Keystore { address: Option<Address> },
}

fn parse(path: &Path, text: &str) -> Result<Content, KeystoreError> {
    if text.trim_start().starts_with('{') {
        let address = check_keystore(text).map_err(|reason| malformed(path, reason))?;
        return Ok(Content::Keystore { address });
    }
    parse_hex(path, text).map(Content::Hex)
}

/// The key whose hex, with or without 0x, is `text`. `path` is where it came from, for the error.
///
/// # Errors
/// [`KeystoreError::Form`] and [`KeystoreError::Key`].
pub fn parse_hex(path: &Path, text: &str) -> Result<SecretKey, KeystoreError> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *bytes)
        .map_err(|_| malformed(path, "expected 64 hexadecimal digits"))?;
    SecretKey::from_bytes(&bytes).map_err(|source| KeystoreError::Key {
        path: path.into(),
        source,
    })
}

/// Checks all that the library takes on trust, and what would take for ever; gives the account if it is there.
fn check_keystore(text: &str) -> Result<Option<Address>, String> {
    #[derive(serde::Deserialize)]
    struct Named {
        address: Option<String>,
    }
    let keystore: EthKeystore = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let crypto = &keystore.crypto;
    let lengths = (crypto.cipherparams.iv.len(), crypto.ciphertext.len());
    if keystore.version != 3 || crypto.cipher != CIPHER || lengths != (16, 32) {
        return Err(format!("expected version 3 and {CIPHER} over 32 bytes"));
    }
    check_derivation(&crypto.kdf, &crypto.kdfparams)?;
    let named: Named = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(digits) = named.address else {
        return Ok(None);
    };
    let digits = digits.to_lowercase();
    let address = format!("0x{}", digits.trim_start_matches("0x")).parse();
    address.map(Some).map_err(|error| format!("{error}"))
}

fn check_derivation(kind: &KdfType, params: &KdfparamsType) -> Result<(), String> {
    let good = match (kind, params) {
        (KdfType::Scrypt, KdfparamsType::Scrypt { dklen, n, p, r, .. }) => {
            let memory = u64::from(*n)
                .saturating_mul(u64::from(*r))
                .saturating_mul(128);
            *dklen == 32
                && *n > 1
                && n.is_power_of_two()
                && *r > 0
                && memory <= MAX_SCRYPT_MEMORY
                && (1..=MAX_SCRYPT_LANES).contains(p)
        }
        (KdfType::Pbkdf2, KdfparamsType::Pbkdf2 { c, dklen, prf, .. }) => {
            *dklen == 32 && prf == "hmac-sha256" && (1..=MAX_PBKDF2_ROUNDS).contains(c)
        }
        _ => false,
    };
    good.then_some(())
        .ok_or_else(|| "its key derivation is not one of version 3, or too heavy".into())
}

fn decrypt(path: &Path, password: &str) -> Result<SecretKey, KeystoreError> {
    let bytes = eth_keystore::decrypt_key(path, password).map_err(|error| match error {
        FormatError::MacMismatch => KeystoreError::Password { path: path.into() },
        error => KeystoreError::Crypto {
            path: path.into(),
            source: error.into(),
        },
    })?;
    let bytes = Zeroizing::new(bytes);
    let bytes: &[u8; 32] = (&bytes[..])
        .try_into()
        .map_err(|_| malformed(path, "the key has not 32 bytes"))?;
    SecretKey::from_bytes(bytes).map_err(|source| KeystoreError::Key {
        path: path.into(),
        source,
    })
}

/// The directory that `path` is in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn unwritten(path: &Path, source: io::Error) -> KeystoreError {
    KeystoreError::Write {
        path: path.into(),
        source,
    }
}

fn malformed(path: &Path, reason: impl ToString) -> KeystoreError {
    KeystoreError::Form {
        path: path.into(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// The PBKDF2 vector of the Web3 Secret Storage definition, and its key and password under the scrypt parameters
    /// of geth's `--lightkdf`, made with other programs (Python's hashlib, OpenSSL, cast).
    const KNOWN_KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
    const KNOWN_PASSWORD: &str = "testpassword";
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":
        {"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext":"584f4eb2783472ec149b334c22d77ddbf118a0783ea24e66ca8a7883cd2b4bf5","kdf":"scrypt","kdfparams":
        {"dklen":32,"n":4096,"p":6,"r":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac":"860ad3ce9642f99d709abc696e25ede7cd35daf6a6041e975d14c53dae118886"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

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
    fn a_key_comes_back_with_its_password_only() {
        let files = Files::new();
        let path = files.0.path().join("key.json");
        let key = generate();
        store(&path, &key, "right").unwrap();
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
            store(&path, &generate(), "x"),
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
}
