//! The language of the tables.
//!
//! ```text
//! let hello = 10 ( 'MQTT' 04 c2 0000 'd-1' 'd-1' 'correct horse' )
//! [MQTT-3.1.0-1] The first packet is a CONNECT.
//! > c0 00                 sent over a connection, which is opened by the first such line of a statement
//! < closed                nothing more comes, and the connection ends
//! 2> {hello}              over a second connection of its own
//! 2< 20 02 00 00          exactly these bytes come next
//! < silence               nothing comes, and the connection stays open
//! w> …                     over a third connection, to the WebSocket listener
//! new                     the connection is dropped without a word, and another is opened (2new: the second)
//! ```
//!
//! Bytes are hexadecimal. `'text'` stands behind its length in two bytes, `"text"` stands bare, `( … )` behind its
//! length as a variable byte integer, `[ … ]` behind its
//! length and an empty mask as a frame of a WebSocket has them, `3*78` three times, and `??` is any byte. A line that begins with `#` is a comment.

use super::support::Wire;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A normative statement.
#[derive(Debug)]
pub struct Statement {
    pub number: String,
    pub verdict: Verdict,
}

#[derive(Debug)]
pub enum Verdict {
    Tried(Vec<Step>),
    NotApplicable,
    Open,
}

/// The connection to the WebSocket listener.
const WEBSOCKET: usize = 2;

/// What happens over the connection of that number.
#[derive(Clone, Debug)]
pub enum Step {
    Send(usize, Vec<u8>),
    /// `None` is any byte.
    Expect(usize, Vec<Option<u8>>),
    Silence(usize),
    Closed(usize),
    New(usize),
}

/// Reads a table. Every number stands in it once, and has one verdict.
pub fn read(table: &str) -> Vec<Statement> {
    let mut names = BTreeMap::new();
    let mut statements: Vec<Statement> = Vec::new();
    for (line_number, line) in (1..).zip(table.lines()) {
        let line = line.trim();
        let context = || format!("line {line_number}: {line}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(definition) = line.strip_prefix("let ") {
            let (name, text) = definition.split_once(" = ").unwrap_or_else(|| panic!("{}", context()));
            let text = expand(text, &names);
            names.insert(name.to_owned(), text);
        } else if let Some((number, paraphrase)) =
            line.strip_prefix('[').and_then(|line| line.split_once(']'))
        {
            assert!(!paraphrase.trim().is_empty(), "{}", context());
            statements.push(Statement { number: number.to_owned(), verdict: Verdict::Tried(Vec::new()) });
        } else {
            let statement = statements.last_mut().unwrap_or_else(|| panic!("{}", context()));
            statement.add(line, &names, &context());
        }
    }
    check_numbers(&statements);
    statements
}

fn check_numbers(statements: &[Statement]) {
    let mut numbers = BTreeSet::new();
    for Statement { number, verdict } in statements {
        assert!(number.starts_with("MQTT-"), "{number}");
        assert!(numbers.insert(number), "{number} stands twice");
        if let Verdict::Tried(steps) = verdict {
            let is_answered = steps.iter().any(|step| !matches!(step, Step::Send(..) | Step::New(_)));
            assert!(is_answered, "{number} has nothing that could fail");
        }
    }
}

impl Statement {
    fn add(&mut self, line: &str, names: &BTreeMap<String, String>, context: &str) {
        let Verdict::Tried(steps) = &mut self.verdict else { panic!("{context}: it has a verdict already") };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let wire = match word.as_bytes()[0] {
            b'2' => 1,
            b'w' => WEBSOCKET,
            _ => 0,
        };
        match word.trim_start_matches(['2', 'w']) {
            ">" => steps.push(Step::Send(wire, exact(&assemble(&expand(rest, names))))),
            "<" if rest == "closed" => steps.push(Step::Closed(wire)),
            "<" if rest == "silence" => steps.push(Step::Silence(wire)),
            "<" => steps.push(Step::Expect(wire, assemble(&expand(rest, names)))),
            "new" => steps.push(Step::New(wire)),
            "n/a:" | "open:" => {
                assert!(steps.is_empty() && !rest.is_empty(), "{context}");
                self.verdict = if word == "open:" { Verdict::Open } else { Verdict::NotApplicable };
            }
            _ => panic!("{context}"),
        }
    }
}

