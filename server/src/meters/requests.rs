//! Requests by API: how many of each version, and how long until their answer was sent.

use std::cell::RefCell;

use hdrhistogram::Histogram;
use ringlog_core::protocol::ApiKey;

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

/// The requests of one API.
#[derive(Debug, Clone)]
pub struct RequestTimes {
    /// Which.
    pub api_key: ApiKey,
    /// How many of each version, from 0.
    pub versions: Vec<u64>,
    /// Microseconds from the turn that received a request to the turn in which its answer had been sent.
    pub total_us: Histogram<u64>,
}

impl RequestTimes {
    fn new(api_key: ApiKey) -> Self {
        let total_us = Histogram::new_with_bounds(1, TIME_US_MAX, SIGNIFICANT_DIGITS).expect("the bounds are sound");
        Self { api_key, versions: Vec::new(), total_us }
    }

    /// Adds those of another shard.
    pub fn add(&mut self, other: &Self) {
        if self.versions.len() < other.versions.len() {
            self.versions.resize(other.versions.len(), 0);
        }
        self.versions.iter_mut().zip(&other.versions).for_each(|(count, more)| *count += more);
        self.total_us.add(&other.total_us).expect("the bounds are the same");
    }
}

impl RequestMeters {
    /// Counts a request whose answer has been sent. What is not an API of Kafka is not counted.
    pub fn answered(&self, api_key: i16, api_version: i16, total_us: u64) {
        let (Ok(at), Ok(version)) = (usize::try_from(api_key), usize::try_from(api_version)) else { return };
        let mut apis = self.apis.borrow_mut();
        let known = apis.get_mut(at).and_then(Option::as_mut);
        let times = match known {
            Some(times) => times,
            None => match first_of_api(&mut apis, at, api_key) {
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
        times.total_us.saturating_record(total_us);
    }

    /// All that were counted.
    pub fn snapshot(&self) -> Vec<RequestTimes> {
        self.apis.borrow().iter().flatten().map(|times| (**times).clone()).collect()
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

    #[test]
    fn requests_are_counted_by_api_and_version() {
        let meters = RequestMeters::default();
        for (api_key, version, total_us) in [(0, 9, 100), (0, 9, 300), (0, 11, 200), (1, 17, u64::MAX)] {
            meters.answered(api_key, version, total_us);
        }
        for (api_key, version) in [(-1, 0), (0, -1), (31_000, 0), (0, i16::MAX)] {
            meters.answered(api_key, version, 1);
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
