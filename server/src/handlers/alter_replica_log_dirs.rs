//! AlterReplicaLogDirs (api key 34), versions 1..=2. There is one data directory, and every replica is in it.
//!
//! v2 flexible
//! Errors: LOG_DIR_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION.

use std::path::Path;
use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};

use super::{Context, Request};

/// Answers at once.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: AlterReplicaLogDirsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let mut results = Vec::new();
    for dir in &body.dirs {
        let is_ours = Path::new(dir.path) == context.settings.log_dir;
        results.extend(dir.topics.iter().map(|asked| {
            let topic = image.topic_by_name(asked.name);
            let result = |partition_index| {
                let is_there = topic.is_some_and(|topic| context.metadata.owner(topic, partition_index).is_some());
                let error_code = match (is_there, is_ours) {
                    (false, _) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    (true, false) => ErrorCode::LOG_DIR_NOT_FOUND,
                    (true, true) => ErrorCode::NONE,
                };
                AlterReplicaLogDirPartitionResult { partition_index, error_code }
            };
            AlterReplicaLogDirTopicResult {
                topic_name: asked.name,
                partitions: asked.partitions.iter().map(result).collect(),
            }
        }));
    }
    request.answer(&AlterReplicaLogDirsResponse { results: results.into(), ..Default::default() }, []);
}
