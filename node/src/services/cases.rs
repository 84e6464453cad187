//! The cases of a service: inputs of a task and the answer that is expected, in files beside `service.yml`.
//!
//! `cases/NAME.json` is `{"task": …, "inputs": {…}, "answer": {"status": …, "outputs": {…}}}`. An input that is a file is named
//! as `@PATH`, from the directory of the service.

use super::{
    load::LoadedService,
    local::{Files, LocalDesk},
};
use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    run::content::Content,
};
use rings_process::{
    data::Fields,
    document::cid_of,
    execution::{Answer, Execution, VERSION},
    files,
    service::Task,
};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The directory of the cases, beside the service.
const DIRECTORY: &str = "cases";
/// Cases that are run at most.
const MAX_CASES: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    task: String,
    inputs: Fields,
    answer: Answer,
}

/// Runs all cases of a service, and gives their number.
///
/// # Errors
/// Status 1 when an answer is another one, 2 when a case cannot be read.
pub async fn run(loaded: LoadedService, path: &Path, out: Out) -> Result<usize, ExitError> {
    let beside = path.parent().unwrap_or(Path::new(".")).to_owned();
    let found = found(&beside.join(DIRECTORY))?;
    if found.is_empty() {
        return Ok(0);
    }
    let LoadedService {
        service, programs, ..
    } = loaded;
    let programs = programs
        .into_iter()
        .map(|(cid, content)| (cid, Arc::new(content)));
    let programs: Files = programs.collect();
    let desk = LocalDesk::open().await?;
    let mut wrong = 0;
    for file in &found {
        let what = format!("cannot read {}; check the path", file.display());
        let text = fs::read_to_string(file).context(ExitStatus::Usage, what)?;
        let case: Case = serde_json::from_str(&text)
            .map_err(|error| ExitError::usage(format!("{} is no case: {error}", file.display())))?;
        let task = service.tasks.get(&case.task).ok_or_else(|| {
            ExitError::usage(format!(
                "{}: the service has no task {}",
                file.display(),
                case.task
            ))
        })?;
        if let Err(what) = one(&desk, (task, case), &programs, &beside).await? {
            wrong += 1;
            out.warn(format_args!("{}: {what}", file.display()));
        }
    }
    desk.close().await;
    match wrong {
        0 => Ok(found.len()),
        _ => Err(ExitError::internal(format!(
            "{wrong} of {} cases give another answer",
            found.len()
        ))),
    }
}

/// The files of the cases, in the order of their names.
fn found(directory: &Path) -> Result<Vec<PathBuf>, ExitError> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(Vec::new());
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort();
    match paths.len() > MAX_CASES {
        true => Err(ExitError::usage(format!(
            "{} has more than {MAX_CASES} cases; use fewer",
            directory.display()
        ))),
        false => Ok(paths),
    }
}

/// Runs one case; the inner error says what is wrong with the answer.
async fn one(
    desk: &LocalDesk,
    (task, mut case): (&Task, Case),
    programs: &Files,
    beside: &Path,
) -> Result<Result<(), String>, ExitError> {
    let mut known = programs.clone();
    let mut paths = Vec::new();
    files::visit(&task.inputs, &mut case.inputs, &mut |text| {
        paths.extend(text.strip_prefix('@').map(|path| beside.join(path)))
    });
    for path in paths {
        let content = Content::path(&path).await?;
        let cid = content.cid();
        known.insert(cid, Arc::new(content));
        // A task has one file at most.
        files::visit(&task.inputs, &mut case.inputs, &mut |text| {
            *text = cid.to_string()
        });
    }
    let checked = task
        .inputs
        .checker()
        .map_err(|error| ExitError::usage(error.to_string()))?;
    if let Err(misfit) = checked.check(&case.inputs) {
        return Ok(Err(format!("input {misfit}")));
    }
    let nowhere = cid_of(b"");
    let execution = Execution {
        awaits: None,
        each: None,
        event: nowhere,
        inputs: case.inputs,
        node: "case".into(),
        parents: Vec::new(),
        process: nowhere,
        service: nowhere,
        task: case.task,
        version: VERSION,
    };
    let bytes = match desk.run(task, &execution, &known, &Fields::new()).await? {
        Ok(bytes) => bytes,
        Err(reason) => return Ok(Err(reason)),
    };
    let shown = String::from_utf8_lossy(&bytes);
    let answer: Answer = match serde_json::from_slice(&bytes) {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(format!("its output is no answer ({error}): {shown}"))),
    };
    let fits = task
        .checkers()
        .ok()
        .and_then(|checkers| Some(checkers.get(&answer.status)?.check(&answer.outputs)));
    match fits {
        Some(Ok(())) if answer == case.answer => Ok(Ok(())),
        Some(Err(misfit)) => Ok(Err(format!("its output {misfit}"))),
        None => Ok(Err(format!(
            "its status {} is none of the task's",
            answer.status
        ))),
        Some(Ok(())) => Ok(Err(format!("it answers {shown}"))),
    }
}
