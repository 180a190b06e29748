//! Why a device's payloads were refused: the last few of each, for an operator.

use records::{Name, Offset, Origin, Quarantined, Reason};
use rusqlite::{Connection, params};
use serde::Serialize;

/// How many refused payloads are kept for each device.
pub const KEPT_PER_DEVICE: u32 = 20;
/// How many in all: whoever may connect under many names can't fill the disk.
const KEPT: u32 = 100_000;
/// How much of a payload is kept.
const KEPT_BYTES: usize = 2048;

pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS refused (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    device TEXT NOT NULL,
    topic_name TEXT NOT NULL,
    ingest_time INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    detail TEXT NOT NULL,
    size INTEGER NOT NULL,
    payload BLOB NOT NULL,
    origin TEXT UNIQUE,
    UNIQUE (partition, offset)
);
CREATE INDEX IF NOT EXISTS refused_by_device ON refused (device, seq);
";

/// Gives a table of an older version the column that it does not have yet.
pub(super) fn add_origin(connection: &Connection) -> rusqlite::Result<()> {
    let known = "SELECT count(*) FROM pragma_table_info('refused') WHERE name = 'origin'";
    let is_known: bool = connection.query_row(known, [], |row| row.get(0))?;
    if is_known {
        return Ok(());
    }
    connection.execute_batch(
        "ALTER TABLE refused ADD COLUMN origin TEXT; CREATE UNIQUE INDEX refused_by_origin ON refused (origin);",
    )
}

/// A refused payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuarantineView {
    /// Who sent it.
    pub device: Name,
    /// The MQTT topic name it came on.
    pub topic_name: String,
    /// When it arrived, ms.
    pub ingest_time: i64,
    /// Why it was refused.
    pub reason: &'static str,
    /// The same for a person.
    pub detail: String,
    /// How many bytes it had.
    pub size: i64,
    /// The first bytes: as text when they are text.
    pub text: Option<String>,
    /// The same bytes in hex.
    pub hex: String,
}

/// A refused payload on its way into the table.
pub(super) struct Refused {
    pub partition: u32,
    pub offset: Offset,
    /// Where it stood on a gateway's spool, when a forwarder has brought it: perhaps twice.
    pub origin: Option<String>,
    pub quarantined: Quarantined,
}

impl Refused {
    pub(super) fn new(
        partition: u32,
        offset: Offset,
        origin: Option<Origin<'_>>,
        quarantined: Quarantined,
    ) -> Refused {
        let origin = origin.map(|Origin { gateway, spool, offset }| {
            format!("{gateway}/{spool}/{}/{offset}", quarantined.device)
        });
        Refused { partition, offset, origin, quarantined }
    }
}

/// Enters what is new and forgets what is too much.
pub(super) fn enter(connection: &Connection, refused: &[Refused]) -> rusqlite::Result<()> {
    for Refused { partition, offset, origin, quarantined } in refused {
        let kept = &quarantined.payload[..quarantined.payload.len().min(KEPT_BYTES)];
        connection
            .prepare(
                "INSERT OR IGNORE INTO refused
                 (partition, offset, device, topic_name, ingest_time, reason, detail, size, payload, origin)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                partition,
                i64::try_from(*offset).unwrap_or(i64::MAX),
                quarantined.device.as_str(),
                quarantined.topic_name,
                quarantined.ingest_time.millis(),
                quarantined.reason as u8,
                quarantined.detail,
                i64::try_from(quarantined.payload.len()).unwrap_or(i64::MAX),
                kept,
                origin
            ])?;
        forget(connection, &quarantined.device)?;
    }
    Ok(())
}

fn forget(connection: &Connection, device: &str) -> rusqlite::Result<()> {
    connection
        .prepare(
            "DELETE FROM refused WHERE seq IN
             (SELECT seq FROM refused WHERE device = ?1 ORDER BY seq DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![device, KEPT_PER_DEVICE])?;
    connection
        .prepare("DELETE FROM refused WHERE seq <= (SELECT max(seq) FROM refused) - ?1")?
        .execute(params![KEPT])?;
    Ok(())
}

/// The newest first; of one device or of all.
pub(super) fn find(
    connection: &Connection,
    device: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<QuarantineView>> {
    let mut select = connection.prepare(
        "SELECT device, topic_name, ingest_time, reason, detail, size, payload FROM refused
         WHERE ?1 IS NULL OR device = ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let rows = select.query_map(params![device, limit], |row| {
        let payload: Vec<u8> = row.get(6)?;
        Ok(QuarantineView {
            device: row.get::<_, String>(0)?.into(),
            topic_name: row.get(1)?,
            ingest_time: row.get(2)?,
            reason: Reason::from_code(row.get(3)?).map_or("unknown", Reason::name),
            detail: row.get(4)?,
            size: row.get(5)?,
            hex: payload.iter().map(|byte| format!("{byte:02x}")).collect(),
            text: String::from_utf8(payload).ok(),
        })
    })?;
    rows.collect()
}
