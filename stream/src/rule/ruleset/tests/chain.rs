use super::*;

const MINUTES: &str = "id = \"m\"\nwhere = \"family == 'air'\"\nwindow = { tumbling = \"1m\" }\nselect = { m = \"mean(pm2_5) + max(pm10)\" }\n";

/// What is wrong with a job that reads those minutes.
fn check(keys: &str, expected: &[&str]) {
    let found = job(&format!("{MINUTES}[[job]]\nid = \"h\"\nfrom = \"aggregates\"\n{keys}"))
        .err()
        .unwrap_or_default();
    assert_eq!(found, expected, "{keys}");
}

#[test]
fn a_chain_says_where_it_is_wrong() {
    let select = "select = { h = \"p95(pm2_5)\" }";
    let hour = "window = { tumbling = \"1h\" }";
    check(&format!("job = \"m\"\n{hour}\n{select}"), &[]);
    check(&format!("key = [\"area\"]\njob = \"m\"\n{hour}\n{select}"), &[]);
    check(&format!("{hour}\n{select}"), &["job[1].job: is missing"]);
    check(
        &format!("job = \"h\"\n{hour}\n{select}"),
        &["job[1].job: `h` is no job that stands before this one"],
    );
    let readings = "is for readings, and this job reads windows";
    check(
        &format!("job = \"m\"\nwhere = \"rank > 3\"\n{hour}\n{select}"),
        &[&format!("job[1].where: {readings}")],
    );
    check(&format!("job = \"m\"\nhold = \"5m\"\n{hour}\n{select}"), &[&format!("job[1].hold: {readings}")]);
    let lacks = "job[1].select.h: asks for what job `m` keeps nothing of";
    check(&format!("job = \"m\"\n{hour}\nselect = {{ h = \"mean(humidity)\" }}"), &[lacks]);
    check(&format!("job = \"m\"\n{hour}\nselect = {{ h = \"mean(pm2_5 / pm10)\" }}"), &[lacks]);
    check(&format!("job = \"m\"\n{hour}\nselect = {{ h = \"time_weighted_mean(pm2_5)\" }}"), &[lacks]);
    check(
        &format!("{hour}\njob = \"m\"\nselect = {{ h = \"mean(pm2_5)\", m = \"max(pm2_5)\" }}"),
        &["job[1].select.m: is selected by another job as well"],
    );
}

#[test]
fn windows_are_made_of_whole_ones() {
    let whole = "job[1].window: must be made of whole windows of job `m`, which follow one another";
    let of = |small: &str, large: &str, fits: bool| {
        let minutes = MINUTES.replace("tumbling = \"1m\"", small);
        let hours = format!("job = \"m\"\nwindow = {{ {large} }}\nselect = {{ h = \"mean(pm2_5)\" }}");
        let found = job(&format!("{minutes}[[job]]\nid = \"h\"\nfrom = \"aggregates\"\n{hours}"))
            .err()
            .unwrap_or_default();
        assert_eq!(found.is_empty(), fits, "{small} {large} {found:?}");
        assert!(fits || found == [whole], "{found:?}");
    };
    let day = "calendar = \"day\", zone = \"Asia/Shanghai\"";
    let hour = "calendar = \"hour\", zone = \"Asia/Shanghai\"";
    of("tumbling = \"7s\"", "tumbling = \"1m\"", false);
    of("tumbling = \"1m\"", "tumbling = \"1m\"", true);
    of("tumbling = \"1m\"", "hopping = \"1h\", every = \"10m\"", true);
    of("tumbling = \"1m\"", "hopping = \"1h\", every = \"30s\"", false);
    of("tumbling = \"5m\"", day, true);
    of("tumbling = \"5m\"", &format!("{day}, day_start = \"20:07\""), false);
    // Zones are off by quarters of an hour, so an hour of UTC is no hour of everywhere.
    of("tumbling = \"1h\"", day, false);
    of(hour, day, true);
    of(hour, "calendar = \"day\", zone = \"Asia/Kolkata\"", false);
    of(hour, &format!("{day}, day_start = \"20:30\""), false);
    of(day, "calendar = \"month\", zone = \"Asia/Shanghai\"", true);
    of(day, "calendar = \"month\", zone = \"Asia/Shanghai\", day_start = \"20:00\"", false);
    of(day, hour, false);
    of("hopping = \"10m\", every = \"1m\"", "tumbling = \"1h\"", false);
    of("session = \"10m\"", "tumbling = \"1h\"", false);
    of("count = 5", "tumbling = \"1h\"", false);
    of("tumbling = \"1m\"", "count = 5", false);
}

/// Who is read keeps what is asked for further down, and no more.
#[test]
fn what_is_asked_for_is_kept_all_the_way_up() {
    let hours = "id = \"h\"\nfrom = \"aggregates\"\njob = \"m\"\nwindow = { tumbling = \"1h\" }\nselect = { h = \"max(pm10)\" }\n";
    let days = "id = \"d\"\nfrom = \"aggregates\"\njob = \"h\"\nwindow = { tumbling = \"1d\" }\nselect = { d = \"stddev(pm10)\" }\n";
    let jobs = job(&format!("{MINUTES}[[job]]\n{hours}[[job]]\n{days}")).unwrap().jobs;
    let spread: Vec<Vec<bool>> =
        jobs.iter().map(|job| job.inputs.iter().map(|input| input.wants.spread).collect()).collect();
    assert_eq!(spread, [vec![false, true], vec![true], vec![true]]);
    assert_eq!(jobs.iter().map(|job| job.readers.clone()).collect::<Vec<_>>(), [vec![1], vec![2], vec![]]);
    let area = job(&format!("{MINUTES}key = [\"area\"]\n[[job]]\n{hours}")).unwrap_err();
    assert_eq!(area, ["job[1].key: must be [\"area\"], as that of job `m`"]);
}
