//! Where recent reads of a log ended: the next one goes on there without a look at the index.

/// Readers of one log that are told apart.
const READERS_MAX: usize = 4;

/// A batch that begins at this offset (or the first one behind it) begins at this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadHint {
    pub offset: i64,
    pub segment: i64,
    pub position: u64,
}

/// The newest hint of each reader.
#[derive(Debug, Default)]
pub(crate) struct ReadHints {
    hints: [Option<ReadHint>; READERS_MAX],
    newest: usize,
}

impl ReadHints {
    /// Where the batch with this offset begins, if a read ended there.
    pub fn find(&self, segment: i64, offset: i64) -> Option<ReadHint> {
        self.hints.iter().flatten().find(|hint| hint.segment == segment && hint.offset == offset).copied()
    }

    /// A read from `from` on ended at `next`: it takes the place of the hint that led there, or of the oldest.
    pub fn note(&mut self, from: i64, next: ReadHint) {
        let place = self.hints.iter().position(|hint| hint.is_some_and(|hint| hint.offset == from));
        let place = place.unwrap_or_else(|| {
            self.newest = (self.newest + 1) % READERS_MAX;
            self.newest
        });
        self.hints[place] = Some(next);
    }
}
