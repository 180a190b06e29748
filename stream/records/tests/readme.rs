//! The README's table of quantities is the registry.

use records::{Family, QuantityInfo};

const BEGIN: &str = "<!-- quantities -->\n";
const END: &str = "<!-- /quantities -->";

#[test]
fn the_table_of_quantities_is_the_registry() {
    let readme = include_str!("../README.md");
    let (_, behind) = readme.split_once(BEGIN).expect("the table begins");
    let (table, _) = behind.split_once(END).expect("the table ends");
    let rows: String = records::Quantity::registry().iter().map(row).collect();
    let head = "| number | name | unit | range | decimals | families |\n|---|---|---|---|---|---|\n";
    assert_eq!(table, format!("{head}{rows}"), "this is what the README must hold");
}

fn row(info: &QuantityInfo) -> String {
    let QuantityInfo { code, name, unit, min, max, decimals, families } = info;
    let families = match *families {
        [] => "derived".to_owned(),
        all if all == Family::ALL => "all".to_owned(),
        some => some.iter().map(|family| family.name()).collect::<Vec<_>>().join(", "),
    };
    format!("| {code} | `{name}` | `{unit}` | {min} … {max} | {decimals} | {families} |\n")
}
