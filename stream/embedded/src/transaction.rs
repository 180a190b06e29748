//! One transaction: everything that waited, all of it or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use records::{Offset, Snapshot, TopicPartition};
use rusqlite::{Connection, OptionalExtension, Statement};

use crate::error::Fault;
use crate::layout::table;
use crate::notes::{self, Notes};
use crate::request::{Answer, Marks, Request, Standing, With};
use crate::room::Room;
use crate::roster::{Place, Position};
use crate::row::{Merger, Row};
use crate::schema::{from_sql, to_sql};
use crate::seat::{ReaderName, Seat};
use crate::shared::Shared;

const FULL: &str = "the budget is used up; the rest is for those who read";

/// An answer, or why this request alone is refused while the others go on.
type Answered = Result<Answer, Fault>;

/// An open file with its prepared statements.
pub(crate) struct Session<'c> {
    pub conn: &'c Connection,
    pub shared: &'c Shared,
    pub room: Room<'c>,
    begin: Statement<'c>,
    commit: Statement<'c>,
    inserts: Vec<Statement<'c>>,
    upsert_offset: Statement<'c>,
    upsert_note: Statement<'c>,
    delete_note: Statement<'c>,
    upsert_snapshot: Statement<'c>,
    select_snapshot: Statement<'c>,
    notes: Notes<'c>,
}

/// What a transaction does, to be shown when it is durable.
#[derive(Default)]
struct Draft<'r> {
    mergers: BTreeMap<usize, Merger<'r>>,
    positions: BTreeMap<Place, Position>,
    notes: BTreeMap<Place, Arc<str>>,
    forgotten: Vec<&'r ReaderName>,
    /// What room is left is for readers.
    is_reserved: bool,
}

impl<'c> Session<'c> {
    pub fn new(conn: &'c Connection, shared: &'c Shared) -> rusqlite::Result<Session<'c>> {
        let insert = |at| conn.prepare(&format!("INSERT INTO {} VALUES (?1, ?2, ?3, ?4, ?5, ?6)", table(at)));
        Ok(Session {
            conn,
            shared,
            room: Room::new(conn, &shared.options, &shared.used_bytes)?,
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
            inserts: shared.layout.all().map(insert).collect::<Result<_, _>>()?,
            upsert_offset: conn.prepare("INSERT OR REPLACE INTO offsets VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            upsert_note: conn.prepare("INSERT OR REPLACE INTO standing_notes VALUES (?1, ?2, ?3, ?4)")?,
            delete_note: conn
                .prepare("DELETE FROM standing_notes WHERE reader = ?1 AND topic = ?2 AND partition = ?3")?,
            upsert_snapshot: conn
                .prepare("INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?,
            select_snapshot: conn.prepare(
                "SELECT offset, crc32, bytes FROM snapshots WHERE job = ?1 AND topic = ?2 AND partition = ?3",
            )?,
            notes: Notes::new(conn)?,
        })
    }

    /// Carries out `requests` with one fsync. On an error nothing was done.
    pub fn run<'r>(
        &mut self,
        requests: impl Iterator<Item = &'r Request>,
    ) -> rusqlite::Result<Vec<Answered>> {
        self.begin.execute([])?;
        let done = self.fill(requests);
        match done.and_then(|done| self.commit.execute([]).map(|_| done)) {
            Ok((answers, draft, rows)) => {
                self.publish(draft, rows);
                Ok(answers)
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "the parts of one result, taken apart at once")]
    fn fill<'r>(
        &mut self,
        requests: impl Iterator<Item = &'r Request>,
    ) -> rusqlite::Result<(Vec<Answered>, Draft<'r>, Vec<(usize, Vec<Row>)>)> {
        let mut draft = Draft { is_reserved: self.room.is_reserved()?, ..Draft::default() };
        let mut answers = Vec::with_capacity(requests.size_hint().0);
        for request in requests {
            answers.push(self.fill_one(request, &mut draft)?);
        }
        let mergers = std::mem::take(&mut draft.mergers).into_iter();
        let rows: Vec<_> = mergers.map(|(index, merger)| (index, merger.finish())).collect();
        self.insert(&rows)?;
        self.move_on(&draft)?;
        Ok((answers, draft, rows))
    }

