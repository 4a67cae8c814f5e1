//! What is asked of a group's coordinator, and the answers. All of it is `Send`, so that it can cross the mesh to the
//! shard that owns the group's partition of `__consumer_offsets`.

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::consumer::Assignment;

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

/// Offsets to be committed.
#[derive(Debug, Clone, Default)]
pub struct CommitOffsets {
    /// The group.
    pub group_id: String,
    /// Empty for a consumer that is not a member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// -1 for a consumer that is not a member.
    pub generation_id: i32,
    /// How long to keep them; -1 is the broker's rule (clients before 2.1 ask for a time of their own).
    pub retention_time_ms: i64,
    /// The client knows member epochs and GROUP_ID_NOT_FOUND (version 9).
    pub knows_member_epochs: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of one topic.
#[derive(Debug, Clone, Default)]
pub struct CommitTopic {
    /// Name.
    pub topic_name: String,
    /// Nil if it is not known.
    pub topic_id: Uuid,
    /// Each partition.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of one partition.
#[derive(Debug, Clone, Default)]
pub struct CommitPartition {
    /// From 0.
    pub partition_index: i32,
    /// Next offset to be read.
    pub offset: i64,
    /// Of the last record read, -1 if it is not known.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: String,
}

/// Asks for committed offsets.
#[derive(Debug, Clone)]
pub struct FetchOffsets {
    /// The group.
    pub group_id: String,
    /// A member of a consumer group says which one it is.
    pub member_id: Option<String>,
    /// -1 for one that is not a member.
    pub member_epoch: i32,
    /// Refuse offsets that an open transaction may replace.
    pub require_stable: bool,
    /// Topics with partitions; `None` is all that have an offset.
    pub topics: Option<Vec<FetchTopic>>,
}

/// A topic whose offsets are asked for.
#[derive(Debug, Clone)]
pub struct FetchTopic {
    /// Name.
    pub topic_name: String,
    /// Nil if there is no such topic; else offsets of an earlier topic of this name are none.
    pub topic_id: Uuid,
    /// Partitions.
    pub partitions: Vec<i32>,
}

/// The offsets of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicOffsets {
    /// Name.
    pub topic_name: String,
    /// Each partition.
    pub partitions: Vec<PartitionOffset>,
}

/// The committed offset of one partition; offset and leader epoch are -1 when there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionOffset {
    /// From 0.
    pub partition_index: i32,
    /// Next offset to be read.
    pub offset: i64,
    /// Of the last record read.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: String,
    /// UNSTABLE_OFFSET_COMMIT, or none.
    pub error_code: ErrorCode,
}

/// Removes committed offsets.
#[derive(Debug, Clone, Default)]
pub struct DeleteOffsets {
    /// The group.
    pub group_id: String,
    /// Topics with partitions.
    pub topics: Vec<(String, Vec<i32>)>,
}

/// Joins a group, or joins it again.
#[derive(Debug, Clone, Default)]
pub struct JoinGroup {
    /// The group.
    pub group_id: String,
    /// Empty for a new member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Of the request header.
    pub client_id: String,
    /// As Java prints the peer's address: `/127.0.0.1`.
    pub client_host: String,
    /// A member that is not heard for this long is gone.
    pub session_timeout_ms: i32,
    /// How long the group waits for a member to join again.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, ...
    pub protocol_type: String,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The client joins in two steps (version 4): a new member is told its id first.
    pub requires_known_member_id: bool,
    /// The client knows `skip_assignment` (version 9).
    pub knows_skip_assignment: bool,
    /// Makes the member id unique.
    pub random_id: Uuid,
}

/// A protocol that a member speaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    /// `range`, `cooperative-sticky`, ...
    pub name: String,
    /// For the leader of the group alone.
    pub metadata: Bytes,
}

/// What a member learns when the group has formed.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinReply {
    /// Success, or why not.
    pub error_code: ErrorCode,
    /// Of the group.
    pub generation_id: i32,
    /// Of the group.
    pub protocol_type: Option<String>,
    /// What all members speak.
    pub protocol_name: Option<String>,
    /// Member id of the leader.
    pub leader: String,
    /// The leader keeps the assignment that there is (KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: String,
    /// All members, for the leader alone.
    pub members: Vec<JoinedMember>,
}

