//! `[tls]`: MQTT through TLS, beside the plain listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::section::{Problems, Section};

/// `[tls]`; absent: there is no such listener.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsConfig {
    /// MQTT listener.
    pub listen: SocketAddr,
    /// PEM file: the listener's certificate, then those between it and an authority.
    pub certificate: PathBuf,
    /// PEM file: the certificate's private key.
    pub key: PathBuf,
}

/// Reads the section when the file has one. What is missing in it is a problem, and stands empty in the result.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<TlsConfig> {
    if from.is_empty() {
        return None;
    }
    let mut file = |name| from.wanted(name, |text| !text.is_empty(), "a path", problems).unwrap_or_default();
    let (certificate, key) = (PathBuf::from(file("certificate")), PathBuf::from(file("key")));
    let listen = from.address("listen", super::loopback(8883), problems);
    from.end(problems);
    Some(TlsConfig { listen, certificate, key })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn says_what_is_missing_and_what_is_taken() {
        let text = "[tls]\nlisten = \"127.0.0.1:1883\"\nkey = \"key.pem\"\n";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            tls.certificate: must be a path
            tls.listen: 127.0.0.1:1883 is taken by gateway.listen
        "#]]
        .assert_eq(&found);
    }
}
