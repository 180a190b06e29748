use super::*;
use crate::rule::Concern;
use records::Severity;

#[test]
fn the_built_in_rules_are_valid() {
    let rules = Ruleset::parse(BUILT_IN).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(rules, Ruleset::default());
    assert_eq!(rules.windows.of(Family::Air), Duration::from_secs(3600));
    assert_eq!(rules.windows.of(Family::Rfid), Duration::from_secs(60));
    let worst = rules.thresholds[0].levels.last().map(|level| (level.severity, level.open));
    assert_eq!(worst, Some((Severity::Extreme, 301.0)));
    let quantities: Vec<_> = rules.thresholds.iter().map(|rule| rule.quantity.clone()).collect();
    assert_eq!(quantities, ["iaqi_pm2_5", "rainfall_3h", "vibration"].map(Quantity::from_name));
    assert_eq!(rules.thresholds[2].source, "ISO 10816-3, group 2, rigid (configuration)");
}

/// The vibration rule repeats the limits of the zones that its text names.
#[test]
fn built_in_vibration_levels_are_the_zones() {
    let rules = Ruleset::default();
    let opens: Vec<_> = rules.thresholds[2].levels.iter().map(|level| level.open).collect();
    assert_eq!(opens, rules.plant.zone_limits[1..]);
}

/// Of a sentence, "warning" is for those who may warn.
#[test]
fn built_in_rain_texts_never_warn() {
    let (_, rain) = BUILT_IN.split_once("id = \"rain-3h\"").unwrap();
    let (rain, _) = rain.split_once("[[threshold]]").unwrap();
    assert!(rain.contains("proposed") && !rain.contains("warning"));
}

/// Where it stands is tested by itself.
fn without_place(problem: &Problem) -> String {
    Problem { at: None, ..problem.clone() }.to_string()
}

/// Changes one thing in the built-in file and expects these problems.
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(BUILT_IN.contains(from), "{from}");
    let problems = Ruleset::parse(&BUILT_IN.replacen(from, to, 1)).err().unwrap_or_default();
    assert_eq!(problems.iter().map(without_place).collect::<Vec<_>>(), expected, "{to}");
}

#[test]
fn says_where_and_what() {
    check("min_good = 1", "min_good = 0", &["air.min_good: must be a whole number of at least 1"]);
    check("min_good = 1", "min_good = 1.5", &["air.min_good: must be a whole number of at least 1"]);
    check(
        "water_s = 3600",
        "water_s = 0",
        &["windows.water_s: must be more than 0 and at most ten years, in seconds"],
    );
    check("water_s = 3600", "", &["windows.water_s: is missing"]);
    check(
        "water_s = 3600",
        "water_s = -1",
        &["windows.water_s: must be more than 0 and at most ten years, in seconds"],
    );
    check(
        "water_s = 3600",
        "water_s = nan",
        &["windows.water_s: must be more than 0 and at most ten years, in seconds"],
    );
    check(
        "hold_off_s = 1200",
        "hold_off_s = \"1 h\"",
        &["threshold[1].hold_off_s: must be a number of seconds"],
    );
    check("zone_c_from = 2.8", "zone_c_from = 1.4", &["plant: zone limits must rise, from more than 0"]);
    check(
        "[rain]",
        "[snow]",
        &[
            "rain: is missing",
            "rain.continuing_s: is missing",
            "rain.source: is missing",
            "rain.basis: is missing",
            "snow: is not a key known here",
        ],
    );
    check("hold_on_s = 120", "hold_on_s = 120\nhold = 3", &["threshold[2].hold: is not a key known here"]);
    check(
        "family = \"air\"",
        "family = \"fire\"",
        &["threshold[0].family: `fire` is none of other, air, water, weather, traffic, rfid, machine"],
    );
    check(
        "quantity = \"vibration\"",
        "quantity = \"shake\"",
        &[
            "threshold[2].quantity: `shake` is not in the registry",
            "threshold[2].text: `{zone}` is none of {value} {unit} {threshold} {subject} {area} {level} {is}",
            "threshold[2].cleared: `{zone}` is none of {value} {unit} {threshold} {subject} {area} {level} {is}",
        ],
    );
    check(
        "\"severe\", name = \"long queue\"",
        "7, name = \"\"",
        &[
            "queue[0].levels[1].severity: must be text",
            "queue[0].levels[1].name: must be text",
            "queue[0].levels[1].severity: must be worse than that of the level before",
        ],
    );
    check(
        "id = \"rain-3h\"",
        "id = \"Rain/3\"",
        &["threshold[1].id: may hold lower-case letters, digits and `-`"],
    );
    check("id = \"tag-missing\"", "id = \"rain-3h\"", &["route[0].id: `rain-3h` is the id of another rule"]);
    check(
        "clear_after = 3",
        "clear_after = 3\nline = [{ area = \"a\" }]",
        &["route[0].line[0].route_time_s: is missing"],
    );
}

