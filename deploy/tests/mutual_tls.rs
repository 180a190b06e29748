//! Devices that prove themselves by certificates, and lists that are replaced while the binary runs.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use support::sluice::Folder;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Secure = StreamOwned<ClientConnection, TcpStream>;

/// CONNECT of MQTT 3.1.1 without user name and password, and what it is answered with.
const HELLO: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c";
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn list(authority: &CertifiedIssuer<'static, KeyPair>, serials: &[u64]) -> String {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2026, 1, 2),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(authority).expect("a list").pem().expect("PEM")
}

/// A device's connection, as it is after the handshake.
fn dial(
    address: SocketAddr,
    server: CertificateDer<'static>,
    authority: &CertifiedIssuer<'static, KeyPair>,
    (name, serial): (&str, u64),
) -> Secure {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate").der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(server).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![certificate],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a certificate with its key");
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    StreamOwned::new(connection, stream)
}

fn ask(wire: &mut Secure, said: &[u8], expected: &[u8]) {
    wire.write_all(said).expect("it reads");
    let mut answer = vec![0; expected.len()];
    wire.read_exact(&mut answer).expect("it answers");
    assert_eq!(answer, expected);
}

#[test]
fn a_revoked_device_is_gone_within_two_seconds_and_a_bad_list_says_so() {
    let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let authority = authority();
    let pem = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = pem.path().join(name);
        std::fs::write(&path, text).expect("a file in a folder of ours");
        path
    };
    let certificate = file("certificate.pem", &server.cert.pem());
    let key = file("key.pem", &server.signing_key.serialize_pem());
    let shown: &Certificate = authority.as_ref();
    let authorities = file("authorities.pem", &shown.pem());
    let revoked = file("revoked.pem", &list(&authority, &[9]));
    let folder = Folder::new(&format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {certificate:?}\nkey = {key:?}\n\
         [tls.clients]\nauthorities = {authorities:?}\nrevoked = {revoked:?}\n",
    ));
    folder.add_device("d-1", "air", &[]);
    folder.add_device("d-2", "air", &[]);
    let sluice = folder.start();
    let connect = |who| {
        let address = sluice.address("mqtts");
        let mut wire = dial(address, server.cert.der().clone(), &authority, who);
        ask(&mut wire, HELLO, &CONNACK);
        wire
    };
    let (mut first, mut second) = (connect(("d-1", 1)), connect(("d-2", 2)));

    // A listener's certificate that can't be used, and a list that can't: nothing changes, and both are told.
    file("certificate.pem", "");
    file("revoked.pem", "");
    let told = "a new file of TLS can't be used: the old one stays in force";
    let started = Instant::now();
    while folder.log().matches(told).count() < 2 {
        assert!(started.elapsed() < Duration::from_secs(10), "{}", folder.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    ask(&mut second, b"\xc0\0", b"\xd0\0");

    // The list counts although the certificate is still bad.
    let started = Instant::now();
    file("revoked.pem", &list(&authority, &[2]));
    let ended = second.read(&mut [0]);
    let gone = match &ended {
        Ok(read) => *read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    assert!(gone && started.elapsed() < Duration::from_secs(2), "{ended:?} after {:?}", started.elapsed());
    ask(&mut first, b"\xc0\0", b"\xd0\0");
    assert_eq!(sluice.stop(), Some(0));
}
