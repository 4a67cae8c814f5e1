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

use super::gather::Gather;
use super::{Body, Context, Request};
use crate::metadata::TopicImage;
use crate::partition::{PartitionError, PartitionReply, PartitionRequest, TopicPartition};

/// Topic name, partition and its size; a partition that was deleted meanwhile has none.
type Size = (Rc<str>, i32, Result<u64, PartitionError>);

/// Asks every partition that is wanted, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let sizes = match ask(context, &request.body()) {
        Ok(sizes) => sizes,
        Err(error) => return request.close(&error),
    };
    let answering = Rc::clone(context);
    context.reactor.spawn(async move {
        let sizes = sizes.all().await;
        finish(&answering, request, sizes);
    });
}

fn ask(context: &Context, encoded: &Body) -> Result<Gather<Size>, DecodeError> {
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
    wanted.retain(|(topic, partition_index)| context.metadata.owner(topic, *partition_index).is_some());
    let gather = Gather::new(wanted.len());
    for (at, (topic, partition_index)) in wanted.into_iter().enumerate() {
        let (answer, topic_name): (_, Rc<str>) = (gather.clone(), (&*topic.name).into());
        let reply = Box::new(move |reply| {
            let PartitionReply::Size(size) = reply else { unreachable!("a size is asked for and answered") };
            answer.put(at, (topic_name, partition_index, size));
        });
        let name = TopicPartition { topic_id: topic.topic_id, partition_index };
        let owner = context.metadata.owner_of(topic.topic_id, partition_index);
        context.router.request(owner, name, PartitionRequest::Size, reply);
    }
    Ok(gather)
}

fn finish(context: &Context, request: Request, sizes: Vec<Size>) {
    let mut topics: BTreeMap<Rc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let mut error_code = ErrorCode::NONE;
    for (topic_name, partition_index, size) in sizes {
        match size {
            Ok(size) => topics.entry(topic_name).or_default().push(DescribeLogDirsPartition {
                partition_index,
                partition_size: size as i64,
                ..Default::default()
            }),
            Err(PartitionError::Unknown) => {}
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
