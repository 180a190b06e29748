//! Where devices stand: in districts, in rivers, along roads, in the plant.

use crate::chance::Chance;
use crate::city::CityError;
use crate::config::{CityConfig, Road};
use crate::device::{DeviceSpec, Family};
use firmware_protocol::Position;
use geo::{BoundingRect, Contains, Haversine, InterpolateLine, Length, LineString, Point, Polygon};

/// The area of a district.
pub fn district(name: &str) -> String {
    format!("district/{name}")
}

/// The area of a road.
pub fn road(name: &str) -> String {
    format!("road/{name}")
}

/// Air or weather stations, dealt out to the districts in turn.
pub fn stations(config: &CityConfig, family: Family, chance: Chance) -> Result<Vec<DeviceSpec>, CityError> {
    let (count, kind, title) = match family {
        Family::Weather => (config.weather.count, "weather", "weather"),
        _ => (config.air.count, "air", "air"),
    };
    let mut stations = Vec::with_capacity(count);
    for (index, within) in config.district.iter().enumerate() {
        let outline = polygon(&within.outline, &format!("district[{index}].outline"))?;
        for rank in 0..share(count, config.district.len(), index) {
            let id = format!("{kind}-{}-{:02}", within.name, rank + 1);
            let position = inside(&outline, chance.named("place").named(&id))
                .ok_or_else(|| CityError::new(format!("district[{index}].outline"), "has no inside"))?;
            let label = format!("{} {title} {:02}", within.label, rank + 1);
            stations.push(DeviceSpec { id, family, label, area: district(&within.name), rank, position });
        }
    }
    Ok(stations)
}

/// Water probes, dealt out to the rivers in turn, evenly along each.
pub fn probes(config: &CityConfig) -> Result<Vec<DeviceSpec>, CityError> {
    let mut probes = Vec::with_capacity(config.water.count);
    for (index, river) in config.river.iter().enumerate() {
        let course = line(&river.course, &format!("river[{index}].course"))?;
        let count = share(config.water.count, config.river.len(), index);
        for rank in 0..count {
            let along = (f64::from(rank) + 0.5) / f64::from(count);
            let position = at(Haversine.point_at_ratio_from_start(&course, along));
            let id = format!("water-{}-{:02}", river.name, rank + 1);
            let (label, area) = (format!("{} {:02}", river.label, rank + 1), format!("river/{}", river.name));
            probes.push(DeviceSpec {
                id,
                family: Family::Water,
                label,
                area,
                rank,
                position: position.ok_or_else(lost)?,
            });
        }
    }
    Ok(probes)
}

/// Detectors, dealt out to the roads in turn, at equal distances from each road's start.
pub fn detectors(config: &CityConfig) -> Result<Vec<(DeviceSpec, &Road)>, CityError> {
    let mut detectors = Vec::with_capacity(config.traffic.count);
    for (index, on) in config.road.iter().enumerate() {
        let field = format!("road[{index}]");
        let course = line(&on.course, &format!("{field}.course"))?;
        let count = share(config.traffic.count, config.road.len(), index);
        if Haversine.length(&course) < config.detector_spacing_m * f64::from(count.saturating_sub(1)) {
            let problem = format!("is too short for {count} detectors at {} m", config.detector_spacing_m);
            return Err(CityError::new(format!("{field}.course"), problem));
        }
        if !(5.0..=200.0).contains(&on.free_speed) || !(1..=20).contains(&on.lanes) {
            return Err(CityError::new(field, "needs a free_speed of 5 to 200 and 1 to 20 lanes"));
        }
        for rank in 0..count {
            let along = config.detector_spacing_m * f64::from(rank);
            let position = at(Haversine.point_at_distance_from_start(&course, along)).ok_or_else(lost)?;
            let id = format!("traffic-{}-{:02}", on.name, rank + 1);
            let (label, area) = (format!("{} {:02}", on.label, rank + 1), road(&on.name));
            detectors.push((DeviceSpec { id, family: Family::Traffic, label, area, rank, position }, on));
        }
    }
    Ok(detectors)
}

