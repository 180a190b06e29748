//! From a text in CEL to a tree.

use super::tree::{Arithmetic, Condition, Number, Order, Part, Shape, Text};
use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo};
use cel::parser::Parser;
use records::Name;

/// Longest text and deepest brackets: the parser calls itself, and so does what is compiled.
const MOST_BYTES: usize = 2000;
const MOST_NESTED: usize = 16;
/// Most operators, for the same reason: `a + a + …` is as deep as it is long.
const MOST_DEEP: usize = 100;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: characters before it.
    pub at: usize,
    /// What, as a lowercase fragment.
    pub message: String,
}

/// A compiled expression, by the type of its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    /// A number.
    Number(Number),
    /// A text.
    Text(Text),
    /// True or false.
    Condition(Condition),
}

/// What an expression may name.
pub trait Names {
    /// The variable of that name.
    fn variable(&mut self, name: &str) -> Option<Typed>;
    /// What a function of that name is called with; `None` when there is no such function. `compile`: compiles the
    /// only argument of the call with other names.
    fn call(&mut self, name: &str, argument: &Call<'_>) -> Option<Result<Typed, Fault>>;
}

/// The only argument of a call.
pub struct Call<'a> {
    expression: &'a IdedExpr,
    info: &'a SourceInfo,
    depth: usize,
}

impl Call<'_> {
    /// Compiles it.
    pub fn compile(&self, names: &mut dyn Names) -> Result<Typed, Fault> {
        Compiler { names, info: self.info, depth: self.depth }.any(self.expression)
    }

    /// A fault at this place.
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { at: place(self.info, self.expression.id), message: message.into() }
    }
}

/// Compiles a text.
pub fn compile(text: &str, names: &mut dyn Names) -> Result<Typed, Fault> {
    if text.len() > MOST_BYTES {
        return Err(Fault { at: 0, message: format!("is longer than {MOST_BYTES} bytes") });
    }
    nesting(text)?;
    let (expression, info) = Parser::new().parse_with_source_info(text).map_err(|errors| {
        let first = errors.errors.into_iter().min_by_key(|error| error.pos);
        let (pos, message) = first.map_or(((1, 0), String::new()), |error| (error.pos, error.msg));
        Fault { at: offset(text, pos), message: format!("is not CEL: {}", one_line(&message)) }
    })?;
    Compiler { names, info: &info, depth: 0 }.any(&expression)
}

/// Brackets in texts count as well: nobody needs so many.
fn nesting(text: &str) -> Result<(), Fault> {
    let mut depth = 0usize;
    for (at, letter) in text.chars().enumerate() {
        match letter {
            '(' | '[' | '{' | '?' | '!' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MOST_NESTED {
            return Err(Fault { at, message: format!("is nested more than {MOST_NESTED} deep") });
        }
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Line and column, from 1, as characters before it.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1));
    let before: usize =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(|line| line.chars().count()).sum();
    (before + column.saturating_sub(1)).min(text.chars().count())
}

fn place(info: &SourceInfo, id: u64) -> usize {
    info.offset_for(id).map_or(0, |(start, _)| start as usize)
}

struct Compiler<'a> {
    names: &'a mut dyn Names,
    info: &'a SourceInfo,
    depth: usize,
}

