//! One file per API, and the table that says which there are. ApiVersions answers from the same table that dispatches,
//! so what is advertised works and what is not there is not advertised.
//!
//! A handler runs on the connection's shard, decodes and checks, sends each partition's part to the partition's owner,
//! and answers when all have answered. It never waits in place.

mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod broker_loggers;
mod config_resources;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod errors;
mod fetch;
mod find_coordinator;
mod gather;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod mutations;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod questions;
mod request;
mod sync_group;
mod update_features;

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use ringlog_core::protocol::{ApiKey, RequestHeader};
use ringlog_core::reactor::Reactor;
use ringlog_core::wire::Reader;

pub use self::fetch::FetchSessions;
pub use self::init_producer_id::ProducerIds;
pub use self::request::{Body, Request};
use crate::config::{Endpoint, Settings};
use crate::coordinator::group::GroupRouter;
use crate::metadata::{ControllerLink, MetadataView, QuorumOfOne};
use crate::net::Responder;
use crate::partition::{Recompressor, Router};
use crate::quota::{ClientLimits, QuotaKind};

/// What handlers may use, on one shard.
pub struct Context {
    /// Time and tasks of this shard.
    pub reactor: Reactor,
    /// The way to partitions.
    pub router: Router,
    /// The way there for batches that are not stored as they came.
    pub recompressor: Recompressor,
    /// The way to the coordinators of groups.
    pub groups: GroupRouter,
    /// Topics and where their partitions are.
    pub metadata: Rc<MetadataView>,
    /// The way to the controller.
    pub controller: Box<dyn ControllerLink>,
    /// The broker's configuration.
    pub settings: Arc<Settings>,
    /// Of `meta.properties`.
    pub cluster_id: String,
    /// This node as the quorum of the metadata log.
    pub quorum: QuorumOfOne,
    /// What clients of each listener are told, with the real ports.
    pub endpoints: Vec<Endpoint>,
    /// Ids for idempotent producers.
    pub producer_ids: ProducerIds,
    /// Of clients and users.
    pub limits: Rc<ClientLimits>,
    /// Of this shard's readers.
    pub fetch_sessions: RefCell<FetchSessions>,
}

impl Context {
    /// The endpoint of the listener that a request came in by.
    fn endpoint(&self, request: &Request) -> &Endpoint {
        &self.endpoints[request.listener]
    }
}

/// The feature that has consumer groups of KIP-848 from level 1 on.
const GROUP_VERSION: &str = "group.version";

/// One row of the table.
struct Api {
    key: ApiKey,
    versions: RangeInclusive<i16>,
    /// Lower than `versions` where clients conclude something else from it.
    advertised_min: i16,
    handle: fn(&Rc<Context>, Request),
}

const fn api(key: ApiKey, versions: RangeInclusive<i16>, handle: fn(&Rc<Context>, Request)) -> Api {
    let advertised_min = *versions.start();
    Api { key, versions, advertised_min, handle }
}

