//! Who may ask, and what the pages are made of.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use sha2::{Digest, Sha256};
use sinks::Login;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use support::http::{Answer, Request};
use support::{Console, count};

fn form(body: &str) -> Request {
    Request::post("/login", body).header("Content-Type", "application/x-www-form-urlencoded")
}

async fn with_login() -> Console {
    let hash = Login::hash("open sesame").unwrap();
    Console::start_with(Some(Login::new("wang".into(), &hash).unwrap())).await
}

fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_login_only_loopback_names_are_answered() {
    let console = Console::start().await;
    let check = async |host: &str, expected: u16| {
        for path in ["/", "/main.js", "/api/v1/devices"] {
            let answer = Request::get(path).header("Host", host).send(console.address).await;
            assert_eq!(answer.status, expected, "{host} {path}");
        }
    };
    check("localhost:8080", 200).await;
    check("127.0.0.1", 200).await;
    check("[::1]:8080", 200).await;
    check("rebound.example", 403).await;
    check("localhost.rebound.example:8080", 403).await;
}

#[tokio::test]
async fn what_changes_something_must_come_from_here() {
    let console = Console::start().await;
    let check = async |request: Request, expected: u16, why: &str| {
        assert_eq!(request.send(console.address).await.status, expected, "{why}");
    };
    let post = || Request::post("/api/v1/alerts/acknowledge", r#"{"id":"x/y/1"}"#);
    let own = format!("http://{}", console.address);
    check(post().json(), 404, "a program").await;
    check(post().json().header("Origin", &own), 404, "our page").await;
    check(post().json().header("Origin", "http://elsewhere.example"), 403, "another site").await;
    check(post().json().header("Origin", "null"), 403, "a page without a name").await;
    let from_browser = |verdict: &str| post().json().header("Sec-Fetch-Site", verdict);
    check(
        from_browser("same-origin").header("Origin", "https://proxied.example"),
        404,
        "our page, behind a proxy",
    )
    .await;
    check(from_browser("cross-site").header("Origin", &own), 403, "the browser knows better").await;
    check(from_browser("same-site"), 403, "a neighbour").await;
    check(post(), 403, "no content type").await;
    check(post().header("Content-Type", "text/plain"), 403, "a form that looks like JSON").await;
}

#[tokio::test]
async fn a_login_opens_everything_and_nothing_else_does() {
    let console = with_login().await;
    for path in ["/", "/main.js", "/index.html", "/vendor/uplot/uPlot.iife.min.js"] {
        let answer = console.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{path}");
    }
    for path in ["/api/v1/devices", "/api/v1/feed", "/api/v1/openapi.json", "/api/v1/nothing"] {
        assert_eq!(console.get(path).await.code(), "unauthorized", "{path}");
    }
    let page = console.get("/login").await;
    assert!(page.status == 200 && page.text().contains("type=\"password\""));
    let named = Request::get("/login").header("Host", "sluice.example").send(console.address).await;
    assert_eq!(named.status, 200, "with a login, any name will do");

    let answer = form("name=wang&password=open+sesame").send(console.address).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = cookie(&answer);
    assert_eq!(cookie.split('=').nth(1).unwrap().len(), 64, "256 bits");
    let with = |path: &str| Request::get(path).header("Cookie", &cookie);
    assert_eq!(with("/").send(console.address).await.status, 200);
    assert_eq!(with("/api/v1/devices").send(console.address).await.status, 200);
    let session = with("/api/v1/session").send(console.address).await.json();
    assert_eq!((session["operator"].as_str(), session["has_login"].as_bool()), (Some("wang"), Some(true)));
    let half = Request::get("/").header("Cookie", &cookie[..40]).send(console.address).await;
    assert_eq!(half.status, 303, "half a cookie");

    console.hands.forward(Duration::from_secs(13 * 3600));
    assert_eq!(
        with("/api/v1/devices").send(console.address).await.status,
        401,
        "after half a day it is over"
    );
}

#[tokio::test]
async fn leaving_ends_the_session() {
    let console = with_login().await;
    let cookie = cookie(&form("name=wang&password=open+sesame").send(console.address).await);
    let leave = Request::post("/logout", "").header("Cookie", &cookie).send(console.address).await;
    assert_eq!(leave.status, 303);
    let after = Request::get("/api/v1/devices").header("Cookie", &cookie).send(console.address).await;
    assert_eq!(after.status, 401);
}

#[tokio::test]
async fn wrong_passwords_are_slowed_and_counted() {
    let console = with_login().await;
    for body in ["name=wang&password=sesame", "name=li&password=open+sesame"] {
        let start = Instant::now();
        let answer = form(body).send(console.address).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{body}");
        assert!(start.elapsed() >= Duration::from_millis(250), "{body}");
    }
    let foreign = form("name=wang&password=open+sesame").header("Origin", "https://elsewhere.example");
    assert_eq!(foreign.send(console.address).await.status, 403, "another site can't log its visitors in");
    assert_eq!(form("name=wang").send(console.address).await.status, 422, "no password at all");
    assert_eq!(count(&console.registry, "sluice_sinks_logins_total"), 2.0);
    assert_eq!(
        form("name=wang&password=open+sesame").send(console.address).await.status,
        303,
        "the right one still works"
    );
}

#[tokio::test]
async fn guessing_shuts_the_guesser_out() {
    let console = with_login().await;
    let guess = |number: u32| {
        let address = console.address;
        tokio::spawn(
            async move { form(&format!("name=wang&password=guess{number}")).send(address).await.status },
        )
    };
    let guesses: Vec<_> = (0..6).map(guess).collect();
    support::eventually(async || {
        (count(&console.registry, "sluice_sinks_logins_total") >= 5.0).then_some(())
    })
    .await;
    let start = Instant::now();
    assert_eq!(form("name=wang&password=open+sesame").send(console.address).await.status, 429);
    assert!(start.elapsed() < Duration::from_secs(1), "without even looking at the password");
    guesses.iter().for_each(tokio::task::JoinHandle::abort);
    console.hands.forward(Duration::from_secs(11));
    assert_eq!(form("name=wang&password=open+sesame").send(console.address).await.status, 303);
}

#[test]
fn hashes_are_salted_and_short_passwords_refused() {
    assert_ne!(Login::hash("open sesame").unwrap(), Login::hash("open sesame").unwrap());
    assert!(Login::hash("sesame").is_err());
}

#[test]
fn a_hash_of_another_kind_is_no_login() {
    assert!(Login::new("wang".into(), "open sesame").is_none());
    assert!(
        Login::new("wang".into(), "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234").is_none()
    );
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_the_page() {
    let console = Console::start().await;
    for path in ["/", "/main.js", "/nowhere", "/api/v1/devices", "/api/v1/nowhere"] {
        let answer = console.get(path).await;
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(
            answer.header("referrer-policy"),
            Some("same-origin"),
            "stricter, and the login form has no origin"
        );
    }
    let page = console.get("/").await;
    let tag = page.header("etag").expect("a tag").to_owned();
    let again = Request::get("/").header("If-None-Match", &tag).send(console.address).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert!(count(&console.registry, "sluice_sinks_http_requests_total") >= 7.0);
}

#[tokio::test]
async fn the_page_asks_only_for_what_is_served() {
    let console = Console::start().await;
    let mut pages = vec!["/".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = pages.pop() {
        let answer = console.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = answer.text();
        for pattern in ["href=\"/", "src=\"/", "from \"./"] {
            let found = text.match_indices(pattern).map(|(at, _)| &text[at + pattern.len()..]);
            for rest in found {
                let file = format!("/{}", rest.split('"').next().unwrap());
                if !seen.contains(&file) {
                    seen.push(file.clone());
                    pages.push(file);
                }
            }
        }
        let is_ours = !path.starts_with("/vendor");
        assert!(
            !is_ours || !text.replace("http://www.w3.org/", "").contains("http"),
            "{path} names another host"
        );
    }
    assert!(seen.len() >= 10, "{seen:?}");
}

#[test]
fn vendored_files_are_what_was_published() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("console/vendor/uplot");
    let version = fs::read_to_string(folder.join("VERSION")).unwrap();
    assert!(version.contains("integrity sha512-"), "{version}");
    let sums: Vec<(&str, &str)> = version.lines().filter_map(|line| line.split_once("  ")).collect();
    let mut named: Vec<&str> = sums.iter().map(|(_, name)| *name).collect();
    for (sum, name) in &sums {
        let bytes = fs::read(folder.join(name)).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, *sum, "{name}");
    }
    named.sort_unstable();
    let entries =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut present: Vec<String> = entries.filter(|name| name != "VERSION").collect();
    present.sort_unstable();
    assert_eq!(present, named, "every file has its sum");
}

#[test]
fn every_route_is_in_the_document() {
    let document: serde_json::Value = serde_json::from_str(include_str!("../console/openapi.json")).unwrap();
    let mut documented: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let source = include_str!("../src/console/mod.rs");
    let api = &source[source.find("let api").unwrap()..source.find("Router::new()\n        .nest").unwrap()];
    let mut routes: Vec<String> = api
        .split(".route(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("{*", "{"))
        .collect();
    documented.sort_unstable();
    routes.sort_unstable();
    assert!(routes.len() >= 10);
    assert_eq!(documented, routes);
}

#[test]
fn every_parameter_is_in_the_document() {
    let document: serde_json::Value = serde_json::from_str(include_str!("../console/openapi.json")).unwrap();
    let check = |path: &str, sources: &[(&'static str, &str)]| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let parameters = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let mut documented: Vec<&str> = parameters.map(|one| one["name"].as_str().unwrap()).collect();
        let fields = |(source, name): &(&'static str, &str)| {
            let body = source.split(&format!("pub struct {name} {{")).nth(1).expect("the struct is there");
            let body = body.split("\n}").next().unwrap();
            let lines = body.lines().map(str::trim).filter(|line| !line.starts_with(['#', '/']));
            let names = lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name);
            names.map(|name| name.trim_start_matches("pub ")).collect::<Vec<_>>()
        };
        let mut asked: Vec<&str> = sources.iter().flat_map(fields).filter(|name| *name != "choice").collect();
        documented.sort_unstable();
        asked.sort_unstable();
        assert_eq!(documented, asked, "{path}");
    };
    let query = include_str!("../src/console/query.rs");
    check("/query", &[(query, "Asked"), (include_str!("../src/console/curves.rs"), "Choice")]);
    check("/series", &[(include_str!("../src/console/series.rs"), "Asked")]);
    check("/latest", &[(include_str!("../src/console/latest.rs"), "Asked")]);
    check("/alerts", &[(include_str!("../src/console/alerts.rs"), "Asked")]);
    check("/feed", &[(include_str!("../src/console/feed.rs"), "Asked")]);
}
