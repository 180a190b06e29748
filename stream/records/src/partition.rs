//! Which partition a key belongs to: the same as Kafka's Java client, so that a record stands in the same place
//! on every engine and whoever produced it.

/// The partition of `key` among `partitions` (at least 1).
///
/// MurmurHash2, 32 bit, seed 0x9747b28c, without its sign bit, modulo the count: what the default partitioner of
/// Kafka's Java client does with a key.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let len = u32::try_from(data.len()).expect("keys are short");
    let mut hash = 0x9747_b28c ^ len;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the tests of Kafka's Java client (`UtilsTest.testMurmur2`).
    #[test]
    fn hashes_like_the_java_client() {
        let check =
            |key: &str, expected: i32| assert_eq!(murmur2(key.as_bytes()), expected.cast_unsigned(), "{key}");
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
    }
}
