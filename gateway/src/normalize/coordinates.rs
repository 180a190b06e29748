//! From the coordinate systems that sources use to WGS-84.
//!
//! GCJ-02 was never published; the formulas are those that the common open implementations agree on to 1e-7 degrees.
//! Its inverse is found by iteration, because the usual single step is off by up to 1.5 m.

use records::{Crs, Position, StatedPosition};
use std::f64::consts::PI;

/// Semi-major axis, m, and squared eccentricity of the ellipsoid of Krassovsky, 1940.
const AXIS: f64 = 6_378_245.0;
const ECCENTRICITY_2: f64 = 0.006_693_421_622_965_943;

/// The wave that BD-09 adds, radians per degree.
const WAVE: f64 = PI * 3000.0 / 180.0;

/// What of a stated position is stored: where it is in WGS-84, and what was said when that was something else.
pub(crate) fn locate(crs: Crs, lon: f64, lat: f64) -> (Position, Option<StatedPosition>) {
    let position = match crs {
        Crs::Wgs84 | Crs::Cgcs2000 => Position { lon, lat },
        Crs::Gcj02 => from_gcj02(lon, lat),
        Crs::Bd09 => from_bd09(lon, lat),
    };
    let stated = (crs != Crs::Wgs84).then_some(StatedPosition { crs, lon, lat });
    (position, stated)
}

fn from_bd09(lon: f64, lat: f64) -> Position {
    let (x, y) = invert(lon, lat, to_bd09);
    from_gcj02(x, y)
}

fn from_gcj02(lon: f64, lat: f64) -> Position {
    if !is_shifted(lon, lat) {
        return Position { lon, lat };
    }
    let (lon, lat) = invert(lon, lat, to_gcj02);
    Position { lon, lat }
}

/// The point that `forward` takes to this one. Both shifts are far smaller than what they vary over, so each step
/// leaves about a thousandth of the error; three to five are enough for a hundredth of a millimetre.
fn invert(lon: f64, lat: f64, forward: fn(f64, f64) -> (f64, f64)) -> (f64, f64) {
    let (mut x, mut y) = (lon, lat);
    for _ in 0..10 {
        let (ahead_x, ahead_y) = forward(x, y);
        let (dx, dy) = (ahead_x - lon, ahead_y - lat);
        (x, y) = (x - dx, y - dy);
        if dx.abs().max(dy.abs()) < 1e-10 {
            break;
        }
    }
    (x, y)
}

fn to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    let (x, y) = (lon - 105.0, lat - 35.0);
    let wave = |amplitude: f64, argument: f64| amplitude * (argument * PI).sin();
    let ripple = (wave(20.0, 6.0 * x) + wave(20.0, 2.0 * x)) * 2.0 / 3.0;
    let north = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * x.abs().sqrt()
        + ripple
        + (wave(20.0, y) + wave(40.0, y / 3.0)) * 2.0 / 3.0
        + (wave(160.0, y / 12.0) + wave(320.0, y / 30.0)) * 2.0 / 3.0;
    let east = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * x.abs().sqrt()
        + ripple
        + (wave(20.0, x) + wave(40.0, x / 3.0)) * 2.0 / 3.0
        + (wave(150.0, x / 12.0) + wave(300.0, x / 30.0)) * 2.0 / 3.0;
    let phi = lat.to_radians();
    let m = 1.0 - ECCENTRICITY_2 * phi.sin() * phi.sin();
    let metres_north = AXIS * (1.0 - ECCENTRICITY_2) / (m * m.sqrt());
    let metres_east = AXIS / m.sqrt() * phi.cos();
    (lon + (east / metres_east).to_degrees(), lat + (north / metres_north).to_degrees())
}

fn to_bd09(lon: f64, lat: f64) -> (f64, f64) {
    let radius = lon.hypot(lat) + 0.000_02 * (lat * WAVE).sin();
    let angle = lat.atan2(lon) + 0.000_003 * (lon * WAVE).cos();
    (radius * angle.cos() + 0.0065, radius * angle.sin() + 0.006)
}

/// Whether maps of that place are shifted: in China, but not in Hong Kong and Macao.
///
/// The point is one of GCJ-02. The outlines are simplified to some hundreds of metres, so for a point closer than
/// that to the boundary the answer may be the neighbour's, and the position off by the shift of 600 m.
fn is_shifted(lon: f64, lat: f64) -> bool {
    let is_in_china = (72.004..=137.8347).contains(&lon) && (0.8293..=55.8271).contains(&lat);
    is_in_china && !is_inside(&HONG_KONG, lon, lat) && !is_inside(&MACAO, lon, lat)
}

/// Sea and land, from Deep Bay along the Shenzhen river to Mirs Bay and around the islands.
const HONG_KONG: [(f64, f64); 19] = [
    (113.868, 22.334),
    (113.870, 22.427),
    (113.945, 22.476),
    (113.995, 22.509),
    (114.030, 22.501),
    (114.058, 22.510),
    (114.082, 22.514),
    (114.098, 22.528),
    (114.115, 22.533),
    (114.145, 22.541),
    (114.163, 22.560),
    (114.185, 22.555),
    (114.222, 22.549),
    (114.245, 22.553),
    (114.310, 22.560),
    (114.430, 22.565),
    (114.502, 22.366),
    (114.502, 22.148),
    (113.836, 22.148),
];