fn expand(text: &str, names: &BTreeMap<String, String>) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn exact(bytes: &[Option<u8>]) -> Vec<u8> {
    bytes.iter().map(|byte| byte.expect("bytes that are sent are known")).collect()
}

/// Text to bytes.
fn assemble(text: &str) -> Vec<Option<u8>> {
    let mut groups: Vec<Vec<Option<u8>>> = vec![Vec::new()];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match first {
            '\'' | '"' => {
                let end = rest[1..].find(first).unwrap_or_else(|| panic!("{rest}: no closing quote")) + 2;
                rest.split_at(end)
            }
            _ => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        rest = behind.trim_start();
        match first {
            '(' | '[' => groups.push(Vec::new()),
            ')' => close(&mut groups, integer),
            ']' => close(&mut groups, |len, outer| {
                assert!(len < 126, "{text}: too long for a length of one byte");
                outer.push(Some(0x80 | len as u8));
                outer.extend([Some(0); 4]);
            }),
            _ => groups.last_mut().expect("one group is always open").extend(bytes_of(token)),
        }
    }
    let [bytes] = &groups[..] else { panic!("{text}: unbalanced") };
    bytes.clone()
}

fn close(groups: &mut Vec<Vec<Option<u8>>>, head: impl FnOnce(usize, &mut Vec<Option<u8>>)) {
    let inner = groups.pop().expect("one group is always open");
    let outer = groups.last_mut().expect("an opening for this closing");
    head(inner.len(), outer);
    outer.extend(inner);
}

fn integer(mut len: usize, outer: &mut Vec<Option<u8>>) {
    loop {
        let low = (len & 0x7f) as u8;
        len >>= 7;
        outer.push(Some(if len > 0 { low | 0x80 } else { low }));
        if len == 0 {
            break;
        }
    }
}

fn bytes_of(token: &str) -> Vec<Option<u8>> {
    if let Some(text) = token.strip_prefix('\'') {
        let text = text.trim_end_matches('\'').as_bytes();
        return (text.len() as u16).to_be_bytes().iter().chain(text).copied().map(Some).collect();
    }
    if let Some(text) = token.strip_prefix('"') {
        return text.trim_end_matches('"').bytes().map(Some).collect();
    }
    if let Some((count, byte)) = token.split_once('*') {
        return bytes_of(byte).repeat(count.parse().unwrap_or_else(|_| panic!("{token}")));
    }
    let pairs = token.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs
        .map(|pair| match pair {
            "??" => None,
            pair => Some(u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{token}"))),
        })
        .collect()
}

/// Tries a statement against the gateway, whose WebSocket listener is the last of these.
pub async fn run(number: &str, steps: &[Step], addresses: [SocketAddr; 3]) {
    let mut wires: [Option<Wire>; 3] = [None, None, None];
    for (index, step) in steps.iter().enumerate() {
        println!("{number}, step {}: {step:02x?}", index + 1);
        match step {
            Step::New(wire) => wires[*wire] = Some(dial(addresses[*wire]).await),
            Step::Send(wire, bytes) => {
                if wires[*wire].is_none() {
                    wires[*wire] = Some(dial(addresses[*wire]).await);
                }
                open(&mut wires, *wire).send(bytes).await;
            }
            Step::Expect(wire, expected) => {
                let answer = open(&mut wires, *wire).read(expected.len()).await;
                let fits =
                    answer.iter().zip(expected).all(|(is, should)| should.is_none_or(|should| should == *is));
                assert!(fits, "{number}: {answer:02x?} instead of {expected:02x?}");
            }
            Step::Silence(wire) => open(&mut wires, *wire).expect_silence().await,
            Step::Closed(wire) => open(&mut wires, *wire).expect_closed().await,
        }
    }
}

async fn dial(address: SocketAddr) -> Wire {
    Wire(TcpStream::connect(address).await.expect("the gateway listens"))
}

fn open(wires: &mut [Option<Wire>; 3], wire: usize) -> &mut Wire {
    wires[wire].as_mut().expect("something was sent before")
}
