//! What stands beside a record for readers who know nothing of us, and whence a forwarded one came.

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use records::Origin;

const CONTENT_TYPE: &str = "content-type";
const SCHEMA: &str = "schema";
const GATEWAY: &str = "gateway";
const SPOOL: &str = "spool";
const OFFSET: &str = "spool-offset";

/// The headers of a record: what its bytes are, and its origin, when it has one.
///
/// Numbers are decimal text, so that every Kafka tool shows them.
pub(crate) fn write(value: &[u8], origin: Option<Origin<'_>>) -> OwnedHeaders {
    let (content_type, schema) = shape(value);
    let mut headers = OwnedHeaders::new_with_capacity(if origin.is_some() { 5 } else { 2 });
    headers = headers.insert(Header { key: CONTENT_TYPE, value: Some(content_type) });
    if let Some(schema) = schema {
        headers = headers.insert(Header { key: SCHEMA, value: Some(schema) });
    }
    let Some(origin) = origin else { return headers };
    headers
        .insert(Header { key: GATEWAY, value: Some(origin.gateway) })
        .insert(Header { key: SPOOL, value: Some(&origin.spool.to_string()) })
        .insert(Header { key: OFFSET, value: Some(&origin.offset.to_string()) })
}

/// An alert is a JSON object that begins with its version; any other record is CBOR, and its second byte is the
/// version (`README.md` of `records`, "Bytes").
fn shape(value: &[u8]) -> (&'static str, Option<&'static str>) {
    const VERSIONS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    match value {
        [b'{', rest @ ..] => {
            let digit = rest.strip_prefix(br#""version":"#).and_then(|rest| rest.first());
            let version = digit.map(|digit| usize::from(digit.wrapping_sub(b'0')));
            ("application/json", version.and_then(|version| VERSIONS.get(version).copied()))
        }
        [0x83, version, ..] => ("application/cbor", VERSIONS.get(usize::from(*version)).copied()),
        _ => ("application/octet-stream", None),
    }
}

/// The origin among the headers; `None` when it is not there, or is not what a forwarder writes.
pub(crate) fn origin<'a>(message: &'a BorrowedMessage<'_>) -> Option<Origin<'a>> {
    let headers = message.headers()?;
    let (mut gateway, mut spool, mut offset) = (None, None, None);
    for header in headers.iter() {
        match header.key {
            GATEWAY => gateway = text(header.value),
            SPOOL => spool = text(header.value).and_then(|text| text.parse().ok()),
            OFFSET => offset = text(header.value).and_then(|text| text.parse().ok()),
            _ => {}
        }
    }
    let gateway = gateway.filter(|gateway: &&str| gateway.len() <= usize::from(u8::MAX))?;
    Some(Origin { gateway, spool: spool?, offset: offset? })
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(value?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &[u8], origin: Option<Origin<'_>>) -> Vec<String> {
        let headers = write(value, origin);
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        headers.iter().map(|header| format!("{}={}", header.key, text(header.value))).collect()
    }

    #[test]
    fn headers_say_what_the_bytes_are() {
        let check = |value: &[u8], expected: &[&str]| assert_eq!(written(value, None), expected);
        check(&[0x83, 1, 3, 0xa0], &["content-type=application/cbor", "schema=1"]);
        check(br#"{"version":1,"id":"a"}"#, &["content-type=application/json", "schema=1"]);
        check(b"{}", &["content-type=application/json"]);
        check(b"", &["content-type=application/octet-stream"]);
    }

    #[test]
    fn an_origin_is_beside_it() {
        let origin = Origin { gateway: "west", spool: 7, offset: u64::MAX };
        let expected = ["content-type=application/cbor", "schema=1", "gateway=west", "spool=7"];
        let found = written(&[0x83, 1, 1], Some(origin));
        assert_eq!(found[..4], expected);
        assert_eq!(found[4], "spool-offset=18446744073709551615");
    }
}
