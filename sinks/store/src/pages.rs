//! The bytes of a sealed file, checked before anything is made of them.

use crate::sealed::Checks;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

/// A footer that was found right.
#[derive(Debug)]
pub(crate) struct Footer {
    pub metadata: ParquetMetaData,
    /// By column of each row group: which of the file's pages is its first.
    first_pages: Vec<usize>,
}

impl Footer {
    /// Parses the end of a file, beginning at its page index.
    pub fn parse(tail: &Tail) -> Parsed<Footer> {
        let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
        let metadata = reader.parse_and_finish(tail)?;
        let mut first_pages = Vec::new();
        let mut count = 0;
        for group in 0..metadata.num_row_groups() {
            for column in 0..metadata.row_group(group).num_columns() {
                first_pages.push(count);
                count += pages_of(&metadata, group, column)?.len();
            }
        }
        Ok(Footer { metadata, first_pages })
    }

    /// Where the data pages of a column lie, in Parquet's words.
    pub fn locations(&self, group: usize, column: usize) -> Vec<PageLocation> {
        let index = self.metadata.page_index_for_row_group(group);
        index.page_locations(column).cloned().unwrap_or_default()
    }

    /// Where the pages lie, the dictionaries among them, in the order of columns.
    pub fn pages(&self) -> Parsed<Vec<Place>> {
        let mut pages = Vec::new();
        for group in 0..self.metadata.num_row_groups() {
            for column in 0..self.metadata.row_group(group).num_columns() {
                pages.extend(pages_of(&self.metadata, group, column)?);
            }
        }
        Ok(pages)
    }
}

/// Where some bytes of a file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub start: u64,
    pub length: usize,
}

impl Place {
    pub fn read(self, mut handle: &File) -> std::io::Result<Bytes> {
        let mut bytes = vec![0; self.length];
        handle.seek(SeekFrom::Start(self.start))?;
        handle.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// The pages of a column: what lies before the first data page is the dictionary. They fill the column's chunk.
fn pages_of(metadata: &ParquetMetaData, group: usize, column: usize) -> Parsed<Vec<Place>> {
    let odd = || ParquetError::General("the page index is not one".to_owned());
    let (start, length) = metadata.row_group(group).column(column).byte_range();
    let index = metadata.page_index_for_row_group(group);
    let locations = index.page_locations(column).ok_or_else(odd)?;
    let mut pages = Vec::with_capacity(locations.len() + 1);
    let mut end = start;
    for page in locations {
        let at = u64::try_from(page.offset).map_err(|_| odd())?;
        if pages.is_empty() && at > end {
            pages.push(Place { start, length: usize::try_from(at - end)? });
            end = at;
        }
        let length = usize::try_from(page.compressed_page_size)?;
        if at != end {
            return Err(odd());
        }
        pages.push(Place { start: at, length });
        end += length as u64;
    }
    if end == start.saturating_add(length) { Ok(pages) } else { Err(odd()) }
}

/// The pages of a column, each checked as it is read.
pub(crate) struct Pages {
    handle: Arc<File>,
    file_size: u64,
    pages: Vec<Place>,
    crcs: Vec<u32>,
}

impl Pages {
    /// The pages of a column of a row group.
    pub fn of(
        footer: &Footer,
        handle: &Arc<File>,
        checks: &Checks,
        (group, column): (usize, usize),
    ) -> Parsed<Pages> {
        let pages = pages_of(&footer.metadata, group, column)?;
        let columns = footer.metadata.row_group(group).num_columns();
        let first = footer.first_pages[group * columns + column];
        match checks.pages.get(first..first + pages.len()) {
            Some(crcs) => {
                Ok(Pages { handle: Arc::clone(handle), file_size: checks.bytes, pages, crcs: crcs.to_vec() })
            }
            None => Err(ParquetError::General("it has more pages than checksums".to_owned())),
        }
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.file_size
    }
}

impl ChunkReader for Pages {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Parsed<Self::T> {
        let page = self.pages.iter().find(|page| page.start == start);
        Ok(bytes::Buf::reader(self.get_bytes(start, page.map_or(0, |page| page.length))?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parsed<Bytes> {
        let Ok(number) = self.pages.binary_search_by_key(&start, |page| page.start) else {
            return Err(ParquetError::General(format!("there is no page at byte {start}")));
        };
        let bytes = self.pages[number].read(&self.handle)?;
        if bytes.len() != length || crc32fast::hash(&bytes) != self.crcs[number] {
            return Err(ParquetError::General(format!("checksum of the page at byte {start}")));
        }
        Ok(bytes)
    }
}

/// The end of a file.
pub(crate) struct Tail {
    start: u64,
    pub bytes: Bytes,
}

impl Tail {
    pub fn read(handle: &File, start: u64, file_size: u64) -> std::io::Result<Tail> {
        let length = file_size.checked_sub(start).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(ErrorKind::UnexpectedEof)?;
        Ok(Tail { start, bytes: Place { start, length }.read(handle)? })
    }
}

impl Length for Tail {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Tail {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Parsed<Self::T> {
        let skip = start.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        match skip.filter(|skip| *skip <= self.bytes.len()) {
            Some(skip) => Ok(bytes::Buf::reader(self.bytes.slice(skip..))),
            None => Err(ParquetError::EOF(format!("byte {start} is not in the footer"))),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parsed<Bytes> {
        let bytes = self.get_read(start)?.into_inner();
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not in the footer")));
        }
        Ok(bytes.slice(..length))
    }
}
