//! Figures, and how they are shown.
//!
//! A [`Row`] is one figure with its unit and, where there is one, its target: the most or the least that it should be.
//! A [`BenchReport`] shows all rows as a table for people, and as JSON for programs. Targets are ratios to a bound that
//! was measured in the same run wherever possible, because times differ from machine to machine.

use crate::{exit::ExitError, out::Out};
use serde::Serialize;
use std::{fmt, time::Duration};

/// All rows of one run.
#[derive(Debug, Default, Serialize)]
pub struct BenchReport {
    rows: Vec<Row>,
}

/// One figure, and its target.
#[derive(Debug, Serialize)]
pub struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    /// The most, or with `atLeast` the least, that it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    #[serde(rename = "atLeast", skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
}

impl Row {
    /// A time, in milliseconds; `target` is the most it should be.
    pub fn time(what: impl Into<String>, value: Duration, target: Option<f64>) -> Self {
        Self::number(what, milliseconds(value), "ms", target)
    }

    /// A number; `target` is the most it should be.
    pub fn number(
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<f64>,
    ) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            target,
            at_least: false,
        }
    }

    /// A number that should be at least `target`.
    pub fn at_least(what: impl Into<String>, value: f64, unit: &'static str, target: f64) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            target: Some(target),
            at_least: true,
        }
    }

    fn verdict(&self) -> String {
        let Some(target) = self.target else {
            return String::new();
        };
        let (met, word) = match self.at_least {
            true => (self.value >= target, "at least"),
            false => (self.value <= target, "at most"),
        };
        format!("{} {word} {target}", if met { "ok:  " } else { "MISS:" })
    }
}

impl BenchReport {
    /// Shows it, as JSON or as a table.
    pub fn show(&self, json: bool, out: Out) -> Result<(), ExitError> {
        match json {
            true => out.json(self),
            false => out.bytes(self.to_string().as_bytes()),
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|row| row.what.len())
            .max()
            .unwrap_or_default();
        for row in &self.rows {
            let line = format!(
                "{:width$} {:>10.2} {:11} {}",
                row.what,
                row.value,
                row.unit,
                row.verdict()
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The median; zero when there are no values.
pub fn median(times: &[Duration]) -> Duration {
    quantile(times, 0.5)
}

/// The time below which this part of all values lies; zero when there are no values.
pub fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let times: Vec<_> = (1..=11).rev().map(Duration::from_secs).collect();
        assert_eq!(median(&times), Duration::from_secs(6));
        assert_eq!(quantile(&times, 0.9), Duration::from_secs(10));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn targets_that_are_missed_are_said() {
        let rows = [
            Row::time("a", Duration::from_millis(90), Some(80.0)),
            Row::at_least("b", 51.0, "a second", 50.0),
        ];
        let report = BenchReport { rows: rows.into() }.to_string();
        assert!(
            report.contains("MISS: at most 80") && report.contains("ok:   at least 50"),
            "{report}"
        );
    }
}
