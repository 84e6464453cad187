//! `rings service init`: a directory with a service that works, and a process that uses it.

use crate::{
    args::{InitArgs, Language},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
};
use rings_process::schema::{PROCESS_SCHEMA, SERVICE_SCHEMA};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

/// A file of the template: its path, and its content.
type File = (&'static str, &'static str);

const COMMON: [File; 5] = [
    ("service.yml", include_str!("template/service.yml")),
    ("process.yml", include_str!("template/process.yml")),
    (
        "cases/hello.json",
        include_str!("template/cases/hello.json"),
    ),
    ("schema/service.schema.json", SERVICE_SCHEMA),
    ("schema/process.schema.json", PROCESS_SCHEMA),
];
const RUST: [File; 5] = [
    ("Cargo.toml", include_str!("template/rust/Cargo.toml.txt")),
    ("Cargo.lock", include_str!("template/rust/Cargo.lock.txt")),
    ("src/main.rs", include_str!("template/rust/main.rs.txt")),
    ("build", include_str!("template/rust/build")),
    (".gitignore", "/target\n/greet.wasm\n/.rings-dev\n"),
];
const C: [File; 3] = [
    ("greet.c", include_str!("template/c/greet.c")),
    ("build", include_str!("template/c/build")),
    (".gitignore", "/greet.wasm\n/.rings-dev\n"),
];
const GO: [File; 4] = [
    ("main.go", include_str!("template/go/main.go.txt")),
    ("go.mod", include_str!("template/go/go.mod.txt")),
    ("build", include_str!("template/go/build")),
    (".gitignore", "/greet.wasm\n/.rings-dev\n"),
];
const JAVASCRIPT: [File; 6] = [
    ("greet.js", include_str!("template/javascript/greet.js")),
    (
        "src/main.rs",
        include_str!("template/javascript/main.rs.txt"),
    ),
    (
        "Cargo.toml",
        include_str!("template/javascript/Cargo.toml.txt"),
    ),
    (
        "Cargo.lock",
        include_str!("template/javascript/Cargo.lock.txt"),
    ),
    ("build", include_str!("template/javascript/build")),
    (".gitignore", "/target\n/greet.wasm\n/.rings-dev\n"),
];

/// `rings service init`
///
/// # Errors
/// Status 2 when the directory is not empty, or cannot be made.
pub async fn init(args: InitArgs, out: Out) -> Result<(), ExitError> {
    let root = &args.directory;
    let shown = root.display();
    let has_files = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    if has_files || root.is_file() {
        return Err(ExitError::usage(format!(
            "{shown} is there and not empty; name another directory"
        )));
    }
    let files: &[File] = match args.language {
        Language::Rust => &RUST,
        Language::C => &C,
        Language::Go => &GO,
        Language::Javascript => &JAVASCRIPT,
    };
    for (path, content) in COMMON.iter().chain(files) {
        write(&root.join(path), content)?;
    }
    out.note(format_args!("{shown} is made; now: cd {shown} && ./build && rings service check && echo '{{\"name\": \"you\"}}' | rings process dev"));
    Ok(())
}

fn write(path: &Path, content: &str) -> Result<(), ExitError> {
    let what = format!(
        "cannot write {}; check who owns the directory",
        path.display()
    );
    let write = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
        if path.file_name().is_some_and(|name| name == "build") {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    };
    write().context(ExitStatus::Usage, what)
}
