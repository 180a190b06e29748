//! What a listener and those who connect over TLS prove themselves by.

mod certified;
mod name;

pub(crate) use certified::Certified;
pub use name::CertificateName;

use crate::Clock;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime,
};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A certificate chain with its key, and whose certificates clients are asked for. All of it can be replaced while
/// connections come in and are open. TLS 1.2 and 1.3.
///
/// Clones share what they hold.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
}

/// How clients prove themselves by certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    /// Where a certificate says whose it is.
    pub name: CertificateName,
    /// Whoever has no certificate is turned away; otherwise it may prove itself by a password.
    pub is_required: bool,
}

/// Why a certificate, a key, or a list can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not what it should be.
    #[error("the {what} is not PEM that can be read: {detail}")]
    Unreadable {
        /// Certificate, key, authorities, or revocation list.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The two don't belong together, or are of a kind that is not served.
    #[error("the certificate can't be used with the key")]
    Unusable(#[source] rustls::Error),
    /// Clients can't be judged by it.
    #[error("the {what} can't be used: {detail}")]
    Unfit {
        /// Authorities, or revocation list.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

#[derive(Debug)]
struct Shared {
    current: RwLock<Current>,
    /// Sent to when clients are to be judged anew.
    clients_changed: watch::Sender<()>,
}

/// What is in force.
#[derive(Clone, Debug)]
struct Current {
    pair: Arc<Pair>,
    clients: Option<Clients>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

#[derive(Clone, Debug)]
struct Clients {
    rule: ClientRule,
    time: Arc<Time>,
    authorities: Arc<RootCertStore>,
    revoked: Arc<Vec<CertificateRevocationListDer<'static>>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// The gateway's clock, as rustls asks for it.
struct Time(Clock);

impl Tls {
    /// Reads a certificate chain, the listener's own certificate first, and its private key; both in PEM. Clients are
    /// not asked for certificates.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Tls, TlsError> {
        let pair = Arc::new(pair(certificates, key)?);
        let current = Current { config: configure(&pair, None)?, pair, clients: None };
        let (clients_changed, _) = watch::channel(());
        Ok(Tls { shared: Arc::new(Shared { current: RwLock::new(current), clients_changed }) })
    }

    /// Asks clients for a certificate that one of these authorities has signed, and none of the lists revokes; both in
    /// PEM. An authority without a list has revoked nothing, and a list holds on beyond the time of its next update.
    pub fn ask_clients(
        &self,
        rule: ClientRule,
        authorities: &[u8],
        revoked: Option<&[u8]>,
        clock: Clock,
    ) -> Result<(), TlsError> {
        let authorities = read_authorities(authorities)?;
        let revoked = revoked.map_or(Ok(Arc::default()), read_revoked)?;
        let time = Arc::new(Time(clock));
        let clients = Clients::new(rule, time, authorities, revoked, "authorities")?;
        self.put(|current| Ok(Current { clients: Some(clients), ..current.clone() }))
    }

    /// From now on who connects is met by these. Connections that are open go on as they are. On an error nothing
    /// has changed.
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let pair = Arc::new(pair(certificates, key)?);
        self.put(|current| Ok(Current { pair, ..current.clone() }))
    }

    /// From now on these authorities count, for those who connect and for open connections: whose certificate is of
    /// none of them is cut. On an error nothing has changed; nor where clients aren't asked.
    pub fn replace_authorities(&self, authorities: &[u8]) -> Result<(), TlsError> {
        let authorities = read_authorities(authorities)?;
        self.judge_anew(|Clients { rule, time, revoked, .. }| {
            Clients::new(rule, time, authorities, revoked, "authorities")
        })
    }

    /// From now on these lists count, for those who connect and for open connections. On an error nothing has changed;
    /// nor where clients aren't asked.
    pub fn replace_revoked(&self, revoked: &[u8]) -> Result<(), TlsError> {
        let revoked = read_revoked(revoked)?;
        self.judge_anew(|Clients { rule, time, authorities, .. }| {
            Clients::new(rule, time, authorities, revoked, "revocation list")
        })
    }

    /// Shakes hands. Takes as long as the client does.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Box<Certified>>)> {
        let Current { config, clients, .. } = self.current();
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates();
        let certified = chain.zip(clients).map(|(chain, clients)| Certified::new(self, chain, &clients));
        let certified = certified.transpose()?.map(Box::new);
        Ok((stream, certified))
    }

    /// Tells when clients are to be judged anew.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.shared.clients_changed.subscribe()
    }

    /// Whether the two share what they hold.
    pub(crate) fn is_same(&self, other: &Tls) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn judge_anew(&self, change: impl FnOnce(Clients) -> Result<Clients, TlsError>) -> Result<(), TlsError> {
        self.put(|current| {
            let clients = current.clients.clone().map(change).transpose()?;
            Ok(Current { clients, ..current.clone() })
        })?;
        self.shared.clients_changed.send_replace(());
        Ok(())
    }

    /// Under the lock, so that of two changes at a time none is lost.
    fn put(&self, change: impl FnOnce(&Current) -> Result<Current, TlsError>) -> Result<(), TlsError> {
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = change(&current)?;
        next.config = configure(&next.pair, next.clients.as_ref())?;
        *current = next;
        Ok(())
    }

    fn current(&self) -> Current {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Clients {
    /// `what` is new of it, and to blame.
    fn new(
        rule: ClientRule,
        time: Arc<Time>,
        authorities: Arc<RootCertStore>,
        revoked: Arc<Vec<CertificateRevocationListDer<'static>>>,
        what: &'static str,
    ) -> Result<Clients, TlsError> {
        let provider = Arc::new(default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(authorities.clone(), provider)
            .with_crls(revoked.iter().cloned())
            .allow_unknown_revocation_status();
        let builder = if rule.is_required { builder } else { builder.allow_unauthenticated() };
        let verifier =
            builder.build().map_err(|error| TlsError::Unfit { what, detail: error.to_string() })?;
        Ok(Clients { rule, time, authorities, revoked, verifier })
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let since = u64::try_from((self.0)().millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(since)))
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Time")
    }
}

fn pair(certificates: &[u8], key: &[u8]) -> Result<Pair, TlsError> {
    let chain = read_all(certificates, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TlsError::Unreadable { what: "key", detail: error.to_string() })?;
    Ok(Pair { chain, key })
}

fn read_authorities(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let what = "authorities";
    let mut roots = RootCertStore::empty();
    for certificate in read_all(pem, what)? {
        roots.add(certificate).map_err(|error| TlsError::Unfit { what, detail: error.to_string() })?;
    }
    Ok(Arc::new(roots))
}

fn read_revoked(pem: &[u8]) -> Result<Arc<Vec<CertificateRevocationListDer<'static>>>, TlsError> {
    read_all(pem, "revocation list").map(Arc::new)
}

/// What stands in a file; nothing is an error, because a file that was cut off must not let everybody in.
fn read_all<T: PemObject>(pem: &[u8], what: &'static str) -> Result<Vec<T>, TlsError> {
    let unreadable = |detail: String| TlsError::Unreadable { what, detail };
    let all: Vec<T> =
        T::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| unreadable(error.to_string()))?;
    if all.is_empty() { Err(unreadable("there is none in it".into())) } else { Ok(all) }
}

/// Anew each time, so that no session is resumed that was begun under something else.
fn configure(pair: &Pair, clients: Option<&Clients>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(default_provider());
    let builder = match clients {
        None => ServerConfig::builder_with_provider(provider),
        Some(clients) => ServerConfig::builder_with_details(provider, clients.time.clone()),
    };
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Unusable)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients.verifier.clone()),
    };
    let config =
        builder.with_single_cert(pair.chain.clone(), pair.key.clone_key()).map_err(TlsError::Unusable)?;
    Ok(Arc::new(config))
}
