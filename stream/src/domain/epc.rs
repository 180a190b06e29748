//! What the number in a tag means, as far as a sentence for an operator needs it: SGTIN-96 of the GS1 EPC Tag Data
//! Standard. Most factory tags are not GS1-encoded; those stay hex.

/// A tag for a sentence: URI and GTIN of an SGTIN-96, anything else as it is.
pub fn describe(epc: &str) -> String {
    match Sgtin::from_hex(epc) {
        Some(sgtin) => format!("{} (GTIN {})", sgtin.uri(), sgtin.gtin14()),
        None => epc.to_owned(),
    }
}

/// A serialised trade item number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sgtin {
    /// Kind of packaging, 0 to 7.
    pub filter: u8,
    /// Company prefix, with leading zeros.
    pub prefix: String,
    /// Indicator digit and item reference, with leading zeros.
    pub item: String,
    /// Serial number.
    pub serial: u64,
}

/// Digits of the company prefix per partition value, with its bits; item digits and bits are the rest of 13 and 44.
const PARTITIONS: [(usize, u32); 7] = [(12, 40), (11, 37), (10, 34), (9, 30), (8, 27), (7, 24), (6, 20)];

impl Sgtin {
    /// Reads 24 hex digits. `None` when they are not a valid SGTIN-96: another header, partition 7, or a number with
    /// more digits than its partition allows.
    pub fn from_hex(epc: &str) -> Option<Sgtin> {
        let is_hex = epc.len() == 24 && epc.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = u128::from_str_radix(epc, 16).ok().filter(|_| is_hex)?;
        let field = |from: u32, len: u32| (bits >> (96 - from - len)) as u64 & ((1 << len) - 1);
        if field(0, 8) != 0x30 {
            return None;
        }
        let (prefix_digits, prefix_bits) = *PARTITIONS.get(field(11, 3) as usize)?;
        Some(Sgtin {
            filter: field(8, 3) as u8,
            prefix: padded(field(14, prefix_bits), prefix_digits)?,
            item: padded(field(14 + prefix_bits, 44 - prefix_bits), 13 - prefix_digits)?,
            serial: field(58, 38),
        })
    }

    /// `urn:epc:id:sgtin:PREFIX.ITEM.SERIAL`.
    pub fn uri(&self) -> String {
        format!("urn:epc:id:sgtin:{}.{}.{}", self.prefix, self.item, self.serial)
    }

    /// The trade item's number with indicator and check digit: what a bar code would say.
    pub fn gtin14(&self) -> String {
        let (indicator, reference) = self.item.split_at(1);
        let digits = format!("{indicator}{}{reference}", self.prefix);
        let weighted =
            |(index, digit): (usize, u8)| u32::from(digit - b'0') * if index % 2 == 0 { 3 } else { 1 };
        let sum: u32 = digits.bytes().enumerate().map(weighted).sum();
        format!("{digits}{}", (10 - sum % 10) % 10)
    }
}

fn padded(number: u64, digits: usize) -> Option<String> {
    let text = format!("{number:0digits$}");
    (text.len() == digits).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_row_of_the_vectors() {
        let rows = include_str!("../../tests/vectors/sgtin96.csv");
        for row in rows.lines().skip(1) {
            let [hex, filter, uri, gtin] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let sgtin = Sgtin::from_hex(hex).unwrap_or_else(|| panic!("{row}"));
            assert_eq!(
                (sgtin.filter.to_string(), sgtin.uri(), sgtin.gtin14()),
                (filter.into(), uri.into(), gtin.into())
            );
        }
        assert_eq!(rows.lines().count(), 235);
    }

    #[test]
    fn describes() {
        let check = |epc, expected| assert_eq!(describe(epc), expected);
        check("3034257BF400B7800004CB2F", "urn:epc:id:sgtin:0614141.000734.314159 (GTIN 00614141007349)");
        check("3074257bf7194e4000001a85", "urn:epc:id:sgtin:0614141.812345.6789 (GTIN 80614141123458)");
        check(
            "3035A537C837757FFFFFFFFF",
            "urn:epc:id:sgtin:6901234.056789.274877906943 (GTIN 06901234567892)",
        );
        check("300282BA4104540000000000", "urn:epc:id:sgtin:690123456789.0.0 (GTIN 06901234567892)");
        check("30DAA1F2C4B5A1C000000001", "urn:epc:id:sgtin:690123.1234567.1 (GTIN 16901232345673)");
        // Other headers, partition 7, a prefix of 13 digits, too short, too long, no hex, nothing.
        for raw in [
            "3114257BF4499602D2000000",
            "301C000000000000000000",
            "301C00000000000000000000",
            "3003FFFFFFFFFC0000000000",
            "3034257BF400B7800004CB2",
            "3034257BF400B7800004CB2F0",
            "+034257BF400B7800004CB2F",
            "€034257BF400B780004CB2",
            "",
        ] {
            check(raw, raw);
        }
    }

    proptest! {
        #[test]
        fn any_bits_are_read_or_refused(low in any::<u64>(), high in 0x3000_0000u32..0x3100_0000) {
            let hex = format!("{high:08X}{low:016X}");
            if let Some(sgtin) = Sgtin::from_hex(&hex) {
                prop_assert_eq!(sgtin.prefix.len() + sgtin.item.len(), 13);
                prop_assert_eq!(sgtin.gtin14().len(), 14);
            }
        }
    }
}
