//! Bearer tokens: what a device may send in a password's place until a certain time.
//!
//! A token is signed with the hash of the device's password, whose salt never leaves the registry; so nothing more
//! has to be kept, and a new password voids every token that was given out before.

use super::Credential;
use hmac::{Hmac, KeyInit, Mac};
use records::Timestamp;
use sha2::Sha256;
use std::fmt::Write;

/// What a token begins with, so that no password is taken for one.
const PREFIX: &str = "sluice-token:";

/// Bytes of the signature, two hex digits each.
const SIGNATURE: usize = 32;

/// Whether something that was sent in a password's place is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// It is a token of this device; the instant from which on it is void.
    Until(Timestamp),
    /// It looks like a token, and is not one of this device, or void.
    Wrong,
    /// It is no token at all.
    NoToken,
}

/// A token of this device that is void from `until` on, to the second.
pub(super) fn issue(device: &str, credential: &Credential, until: Timestamp) -> String {
    let seconds = until.millis().div_euclid(1000);
    let mut token = format!("{PREFIX}{seconds}:");
    for byte in sign(device, credential, seconds).finalize().into_bytes() {
        write!(token, "{byte:02x}").expect("a text takes more text");
    }
    token
}

/// Looks at what was sent.
pub(crate) fn check(device: &str, credential: &Credential, sent: &str, now: Timestamp) -> Bearer {
    let Some(rest) = sent.strip_prefix(PREFIX) else { return Bearer::NoToken };
    let parsed = rest.split_once(':').and_then(|(seconds, hex)| Some((seconds.parse().ok()?, bytes(hex)?)));
    let Some((seconds, signature)) = parsed else { return Bearer::Wrong };
    // In constant time, because here a sender could otherwise find a signature byte by byte.
    let is_ours = sign(device, credential, seconds).verify_slice(&signature).is_ok();
    match seconds.checked_mul(1000).map(Timestamp) {
        Some(until) if is_ours && now < until => Bearer::Until(until),
        _ => Bearer::Wrong,
    }
}

fn sign(device: &str, credential: &Credential, seconds: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(credential.as_str().as_bytes())
        .expect("a key of HMAC may have any length");
    mac.update(&seconds.to_be_bytes());
    mac.update(device.as_bytes());
    mac
}

fn bytes(hex: &str) -> Option<[u8; SIGNATURE]> {
    let mut bytes = [0; SIGNATURE];
    let is_hex = hex.len() == 2 * SIGNATURE && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    is_hex.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_device_one_password_and_some_time() {
        let credential = Credential::stored("$argon2id$one".to_owned());
        let other = Credential::stored("$argon2id$two".to_owned());
        let token = issue("d-1", &credential, Timestamp(1_800_000_000_500));
        let check = |device: &str, credential: &Credential, sent: &str, now: i64, expected: Bearer| {
            assert_eq!(
                check(device, credential, sent, Timestamp(now)),
                expected,
                "{sent} of {device} at {now}"
            );
        };
        let until = Timestamp(1_800_000_000_000);
        check("d-1", &credential, &token, 1_799_999_999_999, Bearer::Until(until));
        check("d-1", &credential, &token, 1_800_000_000_000, Bearer::Wrong);
        check("d-2", &credential, &token, 0, Bearer::Wrong);
        check("d-1", &other, &token, 0, Bearer::Wrong);
        check("d-1", &credential, &token.replace(":18", ":19"), 0, Bearer::Wrong);
        check("d-1", &credential, &token[..token.len() - 1], 0, Bearer::Wrong);
        check("d-1", &credential, "sluice-token:é", 0, Bearer::Wrong);
        check("d-1", &credential, "sluice-token:99999999999999999:00", 0, Bearer::Wrong);
        check("d-1", &credential, "a password", 0, Bearer::NoToken);
    }
}
