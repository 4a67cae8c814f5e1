//! All API keys of Kafka 4.3, the versions of their messages, and which header goes with which version.

use std::ops::RangeInclusive;

/// No version of the message is flexible.
const NEVER: i16 = i16::MAX;

macro_rules! api_keys {
    ($($name:ident = $key:literal, $versions:expr, $flexible:expr;)*) => {
        /// Names a request and its response.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!("API key ", $key, ".")] $name = $key,)*
        }

        impl ApiKey {
            /// Every key, in order.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name,)*];

            /// The key of this number.
            pub fn from_i16(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions that Kafka 4.3 has; none if Kafka 4 has removed the API. What a broker advertises is up to its handlers.
            pub fn versions(self) -> Option<RangeInclusive<i16>> {
                match self {
                    $(Self::$name => $versions,)*
                }
            }

            fn flexible_from(self) -> i16 {
                match self {
                    $(Self::$name => $flexible,)*
                }
            }
        }
    };
}

api_keys! {
    Produce = 0, Some(3..=13), 9;
    Fetch = 1, Some(4..=18), 12;
    ListOffsets = 2, Some(1..=11), 6;
    Metadata = 3, Some(0..=13), 9;
    LeaderAndIsr = 4, None, NEVER;
    StopReplica = 5, None, NEVER;
    UpdateMetadata = 6, None, NEVER;
    ControlledShutdown = 7, None, NEVER;
    OffsetCommit = 8, Some(2..=10), 8;
    OffsetFetch = 9, Some(1..=10), 6;
    FindCoordinator = 10, Some(0..=6), 3;
    JoinGroup = 11, Some(0..=9), 6;
    Heartbeat = 12, Some(0..=4), 4;
    LeaveGroup = 13, Some(0..=5), 4;
    SyncGroup = 14, Some(0..=5), 4;
    DescribeGroups = 15, Some(0..=6), 5;
    ListGroups = 16, Some(0..=5), 3;
    SaslHandshake = 17, Some(0..=1), NEVER;
    ApiVersions = 18, Some(0..=4), 3;
    CreateTopics = 19, Some(2..=7), 5;
    DeleteTopics = 20, Some(1..=6), 4;
    DeleteRecords = 21, Some(0..=2), 2;
    InitProducerId = 22, Some(0..=6), 2;
    OffsetForLeaderEpoch = 23, Some(2..=4), 4;
    AddPartitionsToTxn = 24, Some(0..=5), 3;
    AddOffsetsToTxn = 25, Some(0..=4), 3;
    EndTxn = 26, Some(0..=5), 3;
    WriteTxnMarkers = 27, Some(1..=2), 0;
    TxnOffsetCommit = 28, Some(0..=5), 3;
    DescribeAcls = 29, Some(1..=3), 2;
    CreateAcls = 30, Some(1..=3), 2;
    DeleteAcls = 31, Some(1..=3), 2;
    DescribeConfigs = 32, Some(1..=4), 4;
    AlterConfigs = 33, Some(0..=2), 2;
    AlterReplicaLogDirs = 34, Some(1..=2), 2;
    DescribeLogDirs = 35, Some(1..=5), 2;
    SaslAuthenticate = 36, Some(0..=2), 2;
    CreatePartitions = 37, Some(0..=3), 2;
    CreateDelegationToken = 38, Some(1..=3), 2;
    RenewDelegationToken = 39, Some(1..=2), 2;
    ExpireDelegationToken = 40, Some(1..=2), 2;
    DescribeDelegationToken = 41, Some(1..=3), 2;
    DeleteGroups = 42, Some(0..=2), 2;
    ElectLeaders = 43, Some(0..=2), 2;
    IncrementalAlterConfigs = 44, Some(0..=1), 1;
    AlterPartitionReassignments = 45, Some(0..=1), 0;
    ListPartitionReassignments = 46, Some(0..=0), 0;
    OffsetDelete = 47, Some(0..=0), NEVER;
    DescribeClientQuotas = 48, Some(0..=1), 1;
    AlterClientQuotas = 49, Some(0..=1), 1;
    DescribeUserScramCredentials = 50, Some(0..=0), 0;
    AlterUserScramCredentials = 51, Some(0..=0), 0;
    Vote = 52, Some(0..=2), 0;
    BeginQuorumEpoch = 53, Some(0..=1), 1;
    EndQuorumEpoch = 54, Some(0..=1), 1;
    DescribeQuorum = 55, Some(0..=2), 0;
    AlterPartition = 56, Some(2..=3), 0;
    UpdateFeatures = 57, Some(0..=2), 0;
    Envelope = 58, Some(0..=0), 0;
    FetchSnapshot = 59, Some(0..=1), 0;
    DescribeCluster = 60, Some(0..=2), 0;
    DescribeProducers = 61, Some(0..=0), 0;
    BrokerRegistration = 62, Some(0..=4), 0;
    BrokerHeartbeat = 63, Some(0..=2), 0;
    UnregisterBroker = 64, Some(0..=0), 0;
    DescribeTransactions = 65, Some(0..=0), 0;
    ListTransactions = 66, Some(0..=2), 0;
    AllocateProducerIds = 67, Some(0..=0), 0;
    ConsumerGroupHeartbeat = 68, Some(0..=1), 0;
    ConsumerGroupDescribe = 69, Some(0..=1), 0;
    ControllerRegistration = 70, Some(0..=0), 0;
    GetTelemetrySubscriptions = 71, Some(0..=0), 0;
    PushTelemetry = 72, Some(0..=0), 0;
    AssignReplicasToDirs = 73, Some(0..=0), 0;
    ListConfigResources = 74, Some(0..=1), 0;
    DescribeTopicPartitions = 75, Some(0..=0), 0;
    ShareGroupHeartbeat = 76, Some(1..=1), 0;
    ShareGroupDescribe = 77, Some(1..=1), 0;
    ShareFetch = 78, Some(1..=2), 0;
    ShareAcknowledge = 79, Some(1..=2), 0;
    AddRaftVoter = 80, Some(0..=1), 0;
    RemoveRaftVoter = 81, Some(0..=0), 0;
    UpdateRaftVoter = 82, Some(0..=0), 0;
    InitializeShareGroupState = 83, Some(0..=0), 0;
    ReadShareGroupState = 84, Some(0..=0), 0;
    WriteShareGroupState = 85, Some(0..=1), 0;
    DeleteShareGroupState = 86, Some(0..=0), 0;
    ReadShareGroupStateSummary = 87, Some(0..=1), 0;
    StreamsGroupHeartbeat = 88, Some(0..=0), 0;
    StreamsGroupDescribe = 89, Some(0..=0), 0;
    DescribeShareGroupOffsets = 90, Some(0..=1), 0;
    AlterShareGroupOffsets = 91, Some(0..=0), 0;
    DeleteShareGroupOffsets = 92, Some(0..=0), 0;
}

