//! `rings key`: keys in files.

use super::{
    args::{ExportArgs, ImportArgs, KeyArgs, KeyCommand, NewKeyArgs},
    exit::ExitError,
    out::Out,
    run::content::is_standard,
};
use rings_member::keystore::{self, Strength};
use rings_protocol::crypto::SecretKey;

/// `rings key`
///
/// # Errors
/// Status 2 when a file or a password cannot be used.
pub fn key(command: KeyCommand, out: Out) -> Result<(), ExitError> {
    match command {
        KeyCommand::New(args) => store(&keystore::generate(), &args, out),
        KeyCommand::Import(args) => store(&imported(&args)?, &args.new, out),
        KeyCommand::Show(args) => show(&args, out),
        KeyCommand::Export(args) => export(&args, out),
    }
}

fn store(key: &SecretKey, args: &NewKeyArgs, out: Out) -> Result<(), ExitError> {
    let password = keystore::new_password(&args.out, args.password_file.as_deref())?;
    let strength = match args.light {
        true => Strength::Light,
        false => Strength::Standard,
    };
    if is_standard(&args.out) {
        let text = keystore::encrypted(&args.out, key, &password, strength)?;
        out.note(format_args!("the key of {}", key.address()));
        return out.bytes(format!("{text}\n").as_bytes());
    }
    keystore::store(&args.out, key, &password, strength)?;
    out.note(format_args!("the key is in {}", args.out.display()));
    out.line(key.address())
}

fn imported(args: &ImportArgs) -> Result<SecretKey, ExitError> {
    let text = keystore::read_secret(&args.hex)?;
    Ok(keystore::parse_hex(&args.hex, &text)?)
}

fn show(args: &KeyArgs, out: Out) -> Result<(), ExitError> {
    // Whoever gives the password wants to know that the file's account is that of its key.
    let address = match args.password_file.as_deref() {
        Some(password) => keystore::load(&args.file, Some(password))?.address(),
        None => keystore::address(&args.file, None)?,
    };
    out.line(address)
}

fn export(args: &ExportArgs, out: Out) -> Result<(), ExitError> {
    let key = keystore::load(&args.key.file, args.key.password_file.as_deref())?;
    if is_standard(&args.out) {
        return out.bytes(keystore::hex_text(&key).as_bytes());
    }
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
    use crate::exit::ExitStatus;
    use std::{fs, path::PathBuf};

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
            light: true,
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
        let show = |password: Option<PathBuf>| {
            key(
                KeyCommand::Show(KeyArgs {
                    file: file("a.json"),
                    password_file: password,
                }),
                out,
            )
        };
        keystore::write_secret(&file("wrong"), b"wrong").unwrap();
        show(None).unwrap();
        show(password_file.clone()).unwrap();
        assert_eq!(
            show(Some(file("wrong"))).unwrap_err().status(),
            ExitStatus::Usage
        );
        let written = fs::read_to_string(file("a.json")).unwrap();
        assert!(written.contains("\"n\":8192"), "as --light asks");
        keystore::write_secret(&file("text"), b"no key at all").unwrap();
        let no_key = KeyArgs {
            file: file("text"),
            password_file: None,
        };
        let refused = key(KeyCommand::Show(no_key), out).unwrap_err();
        assert_eq!(refused.status(), ExitStatus::Usage);
        assert!(
            refused.to_string().contains("64 hexadecimal digits"),
            "{refused}"
        );
        let again = key(KeyCommand::New(new("a.json")), out).unwrap_err();
        assert_eq!(again.status(), ExitStatus::Usage);
        assert_ne!(
            fs::read(file("a.json")).unwrap(),
            fs::read(file("b.json")).unwrap(),
            "salt and nonce differ"
        );
    }
}
