//! `[webhook]`: where transitions of alerts are posted to.

use std::path::PathBuf;

use records::Severity;
use sinks::webhook::WebhookOptions;

use super::section::{Problems, Section};
use super::{MS, SECOND};

/// `[webhook]`; absent: nothing is posted.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    /// The file that holds the secret and nothing else.
    pub secret_file: PathBuf,
    /// Whether the first start begins with what comes from then on, and not with what the log still holds.
    pub is_from_end: bool,
    /// Everything else.
    pub options: WebhookOptions,
}

/// Reads the section when the file has one. What is missing in it is a problem, and stands empty in the result.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<WebhookConfig> {
    if from.is_empty() {
        return None;
    }
    let default = WebhookOptions::default();
    let url = from.wanted("url", super::is_http, "an http or https URL", problems);
    let secret_file = from.wanted("secret_file", |text| !text.is_empty(), "a path", problems);
    let options = WebhookOptions {
        url: url.unwrap_or_default(),
        timeout: from.duration("timeout", default.timeout, 100 * MS..600 * SECOND, problems),
        min_severity: severity(&mut from, default.min_severity, problems),
    };
    let is_from_end = is_from_end(&mut from, problems);
    from.end(problems);
    let secret_file = PathBuf::from(secret_file.unwrap_or_default());
    Some(WebhookConfig { secret_file, is_from_end, options })
}

fn is_from_end(from: &mut Section<'_>, problems: &mut Problems<'_>) -> bool {
    let (at, path) = (from.span("start"), from.path_of("start"));
    match from.text("start", problems).as_deref() {
        None | Some("latest") => true,
        Some("earliest") => false,
        Some(_) => {
            problems.add(at, path, "must be latest or earliest");
            true
        }
    }
}

/// `min_severity`, wherever it stands.
pub(super) fn severity(from: &mut Section<'_>, default: Severity, problems: &mut Problems<'_>) -> Severity {
    let (at, path) = (from.span("min_severity"), from.path_of("min_severity"));
    let Some(text) = from.text("min_severity", problems) else { return default };
    Severity::ALL.into_iter().find(|severity| severity.name() == text).unwrap_or_else(|| {
        problems.add(at, path, "must be minor, moderate, severe or extreme");
        default
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn says_what_is_missing_and_what_is_wrong() {
        let text = "[webhook]\nurl = \"ftp://host\"\nmin_severity = \"bad\"\nstart = \"now\"\n";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            webhook.secret_file: must be a path
            line 2: webhook.url: must be an http or https URL
            line 3: webhook.min_severity: must be minor, moderate, severe or extreme
            line 4: webhook.start: must be latest or earliest
        "#]]
        .assert_eq(&found);
    }
}
