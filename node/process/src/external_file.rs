//! The keys of `service.yml` that are for external tasks.

use crate::{
    mistake::Notes,
    reader::{number, text, Keys},
    runners::{Retry, Runners},
    yaml::Yaml,
};

/// What is done when a try of an external task has failed.
pub(crate) fn retry(yaml: &Yaml, notes: &mut Notes) -> Option<Retry> {
    let mut keys = Keys::of(yaml, "retry", notes)?;
    let tries = keys.must("tries", notes);
    let tries = tries.and_then(|yaml| number(yaml, "tries", notes));
    let pause = keys.maybe("pause");
    let pause = pause.and_then(|yaml| number(yaml, "pause", notes));
    keys.end(notes);
    Some(Retry {
        pause: pause.unwrap_or_default(),
        tries: tries?,
    })
}

/// Who runs an external task.
pub(crate) fn runners(yaml: &Yaml, notes: &mut Notes) -> Option<Runners> {
    match text(yaml, "run", notes)?.as_str() {
        "one" => Some(Runners::One),
        "each" => Some(Runners::Each),
        other => {
            notes.add(yaml.at, format!("run is {other}; write one or each"));
            None
        }
    }
}
