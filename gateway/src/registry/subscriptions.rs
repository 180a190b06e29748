//! What was subscribed to at brokers, so that a later configuration can give it up.

use super::Registry;
use crate::RegistryError;
use rusqlite::params;

impl Registry {
    /// The filters that a source has asked its broker for and not given up.
    pub(crate) fn subscriptions(&self, source: &str) -> Result<Vec<String>, RegistryError> {
        let connection = self.lock();
        let mut select =
            connection.prepare("SELECT filter FROM subscription WHERE source = ?1 ORDER BY filter")?;
        let filters = select.query_map([source], |row| row.get(0))?;
        Ok(filters.collect::<Result<_, _>>()?)
    }

    /// Replaces them.
    pub(crate) fn set_subscriptions(&self, source: &str, filters: &[String]) -> Result<(), RegistryError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM subscription WHERE source = ?1", [source])?;
            for filter in filters {
                let insert = "INSERT OR IGNORE INTO subscription (source, filter) VALUES (?1, ?2)";
                transaction.execute(insert, params![source, filter])?;
            }
            Ok(())
        })
    }
}
