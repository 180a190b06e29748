//! `[[mapping]]`: what JSON of other shapes means.

use gateway::normalize::mapping::{Filter, MappedReading, Mapping, Pointer, Template, TimeFormat};
use records::{Crs, Family, Quantity};

use super::section::{Problems, Section};

/// Reads all of them; one with a problem is left out.
pub fn read(tables: Vec<Section<'_>>, problems: &mut Problems<'_>) -> Vec<Mapping> {
    tables.into_iter().filter_map(|table| read_one(table, problems)).collect()
}

fn read_one(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<Mapping> {
    let filter = from.required("filter", problems, Filter::parse);
    // Without the filter its wildcards can't be counted; what else is wrong with the templates is found all the same.
    let wildcards = filter.clone().or_else(|| Filter::parse(&["+"; 64].join("/")).ok())?;
    let template = |text: &str| Template::parse(text, &wildcards);
    let device = from.required("device", problems, template);
    let family = from.required("family", problems, family);
    let area = from.read("area", problems, template).unwrap_or_default();
    let crs = from.read("crs", problems, crs).unwrap_or_default();
    let sequence = from.read("sequence", problems, Pointer::parse);
    let has = |from: &Section<'_>, name: &str| from.span(name).is_some();
    let time = has(&from, "time").then(|| read_time(from.section("time", problems), problems));
    let position =
        has(&from, "position").then(|| read_position(from.section("position", problems), problems));
    if !has(&from, "readings") && position.is_none() {
        problems.add(None, from.path_of("readings"), "is missing, and so is position: nothing would be read");
    }
    let readings = read_readings(from.section("readings", problems), problems);
    from.end(problems);
    Some(Mapping {
        filter: filter?,
        device: device?,
        family: family?,
        area,
        time: time.flatten(),
        sequence,
        position: position.flatten(),
        crs,
        readings,
    })
}

fn read_time(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<(Pointer, TimeFormat)> {
    let pointer = from.required("pointer", problems, Pointer::parse);
    let zone = from.text("zone", problems);
    let format = from.required("format", problems, |format| TimeFormat::parse(format, zone.as_deref()));
    from.end(problems);
    Some((pointer?, format?))
}

fn read_position(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<(Pointer, Pointer)> {
    let lon = from.required("lon", problems, Pointer::parse);
    let lat = from.required("lat", problems, Pointer::parse);
    from.end(problems);
    Some((lon?, lat?))
}

fn read_readings(mut from: Section<'_>, problems: &mut Problems<'_>) -> Vec<MappedReading> {
    let names = from.keys();
    names.iter().filter_map(|name| read_reading(&mut from, name, problems)).collect()
}

/// `name = "/pointer"`, or `name = { pointer = "/pointer", unit = "K" }`.
fn read_reading(from: &mut Section<'_>, name: &str, problems: &mut Problems<'_>) -> Option<MappedReading> {
    let quantity = || Quantity::from_name(name);
    if !from.has_table(name) {
        let pointer = from.required(name, problems, Pointer::parse)?;
        return Some(MappedReading { quantity: quantity(), pointer, unit: None });
    }
    let mut table = from.section(name, problems);
    let pointer = table.required("pointer", problems, Pointer::parse);
    let (at, path) = (table.span("unit"), table.path_of("unit"));
    let unit = table.text("unit", problems);
    table.end(problems);
    let reading = MappedReading::new(quantity(), pointer?, unit);
    reading.map_err(|wrong| problems.add(at, path, wrong)).ok()
}

fn family(text: &str) -> Result<Family, String> {
    let names: Vec<&str> = Family::ALL.into_iter().map(Family::name).collect();
    Family::from_name(text).ok_or_else(|| format!("\"{text}\" is none of {}", names.join(", ")))
}

fn crs(text: &str) -> Result<Crs, String> {
    let names: Vec<&str> = Crs::ALL.into_iter().map(Crs::name).collect();
    Crs::from_name(text).ok_or_else(|| format!("\"{text}\" is none of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn reads_every_key() {
        let text = r#"
            [[mapping]]
            filter = "plant/+/line/+/temp"
            device = "m-{1}-{2}"
            family = "machine"
            area = "plant-{1}"
            crs = "gcj02"
            sequence = "/n"
            time = { pointer = "/at", format = "%Y-%m-%d %H:%M:%S", zone = "Asia/Shanghai" }
            position = { lon = "/lon", lat = "/lat" }
            [mapping.readings]
            vibration = "/v"
            bearing_temperature = { pointer = "/t", unit = "K" }

            [[mapping]]
            filter = "gps/#"
            device = "{/id}"
            family = "other"
            position = { lon = "/lon", lat = "/lat" }
        "#;
        let mappings = Config::parse(text).expect("all keys are right").mappings;
        assert_eq!(mappings.len(), 2);
        let [first, second] = &mappings[..] else { panic!("two") };
        assert_eq!((first.readings.len(), second.readings.len()), (2, 0));
        assert!(first.time.is_some() && first.position.is_some() && first.sequence.is_some());
        assert_ne!(first.crs, second.crs);
    }

    #[test]
    fn says_every_problem_at_once() {
        let text = r#"
[[mapping]]
filter = "plant/+/#/temp"
device = "m-{x}"
family = "furnace"
area = "{"
crs = "mars"
sequence = "n"
time = { pointer = "at", format = "%H:%M", zone = "Nowhere" }
position = { lon = "/lon" }
colour = "red"
[mapping.readings]
o3 = { pointer = "/o3", unit = "ppm" }
pm10 = { unit = "ug/m3" }
pm2_5 = 7

[[mapping]]
filter = "a/+"
device = "{2}"
"#;
        let found = Config::parse(text).expect_err("the file is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            mapping[0].position.lat: is missing
            mapping[0].readings.pm10.pointer: is missing
            mapping[1].family: is missing
            mapping[1].readings: is missing, and so is position: nothing would be read
            line 3: mapping[0].filter: in "plant/+/#/temp" a wildcard is not a level of its own, or # is not the last
            line 4: mapping[0].device: {x} is neither a JSON pointer nor the number of a + of the filter
            line 5: mapping[0].family: "furnace" is none of other, air, water, weather, traffic, rfid, machine
            line 6: mapping[0].area: "{" has a { without a }
            line 7: mapping[0].crs: "mars" is none of wgs84, cgcs2000, gcj02, bd09
            line 8: mapping[0].sequence: "n" is not a JSON pointer: it begins with /
            line 9: mapping[0].time.pointer: "at" is not a JSON pointer: it begins with /
            line 9: mapping[0].time.format: "Nowhere" is neither a time zone as "Asia/Shanghai" nor an offset as "+08:00"
            line 11: mapping[0].colour: unknown key
            line 13: mapping[0].readings.o3.unit: o3 is measured in ug/m3, which "ppm" can't be turned into
            line 15: mapping[0].readings.pm2_5: must be a text, not integer
            line 19: mapping[1].device: {2} is neither a JSON pointer nor the number of a + of the filter
        "#]].assert_eq(&found);
    }
}
