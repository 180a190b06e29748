//! `sluice device import FILE.csv`: a whole fleet at once, all of it or nothing.

use std::path::Path;

use gateway::{NewDevice, Registry, RegistryError};
use records::{Crs, Family, Position};

use super::{Failure, plural};
use crate::clock;

/// The columns; the header names those that the file has, in any order. Only `id` and `family` are required.
const COLUMNS: [&str; 8] = ["id", "family", "label", "area", "rank", "lon", "lat", "crs"];

/// Registers every row of the file and prints `id,password`, a line each, once.
///
/// # Errors
/// Every problem of the file with its line, and then nothing is registered; or the registry can't be written.
pub fn run(registry: &Registry, file: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::because(format_args!("{} can't be read", file.display()), &error))?;
    let known = registry.list().map_err(|error| Failure::because("registry", &error))?;
    let is_known = |id: &str| known.iter().any(|device| device.id == id);
    let devices = read(&text, is_known).map_err(|problems| {
        let (count, lines) = (problems.len(), problems.join("\n  "));
        let name = file.display();
        Failure::usage(format_args!("{name} has {count} problem{}:\n  {lines}", plural(count)))
    })?;
    let passwords =
        registry.add_all(&devices, clock::now()).map_err(|error| Failure::because("registry", &error))?;
    println!("id,password");
    for (device, password) in devices.iter().zip(passwords) {
        println!("{},{password}", device.id);
    }
    Ok(())
}

/// The devices of a file, or all that is wrong with it.
fn read(text: &str, is_known: impl Fn(&str) -> bool) -> Result<Vec<NewDevice>, Vec<String>> {
    let rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|problem| vec![problem])?;
    let mut rows = rows.into_iter();
    let header = rows.next().map(|(_, header)| header).unwrap_or_default();
    let columns = columns(&header)?;
    let (mut devices, mut problems) = (Vec::<NewDevice>::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for (line, fields) in rows {
        match device(&columns, header.len(), &fields) {
            Err(problem) => problems.push(format!("line {line}: {problem}")),
            Ok(device) if is_known(&device.id) => {
                problems.push(format!("line {line}: {}", RegistryError::Duplicate(device.id)));
            }
            Ok(device) if !seen.insert(device.id.clone()) => {
                problems.push(format!("line {line}: {:?} stands twice in the file", device.id));
            }
            Ok(device) => devices.push(device),
        }
    }
    if problems.is_empty() { Ok(devices) } else { Err(problems) }
}

/// Where each of [`COLUMNS`] stands.
fn columns(header: &[String]) -> Result<[Option<usize>; COLUMNS.len()], Vec<String>> {
    let mut problems = Vec::new();
    for (index, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.trim()) {
            problems.push(format!("line 1: {name:?} is none of {}", COLUMNS.join(", ")));
        } else if header[..index].iter().any(|other| other.trim() == name.trim()) {
            problems.push(format!("line 1: {name:?} stands twice"));
        }
    }
    let columns = COLUMNS.map(|column| header.iter().position(|name| name.trim() == column));
    for (column, _) in COLUMNS.iter().zip(columns).take(2).filter(|(_, place)| place.is_none()) {
        problems.push(format!("line 1: there is no column {column}"));
    }
    if problems.is_empty() { Ok(columns) } else { Err(problems) }
}

fn device(columns: &[Option<usize>], width: usize, fields: &[String]) -> Result<NewDevice, String> {
    if fields.len() != width {
        return Err(format!("{} fields, and the header has {width}", fields.len()));
    }
    let [id, family, label, area, rank, lon, lat, crs] =
        std::array::from_fn(|column| columns[column].map_or("", |place| fields[place].trim()));
    let named = |what: &str, name: &str| format!("{name:?} is not a {what}");
    let device = NewDevice {
        id: id.into(),
        family: Family::from_name(family).ok_or_else(|| named("family", family))?,
        label: label.into(),
        area: area.into(),
        rank: if rank.is_empty() { 0 } else { rank.parse().map_err(|_| named("rank", rank))? },
        position: position(lon, lat)?,
        crs: if crs.is_empty() {
            Crs::Wgs84
        } else {
            Crs::from_name(crs).ok_or_else(|| named("crs", crs))?
        },
    };
    device.validate().map_err(|error| error.to_string())?;
    Ok(device)
}

