//! ElectLeaders (api key 43), versions 0..=2. The one replica of a partition leads it already.
//!
//! v1 unclean elections   v2 flexible
//! Errors: ELECTION_NOT_NEEDED, UNKNOWN_TOPIC_OR_PARTITION.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    ElectLeadersPartitionResult, ElectLeadersRequest, ElectLeadersResponse, ReplicaElectionResult,
};

use super::{Context, Request};

/// Answers at once. For all partitions, those that need no election are left out, as in Kafka.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ElectLeadersRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let result = |topic: &str, partition_id| {
        let found = image.topic_by_name(topic);
        match found.map(|topic| context.metadata.owner(topic, partition_id)) {
            Some(Some(_)) => {
                (ErrorCode::ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.".to_owned())
            }
            Some(None) => {
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("No such partition as {topic}-{partition_id}"))
            }
            None => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("No such topic as {topic}")),
        }
    };
    let topics: Vec<_> = body.topic_partitions.iter().flatten().collect();
    let decided: Vec<Vec<_>> = topics
        .iter()
        .map(|asked| asked.partitions.iter().map(|partition_id| (partition_id, result(asked.topic, partition_id))))
        .map(Iterator::collect)
        .collect();
    let results = topics.iter().zip(&decided).map(|(asked, results)| ReplicaElectionResult {
        topic: asked.topic,
        partition_result: results
            .iter()
            .map(|(partition_id, (error_code, message))| ElectLeadersPartitionResult {
                partition_id: *partition_id,
                error_code: *error_code,
                error_message: Some(message),
            })
            .collect(),
    });
    let replica_election_results = results.collect();
    request.answer(&ElectLeadersResponse { replica_election_results, ..Default::default() }, []);
}
