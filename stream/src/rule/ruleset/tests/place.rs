use super::*;

#[test]
fn a_place_says_where_it_is_wrong() {
    let check = |keys: &str, expected: &[&str]| {
        let problems =
            Ruleset::parse(&format!("{BUILT_IN}\n[[place]]\nid = \"p\"\n{keys}\n")).err().unwrap_or_default();
        assert_eq!(problems.iter().map(without_place).collect::<Vec<_>>(), expected, "{keys}");
    };
    check("polygon = [[113.9, 22.5], [114, 22.5], [114, 22.6]]", &[]);
    check("centre = [113.9, 22.5]\nradius_m = 500", &[]);
    check("", &["place[0]: must have one of polygon, centre"]);
    check(
        "polygon = [[113.9, 22.5], [114, 22.5]]",
        &["place[0].polygon: must have 3 to 10000 corners, such as [[113.9, 22.5], …]"],
    );
    let earth = "must be longitudes from −180 to 180 and latitudes from −90 to 90, degrees";
    check("polygon = [[22.5, 113.9], [22.6, 113.9], [22.6, 114]]", &[&format!("place[0].polygon: {earth}")]);
    check("centre = [22.5, 113.9]\nradius_m = 500", &[&format!("place[0].centre: {earth}")]);
    check("centre = [113.9, 22.5]\nradius_m = 0", &["place[0].radius_m: must be more than 0"]);
    check(
        "polygon = [[113.9, nan]]",
        &[
            "place[0].polygon: must be pairs of numbers such as [[113.9, 22.5], …]",
            "place[0].polygon: must have 3 to 10000 corners, such as [[113.9, 22.5], …]",
        ],
    );
    let circle = "centre = [113.9, 22.5]\nradius_m = 500";
    check(
        &format!("{circle}\n[[place]]\nid = \"p\"\n{circle}"),
        &["place[1].id: `p` is the id of another place"],
    );
}
