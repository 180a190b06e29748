use super::*;
use proptest::prelude::*;

/// `a` is 6, `b` is 4, `huge` the greatest number, `gone` has no value; `name` is "north-1", `nobody` has none.
struct Here;

impl Names for Here {
    fn variable(&mut self, name: &str) -> Option<Typed> {
        let number = ["a", "b", "huge", "gone"].iter().position(|known| *known == name);
        let text = ["name", "nobody"].iter().position(|known| *known == name);
        number
            .map(|index| Typed::Number(Number::Variable(index as u32)))
            .or(text.map(|index| Typed::Text(Text::Variable(index as u32))))
    }

    fn call(&mut self, name: &str, argument: &Call<'_>) -> Option<Result<Typed, Fault>> {
        (name == "same").then(|| argument.compile(self))
    }
}

impl Scope for Here {
    fn number(&self, variable: u32) -> Option<f64> {
        [Some(6.0), Some(4.0), Some(f64::MAX), None][variable as usize]
    }

    fn text(&self, variable: u32) -> Option<&str> {
        [Some("north-1"), None][variable as usize]
    }
}

#[test]
fn numbers() {
    let check = |text: &str, expected: Option<f64>| match compile(text, &mut Here) {
        Ok(Typed::Number(number)) => assert_eq!(number.of(&Here), expected, "{text}"),
        other => panic!("{text}: {other:?}"),
    };
    check("1", Some(1.0));
    check("a - b * 2 + 0.5", Some(-1.5));
    check("(a - b) * 2.0", Some(4.0));
    check("-a / b", Some(-1.5));
    check("same(a) + same(b)", Some(10.0));
    check("math.sqrt(b) + math.abs(-a)", Some(8.0));
    check("math.greatest(b, a, 5) - math.least(b, a)", Some(2.0));
    check("a > b ? a : b", Some(6.0));
    // There is no such number.
    check("a / 0", None);
    check("0 / 0", None);
    check("huge * 2", None);
    check("huge * 2 - huge * 2", None);
    check("math.sqrt(-a)", None);
    check("gone + a", None);
    check("math.greatest(a, gone)", None);
    check("gone > 1 ? a : b", None);
    check("a > 1 ? a : gone", Some(6.0));
}

#[test]
fn conditions() {
    let check = |text: &str, expected: Option<bool>| match compile(text, &mut Here) {
        Ok(Typed::Condition(condition)) => assert_eq!(condition.of(&Here), expected, "{text}"),
        other => panic!("{text}: {other:?}"),
    };
    check("a == 6 && b != 6 && a > b && b < a && a >= 6 && b <= 4", Some(true));
    check("name == 'north-1' && name != 'south-1'", Some(true));
    check("name in ['south-1', \"north-1\"]", Some(true));
    check("name in []", Some(false));
    check("name.startsWith('north') && name.endsWith('-1') && name.contains('h-')", Some(true));
    check("!(a > b) || false", Some(false));
    // One side decides, whatever the other is.
    check("gone > 1", None);
    check("gone > 1 || a == 6", Some(true));
    check("a == 6 || gone > 1", Some(true));
    check("gone > 1 && a == 5", Some(false));
    check("gone > 1 && a == 6", None);
    check("a == 6 && gone > 1", None);
    check("!(gone > 1)", None);
    check("a / 0 > 1 || true", Some(true));
    check("nobody == 'x'", None);
    check("name in [nobody]", None);
    check("name in [nobody, 'north-1']", Some(true));
    check("a == 6 ? b == 4 : gone > 1", Some(true));
}

#[test]
fn says_what_is_wrong_and_where() {
    let check = |text: &str, at: usize, expected: &str| {
        let fault = compile(text, &mut Here).expect_err(text);
        assert_eq!((fault.at, fault.message.contains(expected)), (at, true), "{text}: {fault:?}");
    };
    check("a + c", 4, "`c` is no name known here");
    check("b * (a > 3)", 7, "must be a number, not true or false");
    check("name == 3", 5, "a text and a number can't be compared");
    check("name < 'x'", 5, "can't be compared like this");
    check("a && true", 0, "must be true or false, not a number");
    check("a % 2", 2, "is no function known here");
    check("lookup(a)", 6, "`lookup` is no function known here");
    check("[1, 2].all(x, x > 1)", 10, "loops are not");
    check("a.b", 1, "nothing here has fields");
    check("{'a': 1}", 0, "maps and structures");
    check("[1]", 0, "a list may stand behind `in` only");
    check("name in 'x'", 8, "must be a list of texts");
    check("name.matches('x')", 12, "`.matches()` is not known here");
    check("true ? 1 : 'x'", 5, "both sides");
    check("a +", 3, "is not CEL");
    check("a === b", 4, "is not CEL");
    check("", 0, "is not CEL");
    check(&"(".repeat(50), 16, "nested");
    check(&"a+".repeat(200), 400, "is not CEL");
    check(&format!("{}1", "a+".repeat(200)), 199, "operators in a row");
    check(&"a".repeat(3000), 0, "longer");
}

proptest! {
    /// Whatever stands in the file.
    #[test]
    fn any_text_is_an_expression_or_a_fault(text in "[ab()\\[\\]{}?:.,'\"\\\\+*/%<>=!&|0-9e \n-]{0,60}|\\PC{0,40}") {
        match compile(&text, &mut Here) {
            Ok(Typed::Number(number)) => prop_assert!(number.of(&Here).is_none_or(f64::is_finite)),
            Ok(Typed::Condition(condition)) => drop(condition.of(&Here)),
            Ok(Typed::Text(_)) => {}
            Err(fault) => prop_assert!(fault.at <= text.chars().count(), "{:?}", fault),
        }
    }
}
