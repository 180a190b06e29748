//! Passwords of devices and their hashes.

use crate::RegistryError;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;

/// A random password, as told to a person once: four groups of six characters with 118 bits of chance.
///
/// `Display` shows it, `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Digits and lower case without what is read as something else: 0, 1, i, l and o are missing.
const ALPHABET: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";
const GROUPS: usize = 4;
const GROUP: usize = 6;

impl Password {
    /// The fewest characters that a password chosen by somebody may have.
    pub const MIN_CHOSEN: usize = 8;

    /// The password as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn random() -> Result<Password, RegistryError> {
        let mut text = String::with_capacity(GROUPS * (GROUP + 1));
        for group in 0..GROUPS {
            if group > 0 {
                text.push('-');
            }
            for _ in 0..GROUP {
                text.push(random_character()?);
            }
        }
        Ok(Password(text))
    }
}

/// Every character is equally likely: bytes beyond the last whole multiple of the alphabet are drawn again.
fn random_character() -> Result<char, RegistryError> {
    const BOUND: u8 = u8::MAX - u8::MAX % ALPHABET.len() as u8;
    loop {
        let mut byte = [0];
        getrandom::fill(&mut byte).map_err(RegistryError::Randomness)?;
        if byte[0] < BOUND {
            return Ok(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// An Argon2id hash of a password as a PHC string: salt and cost stand in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Box<str>);

/// Nobody guesses 118 bits, whatever a guess costs: the hash only has to hide the password from a reader of the
/// file, and a fleet that reconnects must not pay for more.
const COST_OF_RANDOM: (u32, u32) = (64, 1);

/// What the Argon2 crate takes by default (OWASP's first recommendation): 19 MiB, two passes.
const COST_OF_CHOSEN: (u32, u32) = (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST);

impl Credential {
    pub(super) fn of_random(password: &Password) -> Result<Credential, RegistryError> {
        Credential::hash(password.as_str(), COST_OF_RANDOM)
    }

    pub(super) fn of_chosen(password: &str) -> Result<Credential, RegistryError> {
        if password.chars().count() < Password::MIN_CHOSEN {
            return Err(RegistryError::WeakPassword);
        }
        Credential::hash(password, COST_OF_CHOSEN)
    }

    pub(super) fn stored(text: String) -> Credential {
        Credential(text.into_boxed_str())
    }

    /// Whether `password` is the one. Costs what hashing it did; a string that is no PHC string matches nothing.
    pub fn matches(&self, password: &str) -> bool {
        PasswordHash::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// The PHC string.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn hash(password: &str, (memory_kib, passes): (u32, u32)) -> Result<Credential, RegistryError> {
        let params = Params::new(memory_kib, passes, 1, None).expect("both costs are within Argon2's bounds");
        let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password(password.as_bytes())
            .map_err(RegistryError::Hash)?;
        Ok(Credential(hash.to_string().into_boxed_str()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_readable_and_different() {
        let (one, other) = (Password::random().unwrap(), Password::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 27);
        assert!(one.as_str().bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)));
        let bits = (ALPHABET.len() as f64).log2() * (GROUPS * GROUP) as f64;
        assert!(bits >= 110.0, "{bits}");
    }

    #[test]
    fn a_credential_matches_its_password_alone() {
        let password = Password::random().unwrap();
        let credential = Credential::of_random(&password).unwrap();
        assert!(credential.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", credential.as_str());
        assert!(credential.matches(password.as_str()));
        assert!(!credential.matches("something else"));
        assert!(!Credential::stored("plain".into()).matches("plain"));
    }

    #[test]
    fn nothing_secret_is_printed_for_debugging() {
        let password = Password::random().unwrap();
        let credential = Credential::of_random(&password).unwrap();
        assert_eq!(format!("{password:?} {credential:?}"), "Password(…) Credential(…)");
    }
}
