//! Which form of content a request asks for: the query and the `Accept` header, as the trustless gateway specification
//! defines them.
//!
//! A [`Format`] is the plain file, one block, an archive, or an archive of one block. The query (`format`, `dag-scope`,
//! …) comes before the header. A form that other gateways serve and this one does not gets a refusal that says what to
//! ask for instead.

use super::reply::Refusal;
use http::{header, HeaderMap, StatusCode};
use serde::Deserialize;

/// Media type of one block.
pub(super) const RAW_TYPE: &str = "application/vnd.ipld.raw";
/// Media type of an archive.
pub(super) const CAR_TYPE: &str = "application/vnd.ipld.car";
/// Media type of an archive in answers: with the version and the order of blocks, and that no block comes twice.
pub(super) const CAR_TYPE_FULL: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=n";
/// Forms of content that other gateways serve and this one does not.
const OTHER_FORMS: [&str; 4] = [
    "application/vnd.ipld.",
    "application/vnd.ipfs.",
    "application/x-tar",
    "application/vnd.curl.car",
];

/// How content is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The bytes of the UnixFS file.
    File,
    /// One block.
    Raw,
    /// The block and all below it, as CARv1.
    Car,
    /// The block alone, as CARv1.
    CarOfBlock,
}

/// The query of `/ipfs/{cid}`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FormatQuery {
    format: Option<String>,
    #[serde(rename = "dag-scope")]
    dag_scope: Option<String>,
    #[serde(rename = "entity-bytes")]
    entity_bytes: Option<String>,
}

impl FormatQuery {
    /// The form that query and headers ask for; the query wins.
    pub(super) fn resolve(&self, headers: &HeaderMap) -> Result<Format, Refusal> {
        let format = match self.format.as_deref() {
            Some("raw") => Format::Raw,
            Some("car") => Format::Car,
            Some(other) => return Err(unsupported(other)),
            None => accepted(headers)?,
        };
        match format {
            Format::Car => self.scope(),
            other => Ok(other),
        }
    }

    fn scope(&self) -> Result<Format, Refusal> {
        let refuse = |what: &str| {
            let line = format!("{what} is not supported; leave it out, and use the part of the answer that you need");
            Err(Refusal::new(StatusCode::BAD_REQUEST, line))
        };
        if self.entity_bytes.is_some() {
            return refuse("entity-bytes");
        }
        match self.dag_scope.as_deref() {
            None | Some("all" | "entity") => Ok(Format::Car),
            Some("block") => Ok(Format::CarOfBlock),
            Some(other) => refuse(&format!("dag-scope={other}")),
        }
    }
}

fn unsupported(form: &str) -> Refusal {
    let line = format!("{form} is not served; ask for format=raw, format=car or the plain file");
    Refusal::new(StatusCode::NOT_ACCEPTABLE, line)
}

/// The first form in the `Accept` headers that is served here; the file, when the headers name no form.
fn accepted(headers: &HeaderMap) -> Result<Format, Refusal> {
    let values = headers.get_all(header::ACCEPT).iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut refused = None;
    for range in ranges.map(|range| range.trim().to_ascii_lowercase()) {
        match served(&range) {
            Some(format) => return Ok(format),
            None => refused = refused.or(Some(range)),
        }
    }
    refused.map_or(Ok(Format::File), |range| Err(unsupported(&range)))
}

/// The form that one range of `Accept` asks for, if it is served here. Unknown types are given the file.
fn served(range: &str) -> Option<Format> {
    let mut parts = range.split(';').map(str::trim);
    match parts.next().unwrap_or_default() {
        RAW_TYPE => Some(Format::Raw),
        CAR_TYPE => parts.all(car_parameter).then_some(Format::Car),
        other if OTHER_FORMS.iter().any(|form| other.starts_with(form)) => None,
        _ => Some(Format::File),
    }
}

/// Whether the archives made here satisfy this parameter.
fn car_parameter(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some(("version", version)) => version == "1",
        Some(("order", order)) => matches!(order, "dfs" | "unk"),
        Some(("dups", dups)) => dups == "n",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with_accept(accept: &'static str) -> Result<Format, StatusCode> {
        use axum::response::IntoResponse;
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        let query = FormatQuery::default();
        query
            .resolve(&headers)
            .map_err(|refusal| refusal.into_response().status())
    }

    #[test]
    fn accept_headers_are_read_in_order() {
        for (accept, format) in [
            ("*/*", Format::File),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::File),
            ("application/vnd.ipld.raw", Format::Raw),
            ("Application/VND.ipld.raw;q=0.9, */*", Format::Raw),
            ("application/vnd.ipld.car", Format::Car),
            (
                "application/vnd.ipld.car; version=1; order=dfs; dups=n",
                Format::Car,
            ),
            (
                "application/vnd.ipld.car;version=2, application/vnd.ipld.raw",
                Format::Raw,
            ),
        ] {
            assert_eq!(with_accept(accept), Ok(format), "{accept}");
        }
    }

    #[test]
    fn what_is_not_made_here_is_not_acceptable() {
        for accept in [
            "application/vnd.ipld.car;version=2",
            "application/vnd.ipld.car; dups=y",
            "application/vnd.ipld.dag-json",
            "application/vnd.ipfs.ipns-record",
            "application/x-tar",
        ] {
            assert_eq!(
                with_accept(accept),
                Err(StatusCode::NOT_ACCEPTABLE),
                "{accept}"
            );
        }
    }
}
