//! Who runs an external task, how often it is tried, and the names that its definition uses.

use serde::{Deserialize, Serialize};

/// The root under which `with` names the inputs.
pub const INPUTS: &str = "inputs";
/// The root under which `with` names the values of the configuration.
pub const CONFIG: &str = "config";
/// With [`Runners::Each`]: the output that has what each member saw, in the order of their addresses.
pub const SEEN: &str = "seen";
/// With [`Runners::Each`]: the output that has these members.
pub const BY: &str = "by";

/// The connector that every member has built in: a question to a web page.
pub const HTTP: &str = "http";
/// Its status when the page answers with what was asked for.
pub const HTTP_OK: &str = "ok";
/// Its status when the page refuses.
pub const HTTP_REFUSED: &str = "refused";
/// Its output with the status code.
pub const HTTP_CODE: &str = "code";
/// Its output with the content.
pub const HTTP_BODY: &str = "body";

/// Who runs an external task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runners {
    /// One member; when it is silent, the next one.
    #[default]
    One,
    /// All members.
    Each,
}

/// What is done when a try of an external task has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Seconds before the second try; each further pause is twice as long.
    pub pause: u64,
    /// How often it is tried in all.
    pub tries: u64,
}
