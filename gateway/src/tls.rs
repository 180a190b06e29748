//! What a listener proves itself by to those who connect over TLS.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A certificate chain with its key, which can be replaced while connections come in and are open. TLS 1.2 and 1.3.
///
/// Clones share what they hold.
#[derive(Clone, Debug)]
pub struct Tls {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

/// Why a certificate or a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not what it should be.
    #[error("the {what} is not PEM that can be read: {detail}")]
    Unreadable {
        /// Certificate or key.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The two don't belong together, or are of a kind that is not served.
    #[error("the certificate can't be used with the key")]
    Unusable(#[source] rustls::Error),
}

impl Tls {
    /// Reads a certificate chain, the listener's own certificate first, and its private key; both in PEM.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Tls, TlsError> {
        Ok(Tls { current: Arc::new(RwLock::new(configure(certificates, key)?)) })
    }

    /// From now on who connects is met by these. Connections that are open go on as they are. On an error nothing
    /// has changed.
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let next = configure(certificates, key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Shakes hands. Takes as long as the client does.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(current).accept(stream).await
    }
}

fn configure(certificates: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |what, detail: String| TlsError::Unreadable { what, detail };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable("certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("certificate", "there is none in it".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unreadable("key", error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Unusable)?;
    Ok(Arc::new(config))
}
