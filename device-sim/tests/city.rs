//! The city says the same twice, and what its script promises can be measured in what it says.

#![allow(clippy::unwrap_used)]

use device_sim::config::Incident;
use device_sim::{City, CityConfig, Family, sgtin96};
use firmware_protocol::{FrameContent, Quantity, TagRead, TelemetryFrame, quantities as q};
use std::collections::{BTreeMap, HashSet};

const NOW: i64 = 1_795_478_400_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn city(seed: u64) -> City {
    City::new(&CityConfig { seed, ..CityConfig::default() }, NOW).unwrap()
}

fn number(city: &City, id: &str) -> usize {
    city.devices().iter().position(|device| device.id == id).unwrap()
}

/// (time, value) of a quantity in a stretch of seconds around the start.
fn series(city: &City, device: usize, code: u16, from_s: i64, to_s: i64) -> Vec<(i64, f64)> {
    let messages = city.schedule(device, NOW + from_s * 1_000, NOW + to_s * 1_000);
    let value = |payload: &[u8]| match TelemetryFrame::from_bytes(payload).unwrap().content {
        FrameContent::Readings(readings) => readings
            .into_iter()
            .find(|reading| reading.quantity.name() == Quantity::from_code(code).unwrap().name),
        _ => None,
    };
    messages.filter_map(|message| Some((message.time, value(&message.payload)?.value))).collect()
}

fn mean(series: &[(i64, f64)]) -> f64 {
    assert!(!series.is_empty());
    series.iter().map(|(_, value)| value).sum::<f64>() / series.len() as f64
}

fn of_area<'a>(city: &'a City, family: Family, area: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_there =
        move |index: &usize| city.devices()[*index].family == family && city.devices()[*index].area == area;
    (0..city.devices().len()).filter(is_there)
}

fn bytes_of(city: &City, from: i64, to: i64) -> Vec<Vec<u8>> {
    let devices = 0..city.devices().len();
    devices.flat_map(|device| city.schedule(device, from, to).map(|message| message.payload)).collect()
}

#[test]
fn the_same_seed_says_the_same() {
    let (from, to) = (NOW - 2 * HOUR, NOW + 20 * MINUTE);
    let once = bytes_of(&city(1), from, to);
    assert_eq!(once, bytes_of(&city(1), from, to));
    assert_ne!(once, bytes_of(&city(2), from, to));
}

#[test]
fn a_stretch_is_its_parts() {
    let city = city(1);
    for device in 0..city.devices().len() {
        let whole: Vec<_> = city.schedule(device, NOW - HOUR, NOW).collect();
        let parts: Vec<_> = (0..60)
            .flat_map(|n| city.schedule(device, NOW - HOUR + n * MINUTE, NOW - HOUR + (n + 1) * MINUTE))
            .collect();
        assert_eq!(whole, parts);
        assert_eq!(city.schedule(device, NOW - HOUR, NOW).remaining(), whole.len() as u64);
        let is_counted = |pair: &[device_sim::Message]| {
            pair[1].sequence == pair[0].sequence + 1 && pair[1].time > pair[0].time
        };
        assert!(whole.windows(2).all(is_counted), "{}", city.devices()[device].id);
    }
}

#[test]
fn nothing_is_said_before_the_origin() {
    let city = city(1);
    let origin = firmware_protocol::parse_rfc3339(&CityConfig::default().origin).unwrap();
    assert_eq!(city.schedule(0, i64::MIN / 2, origin).count(), 0);
    let first = city.schedule(0, i64::MIN / 2, origin + HOUR).next().unwrap();
    assert_eq!(first.sequence, 0);
    assert_eq!(city.schedule(0, i64::MIN, i64::MAX).next(), Some(first.clone()));
    assert_eq!((city.message(0, u64::MAX), city.schedule(0, i64::MAX, i64::MAX).next()), (None, None));
    assert_eq!(city.message(usize::MAX, 0), None);
    assert!(first.time >= origin);
}

#[test]
fn devices_of_every_family() {
    let city = city(1);
    let mut count = BTreeMap::new();
    for device in city.devices() {
        *count.entry(device.family.name()).or_insert(0) += 1;
        assert!(firmware_protocol::is_device_id(&device.id), "{}", device.id);
        assert!((113.1..113.6).contains(&device.position.lon) && (22.8..23.4).contains(&device.position.lat));
    }
    let expected =
        [("air", 60), ("machine", 12), ("rfid", 12), ("traffic", 60), ("water", 20), ("weather", 30)];
    assert_eq!(count, BTreeMap::from(expected));
    let ids: HashSet<_> = city.devices().iter().map(|device| &device.id).collect();
    assert_eq!(ids.len(), city.devices().len());
}

#[test]
fn both_forms_are_spoken_and_identify_themselves() {
    let (city, mut json) = (city(1), 0);
    for device in 0..city.devices().len() {
        let message = city.schedule(device, NOW, NOW + 2 * MINUTE).next().unwrap();
        json += usize::from(message.payload[0] == b'{');
        let frame = TelemetryFrame::from_bytes(&message.payload).unwrap();
        assert_eq!(
            (frame.epoch, frame.sequence, frame.time),
            (1, Some(message.sequence), Some(message.time))
        );
    }
    assert!(json > 30 && json < 60, "{json}");
}

