//! Compiled expressions, one tree for each type, so that nothing of a wrong type can be built.

use records::Name;

/// What an expression is about: the values of its variables, by number.
pub trait Scope {
    /// A number; `None` when there is none now.
    fn number(&self, variable: u32) -> Option<f64>;
    /// A text; `None` when there is none now.
    fn text(&self, variable: u32) -> Option<&str>;
}

/// An expression whose value is a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// As written.
    Literal(f64),
    /// Of the scope.
    Variable(u32),
    /// `-a`.
    Negative(Box<Number>),
    /// `a + b` and its like.
    Pair(Arithmetic, Box<(Number, Number)>),
    /// `math.abs(a)` and its like.
    Shaped(Shape, Vec<Number>),
    /// `condition ? a : b`.
    Choice(Box<(Condition, Number, Number)>),
}

/// An operator between numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; by zero there is no value.
    Divide,
}

/// A function of numbers. Only what IEEE 754 rounds exactly, so that machines agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `math.abs(a)`
    Abs,
    /// `math.sqrt(a)`; of a negative number there is none.
    Sqrt,
    /// `math.greatest(a, …)`
    Greatest,
    /// `math.least(a, …)`
    Least,
}

/// An expression whose value is a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As written.
    Literal(Name),
    /// Of the scope.
    Variable(u32),
}

/// An expression that is true or false.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// As written.
    Literal(bool),
    /// `!a`
    Not(Box<Condition>),
    /// `a && b`
    And(Box<(Condition, Condition)>),
    /// `a || b`
    Or(Box<(Condition, Condition)>),
    /// `a < b` and its like.
    Compare(Order, Box<(Number, Number)>),
    /// `a == b` of texts, or `a in [b, …]`.
    OneOf(Text, Vec<Text>),
    /// `a.startsWith(b)` and its like.
    Has(Part, Text, Text),
    /// `condition ? a : b`.
    Choice(Box<(Condition, Condition, Condition)>),
}

/// A comparison of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Which part of a text another is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `startsWith`
    Start,
    /// `endsWith`
    End,
    /// `contains`
    Any,
}

impl Number {
    /// Its value; `None` when there is none, and never one that is not finite.
    pub fn of(&self, scope: &impl Scope) -> Option<f64> {
        let value = match self {
            Number::Literal(value) => *value,
            Number::Variable(variable) => scope.number(*variable)?,
            Number::Negative(number) => -number.of(scope)?,
            Number::Pair(arithmetic, pair) => arithmetic.of(pair.0.of(scope)?, pair.1.of(scope)?),
            Number::Shaped(shape, numbers) => shape.of(numbers, scope)?,
            Number::Choice(choice) => match choice.0.of(scope)? {
                true => choice.1.of(scope)?,
                false => choice.2.of(scope)?,
            },
        };
        value.is_finite().then_some(value)
    }
}

impl Arithmetic {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
        }
    }
}

impl Shape {
    fn of(self, numbers: &[Number], scope: &impl Scope) -> Option<f64> {
        let (first, rest) = numbers.split_first()?;
        let first = first.of(scope)?;
        match self {
            Shape::Abs => Some(first.abs()),
            Shape::Sqrt => Some(first.sqrt()),
            // Of 0 and −0 either could be the greatest, by order of writing.
            Shape::Greatest => rest.iter().try_fold(first + 0.0, |a, b| Some(a.max(b.of(scope)? + 0.0))),
            Shape::Least => rest.iter().try_fold(first + 0.0, |a, b| Some(a.min(b.of(scope)? + 0.0))),
        }
    }
}

impl Text {
    fn of<'s>(&'s self, scope: &'s impl Scope) -> Option<&'s str> {
        match self {
            Text::Literal(text) => Some(text),
            Text::Variable(variable) => scope.text(*variable),
        }
    }
}

impl Condition {
    /// Whether it holds; `None` when nobody can say.
    pub fn of(&self, scope: &impl Scope) -> Option<bool> {
        match self {
            Condition::Literal(holds) => Some(*holds),
            Condition::Not(condition) => condition.of(scope).map(|holds| !holds),
            Condition::And(pair) => decide(false, &pair.0, &pair.1, scope),
            Condition::Or(pair) => decide(true, &pair.0, &pair.1, scope),
            Condition::Compare(order, pair) => Some(order.of(pair.0.of(scope)?, pair.1.of(scope)?)),
            Condition::OneOf(text, known) => one_of(text, known, scope),
            Condition::Has(part, whole, other) => Some(part.of(whole.of(scope)?, other.of(scope)?)),
            Condition::Choice(choice) => match choice.0.of(scope)? {
                true => choice.1.of(scope),
                false => choice.2.of(scope),
            },
        }
    }
}

/// `&&` (decided by false) or `||` (decided by true): one side decides, whatever the other is.
fn decide(by: bool, a: &Condition, b: &Condition, scope: &impl Scope) -> Option<bool> {
    let a = a.of(scope);
    if a == Some(by) {
        return a;
    }
    let b = b.of(scope);
    if b == Some(by) || a.is_some() { b } else { None }
}

fn one_of(text: &Text, known: &[Text], scope: &impl Scope) -> Option<bool> {
    let text = text.of(scope)?;
    let mut is_unsure = false;
    for known in known {
        match known.of(scope) {
            Some(known) if known == text => return Some(true),
            Some(_) => {}
            None => is_unsure = true,
        }
    }
    (!is_unsure).then_some(false)
}

impl Order {
    fn of(self, a: f64, b: f64) -> bool {
        match self {
            Order::Equal => a == b,
            Order::Unequal => a != b,
            Order::Less => a < b,
            Order::LessOrEqual => a <= b,
            Order::Greater => a > b,
            Order::GreaterOrEqual => a >= b,
        }
    }
}

impl Part {
    fn of(self, whole: &str, part: &str) -> bool {
        match self {
            Part::Start => whole.starts_with(part),
            Part::End => whole.ends_with(part),
            Part::Any => whole.contains(part),
        }
    }
}

impl Number {
    /// Shows every variable that is a number to `see`.
    pub fn variables(&self, see: &mut impl FnMut(u32)) {
        match self {
            Number::Literal(_) => {}
            Number::Variable(variable) => see(*variable),
            Number::Negative(number) => number.variables(see),
            Number::Pair(_, pair) => {
                pair.0.variables(see);
                pair.1.variables(see);
            }
            Number::Shaped(_, numbers) => numbers.iter().for_each(|number| number.variables(see)),
            Number::Choice(choice) => {
                choice.0.variables(see);
                choice.1.variables(see);
                choice.2.variables(see);
            }
        }
    }
}

impl Condition {
    fn variables(&self, see: &mut impl FnMut(u32)) {
        match self {
            Condition::Literal(_) | Condition::OneOf(..) | Condition::Has(..) => {}
            Condition::Not(condition) => condition.variables(see),
            Condition::And(pair) | Condition::Or(pair) => {
                pair.0.variables(see);
                pair.1.variables(see);
            }
            Condition::Compare(_, pair) => {
                pair.0.variables(see);
                pair.1.variables(see);
            }
            Condition::Choice(choice) => {
                choice.0.variables(see);
                choice.1.variables(see);
                choice.2.variables(see);
            }
        }
    }
}
