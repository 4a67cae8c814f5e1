//! Looks a record up by its timestamp.

use super::super::descriptors::Descriptors;
use super::super::error::ReadError;
use super::super::header::BatchHeader;
use super::super::log::Log;
use super::super::timestamps;
use crate::reactor::Piece;

impl Log {
    /// Offset and timestamp of the first record below `bound` that is at least as late as `timestamp`. Start of a look-up
    /// that may wait for the device: rare, so it is not spread over turns.
    pub fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        bound: i64,
        files: &mut Descriptors,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        for index in 0..self.segments.len() {
            self.load_times(index, files)?;
            let segment = &self.segments[index];
            if segment.max_timestamp < timestamp {
                continue;
            }
            let mut floor = segment.base_offset;
            if let Some(entry) = segment.floor_of_time(timestamp, self.key, &self.dir, files)?
                && self.is_right(index, entry, files)?
            {
                floor = entry.offset;
            }
            let end = self.segments.get(index + 1).map_or(self.log_end_offset, |next| next.base_offset).min(bound);
            if let Some(found) = self.first_record_at(timestamp, floor.max(self.log_start_offset), end, files)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn first_record_at(
        &mut self,
        timestamp: i64,
        mut from: i64,
        end: i64,
        files: &mut Descriptors,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        const PIECE_BYTES: usize = 256 << 10;
        while from < end {
            let pieces = match self.plan_read(from, end, PIECE_BYTES, true, files)?.run_blocking() {
                Ok(outcome) => outcome.pieces,
                Err(error) => return Err(error),
            };
            if pieces.is_empty() {
                return Ok(None);
            }
            let joined: Vec<u8> = pieces.iter().filter_map(Piece::bytes).flatten().copied().collect();
            let mut rest = &joined[..];
            while let Some(header) = BatchHeader::parse(rest) {
                let batch = &rest[..header.size_bytes as usize];
                if header.max_timestamp >= timestamp
                    && let Some(found) = timestamps::first_record(batch, &header, timestamp, self.log_start_offset)
                {
                    return Ok(Some(found));
                }
                from = header.last_offset() + 1;
                rest = &rest[batch.len()..];
            }
        }
        Ok(None)
    }
}