/// Means of whole hours beyond the bounds: 60 µg/m³ is IAQI 100, 150 is 200 (HJ 633-2026).
#[test]
fn pollution_is_there_and_nowhere_else() {
    for seed in [1, 20_260_301] {
        let city = city(seed);
        let mut polluted = HashSet::new();
        for incident in city.incidents() {
            let Incident::Pollution { district, from_s, to_s, .. } = incident else { continue };
            let area = format!("district/{district}");
            for device in of_area(&city, Family::Air, &area) {
                let height = series(&city, device, q::PM2_5, from_s + 3_600, (from_s + 7_200).min(*to_s));
                assert!(mean(&height) > 110.0, "{} {}", city.devices()[device].id, mean(&height));
                polluted.insert(device);
            }
        }
        assert!(polluted.len() >= 12);
        for device in (0..60).filter(|device| !polluted.contains(device)).step_by(3) {
            let day = series(&city, device, q::PM2_5, -86_400, 0);
            let worst = day.chunks(60).map(mean).fold(0.0, f64::max);
            assert!(worst < 60.0, "seed {seed} {} {worst}", city.devices()[device].id);
        }
    }
}

#[test]
fn one_episode_is_over_and_one_under_way() {
    let city = city(1);
    let times = city.incidents().iter().filter_map(|incident| match incident {
        Incident::Pollution { from_s, to_s, .. } => Some((*from_s, *to_s)),
        _ => None,
    });
    let [(_, over), (began, ends)] = times.collect::<Vec<_>>()[..] else { panic!("two episodes") };
    assert!(over <= -7_200 && began < -3_600 && ends > 600);
}

#[test]
fn a_closed_lane_stops_at_least_three_detectors() {
    let city = city(1);
    let mut closures = 0;
    for incident in city.incidents() {
        let Incident::StoppedLane { road, rank, from_s, to_s, .. } = incident else { continue };
        let area = format!("road/{road}");
        let by_rank: Vec<_> = of_area(&city, Family::Traffic, &area).collect();
        for upstream in 0..3 {
            let device = by_rank[*rank as usize - upstream];
            let (from, to) = (from_s + 180, *to_s);
            for (_, occupancy) in series(&city, device, q::OCCUPANCY, from, to) {
                assert!(occupancy > 45.0, "{occupancy}");
            }
            for (_, speed) in series(&city, device, q::SPEED, from, to) {
                assert!(speed < 15.0, "{speed}");
            }
            let after = series(&city, device, q::SPEED, to_s + 600, to_s + 1_800);
            assert!(mean(&after) > 25.0);
        }
        closures += 1;
    }
    assert_eq!(closures, 2);
}

/// v·o/q is the length that the detector sees; no speed without a vehicle.
#[test]
fn traffic_fits_together() {
    let city = city(1);
    for device in (0..city.devices().len()).filter(|index| city.devices()[*index].family == Family::Traffic) {
        for message in city.schedule(device, NOW - 24 * HOUR, NOW) {
            let FrameContent::Readings(readings) =
                TelemetryFrame::from_bytes(&message.payload).unwrap().content
            else {
                panic!("readings")
            };
            let value = |name: &str| readings.iter().find(|r| r.quantity.name() == name).map(|r| r.value);
            let (count, occupancy) = (value("vehicle_count").unwrap(), value("occupancy").unwrap());
            assert_eq!(value("speed").is_some(), count > 0.0);
            assert!((0.0..=100.0).contains(&occupancy) && count * 60.0 / 3.0 < 3_000.0);
            if count > 5.0 {
                let metres = value("speed").unwrap() * 1_000.0 * occupancy / 100.0 / (count * 60.0 / 3.0);
                assert!((2.5..18.0).contains(&metres), "{metres}");
            }
        }
    }
}

/// Orange from 50 mm in three hours, red from 100 mm (Guangdong).
#[test]
fn rain_reaches_orange_at_several_stations_and_red_at_one() {
    let city = city(1);
    let three_hours = |device| {
        let rain = series(&city, device, q::RAINFALL, -86_400, 0);
        let sum = |end: usize| rain[end.saturating_sub(180)..end].iter().map(|(_, mm)| mm).sum::<f64>();
        (1..=rain.len()).map(sum).fold(0.0, f64::max)
    };
    let stations = (0..city.devices().len()).filter(|index| city.devices()[*index].family == Family::Weather);
    let sums: Vec<f64> = stations.map(three_hours).collect();
    assert!(sums.iter().filter(|mm| **mm > 50.0).count() >= 3, "{sums:?}");
    assert_eq!(sums.iter().filter(|mm| **mm > 100.0).count(), 1, "{sums:?}");
    assert!(sums.iter().filter(|mm| **mm == 0.0).count() >= 20, "{sums:?}");
}

