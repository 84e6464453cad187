//! Compiled modules on disk, so that a module is compiled once and not once per worker.
//!
//! The engine's own cache is not used: it does not check what it loads, so that a flipped bit would be
//! executed. Here a file's name carries the sha2-256 of its content, which is compared before a byte of it is
//! mapped. Files are mapped, not read, so that workers share their pages.

use crate::profile::{engine_id, hex};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use wasmtime::{Engine, Module};

/// Most files in the directory.
const MAX_FILES: usize = 1024;
/// Most bytes in the directory.
const MAX_BYTES: u64 = 1 << 30;
/// End of a cached file's name.
const EXTENSION: &str = "cwasm";
/// Begin of the name of a file that is being written.
const TEMPORARY: &str = ".new-";
/// A file that has been "being written" for so long belongs to a worker that died.
const STALE: Duration = Duration::from_secs(3600);

/// A directory of compiled modules. Nothing in here is needed: a fault costs only time.
pub(crate) struct DiskCache {
    directory: PathBuf,
    engine: String,
}

impl DiskCache {
    /// Uses a directory, which is made when it is missing.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            engine: hex(&Sha256::digest(engine_id().as_bytes())[..8]),
        }
    }

    /// The compiled module, if it is there and unharmed.
    pub(crate) fn load(&self, engine: &Engine, module: Digest) -> Option<Module> {
        let path = self.find(module)?;
        match self.open(engine, &path) {
            Ok(module) => Some(module),
            Err(error) => {
                report("a file was dropped", &path, error.as_ref());
                remove(&path);
                None
            }
        }
    }

    /// Keeps a compiled module, and gives it back as [`Self::load`] would; `None` if that did not work.
    pub(crate) fn store(
        &self,
        engine: &Engine,
        module: Digest,
        compiled: &Module,
    ) -> Option<Module> {
        let stored = compiled
            .serialize()
            .map_err(BoxedError::from)
            .and_then(|bytes| Ok(self.write(module, &bytes)?));
        match stored {
            Ok(path) => {
                self.prune();
                self.open(engine, &path).ok()
            }
            Err(error) => {
                report("nothing was kept", &self.directory, error.as_ref());
                None
            }
        }
    }

    fn find(&self, module: Digest) -> Option<PathBuf> {
        let (start, end) = (self.start(module), format!(".{EXTENSION}"));
        fs::read_dir(&self.directory)
            .ok()?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                name(path).is_some_and(|name| name.starts_with(&start) && name.ends_with(&end))
            })
    }

    fn start(&self, module: Digest) -> String {
        format!("{}.{}.", hex(&module.0), self.engine)
    }

    #[allow(unsafe_code)] // Mapping machine code is unsafe whatever one does; see below.
    fn open(&self, engine: &Engine, path: &Path) -> Result<Module, BoxedError> {
        let mut file = File::open(path)?;
        let digest = hex(&hash(&mut file)?);
        if !name(path).is_some_and(|name| name.contains(&digest)) {
            return Err("its content does not fit its name".into());
        }
        file.rewind()?;
        touch(&file);
        // SAFETY: the bytes are those that a worker of this engine wrote (the name's checksum was compared
        // on this open file, and files are never changed in place, only renamed and removed), and the engine
        // compares its version, settings and processor flags itself. Who can write to the
        // directory can already replace the node.
        Ok(unsafe { Module::deserialize_open_file(engine, file) }?)
    }

    fn write(&self, module: Digest, bytes: &[u8]) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.directory)?;
        let digest = hex(&Sha256::digest(bytes));
        let file = format!("{}{digest}.{EXTENSION}", self.start(module));
        let (path, temporary) = (
            self.directory.join(&file),
            self.directory
                .join(format!("{TEMPORARY}{}-{file}", std::process::id())),
        );
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            remove(&temporary);
        }
        written.map(|()| path)
    }

    /// Removes the files used longest ago until the rest is within bounds.
    fn prune(&self) {
        let mut files = self.files();
        files.sort_by_key(|file| std::cmp::Reverse(file.used));
        let mut bytes = 0u64;
        for (count, file) in files.iter().enumerate() {
            bytes = bytes.saturating_add(file.length);
            let unfinished = name(&file.path).is_some_and(|name| name.starts_with(TEMPORARY));
            let stale = unfinished && file.used.elapsed().is_ok_and(|age| age > STALE);
            if stale || (!unfinished && (count >= MAX_FILES || bytes > MAX_BYTES)) {
                remove(&file.path);
            }
        }
    }

    fn files(&self) -> Vec<CachedFile> {
        let entries = fs::read_dir(&self.directory);
        entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some(CachedFile {
                    path: entry.path(),
                    length: metadata.len(),
                    used: metadata.modified().ok()?,
                })
            })
            .filter(|file| name(&file.path).is_some_and(|name| name.ends_with(EXTENSION)))
            .collect()
    }
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

struct CachedFile {
    path: PathBuf,
    length: u64,
    used: SystemTime,
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Marks a file as used now. Without it the file is only dropped earlier.
fn touch(file: &File) {
    if let Err(error) = file.set_modified(SystemTime::now()) {
        report("cannot mark as used", Path::new(""), &error);
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        // Another worker has removed it already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => report("cannot remove", path, &error),
        Ok(()) => {}
    }
}

/// A worker's standard error is its parent's log.
fn report(what: &str, path: &Path, error: &dyn std::error::Error) {
    writeln!(
        io::stderr(),
        "cache of compiled modules: {what}: {}: {error}",
        path.display()
    )
    .ok();
}
