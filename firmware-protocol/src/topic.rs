//! Topic names: `up/{device}/telemetry|state|reply` and `down/{device}/command`.

use core::fmt;

/// Most bytes of a topic name of ours.
pub const MAX_TOPIC: usize = 77;

/// A topic name of ours, borrowed from the text it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic<'a> {
    /// From a device.
    Up {
        /// Who.
        device: &'a str,
        /// What.
        kind: UpKind,
    },
    /// `down/{device}/command`: to a device.
    Command {
        /// To whom.
        device: &'a str,
    },
}

/// What a device publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpKind {
    /// Readings, tag reads or passages.
    Telemetry,
    /// The device about itself.
    State,
    /// The answer to a command.
    Reply,
}

/// Why a text is not a topic name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    /// Neither `up/{device}/telemetry|state|reply` nor `down/{device}/command`.
    Unknown,
    /// Shaped like one, but the device id breaks the rule of [`is_device_id`].
    DeviceId,
}

/// Whether `id` may name a device: 1–64 bytes of `[A-Za-z0-9._-]`, the first a letter or digit.
///
/// Such an id means the same in a topic name, a file path, a URL and a shell word, and can't climb out of a
/// folder (`..`) or turn into a flag (`-x`).
pub fn is_device_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

impl UpKind {
    /// Every kind.
    pub const ALL: [UpKind; 3] = [UpKind::Telemetry, UpKind::State, UpKind::Reply];

    /// The last level of its topic name.
    pub const fn name(self) -> &'static str {
        match self {
            UpKind::Telemetry => "telemetry",
            UpKind::State => "state",
            UpKind::Reply => "reply",
        }
    }
}

impl<'a> Topic<'a> {
    /// Reads a topic name. Case counts; nothing is trimmed.
    pub fn parse(name: &'a str) -> Result<Topic<'a>, TopicError> {
        let (direction, rest) = name.split_once('/').ok_or(TopicError::Unknown)?;
        let (device, last) = rest.split_once('/').ok_or(TopicError::Unknown)?;
        let topic = match (direction, last) {
            ("up", "telemetry") => Topic::Up { device, kind: UpKind::Telemetry },
            ("up", "state") => Topic::Up { device, kind: UpKind::State },
            ("up", "reply") => Topic::Up { device, kind: UpKind::Reply },
            ("down", "command") => Topic::Command { device },
            _ => return Err(TopicError::Unknown),
        };
        if is_device_id(device) { Ok(topic) } else { Err(TopicError::DeviceId) }
    }

    /// Whose topic it is.
    pub const fn device(&self) -> &'a str {
        match *self {
            Topic::Up { device, .. } | Topic::Command { device } => device,
        }
    }

    /// Writes the name into `buffer` and returns it; `None` when it doesn't fit ([`MAX_TOPIC`] bytes always do).
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b str> {
        let (direction, last) = self.ends();
        let mut length = 0;
        for part in [direction, "/", self.device(), "/", last] {
            let end = length + part.len();
            buffer.get_mut(length..end)?.copy_from_slice(part.as_bytes());
            length = end;
        }
        core::str::from_utf8(buffer.get(..length)?).ok()
    }

    const fn ends(&self) -> (&'static str, &'static str) {
        match *self {
            Topic::Up { kind, .. } => ("up", kind.name()),
            Topic::Command { .. } => ("down", "command"),
        }
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, last) = self.ends();
        write!(f, "{direction}/{}/{last}", self.device())
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TopicError::Unknown => {
                "topic name is neither up/{device}/telemetry|state|reply nor down/{device}/command"
            }
            TopicError::DeviceId => {
                "device id is not 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit in front"
            }
        })
    }
}

impl core::error::Error for TopicError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    fn check(name: &str, expected: Result<Topic<'_>, TopicError>) {
        assert_eq!(Topic::parse(name), expected, "{name:?}");
        if let Ok(topic) = expected {
            let mut buffer = [0; MAX_TOPIC];
            assert_eq!(topic.write(&mut buffer), Some(name));
            assert_eq!(topic.to_string(), name);
        }
    }

    #[test]
    fn the_grammar() {
        for kind in UpKind::ALL {
            check(&format!("up/d-1/{}", kind.name()), Ok(Topic::Up { device: "d-1", kind }));
        }
        check("down/a.b_c/command", Ok(Topic::Command { device: "a.b_c" }));
        for unknown in
            ["", "up", "up/d", "up//", "up/d/", "up/d/telemetry/", "up/d/e/telemetry", "UP/d/telemetry"]
        {
            check(unknown, Err(TopicError::Unknown));
        }
        for unknown in
            ["down/d/telemetry", "up/d/command", "/up/d/telemetry", "up/d/Telemetry", "up /d/state"]
        {
            check(unknown, Err(TopicError::Unknown));
        }
    }

    #[test]
    fn device_ids() {
        let longest = "x".repeat(64);
        for id in ["a", "0", "air-0101", "A.b_c-9", longest.as_str()] {
            assert!(is_device_id(id), "{id}");
            check(&format!("up/{id}/telemetry"), Ok(Topic::Up { device: id, kind: UpKind::Telemetry }));
        }
        let too_long = "x".repeat(65);
        for id in ["", ".", "..", "-v", "_a", "a b", "a+", "#", "ü", "a\0", "$SYS", too_long.as_str()] {
            assert!(!is_device_id(id), "{id:?}");
            check(&format!("up/{id}/state"), Err(TopicError::DeviceId));
        }
    }

    #[test]
    fn a_short_buffer_is_refused() {
        let topic = Topic::Command { device: "d" };
        let mut buffer = [0; 14];
        for length in 0..14 {
            assert_eq!(topic.write(&mut buffer[..length]), None);
        }
        assert_eq!(topic.write(&mut buffer), Some("down/d/command"));
    }
}