    fn fill_one<'r>(&mut self, request: &'r Request, draft: &mut Draft<'r>) -> rusqlite::Result<Answered> {
        match request {
            Request::Append { batches, .. } if draft.is_reserved && !batches.is_empty() => {
                Ok(Err(Fault::Full(FULL.to_owned())))
            }
            Request::Append { notes, .. } if self.notes.are_known(notes)? => {
                Ok(Ok(Answer::Appended(Vec::new())))
            }
            Request::Append { batches, notes, .. } => {
                self.notes.carry_out(notes)?;
                Ok(Ok(Answer::Appended(self.append(batches, draft))))
            }
            Request::Recall { prefix, .. } => Ok(Ok(Answer::Recalled(notes::under(self.conn, prefix)?))),
            Request::Commit { seat, .. } | Request::Register { seat, .. } if seat.is_fenced() => {
                Ok(Err(Fault::Fenced))
            }
            Request::Commit { seat, marks, .. } => {
                self.append(&marks.outputs, draft);
                self.mark(seat, marks, draft)?;
                Ok(Ok(Answer::Done))
            }
            Request::Register { seat, with, .. } => self.register(seat, *with, draft),
            Request::Forget { reader, .. } => self.forget(reader, draft),
        }
    }

    fn append<'r>(&self, batches: &'r [(usize, records::Batch)], draft: &mut Draft<'r>) -> Vec<Offset> {
        let add = |(index, batch): &'r (usize, records::Batch)| {
            let next = || Merger::new(self.shared.partitions[*index].extent().next);
            draft.mergers.entry(*index).or_insert_with(next).add(batch)
        };
        batches.iter().map(add).collect()
    }

    fn mark(&mut self, seat: &Seat, marks: &Marks, draft: &mut Draft<'_>) -> rusqlite::Result<()> {
        for (index, next) in &marks.offsets {
            let position = self.position(*index, &seat.name, draft);
            position.next = *next;
            if marks.is_final {
                position.keep = *next;
            }
        }
        for (index, note) in &marks.notes {
            draft.notes.insert((*index, seat.name.clone()), Arc::clone(note));
        }
        for (index, snapshot) in &marks.snapshots {
            self.position(*index, &seat.name, draft).keep = snapshot.offset;
            let at = self.at(*index);
            let crc32 = Row::crc32(snapshot.offset, &snapshot.bytes);
            let key = (seat.name.name(), at.topic.name(), at.partition);
            let value = (to_sql(snapshot.offset), crc32, &snapshot.bytes);
            self.upsert_snapshot.execute((key.0, key.1, key.2, value.0, value.1, value.2))?;
        }
        Ok(())
    }

    fn register(&mut self, seat: &Seat, with: With, draft: &mut Draft<'_>) -> rusqlite::Result<Answered> {
        let mut standings = Vec::with_capacity(seat.partitions.len());
        for index in &seat.partitions {
            if with.at_end {
                self.go_to_end(*index, &seat.name, draft);
            }
            let position = *self.position(*index, &seat.name, draft);
            let snapshot = match with.snapshots {
                true => self.snapshot(*index, seat.name.name())?,
                false => Ok(None),
            };
            match snapshot {
                Ok(snapshot) => standings.push(Standing { position, snapshot }),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        Ok(Ok(Answer::Standings(standings)))
    }

    /// A reader that is not known stands behind what is there.
    fn go_to_end(&self, index: usize, name: &ReaderName, draft: &mut Draft<'_>) {
        let place = (index, name.clone());
        if self.shared.roster.position(&place).is_none() {
            let end = self.shared.partitions[index].extent().next;
            draft.positions.entry(place).or_insert(Position { next: end, keep: end });
        }
    }

    fn snapshot(&mut self, index: usize, job: &str) -> rusqlite::Result<Result<Option<Snapshot>, Fault>> {
        let at = self.at(index);
        let key = (job, at.topic.name(), at.partition);
        let columns =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, u32>(1)?, row.get::<_, Vec<u8>>(2)?));
        let Some((offset, crc32, bytes)) = self.select_snapshot.query_row(key, columns).optional()? else {
            return Ok(Ok(None));
        };
        let offset = from_sql(offset);
        if Row::crc32(offset, &bytes) != crc32 {
            let detail = format!("the snapshot of {job} does not match its checksum");
            return Ok(Err(Fault::Damaged { at, offset, detail }));
        }
        Ok(Ok(Some(Snapshot { offset, bytes })))
    }

    fn forget<'r>(&self, reader: &'r ReaderName, draft: &mut Draft<'r>) -> rusqlite::Result<Answered> {
        if self.shared.roster.is_seated(reader) {
            return Ok(Err(Fault::Unavailable(format!("{reader} is reading"))));
        }
        let key = (reader.kind(), reader.name());
        self.conn.execute("DELETE FROM offsets WHERE kind = ?1 AND reader = ?2", key)?;
        match reader {
            ReaderName::Job(job) => self.conn.execute("DELETE FROM snapshots WHERE job = ?1", [job])?,
            ReaderName::Group(group) => {
                self.conn.execute("DELETE FROM standing_notes WHERE reader = ?1", [group])?
            }
        };
        draft.positions.retain(|(_, name), _| name != reader);
        draft.notes.retain(|(_, name), _| name != reader);
        draft.forgotten.push(reader);
        Ok(Ok(Answer::Done))
    }

    /// Where a reader stands within this transaction. A new one begins at the oldest record, which is kept for it.
    fn position<'d>(&self, index: usize, name: &ReaderName, draft: &'d mut Draft<'_>) -> &'d mut Position {
        let place = (index, name.clone());
        let known = self.shared.roster.position(&place);
        draft.positions.entry(place).or_insert_with(|| {
            let first = self.shared.partitions[index].extent().first;
            known.unwrap_or(Position { next: first, keep: first })
        })
    }

    fn insert(&mut self, rows: &[(usize, Vec<Row>)]) -> rusqlite::Result<()> {
        let now = (self.shared.clock)().millis();
        for (index, rows) in rows {
            let mut total = self.shared.partitions[*index].extent().total_bytes;
            for row in rows {
                let bytes = row.batch.as_bytes();
                total += bytes.len() as u64;
                let crc32 = Row::crc32(row.first, bytes);
                let columns = (to_sql(row.first), row.batch.len() as i64, crc32, now, to_sql(total), bytes);
                self.inserts[*index].execute(columns)?;
            }
        }
        Ok(())
    }

    fn move_on(&mut self, draft: &Draft<'_>) -> rusqlite::Result<()> {
        for (place, position) in &draft.positions {
            if self.shared.roster.position(place) != Some(*position) {
                let at = self.at(place.0);
                let reader = (place.1.kind(), place.1.name());
                let offsets = (to_sql(position.next), to_sql(position.keep));
                let columns = (reader.0, reader.1, at.topic.name(), at.partition, offsets.0, offsets.1);
                self.upsert_offset.execute(columns)?;
            }
        }
        for (place, note) in &draft.notes {
            self.write_down(place, note)?;
        }
        Ok(())
    }

    fn write_down(&mut self, place: &Place, note: &str) -> rusqlite::Result<()> {
        let known = self.shared.roster.standing(place).map_or(Arc::default(), |(_, known)| known);
        let (at, reader) = (self.at(place.0), place.1.name());
        let (topic, partition) = (at.topic.name(), at.partition);
        match (note == &*known, note) {
            (true, _) => Ok(0),
            (false, "") => self.delete_note.execute((reader, topic, partition)),
            (false, _) => self.upsert_note.execute((reader, topic, partition, note)),
        }
        .map(drop)
    }

    /// What is durable becomes visible: positions before records, so that nobody seems to be ahead of the log.
    fn publish(&self, draft: Draft<'_>, rows: Vec<(usize, Vec<Row>)>) {
        let shared = self.shared;
        for (index, rows) in rows {
            let partition = &shared.partitions[index];
            let records = rows.iter().map(|row| row.batch.len() as u64).sum();
            let bytes = rows.iter().map(|row| row.bytes() as u64).sum();
            shared.metrics.appended_records.of(partition.at.topic).inc_by(records);
            shared.metrics.appended_bytes.of(partition.at.topic).inc_by(bytes);
            partition.publish(rows, shared.options.tail_bytes);
        }
        shared.roster.set(draft.positions);
        shared.roster.note(draft.notes);
        for reader in draft.forgotten {
            shared.roster.forget(reader);
        }
    }

    pub fn roll_back(&self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a failed transaction could not be taken back; the file is opened anew");
        }
    }

    fn at(&self, index: usize) -> TopicPartition {
        self.shared.partitions[index].at
    }
}