/// The peninsula, Taipa, Coloane and the sea east of them.
const MACAO: [(f64, f64); 9] = [
    (113.534, 22.212),
    (113.549, 22.217),
    (113.560, 22.213),
    (113.605, 22.195),
    (113.605, 22.100),
    (113.549, 22.100),
    (113.549, 22.130),
    (113.545, 22.150),
    (113.531, 22.185),
];

/// Even–odd rule: how many edges does a ray to the east cross?
fn is_inside(outline: &[(f64, f64)], lon: f64, lat: f64) -> bool {
    let before = outline.iter().cycle().skip(outline.len() - 1);
    let crossed = outline.iter().zip(before).filter(|((x1, y1), (x2, y2))| {
        (*y1 > lat) != (*y2 > lat) && lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1
    });
    crossed.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WGS-84, GCJ-02, BD-09 of a place, by open implementations in two other languages.
    fn vectors() -> Vec<[f64; 6]> {
        let lines = include_str!("../../tests/vectors/gcj02.csv").lines().skip(1);
        let row = |line: &str| {
            let columns: Vec<f64> = line.split(',').map(|column| column.parse().unwrap()).collect();
            columns.try_into().unwrap()
        };
        lines.map(row).collect()
    }

    fn error((position, stated): (Position, Option<StatedPosition>), crs: Crs, lon: f64, lat: f64) -> f64 {
        assert_eq!(stated.unwrap().crs, crs);
        (position.lon - lon).abs().max((position.lat - lat).abs())
    }

    /// The file's columns are rounded to 1e-8 degrees, a millimetre; its authors shift Hong Kong's waters too.
    #[test]
    fn vectors_come_out_where_they_were() {
        let all = vectors();
        assert_eq!(all.len(), 126);
        let (unshifted, shifted): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|[lon, lat, ..]| is_inside(&HONG_KONG, *lon, *lat));
        assert_eq!(unshifted.iter().map(|row| (row[0], row[1])).collect::<Vec<_>>(), [(114.14, 22.16)]);
        for [lon, lat, gcj_lon, gcj_lat, bd_lon, bd_lat] in shifted {
            let gcj = error(locate(Crs::Gcj02, gcj_lon, gcj_lat), Crs::Gcj02, lon, lat);
            assert!(gcj < 2e-8, "{lon}, {lat}: {gcj:e}");
            let bd = error(locate(Crs::Bd09, bd_lon, bd_lat), Crs::Bd09, lon, lat);
            assert!(bd < 3e-8, "{lon}, {lat}: {bd:e}");
        }
    }

    #[test]
    fn hong_kong_and_macao_are_not_shifted_and_their_neighbours_are() {
        let check = |place: &str, lon, lat, expected| assert_eq!(is_shifted(lon, lat), expected, "{place}");
        check("Hong Kong, Central", 114.158, 22.282, false);
        check("Hong Kong, Sheung Shui", 114.128, 22.502, false);
        check("Hong Kong, airport", 113.915, 22.308, false);
        check("Hong Kong, Tai Po", 114.165, 22.450, false);
        check("Macao, peninsula", 113.543, 22.195, false);
        check("Macao, Taipa", 113.558, 22.157, false);
        check("Shenzhen", 114.063, 22.5404, true);
        check("Shenzhen, Shekou", 113.920, 22.485, true);
        check("Shenzhen, Yantian", 114.240, 22.575, true);
        check("Zhuhai", 113.5817, 22.2677, true);
        check("Zhuhai, Hengqin", 113.520, 22.130, true);
        check("Guangzhou", 113.2697, 23.1264, true);
        check("Tokyo", 139.69, 35.69, false);
        check("Hanoi", 105.85, 21.03, true);
    }

    #[test]
    fn cgcs2000_is_kept_and_wgs84_leaves_no_trace() {
        let position = Position { lon: 113.2644, lat: 23.1291 };
        let stated = StatedPosition { crs: Crs::Cgcs2000, lon: 113.2644, lat: 23.1291 };
        assert_eq!(locate(Crs::Cgcs2000, 113.2644, 23.1291), (position, Some(stated)));
        assert_eq!(locate(Crs::Wgs84, 113.2644, 23.1291), (position, None));
    }

    proptest::proptest! {
        /// Everywhere in China, the shift and its inverse meet within a tenth of a millimetre.
        #[test]
        fn the_inverse_is_one(lon in 73.0..135.0, lat in 4.0..53.0) {
            let (x, y) = to_gcj02(lon, lat);
            let (back_lon, back_lat) = invert(x, y, to_gcj02);
            proptest::prop_assert!((back_lon - lon).abs().max((back_lat - lat).abs()) < 1e-9);
        }
    }
}
