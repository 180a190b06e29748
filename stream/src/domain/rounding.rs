//! Rounding as GB/T 8170 has it: to the nearest, a tie to the even digit.

/// `value` rounded to `decimals`, as a whole number of units of the last decimal: 2.05 to one decimal is 20.
///
/// Rounds the decimal number that the value was written as: the shortest one that reads back as the same `f64`.
/// The binary value itself would not do: 2.05 is stored a little below 2.05 and 0.15 a little below 0.15, so no tie
/// would ever be seen. `None` when negative or not finite; what is too large to count stays at `i64::MAX`.
pub fn half_even(value: f64, decimals: usize) -> Option<i64> {
    if !value.is_finite() || value < 0.0 {
        return None;
    }
    // `Display` of an `f64` is the shortest form, without an exponent. The absolute value drops the sign of -0.
    let text = value.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (kept, dropped) = fraction.split_at(decimals.min(fraction.len()));
    let digits = format!("{whole}{kept:0<decimals$}");
    let truncated: i64 = digits.parse().unwrap_or(i64::MAX);
    Some(truncated.saturating_add(i64::from(rounds_up(dropped, truncated))))
}

/// Whether what was cut off is more than half a unit, or half a unit behind an odd digit.
fn rounds_up(dropped: &str, truncated: i64) -> bool {
    let is_tie = dropped.starts_with('5') && dropped[1..].bytes().all(|digit| digit == b'0');
    match dropped.bytes().next() {
        _ if is_tie => truncated % 2 == 1,
        Some(first) => first >= b'5',
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_vectors() {
        let rows = include_str!("../../tests/vectors/gbt8170.csv").lines().skip(1);
        let mut count = 0;
        for row in rows {
            let [value, decimals, rounded] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let expected: i64 = rounded.replace('.', "").parse().unwrap();
            assert_eq!(half_even(value.parse().unwrap(), decimals.parse().unwrap()), Some(expected), "{row}");
            count += 1;
        }
        assert_eq!(count, 18);
    }

    #[test]
    fn the_edges() {
        let check =
            |value: f64, decimals, expected| assert_eq!(half_even(value, decimals), expected, "{value}");
        check(0.0, 0, Some(0));
        check(-0.0, 1, Some(0));
        check(7.0, 2, Some(700));
        check(0.5000001, 0, Some(1));
        check(9.95, 1, Some(100));
        check(99.5, 0, Some(100));
        check(1e-300, 3, Some(0));
        check(1e300, 0, Some(i64::MAX));
        check(-0.1, 0, None);
        check(f64::NAN, 0, None);
        check(f64::INFINITY, 0, None);
    }
}
