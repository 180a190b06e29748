//! `sluice check FILE`: every problem at once, and nothing started.

use std::fmt::Write;
use std::path::Path;

use gateway::normalize::mapping::{Mapped, Mapping};
use records::{Body, Observation};

use super::{Failure, load};
use crate::{clock, rules};

/// Reads the file, and the rules file that it names.
///
/// # Errors
/// All problems, a line each.
pub fn run(file: &Path) -> Result<(), Failure> {
    let config = load(Some(file))?;
    rules::load(config.stream.rules.as_deref())?;
    println!("{} is fine", file.display());
    Ok(())
}

/// Shows what the mappings of the file make of a payload.
///
/// # Errors
/// The file has problems, the sample can't be read, or no mapping makes anything of it.
pub fn try_sample(file: &Path, sample: &Path, topic: Option<&str>) -> Result<(), Failure> {
    let config = load(Some(file))?;
    let payload = std::fs::read(sample)
        .map_err(|error| Failure::because(format_args!("{} can't be read", sample.display()), &error))?;
    let tried = match topic {
        Some(topic) => {
            let mapping = config.mappings.iter().find(|mapping| mapping.filter.wildcards(topic).is_some());
            let mapping =
                mapping.ok_or_else(|| Failure::failed(format_args!("no mapping is for {topic}")))?;
            vec![try_mapping(mapping, topic, &payload)]
        }
        None => {
            let tries = config.mappings.iter();
            tries.map(|mapping| try_mapping(mapping, &mapping.example(), &payload)).collect()
        }
    };
    for (text, _) in &tried {
        print!("{text}");
    }
    let is_any = tried.iter().any(|(_, is_understood)| *is_understood);
    if is_any { Ok(()) } else { Err(Failure::failed("no mapping makes anything of this sample")) }
}

/// What comes of it, for a person, and whether anything does.
fn try_mapping(mapping: &Mapping, topic: &str, payload: &[u8]) -> (String, bool) {
    let mut text = format!("{topic} by the mapping of {}\n", mapping.filter);
    let Some(Mapped { device, normalized }) = mapping.apply(topic, payload, clock::now()) else {
        return (text + "  not for this topic name\n", false);
    };
    if let Some(device) = device {
        let family = device.family.name();
        let _ = writeln!(text, "  device {} ({family}) in {:?}", device.id, device.area);
    }
    match normalized {
        Ok(observations) => {
            observations.as_slice().iter().for_each(|observation| tell(observation, &mut text));
            (text, true)
        }
        Err(rejection) => {
            let _ = writeln!(text, "  to quarantine, {}: {}", rejection.reason.name(), rejection.detail);
            (text, false)
        }
    }
}

fn tell(observation: &Observation, text: &mut String) {
    let time = match observation.device_time {
        Some(time) => jiff::Timestamp::from_millisecond(time.millis())
            .map_or_else(|_| time.millis().to_string(), |at| at.to_string()),
        None => "that of its arrival".to_owned(),
    };
    let _ = writeln!(text, "  time {time}");
    if let Some(sequence) = observation.sequence {
        let _ = writeln!(text, "  sequence {sequence}");
    }
    if let Some(at) = observation.position {
        let _ = writeln!(text, "  position {:.6}, {:.6} (WGS-84)", at.lon, at.lat);
    }
    let Body::Readings(readings) = &observation.body else { return };
    for reading in readings {
        let unit = reading.quantity.info().map_or("in a unit of its own", |info| info.unit);
        let _ = writeln!(text, "  {} = {} {unit}", reading.quantity, reading.value);
    }
}