fn position(lon: &str, lat: &str) -> Result<Option<Position>, String> {
    let degrees = |text: &str| text.parse().map_err(|_| format!("{text:?} is not a number of degrees"));
    match (lon, lat) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err("lon and lat go together".to_owned()),
        (lon, lat) => Ok(Some(Position { lon: degrees(lon)?, lat: degrees(lat)? })),
    }
}

/// The rows of a CSV file (RFC 4180) with the line each begins in, from 1; empty lines are passed over.
fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut is_quoted) = (1, 1, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        line += usize::from(character == '\n');
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            _ if is_quoted => field.push(character),
            ',' => row.push(std::mem::take(&mut field)),
            '\n' => {
                end_row(&mut rows, began, std::mem::take(&mut row), std::mem::take(&mut field));
                began = line;
            }
            '\r' if characters.peek() == Some(&'\n') => {}
            _ => field.push(character),
        }
    }
    if is_quoted {
        return Err(format!("line {began}: a quotation mark is not closed"));
    }
    end_row(&mut rows, began, row, field);
    Ok(rows)
}

fn end_row(rows: &mut Vec<(usize, Vec<String>)>, line: usize, mut row: Vec<String>, last: String) {
    if !row.is_empty() || !last.trim().is_empty() {
        row.push(last);
        rows.push((line, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_fleet() {
        let text = "\u{feff}family,id,label,lat,lon,crs\r\nair,a-1,\"Hall \"\"B\"\", north\",22.5,113.5,gcj02\r\n\r\nwater,w-1,,,,\r\n";
        let devices = read(text, |_| false).expect("the file is right");
        let told: Vec<_> = devices
            .iter()
            .map(|device| {
                (device.id.as_str(), device.family, device.label.as_str(), device.position, device.crs)
            })
            .collect();
        let position = Some(Position { lon: 113.5, lat: 22.5 });
        assert_eq!(
            told,
            [
                ("a-1", Family::Air, "Hall \"B\", north", position, Crs::Gcj02),
                ("w-1", Family::Water, "", None, Crs::Wgs84),
            ]
        );
    }

    #[test]
    fn says_every_problem_at_once() {
        let text = "id,family,rank,lon,lat,crs\na/1,air,,,,\na-1,gas,,,,\na-2,air,x,,,\na-3,air,,1,,\na-4,air,,1,x,\n\
                    a-5,air,,200,1,\na-6,air,,1,1,mars\na-7,air\na-8,air,,,,\na-8,air,,,,\nold,air,,,,\n";
        let problems = read(text, |id| id == "old").expect_err("every line is wrong").join("\n");
        expect_test::expect![[r#"
            line 2: "a/1" can't be a device id: 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit in front
            line 3: "gas" is not a family
            line 4: "x" is not a rank
            line 5: lon and lat go together
            line 6: "x" is not a number of degrees
            line 7: position: 200, 1 is not on Earth
            line 8: "mars" is not a crs
            line 9: 2 fields, and the header has 6
            line 11: "a-8" stands twice in the file
            line 12: device "old" is registered already"#]]
        .assert_eq(&problems);
        let check = |text: &str, expected: &str| {
            assert_eq!(read(text, |_| false).expect_err(text).join("; "), expected)
        };
        check("", "line 1: there is no column id; line 1: there is no column family");
        check(
            "id,family,colour,id\n",
            "line 1: \"colour\" is none of id, family, label, area, rank, lon, lat, crs; line 1: \"id\" stands twice",
        );
        check("id,family\na,\"air\n", "line 2: a quotation mark is not closed");
    }
}
