//! Requests by API: how many of each version, how long until their answer was sent, and what of it they spent where.

use std::cell::RefCell;

use hdrhistogram::{Histogram, SubtractionError};
use ringlog_core::protocol::ApiKey;
use ringlog_core::reactor::Instant;

/// Longest time that is told apart: more counts as this.
const TIME_US_MAX: u64 = 3_600_000_000;
/// One significant digit: 4 KiB for each API in use, and a record is a few instructions.
const SIGNIFICANT_DIGITS: u8 = 1;

/// The requests of one shard's connections.
#[derive(Debug, Default)]
pub struct RequestMeters {
    /// By number of the API; empty until one comes.
    apis: RefCell<Vec<Option<Box<RequestTimes>>>>,
}

/// When a request went from one phase to the next: the turns of its shard, in order.
#[derive(Debug, Clone, Copy)]
pub struct RequestInstants {
    /// Its handler was called.
    pub received_at: Instant,
    /// Its answer was there.
    pub answered_at: Instant,
    /// Those of all earlier requests of the connection were, too.
    pub due_at: Instant,
    /// The answer had been sent.
    pub sent_at: Instant,
}

/// The requests of one API.
#[derive(Debug, Clone)]
pub struct RequestTimes {
    /// Which.
    pub api_key: ApiKey,
    /// How many of each version, from 0.
    pub versions: Vec<u64>,
    /// Microseconds from the turn that received a request to the turn in which its answer had been sent.
    pub total_us: Histogram<u64>,
    /// Of these, until there was an answer. Here and in the next two, what took no time is counted by [`RequestMeters::snapshot`].
    pub handling_us: Histogram<u64>,
    /// Until the answers of earlier requests were there.
    pub queued_us: Histogram<u64>,
    /// Until it had been sent.
    pub sending_us: Histogram<u64>,
}

impl RequestTimes {
    fn new(api_key: ApiKey) -> Self {
        let none = Histogram::new_with_bounds(1, TIME_US_MAX, SIGNIFICANT_DIGITS).expect("the bounds are sound");
        let [total_us, handling_us, queued_us, sending_us] = [none.clone(), none.clone(), none.clone(), none];
        Self { api_key, versions: Vec::new(), total_us, handling_us, queued_us, sending_us }
    }

    fn histograms(&mut self) -> [&mut Histogram<u64>; 4] {
        [&mut self.total_us, &mut self.handling_us, &mut self.queued_us, &mut self.sending_us]
    }

    /// Adds those of another shard.
    pub fn add(&mut self, other: &Self) {
        if self.versions.len() < other.versions.len() {
            self.versions.resize(other.versions.len(), 0);
        }
        self.versions.iter_mut().zip(&other.versions).for_each(|(count, more)| *count += more);
        let more = [&other.total_us, &other.handling_us, &other.queued_us, &other.sending_us];
        for (sum, more) in self.histograms().into_iter().zip(more) {
            sum.add(more).expect("the bounds are the same");
        }
    }

    /// Takes away what was counted before.
    pub fn subtract(&mut self, before: &Self) -> Result<(), SubtractionError> {
        let before = [&before.total_us, &before.handling_us, &before.queued_us, &before.sending_us];
        self.histograms().into_iter().zip(before).try_for_each(|(sum, before)| sum.subtract(before))
    }
}

impl RequestMeters {
    /// Counts a request whose answer has been sent. What is not an API of Kafka is not counted.
    pub fn answered(&self, api_key: i16, api_version: i16, at: &RequestInstants) {
        let (Ok(api), Ok(version)) = (usize::try_from(api_key), usize::try_from(api_version)) else { return };
        let mut apis = self.apis.borrow_mut();
        let known = apis.get_mut(api).and_then(Option::as_mut);
        let times = match known {
            Some(times) => times,
            None => match first_of_api(&mut apis, api, api_key) {
                Some(times) => times,
                None => return,
            },
        };
        match times.versions.get_mut(version) {
            Some(count) => *count += 1,
            None if version <= VERSION_MAX => {
                times.versions.resize(version + 1, 0);
                times.versions[version] = 1;
            }
            None => return,
        }
        times.total_us.saturating_record(micros(at.received_at, at.sent_at));
        record(&mut times.handling_us, at.received_at, at.answered_at);
        record(&mut times.queued_us, at.answered_at, at.due_at);
        record(&mut times.sending_us, at.due_at, at.sent_at);
    }

    /// All that were counted.
    pub fn snapshot(&self) -> Vec<RequestTimes> {
        let mut all: Vec<RequestTimes> = self.apis.borrow().iter().flatten().map(|times| (**times).clone()).collect();
        for times in &mut all {
            let count = times.total_us.len();
            times.histograms().into_iter().for_each(|times| times.saturating_record_n(0, count - times.len()));
        }
        all
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    to.0.saturating_sub(from.0) / 1000
}

/// Most phases begin and end in the same turn: those cost a comparison.
fn record(times: &mut Histogram<u64>, from: Instant, to: Instant) {
    if from != to {
        times.saturating_record(micros(from, to));
    }
}

/// Larger than any version that a request is answered in.
pub const VERSION_MAX: usize = 63;

#[cold]
fn first_of_api(apis: &mut Vec<Option<Box<RequestTimes>>>, at: usize, api_key: i16) -> Option<&mut Box<RequestTimes>> {
    let api_key = ApiKey::from_i16(api_key)?;
    if apis.len() <= at {
        apis.resize_with(at + 1, || None);
    }
    Some(apis[at].insert(Box::new(RequestTimes::new(api_key))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(us: [u64; 4]) -> RequestInstants {
        let [received_at, answered_at, due_at, sent_at] = us.map(|us| Instant(us * 1000));
        RequestInstants { received_at, answered_at, due_at, sent_at }
    }

    #[test]
    fn the_phases_of_a_request_are_told_apart_and_counted_when_they_took_no_time() {
        let meters = RequestMeters::default();
        meters.answered(0, 9, &instants([10, 12, 16, 24]));
        meters.answered(0, 9, &instants([10, 10, 10, 10]));
        let times = meters.snapshot().remove(0);
        let found = [&times.total_us, &times.handling_us, &times.queued_us, &times.sending_us];
        assert_eq!(found.map(Histogram::max), [14, 2, 4, 8]);
        assert_eq!(found.map(|times| (times.len(), times.min())), [(2, 0); 4]);
        let mut rest = times.clone();
        rest.subtract(&times).unwrap();
        assert_eq!(rest.sending_us.len(), 0);
    }

    #[test]
    fn requests_are_counted_by_api_and_version() {
        let meters = RequestMeters::default();
        for (api_key, version, total_us) in [(0, 9, 100), (0, 9, 300), (0, 11, 200), (1, 17, u64::MAX / 1000)] {
            meters.answered(api_key, version, &instants([0, 0, 0, total_us]));
        }
        for (api_key, version) in [(-1, 0), (0, -1), (31_000, 0), (0, i16::MAX)] {
            meters.answered(api_key, version, &instants([0, 0, 0, 1]));
        }
        let snapshot = meters.snapshot();
        let produce = &snapshot[0];
        assert_eq!((produce.api_key, produce.versions[9], produce.versions[11]), (ApiKey::Produce, 2, 1));
        assert_eq!(produce.total_us.len(), 3);
        assert_eq!((snapshot.len(), snapshot[1].total_us.len()), (2, 1), "what is no API is not counted");
        let mut sum = snapshot[1].clone();
        sum.add(&snapshot[1]);
        assert_eq!((sum.versions[17], sum.total_us.len()), (2, 2));
    }
}
