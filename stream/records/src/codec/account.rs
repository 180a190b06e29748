//! Account: counts that are 0 are left out.

use super::DecodeError;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use crate::{Account, AccountCounts, AccountItem};

/// Key of the first count.
const COUNTS: u8 = 3;

impl Account {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Account, out);
        map.field(1, &self.device);
        map.field(2, &self.hour);
        for (item, _) in AccountItem::ALL {
            map.unless(COUNTS + item as u8, &self.counts.of(item), &0);
        }
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Account, DecodeError> {
    let (device, hour) = (map.field(1)?, map.field(2)?);
    let mut counts = AccountCounts::default();
    for (item, _) in AccountItem::ALL {
        counts.add(item, map.or(COUNTS + item as u8, 0u32)? as usize);
    }
    Ok(Account { device, hour, counts })
}
