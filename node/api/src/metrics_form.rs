//! The two text forms of metrics: that of Prometheus, which is the default, and OpenMetrics for those who ask for it.
//!
//! A member writes its metrics as OpenMetrics. The older form differs in what is used here by a few comment lines only: a
//! counter's `# TYPE` and `# HELP` name it with its suffix `_total`, and there is neither `# UNIT` nor `# EOF`.

use http::{header, HeaderMap};

/// The name of OpenMetrics in `Accept`.
const OPEN_NAME: &str = "application/openmetrics-text";
/// Content types of the answers.
const OPEN_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What the name of a counter ends with in both forms.
const TOTAL: &str = "_total";

/// A text form of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricsForm {
    /// `text/plain; version=0.0.4`
    Plain,
    /// OpenMetrics 1.0.0
    Open,
}

impl MetricsForm {
    /// The form that the caller likes best; without a wish, the one that everything reads.
    pub(super) fn asked(headers: &HeaderMap) -> Self {
        let (mut open, mut plain) = (0, 0);
        let values = headers.get_all(header::ACCEPT).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let quality = quality.map_or(1000, thousandths);
            match name.as_str() {
                OPEN_NAME => open = quality.max(open),
                "text/plain" | "text/*" => plain = quality.max(plain),
                _ => {}
            }
        }
        match open > 0 && open >= plain {
            true => Self::Open,
            false => Self::Plain,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Plain => PLAIN_TYPE,
            Self::Open => OPEN_TYPE,
        }
    }

    /// OpenMetrics text in this form.
    pub(super) fn text(self, open: String) -> String {
        match self {
            Self::Open => open,
            Self::Plain => plain(&open),
        }
    }
}

/// A quality from 0 to 1, in thousandths; what is no number counts as nothing.
fn thousandths(text: &str) -> u32 {
    let quality: f64 = text.trim().parse().unwrap_or_default();
    // Within bounds after the clamp.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u32;
    thousandths
}

/// OpenMetrics as the older text format of Prometheus: counters are named with `_total` in their comments too, and units
/// and the end mark are left out.
fn plain(open: &str) -> String {
    let lines: Vec<&str> = open.lines().collect();
    let counters: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open.len());
    for line in lines {
        let comment = line
            .strip_prefix("# ")
            .and_then(|rest| rest.split_once(' '));
        match comment {
            Some((kind @ ("HELP" | "TYPE"), rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let total = if counters.contains(&name) { TOTAL } else { "" };
                text.push_str(&format!("# {kind} {name}{total} {rest}\n"));
            }
            Some(("UNIT", _)) => {}
            _ if line == "# EOF" => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str) -> MetricsForm {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        MetricsForm::asked(&headers)
    }

    #[test]
    fn the_form_is_the_one_that_is_asked_for() {
        use MetricsForm::{Open, Plain};
        assert_eq!(MetricsForm::asked(&HeaderMap::new()), Plain);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3";
        for (accept, form) in [
            ("*/*", Plain),
            ("text/plain", Plain),
            ("application/openmetrics-text", Open),
            ("application/openmetrics-text;q=0", Plain),
            (
                "application/openmetrics-text;q=0.2, text/plain;q=0.9",
                Plain,
            ),
            (prometheus, Open),
        ] {
            assert_eq!(asked(accept), form, "{accept}");
        }
    }

    #[test]
    fn the_older_form_names_counters_by_their_whole_name() {
        let open = "# HELP rings_votes Votes signed.\n# TYPE rings_votes counter\nrings_votes_total 3\n# HELP rings_block Block.\n# TYPE rings_block gauge\n# UNIT rings_block blocks\nrings_block 7\n# EOF\n";
        let expected = "# HELP rings_votes_total Votes signed.\n# TYPE rings_votes_total counter\nrings_votes_total 3\n# HELP rings_block Block.\n# TYPE rings_block gauge\nrings_block 7\n";
        assert_eq!(plain(open), expected);
        assert_eq!(MetricsForm::Open.text(open.into()), open);
    }
}
