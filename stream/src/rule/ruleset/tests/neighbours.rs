use super::*;

#[test]
fn neighbours_say_where_they_are_wrong() {
    let check = |keys: &str, neighbours: &str, expected: &[&str]| {
        let found = job(&format!(
            "{SELECT}window = {{ tumbling = \"1m\" }}\n{keys}\nneighbours = {{ {neighbours} }}"
        ));
        assert_eq!(found.err().unwrap_or_default(), expected, "{neighbours}");
    };
    let area = "key = [\"area\"]";
    let whole = "of = \"mean(pm2_5)\", differs_by = 30, at_least = 3, tells = \"differs\"";
    check(area, whole, &[]);
    check("", whole, &["job[0].neighbours: are for a job about areas"]);
    check(area, &whole.replace("pm2_5", "pm25"), &["job[0].neighbours.of: `pm25` is no name known here"]);
    check(area, &whole.replace("30", "0"), &["job[0].neighbours.differs_by: must be more than 0"]);
    check(
        area,
        &whole.replace("= 3,", "= 1,"),
        &["job[0].neighbours.at_least: must be a whole number of at least 2"],
    );
    check(
        area,
        &whole.replace("differs\"", "m\""),
        &["job[0].neighbours.tells: is selected by another job as well"],
    );
    let name = "may hold lower-case letters, digits and `_`, and be no quantity of the registry";
    check(area, &whole.replace("differs\"", "pm10\""), &[&format!("job[0].neighbours.tells: {name}")]);
    check(area, &whole.replace(", tells = \"differs\"", ""), &["job[0].neighbours.tells: is missing"]);
}
