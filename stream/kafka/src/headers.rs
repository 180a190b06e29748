//! What stands beside a record for readers who know nothing of us, and whence a forwarded one came.

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use records::{Entry, Mirrored, Origin};

const CONTENT_TYPE: &str = "content-type";
const SCHEMA: &str = "schema";
const GATEWAY: &str = "gateway";
const SPOOL: &str = "spool";
const OFFSET: &str = "spool-offset";
const CITY: &str = "city";
const CITY_PARTITION: &str = "city-partition";
const CITY_OFFSET: &str = "city-offset";
const TRAIL: &str = "trail";

/// The headers of a record: what its bytes are, and whence it came, when it did not begin here.
///
/// Numbers are decimal text, so that every Kafka tool shows them.
pub(crate) fn write(entry: &Entry<'_>) -> OwnedHeaders {
    let (content_type, schema) = shape(entry.value);
    let mut headers = OwnedHeaders::new_with_capacity(if entry.origin.is_some() { 5 } else { 2 });
    headers = headers.insert(Header { key: CONTENT_TYPE, value: Some(content_type) });
    if let Some(schema) = schema {
        headers = headers.insert(Header { key: SCHEMA, value: Some(schema) });
    }
    if let Some(origin) = entry.origin {
        headers = headers
            .insert(Header { key: GATEWAY, value: Some(origin.gateway) })
            .insert(Header { key: SPOOL, value: Some(&origin.spool.to_string()) })
            .insert(Header { key: OFFSET, value: Some(&origin.offset.to_string()) });
    }
    let Some(mirrored) = entry.mirrored else { return headers };
    headers
        .insert(Header { key: CITY, value: Some(mirrored.city()) })
        .insert(Header { key: CITY_PARTITION, value: Some(&mirrored.partition.to_string()) })
        .insert(Header { key: CITY_OFFSET, value: Some(&mirrored.offset.to_string()) })
        .insert(Header { key: TRAIL, value: Some(mirrored.trail) })
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

/// Origin and way among the headers; `None` for what is not there, or is not what a forwarder or a mirror writes.
pub(crate) fn whence<'a>(message: &'a BorrowedMessage<'_>) -> (Option<Origin<'a>>, Option<Mirrored<'a>>) {
    let Some(headers) = message.headers() else { return (None, None) };
    let (mut gateway, mut spool, mut offset) = (None, None, None);
    let (mut trail, mut city_partition, mut city_offset) = (None, None, None);
    for header in headers.iter() {
        match header.key {
            GATEWAY => gateway = name(header.value),
            SPOOL => spool = number(header.value),
            OFFSET => offset = number(header.value),
            TRAIL => trail = name(header.value),
            CITY_PARTITION => {
                city_partition = number(header.value).and_then(|number| u32::try_from(number).ok());
            }
            CITY_OFFSET => city_offset = number(header.value),
            _ => {}
        }
    }
    let origin = match (gateway, spool, offset) {
        (Some(gateway), Some(spool), Some(offset)) => Some(Origin { gateway, spool, offset }),
        _ => None,
    };
    let mirrored = match (trail, city_partition, city_offset) {
        (Some(trail), Some(partition), Some(offset)) => Some(Mirrored { trail, partition, offset }),
        _ => None,
    };
    (origin, mirrored)
}

fn name(value: Option<&[u8]>) -> Option<&str> {
    text(value).filter(|text| text.len() <= usize::from(u8::MAX))
}

fn number(value: Option<&[u8]>) -> Option<u64> {
    text(value)?.parse().ok()
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(value?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &[u8], origin: Option<Origin<'_>>, mirrored: Option<Mirrored<'_>>) -> Vec<String> {
        let headers = write(&Entry { key: b"", value, origin, mirrored });
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        headers.iter().map(|header| format!("{}={}", header.key, text(header.value))).collect()
    }

    #[test]
    fn headers_say_what_the_bytes_are() {
        let check = |value: &[u8], expected: &[&str]| assert_eq!(written(value, None, None), expected);
        check(&[0x83, 1, 3, 0xa0], &["content-type=application/cbor", "schema=1"]);
        check(br#"{"version":1,"id":"a"}"#, &["content-type=application/json", "schema=1"]);
        check(b"{}", &["content-type=application/json"]);
        check(b"", &["content-type=application/octet-stream"]);
    }

    #[test]
    fn an_origin_is_beside_it() {
        let origin = Origin { gateway: "west", spool: 7, offset: u64::MAX };
        let expected = ["content-type=application/cbor", "schema=1", "gateway=west", "spool=7"];
        let found = written(&[0x83, 1, 1], Some(origin), None);
        assert_eq!(found[..4], expected);
        assert_eq!(found[4], "spool-offset=18446744073709551615");
    }

    #[test]
    fn so_is_the_way_from_another_deployment() {
        let mirrored = Mirrored { trail: "guangzhou,guangdong", partition: 3, offset: 12 };
        let found = written(b"{}", None, Some(mirrored));
        let expected = ["city=guangzhou", "city-partition=3", "city-offset=12", "trail=guangzhou,guangdong"];
        assert_eq!(found[1..], expected);
    }
}
