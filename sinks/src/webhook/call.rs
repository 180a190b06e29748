//! One request, and what its answer means.

use crate::SinkError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use records::{Alert, Severity, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Where transitions go.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookOptions {
    /// `http` or `https`.
    pub url: String,
    /// How long a request may take.
    pub timeout: Duration,
    /// Alerts that are less bad are passed over.
    pub min_severity: Severity,
}

impl Default for WebhookOptions {
    fn default() -> WebhookOptions {
        let timeout = Duration::from_secs(10);
        WebhookOptions { url: String::new(), timeout, min_severity: Severity::Minor }
    }
}

/// Sends transitions to one URL.
pub struct Caller {
    http: Client,
    url: Url,
    secret: Vec<u8>,
}

impl Caller {
    /// A caller that connects when it is first used. The secret is what both sides know: `whsec_` and base64, or
    /// any text, which is then taken as it is.
    ///
    /// # Errors
    /// When the URL is none, or the secret is empty.
    pub fn new(options: &WebhookOptions, secret: &str) -> Result<Caller, String> {
        let url = Url::parse(&options.url).map_err(|error| format!("{}: {error}", options.url))?;
        let decoded = secret.strip_prefix("whsec_").map(|text| STANDARD.decode(text));
        let secret = match decoded {
            None => secret.as_bytes().to_vec(),
            Some(Ok(bytes)) => bytes,
            Some(Err(_)) => return Err("the secret is not base64 behind whsec_".to_owned()),
        };
        if secret.is_empty() {
            return Err("the secret is empty".to_owned());
        }
        let http = Client::builder().timeout(options.timeout).redirect(Policy::none()).build();
        Ok(Caller { http: http.map_err(|error| error.to_string())?, url, secret })
    }

    /// Sends a transition at `now`.
    ///
    /// # Errors
    /// What to do about it: [`SinkError::Unavailable`] for what time may heal, [`SinkError::Barred`] for what a
    /// person has to, [`SinkError::Rejected`] when this one will never be taken.
    pub async fn call(&self, alert: &Alert, now: Timestamp) -> Result<(), SinkError> {
        let body = serde_json::to_string(alert).map_err(|error| SinkError::Rejected(error.to_string()))?;
        let (id, at) = (id(alert), now.millis().div_euclid(1000).to_string());
        let signature = format!("v1,{}", self.sign(&id, &at, &body));
        let mut request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let headers =
            [("webhook-signature", signature), ("webhook-timestamp", at), ("idempotency-key", id.clone())];
        for (name, value) in headers.into_iter().chain([("webhook-id", id)]) {
            let value = HeaderValue::from_str(&value).expect("digits, hex and base64 can stand in a header");
            request = request.header(HeaderName::from_static(name), value);
        }
        let response = request.body(body).send().await.map_err(SinkError::unavailable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text: String = response.text().await.unwrap_or_default().chars().take(300).collect();
        Err(refusal(status, format!("{status}: {text}")))
    }

    fn sign(&self, id: &str, at: &str, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

fn refusal(status: StatusCode, words: String) -> SinkError {
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => SinkError::unavailable(words),
        400 | 413 | 415 | 422 => SinkError::Rejected(words),
        _ => SinkError::Barred(words),
    }
}

/// The same for a transition in every try and every replay: `msg_` and half of a digest of alert and number.
fn id(alert: &Alert) -> String {
    let digest = Sha256::digest(format!("{}\n{}", alert.id, alert.transition));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (standard-webhooks, "Verifying signatures").
    #[test]
    fn signs_as_the_standard_does() {
        let options = WebhookOptions { url: "http://localhost".to_owned(), ..WebhookOptions::default() };
        let caller = Caller::new(&options, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("it can be used");
        let signature = caller.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn statuses_say_what_to_do() {
        let check = |status, is_it: fn(&SinkError) -> bool| {
            let status = StatusCode::from_u16(status).expect("a status");
            assert!(is_it(&refusal(status, String::new())), "{status}");
        };
        for status in [408, 425, 429, 500, 503] {
            check(status, |error| matches!(error, SinkError::Unavailable(_)));
        }
        for status in [400, 413, 422] {
            check(status, |error| matches!(error, SinkError::Rejected(_)));
        }
        for status in [301, 401, 403, 404, 410] {
            check(status, |error| matches!(error, SinkError::Barred(_)));
        }
    }

    #[test]
    fn secrets_that_cannot_be_used_are_refused() {
        let options = WebhookOptions { url: "http://localhost".to_owned(), ..WebhookOptions::default() };
        assert!(Caller::new(&options, "").is_err());
        assert!(Caller::new(&options, "whsec_%").is_err());
        assert!(Caller::new(&WebhookOptions::default(), "secret").is_err());
    }
}