#[test]
fn levels_must_be_ordered() {
    let level = "open = 151, clear = 145";
    let check = |to: &str, expected: &[&str]| check(level, to, expected);
    check(
        "open = 151, clear = 151",
        &["threshold[0].levels[1].clear: may equal `open` only with hold_on_s or hold_off_s"],
    );
    check("open = 151, clear = 152", &["threshold[0].levels[1].clear: must be on the safe side of `open`"]);
    check(
        "open = 101, clear = 96",
        &["threshold[0].levels[1].open: must be beyond that of the level before"],
    );
    check(
        "open = 151, clear = 94",
        &["threshold[0].levels[1].clear: must not be on the safe side of that of the level before"],
    );
    check(
        "open = 251, clear = 145",
        &["threshold[0].levels[2].open: must be beyond that of the level before"],
    );
}

#[test]
fn everything_wrong_is_said_at_once() {
    let problems = Ruleset::parse("[windows]\nwater_s = true").unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    for path in ["windows.water_s", "windows.air_s", "air", "rain.continuing_s", "plant.zone_d_from", "tags"]
    {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
}

#[test]
fn what_is_no_table_is_refused() {
    let message = |text: &str| without_place(&Ruleset::parse(text).unwrap_err()[0]);
    assert!(message("air = [").starts_with("not TOML:"), "{}", message("air = ["));
    assert!(message("windows = 3").starts_with("windows: must be a table"));
    let threshold = Ruleset::parse(&format!("threshold = [3]\n{}", ""));
    assert!(threshold.unwrap_err().iter().any(|problem| problem.path == "threshold[0]"));
}

#[test]
fn a_line_may_differ() {
    let text =
        BUILT_IN.replacen("clear_after", "line = [{ area = \"l2\", route_time_s = 60 }]\nclear_after", 1);
    let rules = Ruleset::parse(&text).unwrap();
    assert_eq!(rules.routes[0].route_time("l2"), Duration::from_secs(60));
    assert_eq!(rules.routes[0].route_time("l1"), Duration::from_secs(180));
}

/// A file with one user-defined job.
fn job(text: &str) -> Result<Ruleset, Vec<String>> {
    let parsed = Ruleset::parse(&format!("{BUILT_IN}\n[[job]]\n{text}\n"));
    parsed.map_err(|problems| problems.iter().map(without_place).collect())
}

const SELECT: &str = "id = \"j\"\nwhere = \"family == 'air'\"\nselect = { m = \"mean(pm2_5)\" }\n";

#[test]
fn a_job_says_where_it_is_wrong() {
    let window = |window: &str, expected: &[&str]| {
        let found = job(&format!("{SELECT}window = {{ {window} }}")).err().unwrap_or_default();
        assert_eq!(found, expected, "{window}");
    };
    window("tumbling = \"1m\"", &[]);
    window("calendar = \"month\", zone = \"Asia/Shanghai\", day_start = \"20:00\"", &[]);
    let one = "job[0].window: must have one of tumbling, hopping, session, count, calendar";
    window("", &[one]);
    window("tumbling = \"1m\", count = 3", &[one]);
    window("tumbling = \"0s\"", &["job[0].window.tumbling: must be more than 0 and at most ten years"]);
    window(
        "session = \"-1s\"",
        &["job[0].window.session: `-1s` is no length of time such as \"30s\" or \"10m\""],
    );
    window("count = 0", &["job[0].window.count: must be a whole number of at least 1"]);
    window("hopping = \"1m\"", &["job[0].window.every: is missing"]);
    let whole = "job[0].window.hopping: must be a whole number of every, at most 360";
    window("hopping = \"1m\", every = \"7s\"", &[whole]);
    window("hopping = \"3610s\", every = \"10s\"", &[whole]);
    window(
        "calendar = \"day\", zone = \"Asia/Atlantis\"",
        &["job[0].window.zone: `Asia/Atlantis` is no time zone; they look like Asia/Shanghai"],
    );
    window(
        "calendar = \"day\", zone = \"UTC\", day_start = \"25:00\"",
        &["job[0].window.day_start: `25:00` is no time of day such as 20:00"],
    );
    window(
        "calendar = \"hour\", zone = \"UTC\", day_start = \"20:00\"",
        &["job[0].window.day_start: is for days and months"],
    );
    window("tumbling = \"1m\", zone = \"UTC\"", &["job[0].window.zone: is not a key known here"]);
}

#[test]
fn a_job_says_what_it_cannot_select() {
    let select = |select: &str, expected: &[&str]| {
        let text = format!(
            "id = \"j\"\nwhere = \"family == 'air'\"\nwindow = {{ count = 3 }}\nselect = {{ {select} }}"
        );
        assert_eq!(job(&text).err().unwrap_or_default(), expected, "{select}");
    };
    select("a = \"p99_9( pm2_5 )\", b = \"stddev(pm2_5)\"", &[]);
    select("", &["job[0].select: must select something, such as { pm2_5_mean = \"mean(pm2_5)\" }"]);
    select("a = \"pm2_5\"", &["job[0].select.a: `pm2_5` is no name known here"]);
    select("a = \"mean(pm25)\"", &["job[0].select.a: `pm25` is no name known here"]);
    let name = "may hold lower-case letters, digits and `_`, and be no quantity of the registry";
    select("pm10 = \"mean(pm2_5)\"", &[&format!("job[0].select.pm10: {name}")]);
    select("PM = \"mean(pm2_5)\"", &[&format!("job[0].select.PM: {name}")]);
    let found = job(&format!("{SELECT}window = {{ count = 2 }}\nearly = \"5s\"")).unwrap_err();
    assert_eq!(found, ["job[0].early: needs windows whose end is known: tumbling, hopping or calendar"]);
    let area = |text: &str, expected: &[&str]| {
        let found = job(&format!("{SELECT}key = [\"area\"]\n{text}")).err().unwrap_or_default();
        assert_eq!(found, expected, "{text}");
    };
    area("window = { hopping = \"1m\", every = \"20s\" }\nwait = \"5s\"\nallowed_lateness = \"1d\"", &[]);
    area(
        "window = { tumbling = \"1m\" }\nwait = 5",
        &["job[0].wait: must be a length of time such as \"30s\" or \"10m\""],
    );
    let end = "job[0].window: of an area must have a known end: tumbling, hopping or calendar";
    area("window = { count = 2 }", &[end]);
    area("window = { session = \"1m\" }", &[end]);
    let early = "job[0].early: is for windows of one device: an area is told when its devices have been";
    area("window = { tumbling = \"1m\" }\nearly = \"5s\"", &[early]);
    let key = job(&format!("{SELECT}key = [\"area\", \"device\"]\nwindow = {{ count = 2 }}")).unwrap_err();
    assert_eq!(key, ["job[0].key: must be [\"device\"] or [\"area\"]"]);
    let key = job(&format!("{SELECT}wait = \"5s\"\nwindow = {{ count = 2 }}")).unwrap_err();
    assert_eq!(key, ["job[0].wait: is not a key known here"]);
    let one = format!("{SELECT}key = [\"area\"]\nwindow = {{ tumbling = \"1m\" }}");
    let other = one.replace("{ m =", "{ other =");
    let found = job(&format!("{one}\n[[job]]\n{other}")).unwrap_err();
    assert_eq!(found, ["job[1].id: `j` is the id of another job or rule about areas"]);
    let twice = format!("{SELECT}window = {{ count = 2 }}\n[[job]]\n{SELECT}window = {{ count = 3 }}");
    assert_eq!(job(&twice).unwrap_err(), ["job[1].select.m: is selected by another job as well"]);
    let wrong = |select: &str, expected: &str| {
        let found =
            job(&format!("id = \"j\"\nwindow = {{ count = 3 }}\nselect = {{ {select}, b = \"p5(pm2_5)\" }}"));
        assert_eq!(found.unwrap_err(), [format!("job[0].select.a: {expected}")], "{select}");
    };
    wrong("a = \"median(pm2_5)\"", "`median` is no function known here");
    wrong("a = \"mean(7)\"", "names no quantity");
    wrong("a = \"mean(area)\"", "must be a number, not a text");
    wrong("a = \"mean(mean(pm2_5))\"", "`mean` is no function known here");
    wrong("a = \"7.0\"", "asks for no statistic, such as mean(pm2_5)");
    wrong("a = \"mean(pm2_5) > 3\"", "must be a number, not true or false");
}

#[test]
fn expressions_are_more_than_one_statistic_of_one_quantity() {
    let rules = job(
        "id = \"j\"\nfrom = \"observations\"\ninto = \"aggregates\"\nwhere = \"family in ['air', 'water'] && quality == 'good'\"\n\
         window = { count = 3 }\nselect = { range = \"max(pm2_5) - min(pm2_5)\", share = \"100 * good_share(pm2_5 / pm10)\" }",
    );
    let job = &rules.unwrap().jobs[0];
    assert_eq!(job.quantities, ["pm2_5", "pm10"].map(Quantity::from_name));
    assert_eq!((job.inputs.len(), job.inputs[0].plain(), job.inputs[1].plain()), (2, Some(0), None));
    let concerned = Family::ALL.into_iter().filter(|family| *job.concern(*family) != Concern::None);
    assert_eq!(concerned.collect::<Vec<_>>(), [Family::Air, Family::Water]);
}

#[test]
fn a_problem_has_a_place_in_the_file() {
    let place = |job: &str, expected: &str| {
        let problems = Ruleset::parse(&format!("{BUILT_IN}\n[[job]]\nid = \"j\"\n{job}\n")).unwrap_err();
        let line = BUILT_IN.matches('\n').count() + 4;
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [expected.replace("LINE", &line.to_string()).replace("NEXT", &(line + 1).to_string())]
        );
    };
    place(
        "window = { count = 3 }\nselect = { a = \"mean(pm2_5) + mean(pm25)\" }",
        "line NEXT, column 36: job[0].select.a: `pm25` is no name known here",
    );
    let rest = "window = { count = 3 }\nselect = { a = \"mean(pm2_5)\" }";
    place(
        &format!("where = \"family == 'air' && humidity > 'wet'\"\n{rest}"),
        "line LINE, column 38: job[0].where: a number and a text can't be compared like this",
    );
    place(
        &format!("where = \"family = 'air'\"\n{rest}"),
        "line LINE, column 17: job[0].where: is not CEL: \
         Syntax error: token recognition error at: '= '",
    );
    place(&format!("where = 7\n{rest}"), "line LINE, column 9: job[0].where: must be text");
    place(
        &format!("where = \"\"\"\nrank > 'a'\"\"\"\n{rest}"),
        "line LINE, column 9: job[0].where: a number \
         and a text can't be compared like this",
    );
}

