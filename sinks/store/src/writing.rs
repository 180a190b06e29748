//! Writing a sealed file: series after series, in row groups that end where a series ends.

use crate::StoreError;
use crate::catalog::{SeriesId, SeriesName};
use crate::columns::{Layout, put_values};
use crate::day::{Day, Kind, file_name, unfinished_name};
use crate::index::{Entry, push_entries};
use crate::pages::{Footer, Tail};
use crate::sealed::{Checks, SealedFile};
use crate::steps::{Step, Steps};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::Result as Parsed;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group: few enough to read one series cheaply, many enough to compress.
const GROUP_ROWS: usize = 100_000;

/// Rows of a page: what has to be decoded for a series of a few rows.
const PAGE_ROWS: usize = 8_192;

/// Rows that a file may have; a day that has more stays in several files.
pub(crate) const FILE_ROWS: u64 = 50_000_000;

/// Which file to write.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub root: &'a Path,
    pub steps: &'a Steps,
    pub id: u64,
    pub kind: Kind,
    pub day: Day,
    pub level: u32,
    pub age: u64,
}

/// A file being written under its unfinished name.
pub(crate) struct FileWriter<'a, P: Layout> {
    draft: Draft<'a>,
    unfinished: Unfinished,
    writer: SerializedFileWriter<File>,
    runs: Vec<(SeriesName, usize)>,
    points: Vec<P>,
    index: Vec<Entry>,
    rows: u32,
    points_of: PhantomData<P>,
}

impl<'a, P: Layout> FileWriter<'a, P> {
    pub fn create(draft: Draft<'a>) -> Result<FileWriter<'a, P>, StoreError> {
        let dir = draft.kind.dir(draft.root, draft.day);
        std::fs::create_dir_all(&dir)?;
        let path = dir.join(unfinished_name(draft.id));
        let file = File::create_new(&path)?;
        let unfinished = Unfinished(path);
        let schema = parse_message_type(P::SCHEMA)?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties::<P>()?))?;
        Ok(FileWriter {
            draft,
            unfinished,
            writer,
            runs: Vec::new(),
            points: Vec::new(),
            index: Vec::new(),
            rows: 0,
            points_of: PhantomData,
        })
    }

    /// Adds the next series, in the order of names; its points are settled.
    pub fn push(&mut self, id: SeriesId, name: &SeriesName, points: &[P]) -> Result<(), StoreError> {
        push_entries(&mut self.index, id, self.draft.day, self.rows, points);
        self.rows += u32::try_from(points.len()).expect("FILE_ROWS and the memory bound are far below 2^32");
        for part in points.chunks(GROUP_ROWS) {
            if !self.points.is_empty() && self.points.len() + part.len() > GROUP_ROWS {
                self.end_group()?;
            }
            self.points.extend_from_slice(part);
            self.runs.push((name.clone(), part.len()));
        }
        Ok(())
    }

    /// Makes the file durable under its name. It is doomed until somebody commits it to the manifest.
    pub fn finish(mut self) -> Result<Arc<SealedFile>, StoreError> {
        self.end_group()?;
        let metadata = self.writer.finish()?;
        self.draft.steps.sync(&self.unfinished.0, self.writer.inner())?;
        let FileWriter { draft, unfinished, mut index, rows, .. } = self;
        let checks = measure(&unfinished.0, &metadata)?;
        draft.steps.reach(Step::FileWritten)?;
        index.sort_by_key(|entry| (entry.series, entry.start));
        let path = unfinished.finish(draft.id)?;
        let place = (draft.kind, draft.day);
        let file = SealedFile::new(draft.id, place, draft.level, draft.age, path, rows.into(), checks, index);
        file.set_doomed(true);
        sync_dir(draft.steps, &draft.kind.dir(draft.root, draft.day))?;
        sync_dir(draft.steps, &draft.root.join(draft.kind.name()))?;
        draft.steps.reach(Step::FileNamed)?;
        Ok(Arc::new(file))
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        if self.points.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for name in [|name: &SeriesName| name.subject.clone(), |name: &SeriesName| name.quantity.clone()] {
            let runs = self.runs.iter().map(|(series, rows)| (name(series), *rows));
            let bytes =
                runs.flat_map(|(name, rows)| std::iter::repeat_n(ByteArray::from(name.as_str()), rows));
            put_values::<ByteArrayType>(&mut group, &bytes.collect::<Vec<_>>(), None)?;
        }
        P::write(&mut group, &self.points)?;
        group.close()?;
        self.points.clear();
        self.runs.clear();
        Ok(())
    }
}

/// A file's unfinished name. Goes with it unless the file gets its name.
struct Unfinished(PathBuf);

impl Unfinished {
    fn finish(mut self, id: u64) -> std::io::Result<PathBuf> {
        let path = self.0.with_file_name(file_name(id));
        std::fs::rename(&self.0, &path)?;
        self.0 = PathBuf::new();
        Ok(path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What can't be removed now is removed at the next start.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(steps: &Steps, dir: &Path) -> std::io::Result<()> {
    steps.sync(dir, &File::open(dir)?)
}

fn properties<P: Layout>() -> Parsed<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by("sluice".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in P::STEADY {
        properties = properties
            .set_column_dictionary_enabled((*column).into(), false)
            .set_column_encoding((*column).into(), Encoding::DELTA_BINARY_PACKED);
    }
    Ok(properties.build())
}

/// Reads a written file once more and notes what its bytes must be from now on.
fn measure(path: &Path, metadata: &ParquetMetaData) -> Result<Checks, StoreError> {
    let handle = File::open(path)?;
    let bytes = handle.metadata()?.len();
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let ends = chunks.map(|chunk| chunk.byte_range()).map(|(start, length)| start + length);
    let tail_start = ends.max().unwrap_or(0);
    let tail = Tail::read(&handle, tail_start, bytes)?;
    let mut pages = Vec::new();
    for page in Footer::parse(&tail)?.pages()? {
        pages.push(crc32fast::hash(&page.read(&handle)?));
    }
    Ok(Checks { bytes, tail_start, tail: crc32fast::hash(&tail.bytes), pages })
}
