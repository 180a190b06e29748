//! What librdkafka, as it is built here, has against a setting: for who checks a configuration and connects to nobody.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

/// What the feature brings.
const NEED_OPENSSL: &[&str] = &["SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// Why a property can't have this value; `None`: it can.
pub fn objection(name: &str, value: &str) -> Option<String> {
    let is_mechanism = matches!(name, "sasl.mechanism" | "sasl.mechanisms");
    if is_mechanism && value != "PLAIN" {
        if !NEED_OPENSSL.contains(&value) {
            return Some(format!("\"{value}\" is none of PLAIN, {}", NEED_OPENSSL.join(", ")));
        }
        if !cfg!(feature = "kafka-tls") {
            return Some(format!("{value} needs a build with the feature kafka-tls"));
        }
    }
    let tried = ClientConfig::new().set(name, value).create_native_config();
    match tried.err()? {
        KafkaError::ClientConfig(_, why, ..) => Some(why),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_does_not_know_is_told() {
        assert_eq!(objection("socket.keepalive.enable", "true"), None);
        assert_eq!(objection("sasl.mechanism", "PLAIN"), None);
        assert!(objection("socket.keepalive", "true").is_some_and(|why| why.contains("socket.keepalive")));
        assert!(objection("security.protocol", "soon").is_some());
        assert!(objection("sasl.mechanism", "GSSAPI").is_some());
    }

    #[cfg(not(feature = "kafka-tls"))]
    #[test]
    fn what_needs_openssl_is_told() {
        assert!(objection("security.protocol", "SASL_SSL").is_some());
        assert!(objection("ssl.ca.location", "ca.pem").is_some());
        assert!(objection("sasl.mechanism", "SCRAM-SHA-512").is_some_and(|why| why.contains("kafka-tls")));
    }

    #[cfg(feature = "kafka-tls")]
    #[test]
    fn what_openssl_brings_is_taken() {
        assert_eq!(objection("security.protocol", "SASL_SSL"), None);
        assert_eq!(objection("sasl.mechanism", "SCRAM-SHA-512"), None);
    }
}