/// Readers, dealt out to the lines, in the order of the route, with their line's number.
pub fn readers(config: &CityConfig) -> Vec<(DeviceSpec, usize)> {
    let of_line = |line: usize| {
        (0..share(config.rfid.count, config.lines, line)).map(move |rank| {
            let id = format!("rfid-line-{}-{:02}", line + 1, rank + 1);
            let (label, area) =
                (format!("Line {} reader {:02}", line + 1, rank + 1), format!("plant/line-{}", line + 1));
            let position = in_plant(config, f64::from(rank) * 12.0, line as f64 * 30.0);
            (DeviceSpec { id, family: Family::Rfid, label, area, rank, position }, line + 1)
        })
    };
    (0..config.lines).flat_map(of_line).collect()
}

/// Machines, all in one hall.
pub fn machines(config: &CityConfig) -> Vec<DeviceSpec> {
    let machine = |index: usize| {
        let rank = index as u32;
        let (kind, title) = KINDS[index % KINDS.len()];
        let number = index / KINDS.len() + 1;
        let position = in_plant(config, f64::from(rank % 6) * 15.0, -40.0 - f64::from(rank / 6) * 20.0);
        let (id, label) = (format!("machine-{kind}-{number:02}"), format!("{title} {number:02}"));
        DeviceSpec { id, family: Family::Machine, label, area: "plant/hall-1".to_string(), rank, position }
    };
    (0..config.machine.count).map(machine).collect()
}

const KINDS: [(&str, &str); 4] =
    [("press", "Press"), ("fan", "Fan"), ("pump", "Pump"), ("compressor", "Compressor")];

/// How many of `count` the area of that index gets.
fn share(count: usize, areas: usize, index: usize) -> u32 {
    let (each, left) = (count.checked_div(areas).unwrap_or(0), count.checked_rem(areas).unwrap_or(0));
    (each + usize::from(index < left)) as u32
}

/// A place so many metres east and north of the plant's corner.
fn in_plant(config: &CityConfig, east: f64, north: f64) -> Position {
    let metres_per_degree = 111_195.0;
    let [lon, lat] = config.plant;
    Position {
        lon: lon + east / metres_per_degree / lat.to_radians().cos().max(0.01),
        lat: lat + north / metres_per_degree,
    }
}

/// A place in an outline by chance; its middle when it is too thin to be hit.
fn inside(outline: &Polygon, chance: Chance) -> Option<Position> {
    let bounds = outline.bounding_rect()?;
    let candidate = |n: i64| {
        let lon = chance.between(2 * n, bounds.min().x, bounds.max().x);
        Point::new(lon, chance.between(2 * n + 1, bounds.min().y, bounds.max().y))
    };
    let hit = (0..256).map(candidate).find(|point| outline.contains(point));
    at(hit.or_else(|| Some(bounds.center().into())))
}

fn at(point: Option<Point>) -> Option<Position> {
    point.map(|point| Position { lon: round(point.x()), lat: round(point.y()) })
}

/// A millionth of a degree: a tenth of a metre.
fn round(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

fn polygon(outline: &[[f64; 2]], field: &str) -> Result<Polygon, CityError> {
    if outline.len() < 3 {
        return Err(CityError::new(field, "needs at least three corners"));
    }
    Ok(Polygon::new(line(outline, field)?, Vec::new()))
}

fn line(course: &[[f64; 2]], field: &str) -> Result<LineString, CityError> {
    let is_valid = course.iter().all(|[lon, lat]| Position { lon: *lon, lat: *lat }.is_valid());
    if course.len() < 2 || !is_valid {
        return Err(CityError::new(
            field,
            "needs at least two places, each [longitude, latitude] in degrees",
        ));
    }
    Ok(course.iter().map(|[lon, lat]| (*lon, *lat)).collect())
}

fn lost() -> CityError {
    CityError::new("course", "has no length")
}
