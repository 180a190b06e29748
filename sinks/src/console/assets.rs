//! The page's files, built into the program: it works without a network and without a folder beside it.

use super::reply::Refusal;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal: $kind:expr),* $(,)?) => {
        &[$(Asset {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../../console/", $path)),
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

const ASSETS: &[Asset] = assets! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "main.js": SCRIPT,
    "api.js": SCRIPT,
    "format.js": SCRIPT,
    "alerts.js": SCRIPT,
    "map.js": SCRIPT,
    "marks.js": SCRIPT,
    "panel.js": SCRIPT,
    "chart.js": SCRIPT,
    "vendor/uplot/uPlot.iife.min.js": SCRIPT,
    "vendor/uplot/uPlot.min.css": CSS,
};

const OPENAPI: &Asset =
    &Asset { path: "openapi.json", kind: JSON, bytes: include_bytes!("../../console/openapi.json") };

pub async fn index(headers: HeaderMap) -> Response {
    find("index.html").map_or_else(|| missing("/"), |asset| asset.answer(&headers))
}

pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    find(&path).map_or_else(|| missing(&path), |asset| asset.answer(&headers))
}

pub async fn openapi(headers: HeaderMap) -> Response {
    OPENAPI.answer(&headers)
}

fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

fn missing(path: &str) -> Response {
    Refusal::NotFound(format!("nothing at {path}")).into_response()
}

impl Asset {
    /// The bytes, or 304 when the browser has them.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let cached = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag.clone())];
        if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, cached).into_response();
        }
        (cached, [(CONTENT_TYPE, self.kind)], self.bytes).into_response()
    }

    fn tag(&self) -> String {
        let digest = Sha256::digest(self.bytes);
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{short}\"")
    }
}
