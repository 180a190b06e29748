//! Lengths of time and sizes as people write them.

use std::time::Duration;

/// `"250ms"`, `"30s"`, `"5m"`, `"24h"`, `"7d"`: a whole number and a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "\"{text}\" is not a length of time such as \"250ms\", \"30s\", \"5m\", \"24h\", \"7d\""
            ));
        }
    };
    whole(number, millis)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("\"{text}\" is not a length of time"))
}

/// `"64 KiB"`, `"20GB"`, `"4096"`: a whole number and a unit of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let bytes = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(format!("\"{text}\" is not a size such as \"64 KiB\" or \"20 GB\"")),
    };
    whole(number, bytes).ok_or_else(|| format!("\"{text}\" is not a size"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..digits], text[digits..].trim())
}

fn whole(number: &str, factor: u64) -> Option<u64> {
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        };
        check("250ms", Some(250));
        check("30 s", Some(30_000));
        check("5m", Some(300_000));
        check("24h", Some(86_400_000));
        check("7d", Some(604_800_000));
        check("0s", Some(0));
        check("30", None);
        check("-1s", None);
        check("1.5s", None);
        check("s", None);
        check("99999999999999999999d", None);
        check("9999999999999999d", None);
    }

    #[test]
    fn reads_sizes() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(size(text).ok(), expected, "{text}");
        check("4096", Some(4096));
        check("64 KiB", Some(65_536));
        check("20GB", Some(20_000_000_000));
        check("20 gb", None);
        check("", None);
    }
}
