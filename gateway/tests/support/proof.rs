//! Certificates, and clients that trust them.

use super::Site;
use gateway::Tls;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate that is its own authority, and its key; in PEM.
pub struct Proof {
    pub certificate: rcgen::Certificate,
    pub key: String,
}

impl Proof {
    pub fn new() -> Proof {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Proof { certificate: made.cert, key: made.signing_key.serialize_pem() }
    }

    pub fn tls(&self) -> Tls {
        Tls::new(self.certificate.pem().as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// A connection by somebody who trusts this and nothing else.
    pub async fn dial(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// As a file.
    pub fn write(&self, site: &Site) -> std::path::PathBuf {
        let path = site.folder.path().join("ca.pem");
        std::fs::write(&path, self.certificate.pem()).unwrap();
        path
    }
}