impl ApiKey {
    /// The version of the request header: 2 has tagged fields, 1 has not.
    pub fn request_header_version(self, api_version: i16) -> i16 {
        if self.is_flexible(api_version) { 2 } else { 1 }
    }

    /// The version of the response header: 1 has tagged fields, 0 has not. Always 0 for ApiVersions, because its client
    /// does not know yet which versions the broker speaks.
    pub fn response_header_version(self, api_version: i16) -> i16 {
        i16::from(self != Self::ApiVersions && self.is_flexible(api_version))
    }

    fn is_flexible(self, api_version: i16) -> bool {
        api_version >= self.flexible_from()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_follow_the_version() {
        assert_eq!(ApiKey::Produce.request_header_version(8), 1);
        assert_eq!(ApiKey::Produce.request_header_version(9), 2);
        assert_eq!(ApiKey::Produce.response_header_version(9), 1);
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    }

    #[test]
    fn keys_are_found_by_number() {
        for (index, key) in ApiKey::ALL.iter().enumerate() {
            assert_eq!(ApiKey::from_i16(index as i16), Some(*key));
        }
        assert_eq!(ApiKey::from_i16(-1), None);
        assert_eq!(ApiKey::LeaderAndIsr.versions(), None);
        assert_eq!(ApiKey::Fetch.versions(), Some(4..=18));
    }
}
