//! Transactions that Apache Kafka had not ended when it stopped, from the files of `__transaction_state`.
//!
//! Read at a take-over only, before anything is written. It costs one read of that topic's files, a segment at a time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_core::protocol::transaction_state::{TransactionLogKey, TransactionLogValue};
use ringlog_core::reactor::{Disk, read_file};
use ringlog_core::record::Codec;
use ringlog_core::wire::{DecodeError, Message, Reader};

use super::log::whole_batch;

/// The topic that holds them.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";

/// Why the state of transactions is not known.
#[derive(Debug, thiserror::Error)]
pub enum OpenTransactionsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no whole batch where one should begin: what was behind it is not known.
    #[error("{}: damaged at byte {position}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        position: usize,
    },
    /// A record cannot be read.
    #[error("{}: offset {offset}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Base offset of its batch.
        offset: i64,
        /// Why.
        reason: String,
    },
}

/// Transactional ids whose last transaction has not ended, with its state, in order.
pub fn open_transactions(
    disk: &Rc<dyn Disk>,
    log_dir: &Path,
    partitions_count: usize,
) -> Result<Vec<(String, &'static str)>, OpenTransactionsError> {
    let mut open = BTreeMap::new();
    for partition in 0..partitions_count {
        let folder = log_dir.join(format!("{TRANSACTION_STATE_TOPIC}-{partition}"));
        for path in segments(disk, &folder)? {
            let bytes =
                read_file(disk, &path).map_err(|source| OpenTransactionsError::Io { path: path.clone(), source })?;
            let mut rest = &bytes[..];
            while let Some(batch) = whole_batch(rest) {
                rest = &rest[batch.bytes().len()..];
                if batch.is_control() {
                    continue;
                }
                let failed = |reason: String| OpenTransactionsError::Record {
                    path: path.clone(),
                    offset: batch.base_offset(),
                    reason,
                };
                if batch.codec() != Ok(Codec::None) {
                    return Err(failed("a compressed batch, which Kafka does not write here".to_owned()));
                }
                for record in batch.records() {
                    let record = record.map_err(|error| failed(error.to_string()))?;
                    let Some(key) = record.key else { continue };
                    let (id, state) = decode(key, record.value).map_err(|error| failed(error.to_string()))?;
                    match state.and_then(open_state) {
                        Some(state) => open.insert(id.to_owned(), state),
                        None => open.remove(id),
                    };
                }
            }
            if !rest.is_empty() {
                return Err(OpenTransactionsError::Damaged { position: bytes.len() - rest.len(), path });
            }
        }
    }
    Ok(open.into_iter().collect())
}

fn segments(disk: &Rc<dyn Disk>, folder: &Path) -> Result<Vec<PathBuf>, OpenTransactionsError> {
    let mut names: Vec<String> = match disk.list_dir(folder) {
        Ok(entries) => entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(".log")).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(OpenTransactionsError::Io { path: folder.to_owned(), source }),
    };
    names.sort_unstable();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// The transactional id and the number of its state; a tombstone has none.
fn decode<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Result<(&'a str, Option<i8>), DecodeError> {
    let mut key = Reader::new(key);
    let version = key.read_i16()?;
    let id = TransactionLogKey::decode(&mut key, version)?.transactional_id;
    let Some(value) = value else { return Ok((id, None)) };
    let mut value = Reader::new(value);
    let version = value.read_i16()?;
    Ok((id, Some(TransactionLogValue::decode(&mut value, version)?.transaction_status)))
}

/// The name of a state in which a transaction has not ended (Kafka's `TransactionState.java`).
fn open_state(state: i8) -> Option<&'static str> {
    match state {
        1 => Some("Ongoing"),
        2 => Some("PrepareCommit"),
        3 => Some("PrepareAbort"),
        7 => Some("PrepareEpochFence"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::reactor::FsDisk;
    use ringlog_core::record::{BatchBuilder, NewRecord};

    use super::*;

    /// As Apache Kafka 4.3.1 wrote them for the id `open-1`: its key, and its value in state Ongoing with one partition.
    const KEY: &[u8] = include_bytes!("../../tests/golden/transaction_key");
    const ONGOING: &[u8] = include_bytes!("../../tests/golden/transaction_ongoing");
    const STATUS_AT: usize = 16;

    fn batch(offset: usize, value: Option<&[u8]>) -> Vec<u8> {
        let mut batch = BatchBuilder::new().at(offset as i64, 0);
        batch.push(NewRecord { key: Some(KEY), value, ..NewRecord::default() });
        batch.build()
    }

    fn find(segments: &[Vec<u8>]) -> Result<Vec<(String, &'static str)>, OpenTransactionsError> {
        let folder = tempfile::tempdir().unwrap();
        let partition = folder.path().join("__transaction_state-1");
        std::fs::create_dir(&partition).unwrap();
        for (at, segment) in segments.iter().enumerate() {
            std::fs::write(partition.join(format!("{at:020}.log")), segment).unwrap();
        }
        let disk: Rc<dyn Disk> = Rc::new(FsDisk);
        open_transactions(&disk, folder.path(), 3)
    }

    fn found(values: &[Option<&[u8]>]) -> Vec<(String, &'static str)> {
        let segments: Vec<_> = values.iter().enumerate().map(|(at, value)| batch(at, *value)).collect();
        find(&segments).unwrap()
    }

    #[test]
    fn the_last_state_of_an_id_counts() {
        let mut complete = ONGOING.to_vec();
        assert_eq!(complete[STATUS_AT], 1);
        complete[STATUS_AT] = 4;
        assert_eq!(found(&[Some(ONGOING)]), [("open-1".to_owned(), "Ongoing")]);
        assert_eq!(found(&[Some(ONGOING), Some(&complete)]), []);
        assert_eq!(found(&[Some(ONGOING), None]), []);
        assert_eq!(found(&[Some(&complete), Some(ONGOING)]).len(), 1);
    }

    #[test]
    fn a_damaged_segment_is_an_error_for_nobody_knows_what_was_in_it() {
        let [first, second] = [batch(0, Some(ONGOING)), batch(1, None)];
        let whole = [&first[..], &second].concat();
        assert_eq!(find(std::slice::from_ref(&whole)).unwrap(), []);
        for at in [first.len() + 30, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for damaged in [&flipped[..], &whole[..at]] {
                let error = find(&[damaged.to_vec()]).unwrap_err();
                let OpenTransactionsError::Damaged { position, .. } = error else { panic!("{error}") };
                assert_eq!(position, first.len());
            }
        }
    }

    #[test]
    fn damaged_records_are_errors() {
        for len in 0..KEY.len() {
            assert!(decode(&KEY[..len], None).is_err());
        }
        for len in 0..ONGOING.len() {
            assert!(decode(KEY, Some(&ONGOING[..len])).is_err());
        }
    }
}
