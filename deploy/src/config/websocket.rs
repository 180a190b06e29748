//! `[websocket]`: MQTT in a WebSocket, plain and through TLS.

use std::net::SocketAddr;

use super::section::{Problems, Section};

/// `[websocket]`; absent: there are no such listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WebSocketConfig {
    /// Without TLS; `None`: no such listener.
    pub listen: Option<SocketAddr>,
    /// With the certificate of `[tls]`; `None`: no such listener.
    pub tls_listen: Option<SocketAddr>,
}

/// Reads the section. `has_tls`: there is a certificate.
pub fn read(mut from: Section<'_>, has_tls: bool, problems: &mut Problems<'_>) -> WebSocketConfig {
    let at = from.span("tls_listen");
    let mut address = |name| {
        let is_there = from.span(name).is_some();
        is_there.then(|| from.address(name, super::loopback(0), problems))
    };
    let config = WebSocketConfig { listen: address("listen"), tls_listen: address("tls_listen") };
    if config.tls_listen.is_some() && !has_tls {
        problems.add(at, from.path_of("tls_listen"), "needs the certificate of [tls]");
    }
    from.end(problems);
    config
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn says_what_is_missing_and_what_is_taken() {
        let text = "[websocket]\nlisten = \"127.0.0.1:1883\"\ntls_listen = \"127.0.0.1:8084\"\n";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            websocket.listen: 127.0.0.1:1883 is taken by gateway.listen
            line 3: websocket.tls_listen: needs the certificate of [tls]
        "#]]
        .assert_eq(&found);
    }
}
