//! SGTIN-96 (GS1 Tag Data Standard): the code on a pallet's tag.

use firmware_protocol::Epc;

/// The EPC of an item; `prefix` is the company prefix, `item` indicator and item reference, 13 digits in all.
///
/// `None` when a part doesn't fit: `prefix_digits` not 6 to 12, a part beyond its digits, `filter` beyond 7, or
/// `serial` beyond 38 bits.
pub fn sgtin96(filter: u8, prefix_digits: u32, prefix: u64, item: u64, serial: u64) -> Option<Epc> {
    let partition = 12_u32.checked_sub(prefix_digits).filter(|partition| *partition <= 6)?;
    let prefix_bits = *PREFIX_BITS.get(partition as usize)?;
    let fits = filter < 8
        && prefix < 10_u64.pow(prefix_digits)
        && item < 10_u64.pow(13 - prefix_digits)
        && serial < 1 << 38;
    let head = 0x30 << 6 | u128::from(filter) << 3 | u128::from(partition);
    let company = head << prefix_bits | u128::from(prefix);
    let class = company << (44 - prefix_bits) | u128::from(item);
    let code = class << 38 | u128::from(serial);
    Epc::from_bytes(code.to_be_bytes().get(4..)?).ok().filter(|_| fits)
}

/// Bits of the company prefix by partition; the item has the rest of 44.
const PREFIX_BITS: [u32; 7] = [40, 37, 34, 30, 27, 24, 20];

#[cfg(test)]
mod tests {
    use super::*;

    /// EPCs of all seven partitions with what independent decoders read from them.
    const VECTORS: &str = include_str!("../tests/sgtin96.csv");

    #[test]
    fn vectors() {
        let mut partitions = [0; 13];
        for line in VECTORS.lines().skip(1) {
            let [hex, filter, uri, _] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let [prefix, item, serial] =
                uri.strip_prefix("urn:epc:id:sgtin:").unwrap().split('.').collect::<Vec<_>>()[..]
            else {
                panic!("{line}")
            };
            let parts = [item, serial].map(|part| part.parse().unwrap());
            let digits = prefix.len();
            partitions[digits] += 1;
            let epc =
                sgtin96(filter.parse().unwrap(), digits as u32, prefix.parse().unwrap(), parts[0], parts[1]);
            assert_eq!(epc.map(|epc| epc.to_string()).as_deref(), Some(hex), "{line}");
        }
        assert!(partitions[6..].iter().all(|count| *count > 0), "a partition has no vector");
    }

    #[test]
    fn what_does_not_fit() {
        assert_eq!(sgtin96(8, 7, 1, 1, 1), None);
        assert_eq!(sgtin96(1, 5, 1, 1, 1), None);
        assert_eq!(sgtin96(1, 13, 1, 1, 1), None);
        assert_eq!(sgtin96(1, 7, 10_000_000, 1, 1), None);
        assert_eq!(sgtin96(1, 7, 1, 1_000_000, 1), None);
        assert_eq!(sgtin96(1, 7, 1, 1, 1 << 38), None);
    }
}
