//! A table in CSV (RFC 4180): commas, quotes, a first line of column names.

/// A table, all in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with the number of the line where it begins, from 1, and as many fields as columns.
    pub rows: Vec<(usize, Vec<String>)>,
}

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There is no line of column names.
    #[error("the table is empty")]
    Empty,
    /// A quote that doesn't end.
    #[error("line {0}: a quote is not closed")]
    Quote(usize),
    /// More or fewer fields than columns.
    #[error("line {line}: {found} fields under {expected} columns")]
    Width {
        /// Where.
        line: usize,
        /// Fields of the row.
        found: usize,
        /// Columns of the table.
        expected: usize,
    },
}

impl Table {
    /// Reads a table; empty lines are skipped, a byte-order mark too.
    pub fn parse(text: &str) -> Result<Table, TableError> {
        let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut line, mut records) = (1, Vec::new());
        while !rest.is_empty() {
            let start = line;
            let fields = record(&mut rest, &mut line).ok_or(TableError::Quote(start))?;
            if fields.len() > 1 || fields.iter().any(|field| !field.is_empty()) {
                records.push((start, fields));
            }
        }
        let mut records = records.into_iter();
        let (_, columns) = records.next().ok_or(TableError::Empty)?;
        let expected = columns.len();
        let rows: Vec<_> = records.collect();
        match rows.iter().find(|(_, fields)| fields.len() != expected) {
            Some((line, fields)) => Err(TableError::Width { line: *line, found: fields.len(), expected }),
            None => Ok(Table { columns, rows }),
        }
    }

    /// Place of the column of that name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// One record, up to and with its line end; `None` when a quote is not closed.
fn record(rest: &mut &str, line: &mut usize) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    loop {
        fields.push(field(rest, line)?);
        if let Some(more) = rest.strip_prefix(',') {
            *rest = more;
            continue;
        }
        *rest = rest.strip_prefix('\n').unwrap_or(rest);
        *line += 1;
        return Some(fields);
    }
}

fn field(rest: &mut &str, line: &mut usize) -> Option<String> {
    let mut value = String::new();
    while let Some(quoted) = rest.strip_prefix('"') {
        let (inside, after) = quoted.split_once('"')?;
        *line += inside.matches('\n').count();
        value.push_str(inside);
        if after.starts_with('"') {
            value.push('"');
        }
        *rest = after;
    }
    let end = rest.find([',', '\n']).unwrap_or(rest.len());
    let (plain, after) = rest.split_at(end);
    let is_last = !after.starts_with(',');
    value.push_str(if is_last { plain.strip_suffix('\r').unwrap_or(plain) } else { plain });
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&[&str]]) {
        let table = Table::parse(text).unwrap();
        let rows = table.rows.into_iter().map(|(_, fields)| fields);
        assert_eq!(std::iter::once(table.columns).chain(rows).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn tables() {
        check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
        check("\u{feff}a,b\r\n1,2\r\n\r\n3,", &[&["a", "b"], &["1", "2"], &["3", ""]]);
        check("a\n\"x, \"\"y\"\"\nz\"\n", &[&["a"], &["x, \"y\"\nz"]]);
        check("a,b\n,\n", &[&["a", "b"], &["", ""]]);
        check("a\n\"\"\n1", &[&["a"], &["1"]]);
        check("a\n1\r2\n", &[&["a"], &["1\r2"]]);
    }

    #[test]
    fn rows_know_their_line() {
        let table = Table::parse("a\n\"1\n2\"\n\n3\n").unwrap();
        assert_eq!(table.rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn what_is_no_table() {
        assert_eq!(Table::parse(""), Err(TableError::Empty));
        assert_eq!(Table::parse("\n\n"), Err(TableError::Empty));
        assert_eq!(Table::parse("a\n1\n\"x\n"), Err(TableError::Quote(3)));
        assert_eq!(Table::parse("a,b\n1\n"), Err(TableError::Width { line: 2, found: 1, expected: 2 }));
    }
}
