use super::*;

const PATTERN: &str = r#"
[[pattern]]
id = "p"
use_case = "environment"
family = "water"
first = "turbidity > 100"
then = "ph < 6"
within_s = 60
forget_s = 600
text = "{times}"
cleared = "{subject}"
source = "a test"
basis = "configuration"
levels = [{ severity = "minor", name = "n", open = 1, clear = 0.5 }]
"#;

#[test]
fn a_pattern_says_where_it_is_wrong() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        let text = format!("{BUILT_IN}{}", PATTERN.replacen(from, to, 1));
        let problems = Ruleset::parse(&text).err().unwrap_or_default();
        assert_eq!(problems.iter().map(without_place).collect::<Vec<_>>(), expected, "{to}");
    };
    check("", "", &[]);
    check("then", "without", &[]);
    check("turbidity", "turbid", &["pattern[0].first: `turbid` is no name known here"]);
    check("ph < 6", "quality == 'bad'", &["pattern[0].then: `quality` is no name known here"]);
    check("ph < 6", "rank < 6", &["pattern[0].then: names no quantity"]);
    check("ph < 6", "ph", &["pattern[0].then: must be true or false, not a number"]);
    check(
        "then = \"ph < 6\"",
        "",
        &["pattern[0]: must have one of then, without", "pattern[0].then: is missing"],
    );
    check(
        "then = \"ph < 6\"",
        "then = \"ph < 6\"\nwithout = \"ph < 6\"",
        &["pattern[0]: must have one of then, without", "pattern[0].then: is not a key known here"],
    );
    let time = "pattern[0].within_s: must be more than 0 and at most ten years, in seconds";
    check("within_s = 60", "within_s = 0", &[time]);
    check("forget_s = 600\n", "", &["pattern[0].forget_s: is missing"]);
    let number = "pattern[0].levels: are numbers of occurrences, so more than 0, and `open` at most 100";
    check("open = 1,", "open = 101,", &[number]);
    check("clear = 0.5", "clear = 0", &[number]);
    check("id = \"p\"", "id = \"rain-3h\"", &["pattern[0].id: `rain-3h` is the id of another rule"]);
    let text = format!("{BUILT_IN}{}", PATTERN.replacen("ph < 6", "ph < 'a'", 1));
    let line = BUILT_IN.matches('\n').count() + 7;
    let shown = Ruleset::parse(&text).unwrap_err()[0].to_string();
    let expected = "column 12: pattern[0].then: a number and a text can't be compared like this";
    assert_eq!(shown, format!("line {line}, {expected}"));
}
