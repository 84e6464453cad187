//! Compiled modules on disk, so that a module is compiled once and not once per worker.
//!
//! The engine's own cache is not used: it does not check what it loads, so that a flipped bit would be
//! executed. Here a file's name carries the sha2-256 of its content, which is compared before a byte of it is
//! mapped. Files are mapped, not read, so that workers share their pages. Members on one machine may share a directory.
//!
//! Workers only read it. What is written comes from a compiler of its own (`compile`).

use crate::profile::{engine_id, hex};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, TryLockError},
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
/// End of the name of a file that is held by who compiles a module.
const LOCK: &str = "lock";
/// First and longest pause between two looks at such a file.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(50);
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
        self.open(engine, &path)
            .inspect_err(|error| report("a file is not used", &path, error.as_ref()))
            .ok()
    }

    /// Whether there is a file for the module; nothing is said about what is in it.
    pub(crate) fn has(&self, module: Digest) -> bool {
        self.find(module).is_some()
    }

    /// Removes the file of a module, which was found not to be usable.
    pub(crate) fn forget(&self, module: Digest) {
        if let Some(path) = self.find(module) {
            remove(&path);
        }
    }

    /// Waits until nobody else compiles the module, in this process or in another; `None` if the directory cannot be written.
    pub(crate) async fn lock(&self, module: Digest) -> Option<Lock> {
        let made = fs::create_dir_all(&self.directory);
        let path = self.directory.join(self.start(module) + LOCK);
        let file = made.and_then(|()| File::create(&path));
        let file = file.inspect_err(|error| report("nothing is kept", &path, error));
        let lock = Lock {
            file: file.ok()?,
            path,
        };
        let mut pause = FIRST_LOOK;
        loop {
            match lock.file.try_lock() {
                Ok(()) => return Some(lock),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(pause).await,
                Err(TryLockError::Error(error)) => {
                    report("nothing is kept", &lock.path, &error);
                    return None;
                }
            }
            pause = LONGEST_LOOK.min(pause * 2);
        }
    }

    /// Begins a file for the module.
    pub(crate) fn begin(&self, module: Digest) -> Entry<'_> {
        let name = format!(
            "{TEMPORARY}{}-{}{EXTENSION}",
            std::process::id(),
            self.start(module)
        );
        let path = self.directory.join(name);
        Entry {
            file: File::create(&path),
            hash: Sha256::new(),
            cache: self,
            module,
            path,
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
        // SAFETY: the bytes are those that a compiler of this engine gave, in a process that ran no program (the name's
        // checksum was compared on this open file, and files are never changed in place, only renamed and
        // removed), and the engine compares its version, settings and processor flags itself. Who can write
        // to the directory can already replace the node.
        Ok(unsafe { Module::deserialize_open_file(engine, file) }?)
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

/// A file on its way into the cache. What fails costs only time.
pub(crate) struct Entry<'a> {
    cache: &'a DiskCache,
    module: Digest,
    path: PathBuf,
    file: io::Result<File>,
    hash: Sha256,
}

impl Entry<'_> {
    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        let Ok(file) = &mut self.file else {
            return;
        };
        if let Err(error) = file.write_all(bytes) {
            self.file = Err(error);
        }
    }

    /// Puts the file in its place, and makes room for it.
    pub(crate) fn keep(mut self) {
        let digest = hex(&std::mem::take(&mut self.hash).finalize());
        let name = format!("{}{digest}.{EXTENSION}", self.cache.start(self.module));
        let path = self.cache.directory.join(name);
        let file = std::mem::replace(&mut self.file, Err(io::ErrorKind::NotFound.into()));
        match file.and_then(|_| fs::rename(&self.path, path)) {
            Ok(()) => self.cache.prune(),
            Err(error) => report("nothing is kept", &self.path, &error),
        }
    }
}

/// What was not kept goes.
impl Drop for Entry<'_> {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The right to compile a module, until it is dropped.
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

/// The file goes too. Who has it open already waits for nobody, and at worst compiles once more.
impl Drop for Lock {
    fn drop(&mut self) {
        remove(&self.path);
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

/// A worker's standard error is its parent's log, and so is a parent's.
fn report(what: &str, path: &Path, error: &dyn std::error::Error) {
    writeln!(
        io::stderr(),
        "cache of compiled modules: {what}: {}: {error}",
        path.display()
    )
    .ok();
}
