//! DescribeQuorum (api key 55), versions 0..=2. This node alone is the quorum of the metadata log.
//!
//! v1 times of the last fetch   v2 directories and nodes (KIP-853)
//! Errors: UNKNOWN_TOPIC_OR_PARTITION.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeQuorumPartitionResponse, DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorumTopicResponse,
    QuorumListener, QuorumNode, QuorumReplicaState,
};

use super::{Context, Request};

const METADATA_TOPIC: &str = "__cluster_metadata";

/// Answers at once.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeQuorumRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let topics = body.topics.iter().map(|asked| DescribeQuorumTopicResponse {
        topic_name: asked.topic_name,
        partitions: asked
            .partitions
            .iter()
            .map(|partition| match (asked.topic_name, partition.partition_index) {
                (METADATA_TOPIC, 0) => metadata_partition(context),
                (_, partition_index) => DescribeQuorumPartitionResponse {
                    partition_index,
                    error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    ..Default::default()
                },
            })
            .collect(),
    });
    let controller = &context.settings.controller_listener;
    let listener = QuorumListener { name: &controller.name, host: &controller.host, port: controller.port };
    let node = QuorumNode { node_id: context.settings.node_id, listeners: vec![listener].into() };
    let response = DescribeQuorumResponse { topics: topics.collect(), nodes: vec![node].into(), ..Default::default() };
    request.answer(&response, []);
}

fn metadata_partition(context: &Context) -> DescribeQuorumPartitionResponse<'static> {
    let now_ms = context.reactor.wall_clock_ms();
    let end_offset = context.metadata.image().end_offset();
    let leader_id = context.settings.node_id;
    let voter = QuorumReplicaState {
        replica_id: leader_id,
        replica_directory_id: context.quorum.directory_id,
        log_end_offset: end_offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    DescribeQuorumPartitionResponse {
        leader_id,
        leader_epoch: context.quorum.leader_epoch,
        high_watermark: end_offset,
        current_voters: vec![voter].into(),
        ..Default::default()
    }
}