#[test]
fn a_view_says_where_it_is_wrong() {
    let view = |view: &str, expected: &[&str]| {
        let text =
            BUILT_IN.replacen("quantity = \"vibration\"", &format!("quantity = \"vibration\"\n{view}"), 1);
        let problems = Ruleset::parse(&text).err().unwrap_or_default();
        assert_eq!(problems.iter().map(without_place).collect::<Vec<_>>(), expected, "{view}");
    };
    view("n_of_m = [3, 5]", &[]);
    view("looks_at = \"rate_per_minute\"", &[]);
    let bounds =
        "threshold[2].n_of_m: must be two whole numbers, the first from 1 to the second, that up to 100";
    view("n_of_m = [0, 5]", &[bounds]);
    view("n_of_m = [6, 5]", &[bounds]);
    view("n_of_m = [6, 101]", &[bounds]);
    view("n_of_m = 3", &["threshold[2].n_of_m: must be two whole numbers such as [3, 5]"]);
    view("looks_at = \"speed\"", &["threshold[2].looks_at: `speed` is none of value, rate_per_minute"]);
}

#[test]
fn an_absence_says_where_it_is_wrong() {
    let absence = |levels: &str| {
        let text = format!(
            "{BUILT_IN}\n[[absence]]\nid = \"s\"\nuse_case = \"environment\"\nfamily = \"air\"\ntext = \"t\"\n\
             cleared = \"c\"\nsource = \"s\"\nbasis = \"configuration\"\nlevels = [{{ severity = \"minor\", \
             name = \"n\", {levels} }}]\n"
        );
        let problems = Ruleset::parse(&text).err().unwrap_or_default();
        problems.iter().map(without_place).collect::<Vec<_>>()
    };
    assert_eq!(absence("open = 60, clear = 1"), Vec::<String>::new());
    let positive = "absence[0].levels: are seconds of silence, so `open` and `clear` must be more than 0";
    assert_eq!(absence("open = 60, clear = 0"), [positive]);
    assert_eq!(absence("open = 0, clear = -1"), [positive]);
}

