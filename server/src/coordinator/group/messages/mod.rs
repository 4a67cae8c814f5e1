//! What is asked of a group's coordinator, and the answers. All of it is `Send`, so that it can cross the mesh to the
//! shard that owns the group's partition of `__consumer_offsets`.

mod classic;
mod consumer;
mod offsets;

use ringlog_core::protocol::ErrorCode;

pub use classic::{
    GroupDescription, Heartbeat, JoinGroup, JoinReply, JoinedMember, LeaveGroup, MemberDescription, Protocol,
    SyncGroup, SyncReply,
};
pub use consumer::{
    ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatReply, ConsumerMemberDescription, TopicPartitionNames,
};
pub use offsets::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchTopic, PartitionOffset, TopicOffsets,
};

/// A request to the coordinator of a group.
#[derive(Debug, Clone)]
pub enum GroupRequest {
    /// OffsetCommit.
    CommitOffsets(CommitOffsets),
    /// One group of OffsetFetch.
    FetchOffsets(FetchOffsets),
    /// OffsetDelete.
    DeleteOffsets(DeleteOffsets),
    /// JoinGroup.
    Join(JoinGroup),
    /// SyncGroup.
    Sync(SyncGroup),
    /// Heartbeat.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(LeaveGroup),
    /// One group of DescribeGroups.
    Describe(String),
    /// ListGroups: the groups of one partition.
    List(ListGroups),
    /// One group of DeleteGroups.
    Delete(String),
    /// ConsumerGroupHeartbeat.
    ConsumerHeartbeat(ConsumerHeartbeat),
    /// One group of ConsumerGroupDescribe.
    ConsumerDescribe(String),
}

impl GroupRequest {
    /// Whether it names no group, and must. For commits and for what looks after them, no name is the name of a group too.
    pub fn lacks_group_id(&self) -> bool {
        let group_id = match self {
            Self::Join(request) => &request.group_id,
            Self::Sync(request) => &request.group_id,
            Self::Heartbeat(request) => &request.group_id,
            Self::Leave(request) => &request.group_id,
            Self::DeleteOffsets(request) => &request.group_id,
            Self::ConsumerDescribe(group_id) => group_id,
            Self::CommitOffsets(_)
            | Self::FetchOffsets(_)
            | Self::Describe(_)
            | Self::List(_)
            | Self::Delete(_)
            // It has words of its own for that.
            | Self::ConsumerHeartbeat(_) => return false,
        };
        group_id.is_empty()
    }
}

/// The answer, of the same kind. An error code stands for the whole request.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupReply {
    /// To CommitOffsets: a code for each partition, in the order of the request.
    CommitOffsets(Result<Vec<ErrorCode>, ErrorCode>),
    /// To FetchOffsets.
    FetchOffsets(Result<Vec<TopicOffsets>, ErrorCode>),
    /// To DeleteOffsets: a code for each partition, in the order of the request.
    DeleteOffsets(Result<Vec<ErrorCode>, ErrorCode>),
    /// To Join.
    Join(JoinReply),
    /// To Sync.
    Sync(Result<SyncReply, ErrorCode>),
    /// To Heartbeat.
    Heartbeat(ErrorCode),
    /// To Leave: a code for each member, in the order of the request.
    Leave(Result<Vec<ErrorCode>, ErrorCode>),
    /// To Describe.
    Describe(Result<GroupDescription, GroupError>),
    /// To List.
    List(Result<Vec<GroupListing>, ErrorCode>),
    /// To Delete.
    Delete(ErrorCode),
    /// To ConsumerHeartbeat.
    ConsumerHeartbeat(Result<ConsumerHeartbeatReply, GroupError>),
    /// To ConsumerDescribe.
    ConsumerDescribe(Result<ConsumerGroupDescription, GroupError>),
    /// To any request: the coordinator is not here, or not ready, or no group is named.
    Unavailable(ErrorCode),
}

/// Why a request is refused: the code, and words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupError {
    /// Kafka's code.
    pub error_code: ErrorCode,
    /// Words.
    pub message: String,
}

impl GroupError {
    /// There is no such group, or not of the kind that was asked for.
    pub fn not_found(message: String) -> Self {
        Self { error_code: ErrorCode::GROUP_ID_NOT_FOUND, message }
    }
}

/// Which groups to list.
#[derive(Debug, Clone, Default)]
pub struct ListGroups {
    /// In these states, in small letters; empty is all.
    pub states: Vec<String>,
    /// Of these types, in small letters; empty is all.
    pub types: Vec<String>,
}

/// One group of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupListing {
    /// The group.
    pub group_id: String,
    /// Empty for a group that only commits offsets.
    pub protocol_type: String,
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Kafka's name of the type.
    pub group_type: &'static str,
}

/// A request or a reply on the mesh.
#[derive(Debug)]
pub enum GroupMessage {
    /// For a coordinator of the receiver.
    Request {
        /// Echoed in the reply.
        call: u32,
        /// Of `__consumer_offsets`.
        partition_index: i32,
        /// What is asked.
        request: GroupRequest,
    },
    /// The answer to a request of the receiver.
    Reply {
        /// As in the request.
        call: u32,
        /// The answer.
        reply: GroupReply,
    },
}
