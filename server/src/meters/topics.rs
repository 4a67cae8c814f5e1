//! What goes into and out of topics, on the shard that owns the partitions.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ahash::AHashMap;

/// Kafka's BrokerTopicMetrics of one topic, from this start of the broker on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Records appended.
    pub messages_in: u64,
    /// Bytes of batches appended.
    pub bytes_in: u64,
    /// Bytes of batches read for clients.
    pub bytes_out: u64,
    /// Appends asked of a partition.
    pub produce_requests: u64,
    /// Those that were refused or failed.
    pub failed_produce_requests: u64,
    /// Reads asked of a partition; a fetch that waits reads again when it ends, as in Kafka.
    pub fetch_requests: u64,
    /// Those that were refused or failed.
    pub failed_fetch_requests: u64,
}

impl TopicCounts {
    /// Adds those of another shard.
    pub fn add(&mut self, other: &Self) {
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.produce_requests += other.produce_requests;
        self.failed_produce_requests += other.failed_produce_requests;
        self.fetch_requests += other.fetch_requests;
        self.failed_fetch_requests += other.failed_fetch_requests;
    }
}

/// The counters of one topic; each of its partitions on a shard holds them.
#[derive(Debug, Default)]
pub struct TopicMeters(Cell<TopicCounts>);

impl TopicMeters {
    /// A batch was appended.
    pub fn appended(&self, records: u64, bytes: usize) {
        self.count(|counts| {
            counts.produce_requests += 1;
            counts.messages_in += records;
            counts.bytes_in += bytes as u64;
        });
    }

    /// A batch was not appended.
    pub fn append_failed(&self) {
        self.count(|counts| {
            counts.produce_requests += 1;
            counts.failed_produce_requests += 1;
        });
    }

    /// Batches were read.
    pub fn read(&self, bytes: usize) {
        self.count(|counts| {
            counts.fetch_requests += 1;
            counts.bytes_out += bytes as u64;
        });
    }

    /// A read failed.
    pub fn read_failed(&self) {
        self.count(|counts| {
            counts.fetch_requests += 1;
            counts.failed_fetch_requests += 1;
        });
    }

    fn count(&self, change: impl FnOnce(&mut TopicCounts)) {
        let mut counts = self.0.get();
        change(&mut counts);
        self.0.set(counts);
    }
}

/// The topics of one shard. The counters of a topic go with its last partition.
#[derive(Debug, Default)]
pub struct TopicsMeters(RefCell<AHashMap<Arc<str>, Rc<TopicMeters>>>);

impl TopicsMeters {
    /// The name of a topic, shared, and its counters, for a partition of it to hold.
    pub fn topic(&self, name: &str) -> (Arc<str>, Rc<TopicMeters>) {
        let mut topics = self.0.borrow_mut();
        if let Some((name, meters)) = topics.get_key_value(name) {
            return (Arc::clone(name), Rc::clone(meters));
        }
        let (name, meters) = (Arc::<str>::from(name), Rc::default());
        topics.insert(Arc::clone(&name), Rc::clone(&meters));
        (name, meters)
    }

    /// Forgets a topic if no partition holds its counters.
    pub fn release(&self, name: &str) {
        let mut topics = self.0.borrow_mut();
        if topics.get(name).is_some_and(|meters| Rc::strong_count(meters) == 1) {
            topics.remove(name);
        }
    }

    /// All topics that have counters.
    pub fn snapshot(&self) -> Vec<(Arc<str>, TopicCounts)> {
        self.0.borrow().iter().map(|(name, meters)| (Arc::clone(name), meters.0.get())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_a_topic_share_its_counters_until_the_last_is_gone() {
        let topics = TopicsMeters::default();
        let partitions = [topics.topic("t").1, topics.topic("t").1];
        partitions[0].appended(3, 100);
        partitions[1].append_failed();
        partitions[1].read(50);
        partitions[0].read_failed();
        let expected = TopicCounts {
            messages_in: 3,
            bytes_in: 100,
            bytes_out: 50,
            produce_requests: 2,
            failed_produce_requests: 1,
            fetch_requests: 2,
            failed_fetch_requests: 1,
        };
        assert_eq!(topics.snapshot(), [(Arc::from("t"), expected)]);
        let [first, second] = partitions;
        drop(first);
        topics.release("t");
        assert_eq!(topics.snapshot().len(), 1);
        drop(second);
        topics.release("t");
        assert_eq!(topics.snapshot().len(), 0);
    }
}
