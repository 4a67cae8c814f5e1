//! DescribeLogDirs (api key 35), versions 1..=5. The one data directory and the size of each partition in it.
//!
//! v2 flexible   v3 error code   v4 sizes of the volume, which are not known here (-1)   v5 cordoned directories
//! Errors: KAFKA_STORAGE_ERROR.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use ringlog_core::wire::DecodeError;

use super::questions::Questions;
use super::{Body, Context, Request};
use crate::metadata::TopicImage;
use crate::partition::{PartitionReply, PartitionRequest};

/// Whose size is asked for.
type Wanted = Vec<(Rc<str>, i32)>;

/// Asks every partition that is wanted, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let answering = Rc::clone(context);
    match ask(context, &request.body()) {
        Ok((wanted, questions)) => questions.finish(context, request, move |request, sizes| {
            finish(&answering, request, wanted.into_iter().zip(sizes));
        }),
        Err(error) => request.close(&error),
    }
}

fn ask(context: &Context, encoded: &Body) -> Result<(Wanted, Questions<u64>), DecodeError> {
    let body: DescribeLogDirsRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    let mut wanted: Vec<(&TopicImage, i32)> = Vec::new();
    match &body.topics {
        None => {
            wanted.extend(image.topics().flat_map(|topic| (0..topic.partitions.len() as i32).map(|at| (&**topic, at))));
        }
        Some(topics) => {
            for asked in topics {
                let Some(topic) = image.topic_by_name(asked.topic) else { continue };
                wanted.extend(asked.partitions.iter().map(|partition_index| (&**topic, partition_index)));
            }
        }
    }
    let mut questions = Questions::new(wanted.len(), |reply| match reply {
        PartitionReply::Size(size) => Some(size),
        _ => None,
    });
    for (topic, partition_index) in &wanted {
        questions.ask(context, Some(topic), *partition_index, PartitionRequest::Size);
    }
    let names = wanted.into_iter().map(|(topic, partition_index)| ((&*topic.name).into(), partition_index));
    Ok((names.collect(), questions))
}

fn finish(context: &Context, request: Request, sizes: impl Iterator<Item = ((Rc<str>, i32), Result<u64, ErrorCode>)>) {
    let mut topics: BTreeMap<Rc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let mut error_code = ErrorCode::NONE;
    for ((topic_name, partition_index), size) in sizes {
        match size {
            Ok(size) => topics.entry(topic_name).or_default().push(DescribeLogDirsPartition {
                partition_index,
                partition_size: size as i64,
                ..Default::default()
            }),
            // Not there, or deleted meanwhile.
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {}
            Err(_) => error_code = ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
    let log_dir = context.settings.log_dir.to_string_lossy();
    let topics =
        topics.iter().map(|(name, partitions)| DescribeLogDirsTopic { name, partitions: partitions[..].into() });
    let result =
        DescribeLogDirsResult { error_code, log_dir: &log_dir, topics: topics.collect(), ..Default::default() };
    request.answer(&DescribeLogDirsResponse { results: vec![result].into(), ..Default::default() }, []);
}
