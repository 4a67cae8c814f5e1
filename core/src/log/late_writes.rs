//! Late writes: what the commit log has made durable goes from a tail into its segment past the page cache.
//!
//! Whole blocks are copied out of a log's tail into warm, aligned memory and written with O_DIRECT, without a sync: the
//! next checkpoint does that. A write through the page cache would cost more in fresh pages and their write-back than all
//! the rest of it. What does not fill a block stays in the tail; at the end of a segment, or where there is too little of
//! it to be worth a write of its own, it goes through the page cache, so that both never meet in one block at a time.
//!
//! Invariant: one write per log at a time, and none through the page cache meanwhile.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;

use smallvec::smallvec;

use super::LogKey;
use super::config::StoreConfig;
use super::descriptors::{Descriptors, FileKind, segment_path};
use super::direct::{is_direct_refused, open_direct};
use super::log::Log;
use crate::buffer::ALIGNMENT;
use crate::buffer::staging::StagingPool;
use crate::reactor::Reactor;

/// Whose write has ended, and the bytes that are in the file.
pub(crate) type Ended = (LogKey, io::Result<u32>);

/// The late writes of one store.
pub(crate) struct LateWrites {
    memory: StagingPool,
    /// Bytes of one write.
    bytes_max: usize,
    /// The file system refuses O_DIRECT.
    is_refused: bool,
    ended: Rc<RefCell<Vec<Ended>>>,
}

impl fmt::Debug for LateWrites {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LateWrites").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl LateWrites {
    pub fn new(config: &StoreConfig) -> Self {
        let bytes_max = config.tail_flush_bytes.next_multiple_of(ALIGNMENT);
        let memory_bytes_max = config.late_memory_bytes_max.max(bytes_max);
        Self {
            memory: StagingPool::new(bytes_max, memory_bytes_max, memory_bytes_max / bytes_max),
            bytes_max,
            is_refused: false,
            ended: Rc::default(),
        }
    }

    /// Writes that have ended since the last call.
    pub fn take_ended(&self) -> Vec<Ended> {
        self.ended.take()
    }

    /// Starts a write of what fills whole blocks of `log`'s tail; `on_ended` is called when [`LateWrites::take_ended`] has
    /// its result. False where there is no memory for it, or no block, or O_DIRECT is refused.
    pub fn start(
        &mut self,
        reactor: &Reactor,
        log: &mut Log,
        files: &mut Descriptors,
        on_ended: Option<Rc<dyn Fn()>>,
    ) -> io::Result<bool> {
        if self.is_refused {
            return Ok(false);
        }
        let Some(mut staging) = self.memory.take(self.bytes_max) else { return Ok(false) };
        let (segment, _) = log.tail_file(files)?;
        let file = match open_direct(files.disk(), &segment_path(&log.dir, segment, FileKind::Log)) {
            Err(error) if is_direct_refused(&error) => {
                self.is_refused = true;
                return Ok(false);
            }
            file => file?,
        };
        let bytes_to_block = log.tail.bytes_to_block();
        if bytes_to_block > 0 {
            log.write_tail_part(bytes_to_block, files)?;
        }
        let Some(position) = log.tail.start_late_write(&mut staging) else { return Ok(false) };
        let bytes = staging.share(0..staging.filled());
        let write = reactor.write(&file, position, smallvec![bytes], false);
        let (ended, key) = (Rc::clone(&self.ended), log.key);
        reactor.spawn(async move {
            let (result, parts) = write.await;
            // The memory is warm again before the next write is started.
            drop((parts, file));
            ended.borrow_mut().push((key, result));
            if let Some(call) = on_ended {
                call();
            }
        });
        Ok(true)
    }
}
