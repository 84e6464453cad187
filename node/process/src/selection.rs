//! Which of the things that a source brings are events: those whose data have the declared shape, and for which a formula is true.

use crate::{
    data::{Data, Fields},
    formula::Formula,
    reference::EVENT,
    shape::{Checker, Record},
};

/// What is wrong with a source of events: the key, and what to do.
pub type OriginFault = (&'static str, String);

/// What chooses events among what a source brings.
#[derive(Debug)]
pub(crate) struct Selection {
    checker: Checker,
    choice: Option<Formula>,
}

impl Selection {
    /// For events with these data, by a formula over `event`. `key` is the key of the source to which a fault of the shapes
    /// belongs.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn new(
        data: &Record,
        choice: Option<&str>,
        key: &'static str,
    ) -> Result<Self, OriginFault> {
        let checker = data.checker().map_err(|error| (key, error.what))?;
        let choice = choice.map(formula).transpose()?;
        Ok(Self { checker, choice })
    }

    /// The same data, if they are chosen.
    ///
    /// # Errors
    /// Why they are no event, in words: it is left out, for everybody alike.
    pub(crate) fn choose(&self, fields: Fields) -> Result<Option<Fields>, String> {
        self.checker
            .check(&fields)
            .map_err(|misfit| misfit.to_string())?;
        let Some(choice) = &self.choice else {
            return Ok(Some(fields));
        };
        let known = Fields::from([(EVENT.to_owned(), Data::Map(fields.clone()))]);
        match choice.evaluate(&known) {
            Ok(Data::Bool(true)) => Ok(Some(fields)),
            Ok(Data::Bool(false)) => Ok(None),
            Ok(other) => Err(format!(
                "where gives {}, and not true or false",
                other.kind()
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn formula(text: &str) -> Result<Formula, OriginFault> {
    let formula = Formula::compile(text).map_err(|error| ("where", error.to_string()))?;
    let strange = formula.references().iter();
    let strange = strange
        .map(ToString::to_string)
        .find(|name| name != EVENT && !name.starts_with("event."));
    match strange {
        Some(name) => Err(("where", format!("{name} is not known here; only event is"))),
        None => Ok(formula),
    }
}
