//! Certificates, and clients that trust them or prove themselves by them.

use super::{NOW, Site};
use gateway::{Clock, Tls};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate that is its own authority, and its key; in PEM.
pub struct Proof {
    pub certificate: Certificate,
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
        self.dial_as(address, None).await
    }

    /// The same, by the holder of a certificate.
    pub async fn dial_as(
        &self,
        address: SocketAddr,
        holder: Option<&Holder>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match holder {
            None => builder.with_no_client_auth(),
            Some(holder) => {
                let chain = vec![holder.certificate.clone()];
                builder.with_client_auth_cert(chain, holder.key.clone_key()).unwrap()
            }
        };
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

/// Who signs the certificates of clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A client's certificate with its key.
pub struct Holder {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        let certificate: &Certificate = self.0.as_ref();
        certificate.pem()
    }

    /// A certificate with that common name, and whatever else is wanted.
    pub fn sign(&self, name: &str, serial: u64, want: impl FnOnce(&mut CertificateParams)) -> Holder {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        want(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().der().clone();
        Holder { certificate, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }

    /// The list of what is revoked.
    pub fn revoke(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2027, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2027, 1, 1),
            next_update: date_time_ymd(2027, 1, 2),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// A clock that stands at [`NOW`].
pub fn clock() -> Clock {
    Arc::new(|| NOW)
}
