//! Where a certificate says whose it is.

use records::Name;
use std::fmt;
use std::str::FromStr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// A field of a certificate and what stands around the name in it, such as `cn:{device}`,
/// `dns:{device}.devices.example`, `uri:urn:city:{device}` or `email:{device}@devices.example`.
///
/// `cn` is the subject's common name, the others are kinds of subject alternative names (RFC 5280, 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateName {
    field: Field,
    before: String,
    behind: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    CommonName,
    Dns,
    Uri,
    Email,
}

/// Where the name stands.
const HOLE: &str = "{device}";

impl CertificateName {
    /// The name; `None` when the field says none, or more than one.
    pub(super) fn find(&self, certificate: &X509Certificate<'_>) -> Option<Name> {
        let mut found: Vec<&str> = match self.field {
            Field::CommonName => {
                let names = certificate.subject().iter_common_name();
                names.filter_map(|name| name.as_str().ok()).filter_map(|said| self.name_in(said)).collect()
            }
            _ => {
                let names = certificate.subject_alternative_name().ok()??.value;
                let said = names.general_names.iter().filter_map(|name| self.alternative(name));
                said.filter_map(|said| self.name_in(said)).collect()
            }
        };
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [one] => Some(Name::new(one)),
            _ => None,
        }
    }

    fn alternative<'n>(&self, name: &GeneralName<'n>) -> Option<&'n str> {
        match (self.field, name) {
            (Field::Dns, GeneralName::DNSName(said))
            | (Field::Uri, GeneralName::URI(said))
            | (Field::Email, GeneralName::RFC822Name(said)) => Some(said),
            _ => None,
        }
    }

    fn name_in<'n>(&self, said: &'n str) -> Option<&'n str> {
        let name = said.strip_prefix(self.before.as_str())?.strip_suffix(self.behind.as_str())?;
        firmware_protocol::is_device_id(name).then_some(name)
    }
}

impl Field {
    const ALL: [Field; 4] = [Field::CommonName, Field::Dns, Field::Uri, Field::Email];

    const fn word(self) -> &'static str {
        match self {
            Field::CommonName => "cn",
            Field::Dns => "dns",
            Field::Uri => "uri",
            Field::Email => "email",
        }
    }
}

impl FromStr for CertificateName {
    type Err = String;

    fn from_str(text: &str) -> Result<CertificateName, String> {
        let read = || {
            let (word, pattern) = text.split_once(':')?;
            let field = Field::ALL.into_iter().find(|field| field.word() == word)?;
            let (before, behind) = pattern.split_once(HOLE)?;
            let is_once = !behind.contains(HOLE);
            is_once.then(|| CertificateName { field, before: before.into(), behind: behind.into() })
        };
        read().ok_or_else(|| {
            format!("{text:?} is not cn, dns, uri or email, a colon, and a text with one {HOLE} in it")
        })
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}{HOLE}{}", self.field.word(), self.before, self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};
    use x509_parser::parse_x509_certificate;

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "d-1");
        let text = |text: &str| text.to_owned().try_into().expect("it is ASCII");
        params.subject_alt_names = vec![
            SanType::DnsName(text("d-2.devices.example")),
            SanType::DnsName(text("elsewhere.example")),
            SanType::URI(text("urn:city:d-3")),
            SanType::Rfc822Name(text("d-4@devices.example")),
            SanType::Rfc822Name(text("d-5@devices.example")),
        ];
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_name_stands_where_the_template_says() {
        let der = certificate();
        let (_, certificate) = parse_x509_certificate(&der).expect("a certificate");
        let check = |template: &str, expected: Option<&str>| {
            let name: CertificateName = template.parse().expect("a template");
            assert_eq!(name.to_string(), template);
            assert_eq!(name.find(&certificate).as_deref(), expected, "{template}");
        };
        check("cn:{device}", Some("d-1"));
        check("cn:x-{device}", None);
        check("dns:{device}.devices.example", Some("d-2"));
        check("dns:{device}.example", None); // two of them
        check("dns:{device}.devices.elsewhere", None);
        check("uri:urn:city:{device}", Some("d-3"));
        check("uri:{device}", None); // with a colon it is nobody's
        check("email:{device}@devices.example", None); // two of them
        check("email:{device}@elsewhere.example", None);
    }

    #[test]
    fn a_template_has_a_field_and_a_hole() {
        for text in ["", "cn", "cn:", "cn:device", "dn:{device}", "cn:{device}{device}", "{device}"] {
            assert!(text.parse::<CertificateName>().is_err(), "{text}");
        }
    }
}
