//! Rows of a sealed file.

use crate::StoreError;
use crate::pages::{Footer, Pages, Tail};
use crate::sealed::{Checks, SealedFile};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;

/// Why rows of a file could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file is not what was written. Set it aside and ask again without it.
    Damaged { file: Arc<SealedFile>, detail: String },
    /// Anything else.
    Failed(StoreError),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> ReadError {
        ReadError::Failed(error)
    }
}

/// What can be read from a row group: all columns of a row, or those that a question needs.
pub(crate) trait Stored: Clone {
    /// The columns, each at the same row.
    type Columns;
    fn open(group: &Group<'_>) -> Result<Self::Columns, ReadError>;
    fn skip(columns: &mut Self::Columns, rows: usize) -> Parsed<()>;
    fn read(columns: &mut Self::Columns, rows: usize, out: &mut Vec<Self>) -> Parsed<()>;
}

/// A file that is open for reading, with its footer.
pub(crate) struct OpenFile {
    pub file: Arc<SealedFile>,
    handle: Arc<File>,
    footer: Arc<Footer>,
}

impl OpenFile {
    pub fn open(file: &Arc<SealedFile>) -> Result<OpenFile, ReadError> {
        let handle = File::open(&file.path).map_err(|error| failed(file, error))?;
        let footer = match file.footer.get() {
            Some(known) => Arc::clone(known),
            None => {
                let read = Arc::new(read_footer(file, &handle)?);
                Arc::clone(file.footer.get_or_init(|| read))
            }
        };
        Ok(OpenFile { file: Arc::clone(file), handle: Arc::new(handle), footer })
    }

    /// The row groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        (0..self.footer.metadata.num_row_groups()).map(|number| Group { file: self, number })
    }

    /// What an error while decoding means: the disk's, if it comes from there.
    pub fn broken(&self, error: ParquetError) -> ReadError {
        match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(error) => failed(&self.file, *error),
                Err(other) => self.damaged(other),
            },
            other => self.damaged(other),
        }
    }

    pub fn damaged(&self, detail: impl ToString) -> ReadError {
        ReadError::Damaged { file: Arc::clone(&self.file), detail: detail.to_string() }
    }
}

/// Reads runs of rows of a file. Runs that are asked for in the order in which they lie there cost each page once.
pub(crate) struct Runs<P: Stored> {
    file: OpenFile,
    /// Of the row group that is being read: the row that comes next, and the one behind its last.
    next: usize,
    end: usize,
    columns: Option<P::Columns>,
}

impl<P: Stored> Runs<P> {
    pub fn open(file: &Arc<SealedFile>) -> Result<Runs<P>, ReadError> {
        Ok(Runs { file: OpenFile::open(file)?, next: 0, end: 0, columns: None })
    }

    /// Appends rows `start..start + rows` to `out`.
    pub fn read(&mut self, start: u32, rows: u32, out: &mut Vec<P>) -> Result<(), ReadError> {
        let (mut at, end) = (start as usize, start as usize + rows as usize);
        while at < end {
            if self.columns.is_none() || !(self.next..self.end).contains(&at) {
                self.enter(at)?;
            }
            let count = self.end.min(end) - at;
            let columns = self.columns.as_mut().expect("opened with its row group");
            P::skip(columns, at - self.next)
                .and_then(|()| P::read(columns, count, out))
                .map_err(|error| self.file.broken(error))?;
            at += count;
            self.next = at;
        }
        Ok(())
    }

    /// Goes to the beginning of the row group that holds a row.
    fn enter(&mut self, row: usize) -> Result<(), ReadError> {
        let mut first = 0;
        for group in self.file.groups() {
            let end = first + group.rows();
            if row < end {
                self.columns = Some(P::open(&group)?);
                (self.next, self.end) = (first, end);
                return Ok(());
            }
            first = end;
        }
        Err(self.file.damaged("it has fewer rows than its index"))
    }
}

/// A row group of an open file.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    file: &'a OpenFile,
    number: usize,
}

impl Group<'_> {
    pub fn rows(&self) -> usize {
        usize::try_from(self.file.footer.metadata.row_group(self.number).num_rows()).unwrap_or(0)
    }

    /// A column, at its first row. Nothing is read yet.
    pub fn column<T: DataType>(&self, number: usize) -> Result<Column<T>, ReadError> {
        let OpenFile { file, handle, footer } = self.file;
        let group = footer.metadata.row_group(self.number);
        let is_known =
            number < group.num_columns() && group.column(number).column_type() == T::get_physical_type();
        if !is_known {
            return Err(self.file.damaged(format!("column {number} has another type")));
        }
        let chunk = group.column(number);
        let pages = Pages::of(footer, handle, &file.checks, (self.number, number))
            .map_err(|error| self.file.broken(error))?;
        let locations = footer.locations(self.number, number);
        let reader = SerializedPageReader::new(Arc::new(pages), chunk, self.rows(), Some(locations))
            .map_err(|error| self.file.broken(error))?;
        let reader = ColumnReaderImpl::new(chunk.column_descr_ptr(), Box::new(reader));
        Ok(Column { reader, values: Vec::new(), levels: Vec::new() })
    }
}

/// A column of a row group, read from front to back.
pub(crate) struct Column<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
    levels: Vec<i16>,
}

impl<T: DataType> Column<T> {
    pub fn skip(&mut self, rows: usize) -> Parsed<()> {
        complete(self.reader.skip_records(rows)?, rows)
    }

    /// The next values of a required column.
    pub fn read(&mut self, rows: usize) -> Parsed<&[T::T]> {
        self.fill(rows)?;
        complete(self.values.len(), rows)?;
        Ok(&self.values)
    }

    /// The next values of an optional column.
    pub fn read_optional(&mut self, rows: usize) -> Parsed<impl Iterator<Item = Option<T::T>>> {
        self.fill(rows)?;
        complete(self.levels.len(), rows)?;
        let mut values = self.values.iter();
        Ok(self.levels.iter().map(move |level| (*level > 0).then(|| values.next().cloned()).flatten()))
    }

    fn fill(&mut self, rows: usize) -> Parsed<()> {
        self.values.clear();
        self.levels.clear();
        let (read, _, _) = self.reader.read_records(rows, Some(&mut self.levels), None, &mut self.values)?;
        complete(read, rows)
    }
}

fn complete(read: usize, wanted: usize) -> Parsed<()> {
    if read == wanted {
        Ok(())
    } else {
        Err(ParquetError::General(format!("{read} rows instead of {wanted}")))
    }
}

fn read_footer(file: &Arc<SealedFile>, handle: &File) -> Result<Footer, ReadError> {
    let damaged = |detail: String| ReadError::Damaged { file: Arc::clone(file), detail };
    let Checks { bytes, tail_start, tail: crc, .. } = file.checks;
    let tail = Tail::read(handle, tail_start, bytes).map_err(|error| failed(file, error))?;
    if crc32fast::hash(&tail.bytes) != crc {
        return Err(damaged("checksum of the footer".to_owned()));
    }
    Footer::parse(&tail).map_err(|error| damaged(error.to_string()))
}

/// A file that is gone or cut short is damaged; other errors are the disk's.
fn failed(file: &Arc<SealedFile>, error: std::io::Error) -> ReadError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::UnexpectedEof => {
            ReadError::Damaged { file: Arc::clone(file), detail: error.to_string() }
        }
        _ => ReadError::Failed(error.into()),
    }
}
