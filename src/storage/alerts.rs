//! Alerts: one record each, found by id and in the order in which people were told.

use operators::types::{Alert, More};
use rocksdb::{IteratorMode, WriteBatch};

use super::{ALERTS, Error, Storage, TOLD};

fn told_key(epoch: u64, id: &str) -> Vec<u8> {
    let mut key = epoch.to_be_bytes().to_vec();
    key.extend_from_slice(id.as_bytes());
    key
}

impl Storage {
    /// Stores an epoch's new alerts and what became of older ones.
    ///
    /// Doing it again changes nothing, so an epoch that runs again after a crash does no harm.
    pub fn put_alerts(&self, alerts: &[Alert], more: &[More]) -> Result<(), Error> {
        if alerts.is_empty() && more.is_empty() {
            return Ok(());
        }
        let (family, told) = (self.inner.family(ALERTS), self.inner.family(TOLD));
        let mut values: Vec<(String, Vec<u8>)> = Vec::new();
        for alert in alerts {
            let bytes = serde_json::to_vec(alert).expect("plain data");
            values.push((alert.id.clone(), bytes));
        }
        for more in more {
            let id = uuid::Uuid::from_u128(more.id).to_string();
            let fresh = alerts.iter().find(|alert| alert.id == id).cloned();
            let Some(mut alert) = fresh.map_or_else(|| self.alert(&id), |alert| Ok(Some(alert)))?
            else {
                continue;
            };
            alert.add(more);
            values.push((id, serde_json::to_vec(&alert).expect("plain data")));
        }
        self.patiently(|| {
            let mut batch = WriteBatch::default();
            for alert in alerts {
                batch.put_cf(told, told_key(alert.epoch, &alert.id), []);
            }
            for (id, bytes) in &values {
                batch.put_cf(family, id.as_bytes(), bytes);
            }
            self.inner.db.write(batch)
        })
    }

    /// The alert with that id.
    pub fn alert(&self, id: &str) -> Result<Option<Alert>, Error> {
        let found = self.inner.db.get_cf(self.inner.family(ALERTS), id.as_bytes());
        let found = found.map_err(|error| self.error(error))?;
        Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// All alerts of epochs from `epoch` on, in order of epoch and id.
    pub fn alerts_since(&self, epoch: u64) -> Result<Vec<Alert>, Error> {
        let start = epoch.to_be_bytes();
        let from = IteratorMode::From(&start, rocksdb::Direction::Forward);
        let mut alerts = Vec::new();
        for entry in self.inner.db.iterator_cf(self.inner.family(TOLD), from) {
            let (key, _) = entry.map_err(|error| self.error(error))?;
            let id = String::from_utf8_lossy(&key[8..]);
            alerts.extend(self.alert(&id)?);
        }
        Ok(alerts)
    }
}
