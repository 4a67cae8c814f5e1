//! One question to each of many partitions: asked of the shards that own them, answered in the order of the questions.

use ringlog_core::protocol::ErrorCode;

use super::errors::partition_error;
use super::gather::Gather;
use super::{Context, Request};
use crate::metadata::TopicImage;
use crate::partition::{PartitionError, PartitionReply, PartitionRequest, TopicPartition};

/// The answers, or why there is none.
pub type Answers<T> = Vec<Result<T, ErrorCode>>;

/// Questions of one kind that are under way.
pub struct Questions<T> {
    gather: Gather<Result<T, ErrorCode>>,
    asked: usize,
    read: fn(PartitionReply) -> Option<Result<T, PartitionError>>,
}

impl<T: 'static> Questions<T> {
    /// So many questions are to follow. `read` takes the answer out of a reply of the right kind.
    pub fn new(count: usize, read: fn(PartitionReply) -> Option<Result<T, PartitionError>>) -> Self {
        Self { gather: Gather::new(count), asked: 0, read }
    }

    /// Asks the owner of a partition of `topic`; one that is not there is answered here.
    pub fn ask(
        &mut self,
        context: &Context,
        topic: Option<&TopicImage>,
        partition_index: i32,
        request: PartitionRequest,
    ) {
        let place = topic.and_then(|topic| Some((topic.topic_id, context.metadata.owner(topic, partition_index)?)));
        let Some((topic_id, owner)) = place else { return self.answer(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) };
        let (gather, at, read) = (self.gather.clone(), self.asked, self.read);
        let reply = Box::new(move |reply| {
            let answer = read(reply).expect("a partition answers what it was asked");
            gather.put(at, answer.map_err(|error| partition_error(&error, false)));
        });
        self.asked += 1;
        context.router.request(owner, TopicPartition { topic_id, partition_index }, request, reply);
    }

    /// The next question needs no partition to be answered.
    pub fn answer(&mut self, answer: Result<T, ErrorCode>) {
        self.gather.put(self.asked, answer);
        self.asked += 1;
    }

    /// Calls `finish` with the request and all answers, once they are there.
    pub fn finish(self, context: &Context, request: Request, finish: impl FnOnce(Request, Answers<T>) + 'static) {
        let gather = self.gather;
        context.reactor.spawn(async move { finish(request, gather.all().await) });
    }
}
