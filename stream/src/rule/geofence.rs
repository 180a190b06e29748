//! Places on Earth that jobs and patterns may ask for: polygons and circles.

use super::fields::Fields;
use records::{Name, Position};

/// Mean radius of the Earth, m (IUGG).
const RADIUS: f64 = 6_371_008.8;
/// Most corners of a polygon.
const MOST_CORNERS: usize = 10_000;

/// A `[[place]]` of the rules file.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its name in expressions.
    pub id: Name,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// Longitude and latitude of its corners, degrees WGS-84, and the box around them.
    Polygon(Vec<(f64, f64)>, [(f64, f64); 2]),
    /// Centre and radius, m.
    Circle((f64, f64), f64),
}

/// All places, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places(pub Vec<Place>);

impl Places {
    /// The first place that holds a position; empty when none does, or the position is not known.
    pub fn of(&self, position: Option<Position>) -> &str {
        let at = position.map(|at| (at.lon, at.lat));
        let found = at.and_then(|at| self.0.iter().find(|place| place.holds(at)));
        found.map_or("", |place| &place.id)
    }
}

impl Place {
    pub(super) fn read(mut fields: Fields<'_>) -> Place {
        let id = fields.text("id").into();
        let shape = match (fields.has("polygon"), fields.has("centre")) {
            (true, false) => read_polygon(&mut fields),
            (false, true) => read_circle(&mut fields),
            _ => {
                fields.problem("", "must have one of polygon, centre");
                Shape::Circle((0.0, 0.0), 0.0)
            }
        };
        fields.finish();
        Place { id, shape }
    }

    fn holds(&self, at: (f64, f64)) -> bool {
        match &self.shape {
            Shape::Polygon(corners, [least, most]) => {
                let is_near = least.0 <= at.0 && at.0 <= most.0 && least.1 <= at.1 && at.1 <= most.1;
                is_near && is_inside(corners, at)
            }
            Shape::Circle(centre, radius) => distance(*centre, at) <= *radius,
        }
    }
}

fn read_polygon(fields: &mut Fields<'_>) -> Shape {
    let corners = fields.pairs("polygon");
    if !(3..=MOST_CORNERS).contains(&corners.len()) {
        fields
            .problem("polygon", format!("must have 3 to {MOST_CORNERS} corners, such as [[113.9, 22.5], …]"));
    }
    if !corners.iter().all(|corner| is_on_earth(*corner)) {
        fields.problem("polygon", ON_EARTH);
    }
    let bound = |pick: fn(f64, f64) -> f64, start: f64| {
        let lon = corners.iter().fold(start, |bound, corner| pick(bound, corner.0));
        (lon, corners.iter().fold(start, |bound, corner| pick(bound, corner.1)))
    };
    let bounds = [bound(f64::min, f64::INFINITY), bound(f64::max, f64::NEG_INFINITY)];
    Shape::Polygon(corners, bounds)
}

fn read_circle(fields: &mut Fields<'_>) -> Shape {
    let (centre, radius) = (fields.pair("centre"), fields.number("radius_m"));
    if !is_on_earth(centre) {
        fields.problem("centre", ON_EARTH);
    }
    if radius <= 0.0 {
        fields.problem("radius_m", "must be more than 0");
    }
    Shape::Circle(centre, radius)
}

const ON_EARTH: &str = "must be longitudes from −180 to 180 and latitudes from −90 to 90, degrees";

fn is_on_earth((lon, lat): (f64, f64)) -> bool {
    lon.abs() <= 180.0 && lat.abs() <= 90.0
}

/// Whether a ray to the east crosses the outline an odd number of times (Shimrat, CACM 1962, algorithm 112). Sides are
/// straight in degrees; one that touches another polygon's is in one of both.
fn is_inside(corners: &[(f64, f64)], (lon, lat): (f64, f64)) -> bool {
    let before = corners.iter().cycle().skip(corners.len().saturating_sub(1));
    let sides = corners.iter().zip(before);
    let is_crossed = |(a, b): &(&(f64, f64), &(f64, f64))| {
        (a.1 > lat) != (b.1 > lat) && lon < (b.0 - a.0) * (lat - a.1) / (b.1 - a.1) + a.0
    };
    sides.filter(is_crossed).count() % 2 == 1
}

/// Along a great circle, m: haversine, with the functions of `libm`, so that machines agree.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |from: f64, to: f64| libm::sin((to - from).to_radians() / 2.0);
    let (lon, lat) = (half(a.0, b.0), half(a.1, b.1));
    let along = libm::cos(a.1.to_radians()) * libm::cos(b.1.to_radians());
    let chord = lat * lat + along * lon * lon;
    2.0 * RADIUS * libm::asin(chord.min(1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polygon(corners: &[(f64, f64)]) -> Vec<(f64, f64)> {
        corners.to_vec()
    }

    #[test]
    fn by_hand() {
        // An L: the notch is outside.
        let corners = polygon(&[(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.0)]);
        for (at, expected) in [
            ((0.5, 0.5), true),
            ((1.5, 0.5), true),
            ((0.5, 1.5), true),
            ((1.5, 1.5), false),
            ((-0.1, 0.5), false),
        ] {
            assert_eq!(is_inside(&corners, at), expected, "{at:?}");
        }
        assert!(!is_inside(&corners, (f64::NAN, 0.5)));
    }

    /// From the Shenzhen Civic Center to Canton Tower: about 98 km.
    #[test]
    fn distances() {
        let found = distance((114.0579, 22.5431), (113.3191, 23.1066));
        assert!((98_000.0..99_500.0).contains(&found), "{found}");
        let quarter = distance((0.0, 0.0), (90.0, 0.0));
        assert!((quarter - RADIUS * std::f64::consts::FRAC_PI_2).abs() < 1e-6, "{quarter}");
        assert_eq!(distance((10.0, 90.0), (10.0, 90.0)), 0.0);
    }

    proptest! {
        /// A convex polygon beside its sides: inside is on one side of all of them. Polygons that share a side hold each
        /// position once.
        #[test]
        fn triangles_tile((x, y) in (-50..50i32, -50..50i32), (u, v) in (-50..50i32, -50..50i32)) {
            let square = [(-40.0, -40.0), (40.0, -40.0), (40.0, 40.0), (-40.0, 40.0)];
            let middle = (f64::from(u) * 0.7, f64::from(v) * 0.7);
            let at = (f64::from(x), f64::from(y));
            let triangles = (0..4).map(|side| [square[side], square[(side + 1) % 4], middle]);
            let held = triangles.filter(|corners| is_inside(corners, at)).count();
            let is_strictly = |side: usize| {
                let (a, b) = (square[side], square[(side + 1) % 4]);
                (b.0 - a.0) * (at.1 - a.1) - (b.1 - a.1) * (at.0 - a.0) > 0.0
            };
            let on_a_side = triangle_sides(&square, middle).any(|(a, b)| {
                (b.0 - a.0) * (at.1 - a.1) - (b.1 - a.1) * (at.0 - a.0) == 0.0
            });
            if !on_a_side {
                prop_assert_eq!(held, usize::from((0..4).all(is_strictly)), "{:?} {:?}", at, middle);
            }
        }
    }

    fn triangle_sides(
        square: &[(f64, f64); 4],
        middle: (f64, f64),
    ) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
        let square = *square;
        (0..4).flat_map(move |side| [(square[side], square[(side + 1) % 4]), (square[side], middle)])
    }
}
