//! Definitions from files: `service.yml` and `process.yml`, with the programs and the services that they name.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    run::content::Content,
};
use cid::Cid;
use rings_compute::{check_module, MAX_MODULE_BYTES};
use rings_process::{
    document::Document, mistake::Mistakes, plan::Plan, process_file::ProcessDraft,
    service::Service, service_file::ServiceDraft,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name of a service's file, where a directory is named.
pub const SERVICE_FILE: &str = "service.yml";
/// The name of a process's file, where a directory is named.
pub const PROCESS_FILE: &str = "process.yml";

/// Services that depend on each other in a row, at most.
const MAX_DEEP: usize = 16;

/// A service, with the programs of its tasks.
#[derive(Debug)]
pub struct LoadedService {
    /// The definition.
    pub service: Service,
    /// The service hash.
    pub cid: Cid,
    /// The programs, by their CIDs.
    pub programs: BTreeMap<Cid, Content>,
    /// The file, and those that it names.
    pub files: Vec<PathBuf>,
    /// The services on which it depends, directly or not, that are here as files; each stands behind those that it needs itself.
    pub needs: Vec<Needed>,
}

/// A service with its programs, without those on which it depends.
#[derive(Debug)]
pub struct Needed {
    /// The definition.
    pub service: Service,
    /// The service hash.
    pub cid: Cid,
    /// The programs, by their CIDs.
    pub programs: BTreeMap<Cid, Content>,
}

/// A process, with its services and their programs.
#[derive(Debug)]
pub struct LoadedProcess {
    /// The process, ready to run.
    pub plan: Arc<Plan>,
    /// The programs, by their CIDs.
    pub programs: BTreeMap<Cid, Content>,
    /// All files that it was read from.
    pub files: Vec<PathBuf>,
}

/// Why a definition was not read.
#[derive(Debug)]
pub enum NotLoaded {
    /// A person got something wrong in it.
    Wrong(Mistakes),
    /// A file cannot be read.
    Unread(ExitError),
}

impl From<ExitError> for NotLoaded {
    fn from(error: ExitError) -> Self {
        Self::Unread(error)
    }
}

impl From<Mistakes> for NotLoaded {
    fn from(mistakes: Mistakes) -> Self {
        Self::Wrong(mistakes)
    }
}

impl NotLoaded {
    /// Tells each mistake on a line of its own, and gives the failure of the command.
    pub fn tell(self, out: Out) -> ExitError {
        match self {
            Self::Unread(error) => error,
            Self::Wrong(mistakes) => {
                mistakes.0.iter().for_each(|mistake| out.warn(mistake));
                ExitError::said(ExitStatus::Usage)
            }
        }
    }
}

/// The file itself, or the one of this name in the directory.
pub fn in_directory(path: &Path, name: &str) -> PathBuf {
    match path.is_dir() {
        true => path.join(name),
        false => path.to_owned(),
    }
}

fn read(path: &Path) -> Result<String, ExitError> {
    let what = format!("cannot read {}; check the path", path.display());
    fs::read_to_string(path).context(ExitStatus::Usage, what)
}

/// Reads a service, the programs beside it, and the services on which it depends.
///
/// # Errors
/// What is wrong with it.
pub async fn service(path: &Path) -> Result<LoadedService, NotLoaded> {
    let mut reader = Reader::default();
    let Needed {
        service,
        cid,
        programs,
    } = reader.read(in_directory(path, SERVICE_FILE)).await?;
    Ok(LoadedService {
        service,
        cid,
        programs,
        files: reader.files,
        needs: reader.needs,
    })
}

/// Reads a service and those on which it depends, each file once.
#[derive(Default)]
struct Reader {
    /// All files that were read.
    files: Vec<PathBuf>,
    /// The services that are being read: each depends on the next.
    above: Vec<PathBuf>,
    /// Those that were read.
    done: BTreeMap<PathBuf, Cid>,
    /// The same, without the first of all, each behind those that it needs itself.
    needs: Vec<Needed>,
}

impl Reader {
    async fn read(&mut self, path: PathBuf) -> Result<Needed, NotLoaded> {
        let mut draft = ServiceDraft::read(&path.display().to_string(), &read(&path)?)?;
        let beside = path.parent().unwrap_or(Path::new(".")).to_owned();
        self.files.push(path.clone());
        self.above
            .push(path.canonicalize().unwrap_or_else(|_| path.clone()));
        let mut depends: BTreeMap<String, Result<Cid, String>> = BTreeMap::new();
        for named in draft.depends() {
            let file = in_directory(&beside.join(named), SERVICE_FILE);
            let needed = match refused(&file, &self.above) {
                Some(what) => Err(what),
                None => Ok(Box::pin(self.need(file)).await?),
            };
            depends.insert(named.to_owned(), needed);
        }
        self.above.pop();
        draft.resolve(|named| match depends.get(named) {
            Some(needed) => needed.clone(),
            None => Err(format!("{named} was not read")),
        });
        let mut found: BTreeMap<String, Result<Content, String>> = BTreeMap::new();
        for (_, named) in draft.programs() {
            let file = beside.join(named);
            if !found.contains_key(named) {
                found.insert(named.to_owned(), program(&file).await);
                self.files.push(file);
            }
        }
        let service = draft.finish(|named| match found.get(named) {
            Some(Ok(content)) => Ok(content.cid()),
            Some(Err(what)) => Err(what.clone()),
            None => Err(format!("{named} was not read")),
        })?;
        let programs = found.into_values().flatten();
        let cid = service
            .cid()
            .map_err(|error| ExitError::usage(error.to_string()))?;
        Ok(Needed {
            service,
            cid,
            programs: programs.map(|content| (content.cid(), content)).collect(),
        })
    }

    /// A service on which another one depends.
    async fn need(&mut self, file: PathBuf) -> Result<Cid, NotLoaded> {
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        if let Some(cid) = self.done.get(&real) {
            return Ok(*cid);
        }
        let needed = self.read(file).await?;
        let cid = needed.cid;
        self.done.insert(real, cid);
        self.needs.push(needed);
        Ok(cid)
    }
}

/// Why a dependency is not read.
fn refused(file: &Path, above: &[PathBuf]) -> Option<String> {
    let shown = file.display();
    let Ok(real) = file.canonicalize() else {
        return Some(format!(
            "there is no service {shown}; name a {SERVICE_FILE}, its directory, or a service hash"
        ));
    };
    if let Some(place) = above.iter().position(|path| *path == real) {
        let way: Vec<_> = above[place..].iter().chain([&real]).collect();
        let way: Vec<_> = way.iter().map(|path| path.display().to_string()).collect();
        return Some(format!(
            "a service cannot depend on itself, and this leads back: {}; remove one of these dependencies",
            way.join(" needs ")
        ));
    }
    (above.len() >= MAX_DEEP).then(|| {
        format!("more than {MAX_DEEP} services depend on each other in a row; name {shown} by its service hash")
    })
}

/// A program, or what is wrong with it.
async fn program(path: &Path) -> Result<Content, String> {
    let shown = path.display();
    let length = match fs::metadata(path) {
        Ok(kind) if kind.is_file() => kind.len(),
        _ => {
            return Err(format!(
                "there is no program {shown}; build it, or correct the path"
            ))
        }
    };
    if length > MAX_MODULE_BYTES as u64 {
        return Err(format!(
            "{shown} has more than {MAX_MODULE_BYTES} bytes; strip the program"
        ));
    }
    let bytes = fs::read(path)
        .map_err(|error| format!("cannot read {shown}: {error}; check who owns it"))?;
    check_module(&bytes).map_err(|error| format!("{shown}: {error}"))?;
    let content = Content::memory(&shown.to_string(), bytes).await;
    content.map_err(|error| error.to_string())
}

/// Reads a process, its services, and their programs.
///
/// # Errors
/// What is wrong with one of them.
pub async fn process(path: &Path) -> Result<LoadedProcess, NotLoaded> {
    let path = in_directory(path, PROCESS_FILE);
    let draft = ProcessDraft::read(&path.display().to_string(), &read(&path)?)?;
    let beside = path.parent().unwrap_or(Path::new(".")).to_owned();
    let mut files = vec![path.clone()];
    let mut services: BTreeMap<String, LoadedService> = BTreeMap::new();
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    for (_, named) in draft.services() {
        let file = in_directory(&beside.join(named), SERVICE_FILE);
        if services.contains_key(named) {
            continue;
        }
        match file.exists() {
            true => {
                let loaded = service(&file).await?;
                files.extend(loaded.files.iter().cloned());
                services.insert(named.to_owned(), loaded);
            }
            false => {
                let what = format!(
                    "there is no service {}; name a {SERVICE_FILE}, or its directory",
                    file.display()
                );
                missing.insert(named.to_owned(), what);
            }
        }
    }
    let plan = draft.finish(|named| match (services.get(named), missing.remove(named)) {
        (Some(loaded), _) => Ok(loaded.service.clone()),
        (None, Some(what)) => Err(what),
        (None, None) => Err(format!("{named} was not read")),
    })?;
    let programs = services.into_values().flat_map(|loaded| loaded.programs);
    Ok(LoadedProcess {
        plan: Arc::new(plan),
        programs: programs.collect(),
        files,
    })
}
