use super::*;

#[test]
fn a_rank_says_where_it_is_wrong() {
    let check = |keys: &str, expected: &[&str]| {
        let found =
            job(&format!("{SELECT}window = {{ tumbling = \"1m\" }}\n{keys}")).err().unwrap_or_default();
        assert_eq!(found, expected, "{keys}");
    };
    check("key = [\"area\"]\ntop = 3", &[]);
    check("key = [\"area\"]\nbottom = 100", &[]);
    check("top = 3", &["job[0].top: is not a key known here"]);
    check("key = [\"area\"]\ntop = 0", &["job[0].top: must be a whole number of at least 1"]);
    check("key = [\"area\"]\ntop = 101", &["job[0].top: must be at most 100"]);
    let both = "job[0].bottom: does not go with top: a job has one of them";
    check("key = [\"area\"]\ntop = 3\nbottom = 3", &[both]);
}
