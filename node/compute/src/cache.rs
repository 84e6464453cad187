//! Compiled modules on disk, so that a module is compiled once and not once per worker.
//!
//! The engine's own cache is not used: it does not check what it loads, so a flipped bit would be
//! executed. Here a file's name holds the sha2-256 of its content, which is compared before the file is
//! mapped. Files are mapped, not read, so that workers share their pages. Members on one machine may share a directory.
//!
//! Workers only read it. Files are written by separate compiler processes (`compile`).

use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};
use wasmtime::{Engine, Module};

/// Most files in the directory.
const MAX_FILES: usize = 1024;
/// Most bytes in the directory.
const MAX_BYTES: u64 = 1 << 30;
/// End of a cached file's name.
const EXTENSION: &str = "cwasm";
/// Start of the name of a file that is being written.
const TEMPORARY: &str = ".new-";
/// End of the name of the file that is locked while a module is compiled.
const LOCK: &str = "lock";
/// First and longest pause between two attempts to lock such a file.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// A file that was begun this long ago and is not complete belongs to a process that died.
const STALE: Duration = Duration::from_secs(3600);

/// Files begun by this process, so that two that are begun for one module have different names.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// A directory of compiled modules. Everything in it can be made again, so an error costs only time.
pub(crate) struct DiskCache {
    directory: PathBuf,
    /// The profile's hash, which is part of each file's name.
    profile: String,
}

impl DiskCache {
    /// The modules of one profile in a directory, which is made when it is missing.
    pub(crate) fn new(directory: &Path, profile: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            profile: hex::encode(&Sha256::digest(profile.as_bytes())[..8]),
        }
    }

    /// The compiled module, if it is there and unharmed.
    pub(crate) fn load(&self, engine: &Engine, module: Digest) -> Option<Module> {
        let path = self.find(module)?;
        self.open(engine, &path)
            .inspect_err(|error| report("a file is not used", &path, error.as_ref()))
            .ok()
    }

    /// Whether there is a file for the module. Its content is not looked at.
    pub(crate) fn has(&self, module: Digest) -> bool {
        self.find(module).is_some()
    }

    /// Removes a module's file after it was found to be unusable.
    pub(crate) fn forget(&self, module: Digest) {
        if let Some(path) = self.find(module) {
            remove(&path);
        }
    }

    /// Takes the right to compile the module, unless somebody has it, in this process or in another.
    pub(crate) fn lock(&self, module: Digest) -> Locking {
        let made = fs::create_dir_all(&self.directory);
        let path = self.directory.join(self.start(module) + LOCK);
        let file = match made.and_then(|()| File::create(&path)) {
            Ok(file) => file,
            Err(error) => return impossible(&path, &error),
        };
        match file.try_lock() {
            Ok(()) => Locking::Held(Lock { _file: file, path }),
            Err(TryLockError::WouldBlock) => Locking::Busy,
            Err(TryLockError::Error(error)) => impossible(&path, &error),
        }
    }

    /// Waits until nobody else compiles the module. `false` if that takes longer than `limit`.
    pub(crate) async fn wait(&self, module: Digest, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut pause = FIRST_LOOK;
        while matches!(self.lock(module), Locking::Busy) {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_LOOK.min(pause * 2);
        }
        true
    }

    /// Begins a file for the module.
    pub(crate) fn begin(&self, module: Digest) -> NewFile<'_> {
        let name = format!(
            "{TEMPORARY}{}-{}-{}{EXTENSION}",
            std::process::id(),
            BEGUN.fetch_add(1, Ordering::Relaxed),
            self.start(module)
        );
        let path = self.directory.join(name);
        NewFile {
            file: File::create(&path),
            hash: Sha256::new(),
            cache: self,
            module,
            path,
        }
    }

    /// The file of a module, whatever hash of its machine code stands in the name.
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
        format!("{}.{}.", hex::encode(module.0), self.profile)
    }

    #[allow(unsafe_code)] // Mapping machine code is always unsafe; see below.
    fn open(&self, engine: &Engine, path: &Path) -> Result<Module, BoxedError> {
        let mut file = File::open(path)?;
        let digest = hex::encode(hash(&mut file)?);
        if !name(path).is_some_and(|name| name.contains(&digest)) {
            return Err("its content does not fit its name".into());
        }
        file.rewind()?;
        touch(&file);
        // SAFETY: the bytes come from a compiler of this engine, in a process that ran no program. The name's checksum
        // was compared on this open file; files are never changed in place, only renamed and removed; and the engine
        // compares its version, settings and processor flags itself. Somebody who can write to the directory can
        // replace the node's own program file as well.
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

    /// All files of the cache. What cannot be read is left out: the cache may be cleared by anybody at any time.
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

/// A file on its way into the cache. A fault costs only time.
pub(crate) struct NewFile<'a> {
    cache: &'a DiskCache,
    module: Digest,
    path: PathBuf,
    file: io::Result<File>,
    hash: Sha256,
}

impl NewFile<'_> {
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
        let digest = hex::encode(std::mem::take(&mut self.hash).finalize());
        let name = format!("{}{digest}.{EXTENSION}", self.cache.start(self.module));
        let path = self.cache.directory.join(name);
        let file = std::mem::replace(&mut self.file, Err(io::ErrorKind::NotFound.into()));
        match file.and_then(|_| fs::rename(&self.path, path)) {
            Ok(()) => self.cache.prune(),
            Err(error) => report("nothing is kept", &self.path, &error),
        }
    }
}

/// A file that was not kept is removed.
impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The result of asking for a lock.
pub(crate) enum Locking {
    /// It is held.
    Held(Lock),
    /// Somebody else holds it.
    Busy,
    /// The directory cannot be written.
    Impossible,
}

/// The right to compile a module, until it is dropped.
pub(crate) struct Lock {
    _file: File,
    path: PathBuf,
}

/// The file is removed too. Another process that has the file open gets the lock of a file without a name. At worst it
/// compiles the module once more.
impl Drop for Lock {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn impossible(path: &Path, error: &dyn std::error::Error) -> Locking {
    report("nothing is kept", path, error);
    Locking::Impossible
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A file of the cache. The one that was not used for the longest time is removed first.
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

/// Marks a file as used now. If that fails, the file is only dropped earlier.
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

/// Writes to standard error. A worker's is logged by its parent.
fn report(what: &str, path: &Path, error: &dyn std::error::Error) {
    writeln!(
        io::stderr(),
        "cache of compiled modules: {what}: {}: {error}",
        path.display()
    )
    .ok();
}
