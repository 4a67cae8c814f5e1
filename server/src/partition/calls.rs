//! Requests that are on their way to another shard, by call number.

/// Each holds the one who waits for its answer.
#[derive(Debug)]
pub struct Calls<T> {
    waiting: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), free: Vec::new() }
    }
}

impl<T> Calls<T> {
    /// A number for a new call.
    pub fn open(&mut self, waiting: T) -> u32 {
        match self.free.pop() {
            Some(call) => {
                self.waiting[call as usize] = Some(waiting);
                call
            }
            None => {
                self.waiting.push(Some(waiting));
                u32::try_from(self.waiting.len() - 1).expect("calls are bounded by what connections may have in flight")
            }
        }
    }

    /// The one who waits for the answer that has come.
    pub fn close(&mut self, call: u32) -> T {
        let waiting = self.waiting[call as usize].take().expect("a reply answers an open call");
        self.free.push(call);
        waiting
    }
}
