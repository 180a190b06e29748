//! The write-ahead file, looked at before SQLite does: it takes the first frame that does not fit for the end, and
//! forgets what stands behind it.
//!
//! That is right for a transaction that a crash cut off, and wrong for a bit that has flipped in an older one. A
//! transaction is begun when the one before it is synced, so a whole transaction behind a broken one says that the
//! broken one was whole. Layout: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::OpenError;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Of the file's first word; its last bit says that checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// Refuses a write-ahead file in which whole transactions stand behind one that is broken. Reads it once.
///
/// Of the last transaction nobody can say whether it was ever whole; it is left to SQLite, as is an empty file.
pub(crate) fn check(database: &Path) -> Result<(), OpenError> {
    let path = wal_of(database);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OpenError::Folder { path, source }),
    };
    let scan = Scan::of(BufReader::with_capacity(1 << 16, file));
    match scan.map_err(|source| OpenError::Folder { path: path.clone(), source })? {
        // The broken one's own commit, and that of another behind it.
        Scan { broken: Some(frame), commits_behind: 2.. } => Err(OpenError::Torn { path, frame }),
        Scan { .. } => Ok(()),
    }
}

fn wal_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// What a write-ahead file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scan {
    /// The first frame that SQLite would not take, from 1; 0: the head of the file.
    broken: Option<u64>,
    /// Ends of transactions from there on, as far as frame follows frame.
    commits_behind: u64,
}

impl Scan {
    fn of(mut file: impl Read) -> std::io::Result<Scan> {
        let mut header = [0; HEADER];
        if !fill(&mut file, &mut header)? {
            return Ok(Scan::default());
        }
        let mut sum = Checksum { is_big_endian: word(&header, 0) & 1 == 1, words: (0, 0) };
        sum.add(&header[..24]);
        let is_whole = word(&header, 0) & !1 == MAGIC && sum.words == (word(&header, 24), word(&header, 28));
        let mut salts = is_whole.then(|| (word(&header, 16), word(&header, 20)));
        sum.words = (word(&header, 24), word(&header, 28));
        let mut scan = Scan { broken: (!is_whole).then_some(0), commits_behind: 0 };
        let mut frame = vec![0; FRAME_HEADER + crate::schema::PAGE_BYTES as usize];
        for number in 1.. {
            if !fill(&mut file, &mut frame)? {
                break;
            }
            // Without a head, the first frame says which generation it was.
            let salts = *salts.get_or_insert((word(&frame, 8), word(&frame, 12)));
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            let stored = (word(&frame, 16), word(&frame, 20));
            let is_whole = salts == (word(&frame, 8), word(&frame, 12)) && sum.words == stored;
            if !is_whole && scan.broken.is_some() {
                break;
            }
            if !is_whole {
                scan.broken = Some(number);
            }
            // A frame goes on from the checksum of the one before it, as that was written: what a broken frame was
            // followed by can be told from what an older, longer transaction has left there.
            sum.words = stored;
            let is_commit = word(&frame, 4) > 0;
            scan.commits_behind += u64::from(scan.broken.is_some() && is_commit);
        }
        Ok(scan)
    }
}

/// SQLite's checksum, which goes on from frame to frame.
struct Checksum {
    is_big_endian: bool,
    words: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let read = if self.is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let (pairs, _) = bytes.as_chunks::<8>();
        for [a, b, c, d, e, f, g, h] in pairs {
            let (first, second) = self.words;
            let first = first.wrapping_add(read([*a, *b, *c, *d])).wrapping_add(second);
            let second = second.wrapping_add(read([*e, *f, *g, *h])).wrapping_add(first);
            self.words = (first, second);
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let (words, _) = bytes[at..].as_chunks::<4>();
    u32::from_be_bytes(words[0])
}

/// Whether there was as much.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