/// All APIs of this broker, in key order.
static TABLE: &[Api] = &[
    // librdkafka before 2.8 compresses only if Produce 0 is advertised (KAFKA-18659).
    Api { advertised_min: 0, ..api(ApiKey::Produce, 3..=13, produce::handle) },
    api(ApiKey::Fetch, 4..=18, fetch::handle),
    api(ApiKey::ListOffsets, 1..=11, list_offsets::handle),
    api(ApiKey::Metadata, 0..=13, metadata::handle),
    api(ApiKey::OffsetCommit, 2..=10, offset_commit::handle),
    api(ApiKey::OffsetFetch, 1..=10, offset_fetch::handle),
    api(ApiKey::FindCoordinator, 0..=6, find_coordinator::handle),
    api(ApiKey::JoinGroup, 0..=9, join_group::handle),
    api(ApiKey::Heartbeat, 0..=4, heartbeat::handle),
    api(ApiKey::LeaveGroup, 0..=5, leave_group::handle),
    api(ApiKey::SyncGroup, 0..=5, sync_group::handle),
    api(ApiKey::DescribeGroups, 0..=6, describe_groups::handle),
    api(ApiKey::ListGroups, 0..=5, list_groups::handle),
    api(ApiKey::ApiVersions, 0..=4, api_versions::handle),
    api(ApiKey::CreateTopics, 2..=7, create_topics::handle),
    api(ApiKey::DeleteTopics, 1..=6, delete_topics::handle),
    api(ApiKey::DeleteRecords, 0..=2, delete_records::handle),
    api(ApiKey::InitProducerId, 0..=5, init_producer_id::handle),
    api(ApiKey::OffsetForLeaderEpoch, 2..=4, offset_for_leader_epoch::handle),
    api(ApiKey::DescribeConfigs, 1..=4, describe_configs::handle),
    api(ApiKey::AlterConfigs, 0..=2, alter_configs::handle),
    api(ApiKey::AlterReplicaLogDirs, 1..=2, alter_replica_log_dirs::handle),
    api(ApiKey::DescribeLogDirs, 1..=5, describe_log_dirs::handle),
    api(ApiKey::CreatePartitions, 0..=3, create_partitions::handle),
    api(ApiKey::DeleteGroups, 0..=2, delete_groups::handle),
    api(ApiKey::ElectLeaders, 0..=2, elect_leaders::handle),
    api(ApiKey::IncrementalAlterConfigs, 0..=1, incremental_alter_configs::handle),
    api(ApiKey::AlterPartitionReassignments, 0..=1, alter_partition_reassignments::handle),
    api(ApiKey::ListPartitionReassignments, 0..=0, list_partition_reassignments::handle),
    api(ApiKey::OffsetDelete, 0..=0, offset_delete::handle),
    api(ApiKey::DescribeClientQuotas, 0..=1, describe_client_quotas::handle),
    api(ApiKey::AlterClientQuotas, 0..=1, alter_client_quotas::handle),
    api(ApiKey::DescribeUserScramCredentials, 0..=0, describe_user_scram_credentials::handle),
    api(ApiKey::DescribeQuorum, 0..=2, describe_quorum::handle),
    api(ApiKey::UpdateFeatures, 0..=2, update_features::handle),
    api(ApiKey::DescribeCluster, 0..=2, describe_cluster::handle),
    api(ApiKey::DescribeProducers, 0..=0, describe_producers::handle),
    api(ApiKey::ConsumerGroupHeartbeat, 0..=1, consumer_group_heartbeat::handle),
    api(ApiKey::ConsumerGroupDescribe, 0..=1, consumer_group_describe::handle),
    api(ApiKey::ListConfigResources, 0..=1, list_config_resources::handle),
    api(ApiKey::DescribeTopicPartitions, 0..=0, describe_topic_partitions::handle),
];

/// Handles one frame: reads its header and calls the API's handler. What cannot be answered closes the connection, as
/// Kafka does.
pub fn dispatch(context: &Rc<Context>, listener: usize, frame: Bytes, responder: Responder) {
    let mut reader = Reader::new(&frame);
    let header = match RequestHeader::decode(&mut reader) {
        Ok(header) => header,
        Err(error) => {
            tracing::debug!(%error, "request header cannot be read");
            return responder.close();
        }
    };
    let position = frame.len() - reader.remaining();
    let row = TABLE.iter().find(|row| row.key == header.api_key);
    let request = Request::new(&header, listener, frame.clone(), position, responder);
    match row {
        Some(row) if row.versions.contains(&request.api_version) => handle(context, row, header.client_id, request),
        Some(Api { key: ApiKey::ApiVersions, .. }) => api_versions::refuse_version(context, request),
        _ => request.close(&"no such API or version"),
    }
}

/// Handles a request, within the client's quota of the shard's time if it has one: it waits for what its earlier requests
/// took too much.
fn handle(context: &Rc<Context>, row: &Api, client_id: Option<&str>, mut request: Request) {
    let Context { limits, reactor, .. } = &**context;
    if !limits.has(QuotaKind::Request) {
        return (row.handle)(context, request);
    }
    let client = client_id.unwrap_or_default();
    request.throttle(limits.bounded_delay(QuotaKind::Request, client, reactor.now()));
    let began = reactor.clock();
    (row.handle)(context, request);
    limits.record(QuotaKind::Request, client, reactor.now(), reactor.clock().0 - began.0);
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    /// `| key | API | versions | ...`, for each row.
    fn rows(document: &str) -> Vec<String> {
        let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| key"));
        rows.map(|row| row.splitn(5, '|').take(4).collect::<Vec<_>>().join("|").trim().to_owned()).collect()
    }

    #[test]
    fn the_table_is_that_of_the_document() {
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap();
        let versions = |row: &super::Api| match (row.versions.start(), row.versions.end()) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}-{end}"),
        };
        let served: Vec<String> =
            TABLE.iter().map(|row| format!("| {} | {:?} | {}", row.key as i16, row.key, versions(row))).collect();
        assert_eq!(rows(&document), served, "docs/protocol.md should have these rows:\n{}", served.join(" | |\n"));
    }

    #[test]
    fn the_table_is_in_key_order() {
        assert!(TABLE.is_sorted_by_key(|row| row.key as i16));
    }
}
