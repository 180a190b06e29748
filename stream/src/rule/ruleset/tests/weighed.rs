use super::*;

#[test]
fn a_mean_over_time_says_where_it_is_wrong() {
    let check = |keys: &str, expected: &[&str]| {
        let found = job(&format!("id = \"j\"\n{keys}")).err().unwrap_or_default();
        assert_eq!(found, expected, "{keys}");
    };
    let select = "select = { a = \"time_weighted_mean(pm2_5) - mean(pm2_5)\" }";
    check(&format!("window = {{ tumbling = \"1h\" }}\nhold = \"10m\"\n{select}"), &[]);
    check(&format!("key = [\"area\"]\nwindow = {{ tumbling = \"1h\" }}\nhold = \"10m\"\n{select}"), &[]);
    let missing = "job[0].hold: is missing: time_weighted_mean must know how long a value stands";
    check(&format!("window = {{ tumbling = \"1h\" }}\n{select}"), &[missing]);
    let length = "job[0].hold: must be more than 0 and at most ten years";
    check(&format!("window = {{ tumbling = \"1h\" }}\nhold = \"0s\"\n{select}"), &[length]);
    let end = "job[0].window: for time_weighted_mean must have a known end: tumbling, hopping or calendar";
    check(&format!("window = {{ count = 5 }}\nhold = \"10m\"\n{select}"), &[end]);
    check(&format!("window = {{ session = \"1m\" }}\nhold = \"10m\"\n{select}"), &[end]);
    let idle = "job[0].hold: is for time_weighted_mean, which is not selected";
    check("window = { tumbling = \"1h\" }\nhold = \"10m\"\nselect = { a = \"mean(pm2_5)\" }", &[idle]);
}