impl JoinReply {
    /// A refusal.
    pub fn refusal(member_id: &str, error_code: ErrorCode) -> Self {
        Self {
            error_code,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Of the protocol that was chosen.
    pub metadata: Bytes,
}

/// Asks for the member's assignment; the leader brings those of all.
#[derive(Debug, Clone, Default)]
pub struct SyncGroup {
    /// The group.
    pub group_id: String,
    /// As learned from the join.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// As learned from the join, `None` before version 5.
    pub protocol_type: Option<String>,
    /// As learned from the join, `None` before version 5.
    pub protocol_name: Option<String>,
    /// Assignments by member id, from the leader.
    pub assignments: Vec<(String, Bytes)>,
}

/// The member's assignment.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncReply {
    /// Of the group.
    pub protocol_type: Option<String>,
    /// Of the group.
    pub protocol_name: Option<String>,
    /// From the leader.
    pub assignment: Bytes,
}

/// Keeps a member alive.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat {
    /// The group.
    pub group_id: String,
    /// As learned from the join.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
}

/// Removes members.
#[derive(Debug, Clone, Default)]
pub struct LeaveGroup {
    /// The group.
    pub group_id: String,
    /// Member id (empty: by instance id alone) and instance id.
    pub members: Vec<(String, Option<String>)>,
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

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupDescription {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Empty for a group that only commits offsets.
    pub protocol_type: String,
    /// The protocol of a stable group.
    pub protocol_name: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Of its request header.
    pub client_id: String,
    /// Where it joined from.
    pub client_host: String,
    /// Of the protocol of a stable group.
    pub metadata: Bytes,
    /// In a stable group.
    pub assignment: Bytes,
}

/// A heartbeat of a member of a consumer group; what is `None` has not changed since the last one.
#[derive(Debug, Clone)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group_id: String,
    /// Made by the client from version 1 on.
    pub member_id: String,
    /// The client makes its member id (version 1).
    pub knows_own_member_id: bool,
    /// 0 to join, -1 to leave, -2 for a static member to leave for a while.
    pub member_epoch: i32,
    /// Static membership.
    pub instance_id: Option<String>,
    /// Where the client is.
    pub rack_id: Option<String>,
    /// Of the request header.
    pub client_id: String,
    /// As Java prints the peer's address.
    pub client_host: String,
    /// How long the member may take to give partitions up; -1 if that has not changed.
    pub rebalance_timeout_ms: i32,
    /// Topics by name.
    pub topic_names: Option<Vec<String>>,
    /// Topics by expression; empty for none any more.
    pub regex: Option<String>,
    /// The assignor that the member wants.
    pub assignor: Option<String>,
    /// The partitions that it holds.
    pub owned: Option<Assignment>,
    /// A member id, for a client that does not make one.
    pub random_id: Uuid,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerHeartbeatReply {
    /// The member.
    pub member_id: String,
    /// Its epoch from now on.
    pub member_epoch: i32,
    /// When to send the next one.
    pub heartbeat_interval_ms: i32,
    /// What the member has from now on, if that has changed.
    pub assignment: Option<Assignment>,
}

/// A group as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerGroupDescription {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Of members, subscriptions and topics.
    pub group_epoch: i32,
    /// Of the target assignment.
    pub assignment_epoch: i32,
    /// Its assignor.
    pub assignor_name: &'static str,
    /// Its members.
    pub members: Vec<ConsumerMemberDescription>,
}

/// A member as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerMemberDescription {
    /// Its id.
    pub member_id: String,
    /// Static membership.
    pub instance_id: Option<String>,
    /// Where the client is.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub member_epoch: i32,
    /// Of its request header.
    pub client_id: String,
    /// Where it heartbeats from.
    pub client_host: String,
    /// Topics by name.
    pub subscribed_topic_names: Vec<String>,
    /// Topics by expression.
    pub subscribed_topic_regex: Option<String>,
    /// It speaks the classic protocol.
    pub is_classic: bool,
    /// What it has, or has not confirmed to have given up.
    pub assigned: Vec<TopicPartitionNames>,
    /// What it is to have.
    pub target: Vec<TopicPartitionNames>,
}

/// Partitions of a topic that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicPartitionNames {
    /// Its id.
    pub topic_id: Uuid,
    /// Its name.
    pub topic_name: String,
    /// Partitions.
    pub partitions: Vec<i32>,
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