fn tags(city: &City, device: usize, from: i64, to: i64) -> Vec<TagRead> {
    let of = |payload: &[u8]| match TelemetryFrame::from_bytes(payload).unwrap().content {
        FrameContent::TagReads(tags) => tags,
        _ => Vec::new(),
    };
    city.schedule(device, from, to).flat_map(|message| of(&message.payload)).collect()
}

#[test]
fn a_blind_reader_misses_pallets_that_the_others_see() {
    let (city, mut cases) = (city(1), 0);
    for incident in city.incidents() {
        let Incident::BlindReader { device, from_s, to_s } = incident else { continue };
        let blind = number(&city, device);
        let (from, to) = (NOW + from_s * 1_000, NOW + to_s * 1_000);
        let before: HashSet<_> =
            tags(&city, blind - 1, from, to - 3 * MINUTE).iter().map(|tag| tag.epc).collect();
        let after: HashSet<_> =
            tags(&city, blind + 1, from, to + 10 * MINUTE).iter().map(|tag| tag.epc).collect();
        let itself: HashSet<_> =
            tags(&city, blind, from - HOUR, to + HOUR).iter().map(|tag| tag.epc).collect();
        let missed = before.iter().filter(|epc| after.contains(*epc) && !itself.contains(*epc)).count();
        assert!(missed >= 3, "{missed}");
        assert!(!itself.is_empty());
        assert!(series(&city, blind, q::BATTERY, *from_s, *to_s).len() >= 10, "it still reports");
        cases += 1;
    }
    assert_eq!(cases, 2);
}

#[test]
fn pallets_carry_sgtin_96() {
    let city = city(1);
    let reader = number(&city, "rfid-line-2-01");
    for tag in tags(&city, reader, NOW - HOUR, NOW) {
        let bits = tag.epc.as_bytes().iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let serial = (bits & ((1 << 38) - 1)) as u64;
        assert_eq!(sgtin96(2, 7, 6_901_234, 56_791, serial), Some(tag.epc));
        assert!(tag.first < tag.last);
    }
}

/// 4.5 mm/s is a usual bound of the zone in which a machine must not stay (ISO 10816).
#[test]
fn one_machine_shakes_and_one_was_repaired() {
    let city = city(1);
    let (mut shaking, mut repaired) = (0, 0);
    for incident in city.incidents() {
        let Incident::Wear { device, from_s, to_s, repaired_s, .. } = incident else { continue };
        let device = number(&city, device);
        let vibration = |from, to| mean(&series(&city, device, q::VIBRATION, from, to));
        assert!(vibration(from_s - 3_600, *from_s) < 2.0);
        assert!(vibration(to_s - 600, *to_s) > 4.5);
        match repaired_s {
            Some(at) => {
                assert!(vibration(*at, 0) < 2.0);
                repaired += 1;
            }
            None => {
                assert!(vibration(-1_800, 1_800) > 4.5);
                shaking += 1;
            }
        }
    }
    assert_eq!((shaking, repaired), (1, 1));
}

#[test]
fn the_example_file_is_the_default() {
    let text = include_str!("../city.toml");
    assert_eq!(toml::from_str::<CityConfig>(text).unwrap(), CityConfig::default());
}

#[test]
fn a_broken_configuration_is_told_where() {
    let check = |change: &dyn Fn(&mut CityConfig), expected: &str| {
        let mut config = CityConfig::default();
        change(&mut config);
        assert_eq!(City::new(&config, NOW).unwrap_err().to_string(), expected);
    };
    check(&|c| c.origin = "2025".into(), "origin: is no RFC 3339 time with an offset");
    check(&|c| c.air.every_s = 0, "air.every_s: must be 1 to 86400");
    check(&|c| c.utc_offset_hours = f64::NAN, "utc_offset_hours: must be -24 to 24");
    check(&|c| c.plant = [0.0, 91.0], "plant: is not [longitude, latitude] in degrees");
    check(&|c| c.district[1].outline.truncate(2), "district[1].outline: needs at least three corners");
    check(
        &|c| c.road[0].course[0] = [500.0, 0.0],
        "road[0].course: needs at least two places, each [longitude, latitude] in degrees",
    );
    check(&|c| c.road[2].lanes = 0, "road[2]: needs a free_speed of 5 to 200 and 1 to 20 lanes");
    check(&|c| c.traffic.count = 600, "road[0].course: is too short for 100 detectors at 400 m");
    check(
        &|c| c.district[0].name = "a b".into(),
        "air-a b-01: is no device id, or occurs twice: rename the area",
    );
    let nowhere = Incident::BlindReader { device: "nobody".into(), from_s: 0, to_s: 1 };
    check(&|c| c.incident = Some(vec![nowhere.clone()]), "incident[0]: reaches no device");
    let backwards = Incident::Pollution { district: "tianhe".into(), from_s: 1, to_s: 1, peak: 1.0 };
    check(
        &|c| c.incident = Some(vec![backwards.clone()]),
        "incident[0]: must end after it began, both within a hundred years",
    );
}
