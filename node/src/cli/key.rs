//! `rings key`: keys in files.

use super::{
    args::{ExportArgs, ImportArgs, KeyArgs, KeyCommand, NewKeyArgs},
    failure::{Context, Failure, Status},
    out::Out,
};
use crate::keystore;
use rings_protocol::crypto::SecretKey;
use std::{
    io::{self, Read},
    path::Path,
};
use zeroize::Zeroizing;

/// Most bytes that are read from standard input for a key.
const MAX_HEX: u64 = 1024;

/// `rings key`
///
/// # Errors
/// Status 2 when a file or a password cannot be used.
pub fn key(command: KeyCommand, out: Out) -> Result<(), Failure> {
    match command {
        KeyCommand::New(args) => store(&keystore::generate(), &args, out),
        KeyCommand::Import(args) => store(&imported(&args)?, &args.new, out),
        KeyCommand::Show(args) => show(&args, out),
        KeyCommand::Export(args) => export(&args, out),
    }
}

fn store(key: &SecretKey, args: &NewKeyArgs, out: Out) -> Result<(), Failure> {
    let password = keystore::new_password(&args.out, args.password_file.as_deref())?;
    keystore::store(&args.out, key, &password)?;
    out.note(format_args!("the key is in {}", args.out.display()));
    out.line(key.address())
}

fn imported(args: &ImportArgs) -> Result<SecretKey, Failure> {
    if args.hex != Path::new("-") {
        let text = keystore::read_secret(&args.hex)?;
        return Ok(keystore::parse_hex(&args.hex, &text)?);
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_HEX as usize));
    let read = io::stdin().take(MAX_HEX).read_to_string(&mut text);
    read.context(Status::Usage, "cannot read standard input")?;
    Ok(keystore::parse_hex(Path::new("standard input"), &text)?)
}

fn show(args: &KeyArgs, out: Out) -> Result<(), Failure> {
    out.line(keystore::address(
        &args.file,
        args.password_file.as_deref(),
    )?)
}

fn export(args: &ExportArgs, out: Out) -> Result<(), Failure> {
    let key = keystore::load(&args.key.file, args.key.password_file.as_deref())?;
    keystore::store_hex(&args.out, &key)?;
    out.note(format_args!(
        "the private key of {} is in {}, not encrypted",
        key.address(),
        args.out.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_survives_export_and_import() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let out = Out::new(true, false);
        keystore::write_secret(&file("password"), b"secret").unwrap();
        let password_file = Some(file("password"));
        let new = |name| NewKeyArgs {
            out: file(name),
            password_file: password_file.clone(),
        };
        key(KeyCommand::New(new("a.json")), out).unwrap();
        let export = ExportArgs {
            key: KeyArgs {
                file: file("a.json"),
                password_file: password_file.clone(),
            },
            out: file("a.hex"),
        };
        key(KeyCommand::Export(export), out).unwrap();
        let import = ImportArgs {
            hex: file("a.hex"),
            new: new("b.json"),
        };
        key(KeyCommand::Import(import), out).unwrap();
        let address = |name| keystore::address(&file(name), None).unwrap();
        assert_eq!(address("a.json"), address("b.json"));
        assert_eq!(address("a.json"), address("a.hex"));
        let again = key(KeyCommand::New(new("a.json")), out).unwrap_err();
        assert_eq!(again.status(), Status::Usage);
        assert_ne!(
            fs::read(file("a.json")).unwrap(),
            fs::read(file("b.json")).unwrap(),
            "salt and nonce differ"
        );
    }
}