const AREA_SHARE: &str = r#"
[[area_share]]
id = "s"
use_case = "environment"
family = "air"
quantity = "pm2_5"
beyond = "above"
limit = 75
min_devices = 3
window = { hopping = "10m", every = "1m" }
hold_on_s = 0
hold_off_s = 0
gap_s = 600
text = "{devices}"
cleared = "{subject}"
source = "a test"
basis = "configuration"
levels = [{ severity = "minor", name = "high", open = 30, clear = 20 }]
"#;

#[test]
fn an_area_share_says_where_it_is_wrong() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        let text = format!("{BUILT_IN}{}", AREA_SHARE.replacen(from, to, 1));
        let problems = Ruleset::parse(&text).err().unwrap_or_default();
        assert_eq!(problems.iter().map(without_place).collect::<Vec<_>>(), expected, "{to}");
    };
    check("", "", &[]);
    check("pm2_5", "pm25", &["area_share[0].quantity: `pm25` is not in the registry"]);
    check(
        "beyond = \"above\"",
        "beyond = \"over\"",
        &["area_share[0].beyond: `over` is none of above, below"],
    );
    check(
        "min_devices = 3",
        "min_devices = 0",
        &["area_share[0].min_devices: must be a whole number of at least 1"],
    );
    let per_cent =
        "area_share[0].levels: are per cent of devices, so `open` must be more than 0 and at most 100";
    check("open = 30", "open = 130", &[per_cent]);
    let end = "area_share[0].window: of an area must have a known end: tumbling, hopping or calendar";
    check("hopping = \"10m\", every = \"1m\"", "count = 3", &[end]);
    check("id = \"s\"", "id = \"rain-3h\"", &["area_share[0].id: `rain-3h` is the id of another rule"]);
}

mod chain;
mod neighbours;
mod pattern;
mod place;
mod rank;
mod weighed;
