//! Where devices come in, beside MQTT as it is: what the configuration names is listened on, with what it says.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::sluice::Folder;

const UPGRADE: &str = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Protocol: mqtt\r\n\r\n";

/// CONNECT of an unknown device, in a frame with an empty mask.
const HELLO: &[u8] = b"\x82\x95\0\0\0\0\x10\x13\0\x04MQTT\x04\xc2\0\0\0\x01d\0\x01d\0\x01x";

/// CONNACK 4 in a frame.
const REFUSED: [u8; 6] = [0x82, 4, 0x20, 2, 0, 4];

#[test]
fn websockets_are_served_and_the_secure_ones_with_the_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let pem = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = pem.path().join(name);
        std::fs::write(&path, text).expect("a file in a folder of ours");
        path
    };
    let certificate = file("certificate.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let folder = Folder::new(&format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {certificate:?}\nkey = {key:?}\n\
         [websocket]\nlisten = \"127.0.0.1:0\"\ntls_listen = \"127.0.0.1:0\"\n",
    ));
    let sluice = folder.start();

    let mut plain = TcpStream::connect(sluice.address("ws")).expect("it listens");
    plain.write_all(UPGRADE.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        plain.read_exact(&mut byte).expect("it answers");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    plain.write_all(HELLO).expect("it reads");
    let mut connack = [0; REFUSED.len()];
    plain.read_exact(&mut connack).expect("it answers");
    assert_eq!(connack, REFUSED);

    // What is no TLS is answered by an alert of TLS, and not by HTTP.
    let mut secure = TcpStream::connect(sluice.address("wss")).expect("it listens");
    secure.write_all(UPGRADE.as_bytes()).expect("it reads");
    let mut first = [0];
    secure.read_exact(&mut first).expect("it answers");
    assert_eq!(first, [0x15]);
    assert_eq!(sluice.stop(), Some(0));
}
