//! What the machines of a test say.

/// What a device says: vibration each second, from `start` on for so many minutes, with zone D now and then, a
/// different course for each, so that alerts open, change their severity and clear; then once more half an hour later.
pub fn course(device: usize, start: i64, minutes: i64) -> Vec<Vec<u8>> {
    let seconds = 0..minutes * 60;
    let mut payloads: Vec<Vec<u8>> = seconds
        .map(|second| {
            let phase = (second / 60 + 3 * device as i64) % 20;
            let level = match phase {
                6..=9 => 3.4,
                10..=14 => 7.7,
                _ => 0.9,
            };
            let ripple = ((second * 7919 + device as i64 * 104_729) % 1000) as f64 / 1700.0;
            payload(second, start + second * 1000, level + ripple)
        })
        .collect();
    // Long after the rest, so that every window before it closes.
    payloads.push(payload(minutes * 60, start + (minutes + 30) * 60_000, 1.0));
    payloads
}

fn payload(sequence: i64, time: i64, vibration: f64) -> Vec<u8> {
    format!(r#"{{"epoch": 1, "sequence": {sequence}, "time": {time}, "vibration": {vibration}}}"#)
        .into_bytes()
}
