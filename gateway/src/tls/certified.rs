//! A client that has shown a certificate.

use super::{Clients, Tls};
use records::{Name, Timestamp};
use std::io;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::time_provider::TimeProvider;
use x509_parser::parse_x509_certificate;

/// The certificate of a client, which was good when it shook hands. Kept for as long as the connection, to be judged
/// anew.
#[derive(Debug)]
pub(crate) struct Certified {
    tls: Tls,
    /// By which it was found good.
    verifier: Arc<dyn ClientCertVerifier>,
    /// Its own first.
    chain: Vec<CertificateDer<'static>>,
    /// Whose it is; `None` when it doesn't say so where it should.
    pub name: Option<Name>,
    /// From then on it is void.
    pub until: Timestamp,
}

impl Certified {
    /// # Errors
    /// The certificate can't be read after all.
    pub(super) fn new(tls: &Tls, chain: &[CertificateDer<'_>], clients: &Clients) -> io::Result<Certified> {
        let own = chain.first().map_or(&[][..], |own| own);
        let (_, certificate) = parse_x509_certificate(own).map_err(io::Error::other)?;
        // Good through the second that it names (RFC 5280, 4.1.2.5).
        let seconds = certificate.validity().not_after.timestamp().saturating_add(1);
        Ok(Certified {
            tls: tls.clone(),
            verifier: clients.verifier.clone(),
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            name: clients.rule.name.find(&certificate),
            until: Timestamp(seconds.saturating_mul(1000)),
        })
    }

    /// Whether what is in force now would let it in. Costs two signatures, unless nothing has changed.
    pub(crate) fn is_good(&self) -> bool {
        let Some(clients) = self.tls.current().clients else { return false };
        if Arc::ptr_eq(&clients.verifier, &self.verifier) {
            return true;
        }
        let Some((own, between)) = self.chain.split_first() else { return false };
        let Some(now) = clients.time.current_time() else { return false };
        clients.verifier.verify_client_cert(own, between, now).is_ok()
    }
}
