//! `/ui`: a web page about this member, from files in this binary (`node/ui`). It asks this member only: the policy that goes with
//! each file lets a browser load nothing else, and keeps other pages from showing it in a frame.

use super::{app::App, reply::Refusal};
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
    Router,
};
use http::{header, HeaderName, StatusCode};

/// What the page may load and do: files and answers of its own origin, and no text as program.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page: name, content type, content.
type File = (&'static str, &'static str, &'static str);

macro_rules! files {
    ($($kind:ident $name:literal),* $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../../ui/", $name)))),*]
    };
}

const INDEX: &str = "index.html";
const FILES: &[File] = files! {
    HTML "index.html",
    CSS "app.css",
    SVG "icon.svg",
    SCRIPT "answer.js",
    SCRIPT "cbor.js",
    SCRIPT "clients.js",
    SCRIPT "dagre.js",
    SCRIPT "definition.js",
    SCRIPT "dom.js",
    SCRIPT "drive.js",
    SCRIPT "execution.js",
    SCRIPT "files.js",
    SCRIPT "format.js",
    SCRIPT "gates.js",
    SCRIPT "graph.js",
    SCRIPT "kept.js",
    SCRIPT "layout.js",
    SCRIPT "logs.js",
    SCRIPT "main.js",
    SCRIPT "member.js",
    SCRIPT "messages.js",
    SCRIPT "operate.js",
    SCRIPT "process.js",
    SCRIPT "processes.js",
    SCRIPT "progress.js",
    SCRIPT "registry.js",
    SCRIPT "requests.js",
    SCRIPT "ring.js",
    SCRIPT "rpc.js",
    SCRIPT "settled.js",
    SCRIPT "token.js",
    SCRIPT "trace.js",
};

/// The paths.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/", get(|| async { file(INDEX) }))
        .route(
            "/ui/{name}",
            get(|Path(name): Path<String>| async move { file(&name) }),
        )
}

fn file(name: &str) -> Result<Response, Refusal> {
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let &(_, kind, content) = found.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "there is no such file; the page is at /ui/",
        )
    })?;
    let headers: [(HeaderName, &str); 7] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        // The next version of this program has other files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    /// Most bytes of the page with all its files.
    const MOST_BYTES: usize = 500_000;

    #[test]
    fn all_files_of_the_page_are_in_the_binary_and_they_are_small() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui");
        let there = fs::read_dir(folder).unwrap();
        let there: BTreeSet<_> = there
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<_> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(served, there);
        let bytes: usize = FILES.iter().map(|(.., content)| content.len()).sum();
        assert!(bytes < MOST_BYTES, "{bytes}");
    }

    #[test]
    fn nothing_in_them_is_loaded_from_elsewhere() {
        for (name, _, content) in FILES {
            // The one name that is no address: that of SVG.
            let content = content.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http://",
                "https://",
                "//cdn",
                "import(",
                "eval(",
                "innerHTML",
                "localStorage",
                "document.cookie",
            ] {
                assert!(!content.contains(word), "{name} has {word}");
            }
        }
    }
}
