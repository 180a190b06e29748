//! `[tls]`: MQTT through TLS, beside the plain listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use gateway::ClientRule;

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
    /// Clients prove themselves by certificates too.
    pub clients: Option<ClientTlsConfig>,
}

/// `[tls.clients]`; absent: clients aren't asked for certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTlsConfig {
    /// PEM file: the certificates of those who sign the clients'.
    pub authorities: PathBuf,
    /// PEM file: what these have revoked.
    pub revoked: Option<PathBuf>,
    /// Where a certificate says whose it is, and whether there must be one.
    pub rule: ClientRule,
}

/// What a certificate says of a device when nobody chose otherwise.
const COMMON_NAME: &str = "cn:{device}";

/// Reads the section when the file has one. What is missing in it is a problem, and stands empty in the result.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<TlsConfig> {
    if from.is_empty() {
        return None;
    }
    let mut file = |name| from.wanted(name, |text| !text.is_empty(), "a path", problems).unwrap_or_default();
    let (certificate, key) = (PathBuf::from(file("certificate")), PathBuf::from(file("key")));
    let listen = from.address("listen", super::loopback(8883), problems);
    let clients = read_clients(from.section("clients", problems), problems);
    from.end(problems);
    Some(TlsConfig { listen, certificate, key, clients })
}

fn read_clients(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<ClientTlsConfig> {
    if from.is_empty() {
        return None;
    }
    let authorities = from.wanted("authorities", |text| !text.is_empty(), "a path", problems);
    let name = from.read("name", problems, str::parse);
    let clients = ClientTlsConfig {
        authorities: authorities.unwrap_or_default().into(),
        revoked: from.path("revoked", problems),
        rule: ClientRule {
            name: name.unwrap_or_else(|| COMMON_NAME.parse().expect("it is a template")),
            is_required: from.flag("required", true, problems),
        },
    };
    from.end(problems);
    Some(clients)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn says_what_is_missing_and_what_is_taken() {
        let text = "[tls]\nlisten = \"127.0.0.1:1883\"\nkey = \"key.pem\"\n\
                    [tls.clients]\nname = \"ou:{device}\"\nrevoked = \"list.pem\"\n";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            tls.certificate: must be a path
            tls.clients.authorities: must be a path
            tls.listen: 127.0.0.1:1883 is taken by gateway.listen
            line 5: tls.clients.name: "ou:{device}" is not cn, dns, uri or email, a colon, and a text with one {device} in it
        "#]]
        .assert_eq(&found);
    }
}