impl Compiler<'_> {
    fn fault<T>(&self, expression: &IdedExpr, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault { at: place(self.info, expression.id), message: message.into() })
    }

    fn any(&mut self, expression: &IdedExpr) -> Result<Typed, Fault> {
        self.depth += 1;
        if self.depth > MOST_DEEP {
            return self.fault(expression, format!("has more than {MOST_DEEP} operators in a row"));
        }
        let found = match &expression.expr {
            Expr::Literal(literal) => self.literal(expression, literal),
            Expr::Ident(name) => match self.names.variable(name) {
                Some(variable) => Ok(variable),
                None => self.fault(expression, format!("`{name}` is no name known here")),
            },
            Expr::Call(call) => self.call(expression, call),
            Expr::Comprehension(_) => self.fault(expression, "loops are not for expressions here"),
            Expr::Select(SelectExpr { field, .. }) => {
                self.fault(expression, format!("`.{field}`: nothing here has fields"))
            }
            Expr::List(_) => self.fault(expression, "a list may stand behind `in` only"),
            _ => self.fault(expression, "maps and structures are not for expressions here"),
        };
        self.depth -= 1;
        found
    }

    fn literal(&mut self, at: &IdedExpr, literal: &LiteralValue) -> Result<Typed, Fault> {
        Ok(match literal {
            LiteralValue::Boolean(holds) => Typed::Condition(Condition::Literal(*holds.inner())),
            LiteralValue::Double(value) if value.inner().is_finite() => {
                Typed::Number(Number::Literal(*value.inner()))
            }
            LiteralValue::Double(_) => return self.fault(at, "is too great a number"),
            // Every quantity is a double, so a whole number stands for one.
            LiteralValue::Int(value) => Typed::Number(Number::Literal(*value.inner() as f64)),
            LiteralValue::String(text) => Typed::Text(Text::Literal(Name::new(text.inner()))),
            _ => return self.fault(at, "only numbers, texts, true and false can be written here"),
        })
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Result<Typed, Fault> {
        let (name, args) = (call.func_name.as_str(), call.args.as_slice());
        if let Some(target) = &call.target {
            return self.method(at, target, name, args);
        }
        if let Some(arithmetic) = arithmetic(name)
            && let [a, b] = args
        {
            let pair = Box::new((self.number(a)?, self.number(b)?));
            return Ok(Typed::Number(Number::Pair(arithmetic, pair)));
        }
        if let Some(order) = order(name)
            && let [a, b] = args
        {
            return self.compare(at, order, a, b).map(Typed::Condition);
        }
        match (name, args) {
            (op::NEGATE, [a]) => Ok(Typed::Number(Number::Negative(Box::new(self.number(a)?)))),
            (op::LOGICAL_NOT, [a]) => Ok(Typed::Condition(Condition::Not(Box::new(self.condition(a)?)))),
            (op::LOGICAL_AND, [a, b]) => {
                let pair = Box::new((self.condition(a)?, self.condition(b)?));
                Ok(Typed::Condition(Condition::And(pair)))
            }
            (op::LOGICAL_OR, [a, b]) => {
                let pair = Box::new((self.condition(a)?, self.condition(b)?));
                Ok(Typed::Condition(Condition::Or(pair)))
            }
            (op::CONDITIONAL, [condition, a, b]) => self.choice(at, condition, a, b),
            (op::IN, [text, list]) => self.one_of(text, list),
            (name, [argument]) => {
                let argument = Call { expression: argument, info: self.info, depth: self.depth };
                let found = self.names.call(name, &argument);
                let unknown = || self.fault(at, format!("`{name}` is no function known here"));
                found.unwrap_or_else(unknown)
            }
            _ => self.fault(at, format!("`{}` is no function known here", name.trim_matches('_'))),
        }
    }

    fn choice(
        &mut self,
        at: &IdedExpr,
        condition: &IdedExpr,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Result<Typed, Fault> {
        let condition = self.condition(condition)?;
        match (self.any(a)?, self.any(b)?) {
            (Typed::Number(a), Typed::Number(b)) => {
                Ok(Typed::Number(Number::Choice(Box::new((condition, a, b)))))
            }
            (Typed::Condition(a), Typed::Condition(b)) => {
                Ok(Typed::Condition(Condition::Choice(Box::new((condition, a, b)))))
            }
            _ => self.fault(at, "both sides of `:` must be numbers, or both true or false"),
        }
    }

    fn compare(
        &mut self,
        at: &IdedExpr,
        order: Order,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Result<Condition, Fault> {
        match (self.any(a)?, self.any(b)?) {
            (Typed::Number(a), Typed::Number(b)) => Ok(Condition::Compare(order, Box::new((a, b)))),
            (Typed::Text(a), Typed::Text(b)) if order == Order::Equal => Ok(Condition::OneOf(a, vec![b])),
            (Typed::Text(a), Typed::Text(b)) if order == Order::Unequal => {
                Ok(Condition::Not(Box::new(Condition::OneOf(a, vec![b]))))
            }
            (a, b) => self.fault(at, format!("{} and {} can't be compared like this", a.kind(), b.kind())),
        }
    }

    fn one_of(&mut self, text: &IdedExpr, list: &IdedExpr) -> Result<Typed, Fault> {
        let text = self.text(text)?;
        let Expr::List(list_of) = &list.expr else {
            return self.fault(list, "must be a list of texts, such as ['a', 'b']");
        };
        let known = list_of.elements.iter().map(|element| self.text(element)).collect::<Result<_, _>>()?;
        Ok(Typed::Condition(Condition::OneOf(text, known)))
    }

    /// `text.startsWith(…)`, `math.abs(…)`.
    fn method(
        &mut self,
        at: &IdedExpr,
        target: &IdedExpr,
        name: &str,
        args: &[IdedExpr],
    ) -> Result<Typed, Fault> {
        if target.expr == Expr::Ident("math".to_owned()) {
            let shape = match (name, args.len()) {
                ("abs", 1) => Shape::Abs,
                ("sqrt", 1) => Shape::Sqrt,
                ("greatest", 1..) => Shape::Greatest,
                ("least", 1..) => Shape::Least,
                _ => return self.fault(at, format!("`math.{name}` of {} is not known here", args.len())),
            };
            let numbers = args.iter().map(|number| self.number(number)).collect::<Result<_, _>>()?;
            return Ok(Typed::Number(Number::Shaped(shape, numbers)));
        }
        let part = match name {
            "startsWith" => Part::Start,
            "endsWith" => Part::End,
            "contains" => Part::Any,
            _ => return self.fault(at, format!("`.{name}()` is not known here")),
        };
        let [other] = args else { return self.fault(at, format!("`.{name}()` takes one text")) };
        Ok(Typed::Condition(Condition::Has(part, self.text(target)?, self.text(other)?)))
    }

    fn number(&mut self, expression: &IdedExpr) -> Result<Number, Fault> {
        match self.any(expression)? {
            Typed::Number(number) => Ok(number),
            other => self.fault(expression, format!("must be a number, not {}", other.kind())),
        }
    }

    fn text(&mut self, expression: &IdedExpr) -> Result<Text, Fault> {
        match self.any(expression)? {
            Typed::Text(text) => Ok(text),
            other => self.fault(expression, format!("must be a text, not {}", other.kind())),
        }
    }

    fn condition(&mut self, expression: &IdedExpr) -> Result<Condition, Fault> {
        match self.any(expression)? {
            Typed::Condition(condition) => Ok(condition),
            other => self.fault(expression, format!("must be true or false, not {}", other.kind())),
        }
    }
}

impl Typed {
    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Typed::Number(_) => "a number",
            Typed::Text(_) => "a text",
            Typed::Condition(_) => "true or false",
        }
    }
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    match name {
        op::ADD => Some(Arithmetic::Add),
        op::SUBSTRACT => Some(Arithmetic::Subtract),
        op::MULTIPLY => Some(Arithmetic::Multiply),
        op::DIVIDE => Some(Arithmetic::Divide),
        _ => None,
    }
}

fn order(name: &str) -> Option<Order> {
    match name {
        op::EQUALS => Some(Order::Equal),
        op::NOT_EQUALS => Some(Order::Unequal),
        op::LESS => Some(Order::Less),
        op::LESS_EQUALS => Some(Order::LessOrEqual),
        op::GREATER => Some(Order::Greater),
        op::GREATER_EQUALS => Some(Order::GreaterOrEqual),
        _ => None,
    }
}
