//! Line protocol, one line at a time.
//!
//! The syntax is InfluxDB's (reference, "Line protocol"); what its parser makes of the odd cases was read from
//! `models/points.go` of version 2.9.1. Text stands in tags and field keys only, never in field values.

use records::Timestamp;

/// Writes `text` as a tag value, tag key or field key.
///
/// Commas, equals signs and spaces are escaped. What the format can't hold is written as a sign that looks like
/// it: a control character, a line break among them, as its picture (U+2400 and following), and a backslash that
/// would escape what follows it (a comma, equals sign, space, or the end) as U+2216.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte > b' ' && !matches!(byte, b',' | b'=' | b'\\' | 0x7f)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let shown = match char {
            ',' | '=' | ' ' => {
                out.push(b'\\');
                char
            }
            '\\' if matches!(rest.peek(), None | Some(',' | '=' | ' ')) => '\u{2216}',
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(char)).unwrap_or('\u{2421}'),
            '\x7f' => '\u{2421}',
            other => other,
        };
        out.extend_from_slice(shown.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Appends a few bytes. A copy of known length is a few instructions, one of any length a call of `memcpy`; a line has
/// twenty of them.
fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    let (mut whole, len) = ([0; 16], bytes.len());
    match len {
        8..=16 => spread::<8>(&mut whole, bytes),
        4..8 => spread::<4>(&mut whole, bytes),
        2..4 => spread::<2>(&mut whole, bytes),
        1 => whole[0] = bytes[0],
        _ => return out.extend_from_slice(bytes),
    }
    let end = out.len() + len;
    out.extend_from_slice(&whole);
    out.truncate(end);
}

/// The first and the last `N` bytes, which are all of them when there are at most twice as many.
fn spread<const N: usize>(whole: &mut [u8; 16], bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        let at = bytes.len() - N;
        whole[at..at + N].copy_from_slice(last);
        whole[..N].copy_from_slice(first);
    }
}

/// The longest text of a number, and more than what stands beside it in a field.
const FIELD_BYTES: usize = 32;

/// A line that is being written: the series stands there, fields follow.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// Where the line begins.
    start: usize,
    has_field: bool,
}

impl<'a> Line<'a> {
    /// Begins a line of the series `key` (measurement and tags, escaped).
    pub fn begin(out: &'a mut Vec<u8>, key: &[u8]) -> Line<'a> {
        let start = out.len();
        out.reserve(key.len() + 16 * FIELD_BYTES);
        out.extend_from_slice(key);
        Line { out, start, has_field: false }
    }

    /// Adds a field, unless the value is not finite: the format has no word for that. `name` is escaped, between
    /// a comma and an equals sign, as in the next.
    pub fn float(&mut self, name: &[u8], value: f64) {
        if value.is_finite() {
            self.name(name);
            push(self.out, zmij::Buffer::new().format_finite(value).as_bytes());
        }
    }

    /// Adds a field.
    pub fn integer(&mut self, name: &[u8], value: u32) {
        self.name(name);
        push(self.out, itoa::Buffer::new().format(value).as_bytes());
        self.out.push(b'i');
    }

    /// Ends the line with its time in milliseconds. A line without a field is taken back, and `false` returned.
    pub fn end(self, at: Timestamp) -> bool {
        if !self.has_field {
            self.out.truncate(self.start);
            return false;
        }
        self.out.push(b' ');
        push(self.out, itoa::Buffer::new().format(at.millis()).as_bytes());
        self.out.push(b'\n');
        true
    }

    fn name(&mut self, name: &[u8]) {
        let at = self.out.len();
        push(self.out, name);
        if !self.has_field {
            // Behind the series stands a space instead.
            self.out[at] = b' ';
            self.has_field = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_or_shown() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            escape_into(&mut out, text);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text:?}");
        };
        check("air-0001", "air-0001");
        check("天河", "天河");
        check("a b,c=d", r"a\ b\,c\=d");
        check("quoted \"name\"", "quoted\\ \"name\"");
        check("two\nlines\r\n", "two␊lines␍␊");
        check("tab\tnul\0del\x7f", "tab␉nul␀del␡");
        check(r"C:\dir", r"C:\dir");
        check(r"ends\", "ends∖");
        check(r"a\,b\ c\=d", r"a∖\,b∖\ c∖\=d");
        check(r"two\\", r"two\∖");
    }

    #[test]
    fn few_bytes_are_appended_as_they_are() {
        let text: Vec<u8> = (b'a'..=b'z').collect();
        for len in 0..=text.len() {
            let mut out = b"before".to_vec();
            push(&mut out, &text[..len]);
            assert_eq!(out, [b"before", &text[..len]].concat());
        }
    }

    #[test]
    fn a_line_has_its_fields_and_time() {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out, b"air,device=a");
        line.float(b",mean=", 20.5);
        line.float(b",min=", f64::NAN);
        line.float(b",max=", f64::INFINITY);
        line.integer(b",count=", 3);
        assert!(line.end(Timestamp(-5)));
        let mut line = Line::begin(&mut out, b"air,device=b");
        line.float(b",pm2_5_mean=", 1e21);
        assert!(line.end(Timestamp(1_795_334_400_000)));
        let expected = "air,device=a mean=20.5,count=3i -5\nair,device=b pm2_5_mean=1e+21 1795334400000\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn a_line_without_a_field_is_none() {
        let mut out = b"before\n".to_vec();
        let mut line = Line::begin(&mut out, b"air,device=a");
        line.float(b",mean=", f64::NAN);
        assert!(!line.end(Timestamp(0)));
        assert_eq!(out, b"before\n");
    }
}
