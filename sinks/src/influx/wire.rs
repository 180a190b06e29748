//! One request to InfluxDB, and what its answer means.

use super::InfluxOptions;
use crate::blocking::blocking;
use flate2::Compression;
use flate2::write::GzEncoder;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::{Client, ClientBuilder, RequestError};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use std::io::Write;

/// What came of a request, by what to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// All lines are stored.
    Taken,
    /// Some line will never be taken; the server's words.
    Refused(String),
    /// It failed in a way that these lines may be the reason for.
    Broken(String),
    /// It is away or has too much to do: whether the lines are stored is unknown.
    Away(String),
    /// Nothing will be taken until a person has put it right.
    Barred(String),
}

/// The way to one bucket.
pub struct Wire {
    client: Client,
    org: String,
    bucket: String,
    /// Where `url` has a path: `influxdb2` drops it, so the same request is made here.
    prefixed: Option<Prefixed>,
}

struct Prefixed {
    http: reqwest::Client,
    url: Url,
    authorization: HeaderValue,
}

impl Wire {
    /// A client that connects when it is first used.
    ///
    /// # Errors
    /// When the URL is none, or the token can't stand in a header.
    pub fn new(options: &InfluxOptions, token: &str) -> Result<Wire, String> {
        let url = Url::parse(&options.url).map_err(|error| format!("{}: {error}", options.url))?;
        let mut authorization = HeaderValue::from_str(&format!("Token {token}"))
            .map_err(|_| "the token has signs that can't be sent".to_owned())?;
        authorization.set_sensitive(true);
        let prefixed = match url.path() {
            "" | "/" => None,
            path => {
                let mut url = url.clone();
                url.set_path(&format!("{}/api/v2/write", path.trim_end_matches('/')));
                let http = http(options).build().map_err(|error| error.to_string())?;
                Some(Prefixed { http, url, authorization })
            }
        };
        let client = ClientBuilder::with_builder(http(options), url, &options.org, token).build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Wire { client, org: options.org.clone(), bucket: options.bucket.clone(), prefixed })
    }

    /// Sends lines whose times are milliseconds.
    pub async fn send(&self, lines: Vec<u8>) -> Answer {
        let body = blocking(move || gzip(&lines)).await;
        match &self.prefixed {
            Some(prefixed) => prefixed.send(&self.org, &self.bucket, body).await,
            None => {
                let (org, bucket) = (self.org.as_str(), self.bucket.as_str());
                let precision = TimestampPrecision::Milliseconds;
                match self.client.write_line_protocol_with_precision(org, bucket, body, precision).await {
                    Ok(()) => Answer::Taken,
                    Err(RequestError::Http { status, text }) => answer(status, &text),
                    Err(error) => Answer::Away(whole(&error)),
                }
            }
        }
    }
}

impl Prefixed {
    async fn send(&self, org: &str, bucket: &str, body: Vec<u8>) -> Answer {
        let query = [("bucket", bucket), ("org", org), ("precision", "ms")];
        let request = self.http.post(self.url.clone()).header("Authorization", self.authorization.clone());
        match request.query(&query).body(body).send().await {
            Err(error) => Answer::Away(whole(&error)),
            Ok(response) => {
                let status = response.status();
                let text = response.text().await.unwrap_or_default();
                answer(status, &text)
            }
        }
    }
}

/// A redirect is not followed: a write that was redirected would come out as a read.
fn http(options: &InfluxOptions) -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    reqwest::Client::builder().default_headers(headers).timeout(options.timeout).redirect(Policy::none())
}

/// Level 1: a sixth of the bytes for a third of a microsecond a line.
fn gzip(lines: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::fast());
    encoder.write_all(lines).and_then(|()| encoder.finish()).expect("writing into memory does not fail")
}

/// The error with its causes; `reqwest` says little in the first.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// What statuses mean, as InfluxDB 2.9.1 gives them and as proxies in front of it do.
fn answer(status: StatusCode, text: &str) -> Answer {
    let words = format!("{status}: {}", message(text));
    match status.as_u16() {
        204 => Answer::Taken,
        // Some line can't be parsed; the rest is stored and some are not; the body is too large.
        400 | 422 | 413 => Answer::Refused(words),
        429 | 502 | 503 | 504 => Answer::Away(words),
        500..=599 => Answer::Broken(words),
        // Token, rights, bucket or organisation, path; a success that is none; a redirect.
        _ => Answer::Barred(words),
    }
}

/// The server's words out of its JSON, at most a few lines of them.
fn message(text: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(text).ok();
    let words = json.as_ref().and_then(|json| json.get("message")?.as_str()).unwrap_or(text);
    words.chars().take(1_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_say_what_to_do() {
        let check = |status, expected: fn(String) -> Answer| {
            let status = StatusCode::from_u16(status).expect("a status");
            let found = answer(status, r#"{"code":"x","message":"the words"}"#);
            assert_eq!(found, expected(format!("{status}: the words")));
        };
        [400, 413, 422].into_iter().for_each(|status| check(status, Answer::Refused));
        [429, 502, 503, 504].into_iter().for_each(|status| check(status, Answer::Away));
        [500, 501, 507].into_iter().for_each(|status| check(status, Answer::Broken));
        [200, 301, 401, 403, 404, 405].into_iter().for_each(|status| check(status, Answer::Barred));
        assert_eq!(answer(StatusCode::NO_CONTENT, ""), Answer::Taken);
    }

    #[test]
    fn what_is_no_json_is_quoted_as_it_is() {
        assert_eq!(message("<html>bad gateway</html>"), "<html>bad gateway</html>");
        assert_eq!(message(&"x".repeat(5_000)).len(), 1_000);
    }
}
