//! Bytes of a sealed file, checked before anything is read from them.

use crate::StoreError;
use crate::sealed::SealedFile;
use bytes::Bytes;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
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
pub(crate) trait Stored: Copy {
    /// The columns, each at the same row.
    type Columns;
    fn open(group: &Group<'_>) -> Result<Self::Columns, ReadError>;
    fn skip(columns: &mut Self::Columns, rows: usize) -> Parsed<()>;
    fn read(columns: &mut Self::Columns, rows: usize, out: &mut Vec<Self>) -> Parsed<()>;
}

/// A file that is open for reading, with its footer.
pub(crate) struct OpenFile {
    pub file: Arc<SealedFile>,
    handle: File,
    metadata: Arc<ParquetMetaData>,
}

impl OpenFile {
    pub fn open(file: &Arc<SealedFile>) -> Result<OpenFile, ReadError> {
        let handle = File::open(&file.path).map_err(|error| failed(file, error))?;
        let metadata = match file.metadata.get() {
            Some(known) => Arc::clone(known),
            None => {
                let read = Arc::new(read_footer(file, &handle)?);
                Arc::clone(file.metadata.get_or_init(|| read))
            }
        };
        Ok(OpenFile { file: Arc::clone(file), handle, metadata })
    }

    /// The row groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        (0..self.metadata.num_row_groups()).map(|number| Group { file: self, number })
    }

    /// Appends rows `start..start + rows` to `out`.
    pub fn read<P: Stored>(&self, start: u32, rows: u32, out: &mut Vec<P>) -> Result<(), ReadError> {
        let (mut skip, mut left) = (start as usize, rows as usize);
        for group in self.groups() {
            let size = group.rows();
            if skip >= size {
                skip -= size;
                continue;
            }
            let count = left.min(size - skip);
            let mut columns = P::open(&group)?;
            P::skip(&mut columns, skip).map_err(|error| self.damaged(error))?;
            P::read(&mut columns, count, out).map_err(|error| self.damaged(error))?;
            (skip, left) = (0, left - count);
            if left == 0 {
                return Ok(());
            }
        }
        Err(self.damaged("it has fewer rows than its index"))
    }

    pub fn damaged(&self, detail: impl ToString) -> ReadError {
        ReadError::Damaged { file: Arc::clone(&self.file), detail: detail.to_string() }
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
        usize::try_from(self.file.metadata.row_group(self.number).num_rows()).unwrap_or(0)
    }

    /// A column, at its first row. Its bytes are read and checked now.
    pub fn column<T: DataType>(&self, number: usize) -> Result<Column<T>, ReadError> {
        let OpenFile { file, handle, metadata } = self.file;
        let group = metadata.row_group(self.number);
        let is_known =
            number < group.num_columns() && group.column(number).column_type() == T::get_physical_type();
        if !is_known {
            return Err(self.file.damaged(format!("column {number} has another type")));
        }
        let chunk = group.column(number);
        let (start, length) = chunk.byte_range();
        let span =
            Span::read(handle, file.checks.bytes, start, length).map_err(|error| failed(file, error))?;
        let expected = file.checks.chunks.get(self.number * group.num_columns() + number);
        if expected != Some(&crc32fast::hash(&span.bytes)) {
            return Err(self.file.damaged(format!(
                "checksum of column {} of row group {}",
                chunk.column_path(),
                self.number
            )));
        }
        let pages = SerializedPageReader::new(Arc::new(span), chunk, self.rows(), None)
            .map_err(|error| self.file.damaged(error))?;
        let reader = ColumnReaderImpl::new(chunk.column_descr_ptr(), Box::new(pages));
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

/// Some bytes of a file, at their place in it.
pub(crate) struct Span {
    start: u64,
    file_size: u64,
    pub bytes: Bytes,
}

impl Span {
    pub fn read(mut handle: &File, file_size: u64, start: u64, length: u64) -> std::io::Result<Span> {
        if start.checked_add(length).is_none_or(|end| end > file_size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| ErrorKind::OutOfMemory)?];
        handle.seek(SeekFrom::Start(start))?;
        handle.read_exact(&mut bytes)?;
        Ok(Span { start, file_size, bytes: bytes.into() })
    }

    /// Parses the footer from a span that reaches to the end of the file.
    pub fn footer(&self) -> Parsed<ParquetMetaData> {
        ParquetMetaDataReader::new().parse_and_finish(self)
    }

    fn from(&self, at: u64) -> Parsed<Bytes> {
        let skip = at.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        match skip.filter(|skip| *skip <= self.bytes.len()) {
            Some(skip) => Ok(self.bytes.slice(skip..)),
            None => Err(ParquetError::EOF(format!("byte {at} was not read"))),
        }
    }
}

impl Length for Span {
    fn len(&self) -> u64 {
        self.file_size
    }
}

impl ChunkReader for Span {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Parsed<Self::T> {
        Ok(bytes::Buf::reader(self.from(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parsed<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} were not read")));
        }
        Ok(bytes.slice(..length))
    }
}

fn read_footer(file: &Arc<SealedFile>, handle: &File) -> Result<ParquetMetaData, ReadError> {
    let damaged = |detail: String| ReadError::Damaged { file: Arc::clone(file), detail };
    let checks = &file.checks;
    let length = checks.bytes.saturating_sub(checks.tail_start);
    let tail =
        Span::read(handle, checks.bytes, checks.tail_start, length).map_err(|error| failed(file, error))?;
    if crc32fast::hash(&tail.bytes) != checks.tail {
        return Err(damaged("checksum of the footer".to_owned()));
    }
    tail.footer().map_err(|error| damaged(error.to_string()))
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
