//! Events that are logs of contracts: which logs they are, and how their data are read.
//!
//! A service names the contract, the log as Solidity declares it, and a formula that chooses among them. Everybody reads the
//! same data out of the same log: each parameter that the event's `data` name, by its kind. A number is an integer, or, where
//! the shape of the field is a text, a text in decimal; addresses have their checksums; bytes are hexadecimal.

use crate::{
    abi::{Declaration, Kind},
    data::Fields,
    selection::{OriginFault, Selection},
    shape::Record,
};
use rings_protocol::{Address, Digest};
use serde::{Deserialize, Serialize};

/// Blocks on top of a log before it is an event, unless the service says otherwise.
pub const CONFIRMATIONS: u64 = 12;
/// Most blocks that a service can wait for.
pub const MAX_CONFIRMATIONS: u64 = 10_000;

/// Where the events of a kind come from: the logs of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Blocks on top of a log before it is an event; [`CONFIRMATIONS`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u64>,
    /// The contract that emits it.
    pub contract: Address,
    /// The log, as Solidity declares it, such as `Paid(address indexed by, uint256 cents)`.
    pub log: String,
    /// A formula over `event` that is true for those that count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
}

/// What reads the events of a kind from logs.
#[derive(Debug)]
pub struct LogReader {
    /// The contract.
    pub contract: Address,
    /// The first topic of its logs.
    pub topic: Digest,
    /// Blocks on top.
    pub confirmations: u64,
    declaration: Declaration,
    /// The fields that are read, and whether each is a text.
    fields: Vec<(String, bool)>,
    selection: Selection,
}

/// The blocks that are waited for.
///
/// # Errors
/// When they are too many.
pub(crate) fn confirmations(asked: Option<u64>) -> Result<u64, OriginFault> {
    match asked.unwrap_or(CONFIRMATIONS) {
        blocks if blocks > MAX_CONFIRMATIONS => {
            let what = format!("{blocks} blocks; at most {MAX_CONFIRMATIONS} are waited for");
            Err(("confirmations", what))
        }
        blocks => Ok(blocks),
    }
}

impl Origin {
    /// What reads the logs, for events with these data.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reader(&self, data: &Record) -> Result<LogReader, OriginFault> {
        let declaration = Declaration::read(&self.log).map_err(|what| ("log", what))?;
        let mut fields = Vec::new();
        for (name, shape) in data.iter() {
            let parameter = declaration.parameter(name).ok_or_else(|| {
                let what = format!(
                    "the log has no parameter {name}, which the data name; it has {}",
                    declaration.names()
                );
                ("log", what)
            })?;
            if parameter.is_hashed() {
                let what = format!("{name} is indexed and of variable length, so the chain has its hash only; leave it out of the data");
                return Err(("log", what));
            }
            let kinds = shape.kinds();
            let fitting: &[&str] = match parameter.kind {
                Kind::Uint | Kind::Int => &["integer", "string"],
                Kind::Bool => &["boolean"],
                Kind::Address | Kind::Fixed(_) | Kind::Bytes | Kind::Text => &["string"],
            };
            let fits = fitting.iter().find(|kind| kinds.contains(*kind));
            let fits = fits.ok_or_else(|| {
                let what = format!(
                    "{name} of the log is {}, so its shape in the data has to be {}",
                    parameter.kind,
                    fitting.join(" or ")
                );
                ("log", what)
            })?;
            fields.push((name.to_owned(), *fits == "string"));
        }
        Ok(LogReader {
            contract: self.contract,
            topic: declaration.topic(),
            confirmations: confirmations(self.confirmations)?,
            selection: Selection::new(data, self.choice.as_deref(), "log")?,
            declaration,
            fields,
        })
    }
}

impl LogReader {
    /// The data of the event that a log is; nothing if it is not chosen.
    ///
    /// # Errors
    /// Why the log is none, in words: it is left out, for everybody alike.
    pub fn read(&self, topics: &[Digest], data: &[u8]) -> Result<Option<Fields>, String> {
        let values = self.declaration.decode(topics, data)?;
        let mut fields = Fields::new();
        for (name, as_text) in &self.fields {
            let Some(value) = values.get(name) else {
                return Err(format!("it has no {name}"));
            };
            let value = value.to_data(*as_text);
            let value = value.ok_or_else(|| {
                format!("{name} is beyond 64 bits; make its shape a text (string)")
            })?;
            fields.insert(name.clone(), value);
        }
        self.selection.choose(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;

    fn origin(choice: Option<&str>) -> Origin {
        Origin {
            confirmations: Some(0),
            contract: Address([1; 20]),
            log: "Paid(address indexed by, uint256 cents)".into(),
            choice: choice.map(Into::into),
        }
    }

    fn word(last: u8) -> Digest {
        let mut word = [0; 32];
        word[31] = last;
        Digest(word)
    }

    #[test]
    fn a_log_is_read_as_the_data_say_and_the_formula_chooses() {
        let data = Record::of_kinds(&[("by", "string"), ("cents", "integer")]);
        let reader = origin(Some("event.cents > 100")).reader(&data).unwrap();
        let topics = [reader.topic, word(7)];
        let read = reader.read(&topics, &word(200).0).unwrap().unwrap();
        assert_eq!(read["cents"], Data::Int(200));
        assert_eq!(
            read["by"],
            Data::from("0x0000000000000000000000000000000000000007")
        );
        assert_eq!(reader.read(&topics, &word(100).0).unwrap(), None);
        let huge = [0xff; 32];
        assert!(reader.read(&topics, &huge).unwrap_err().contains("64 bits"));
        let text = Record::of_kinds(&[("cents", "string")]);
        let reader = origin(None).reader(&text).unwrap();
        let read = reader.read(&topics, &huge).unwrap().unwrap();
        assert_eq!(
            read["cents"],
            Data::from(
                "115792089237316195423570985008687907853269984665640564039457584007913129639935"
            )
        );
    }

    #[test]
    fn what_does_not_fit_is_told_when_the_service_is_made() {
        for (fields, choice, told) in [
            (
                &[("amount", "integer")][..],
                None,
                "no parameter amount, which the data name; it has by, cents",
            ),
            (&[("by", "integer")], None, "has to be string"),
            (&[("cents", "integer")], Some("price > 1"), "only event is"),
            (&[("cents", "integer")], Some("event.cents >"), ""),
        ] {
            let fault = origin(choice)
                .reader(&Record::of_kinds(fields))
                .unwrap_err();
            assert!(fault.1.contains(told), "{fault:?}");
        }
    }
}
