//! The header `Range` (RFC 9110, section 14): one range of bytes. A request with several ranges is answered with the
//! whole content, as the RFC allows.
//!
//! [`wanted`] says what a request asks for of a content whose length and tag are known: all of it, one [`Part`], or a
//! part beyond the end (status 416). `If-Range` with another tag means all of it, since the client has a part of other
//! content. A malformed header is ignored, as the RFC says.

use http::{header, HeaderMap, Method};

/// A part of a content of a known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The first byte.
    pub(super) first: u64,
    /// How many bytes; at least one.
    pub(super) length: u64,
}

/// Which part of the content is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// One part.
    Part(Part),
    /// A part that is beyond its end.
    Nothing,
}

impl Part {
    /// The value of `Content-Range`.
    pub(super) fn header(&self, length: u64) -> String {
        format!(
            "bytes {}-{}/{length}",
            self.first,
            self.first + self.length - 1
        )
    }
}

/// Which part a request wants of a content of `length` bytes, whose strong tag is `tag`.
pub(super) fn wanted(method: &Method, headers: &HeaderMap, tag: &str, length: u64) -> Wanted {
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let (Some(range), &Method::GET) = (range, method) else {
        return Wanted::All;
    };
    // The tag is another one, so the client has a part of other content and needs the whole.
    if headers
        .get(header::IF_RANGE)
        .is_some_and(|known| known != tag)
    {
        return Wanted::All;
    }
    let Some((unit, range)) = range.split_once('=') else {
        return Wanted::All;
    };
    match unit.trim().eq_ignore_ascii_case("bytes") {
        true => one(range.trim(), length).unwrap_or(Wanted::All),
        false => Wanted::All,
    }
}

/// One range; `None` when it is malformed, or there are several.
fn one(range: &str, length: u64) -> Option<Wanted> {
    let (first, last) = range.split_once('-')?;
    let (first, last) = match (number(first)?, number(last)?) {
        (None, None) => return None,
        (None, Some(suffix)) => (length.saturating_sub(suffix), length),
        (Some(first), None) => (first, length),
        (Some(first), Some(last)) if first > last => return None,
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(length)),
    };
    Some(match last.checked_sub(first) {
        None | Some(0) => Wanted::Nothing,
        Some(length) => Wanted::Part(Part { first, length }),
    })
}

/// A number, or nothing; `None` for anything else. What is too large counts as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(range: &'static str) -> Wanted {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
        wanted(&Method::GET, &headers, "\"x\"", 100)
    }

    fn part(first: u64, length: u64) -> Wanted {
        Wanted::Part(Part { first, length })
    }

    #[test]
    fn the_forms_of_the_rfc_are_read() {
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-19", part(10, 10)),
            ("bytes=90-", part(90, 10)),
            ("bytes=-10", part(90, 10)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=0-99999999999999999999", part(0, 100)),
            ("Bytes = 1-1", part(1, 1)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=200-300", Wanted::Nothing),
            ("bytes=3-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(of(range), expected, "{range}");
        }
        assert_eq!(
            Part {
                first: 10,
                length: 10
            }
            .header(100),
            "bytes 10-19/100"
        );
    }

    #[test]
    fn a_part_of_something_else_is_not_gone_on_with() {
        let range = (header::RANGE, HeaderValue::from_static("bytes=5-"));
        for (tag, expected) in [("\"x\"", part(5, 95)), ("\"y\"", Wanted::All)] {
            let known = (header::IF_RANGE, HeaderValue::from_static(tag));
            let headers = HeaderMap::from_iter([range.clone(), known]);
            assert_eq!(wanted(&Method::GET, &headers, "\"x\"", 100), expected);
        }
        let headers = HeaderMap::from_iter([range]);
        assert_eq!(wanted(&Method::HEAD, &headers, "\"x\"", 100), Wanted::All);
    }
}
