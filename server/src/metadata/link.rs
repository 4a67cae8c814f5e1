//! What shards ask of the controller, and the answers. All of it is `Send`: the controller is on shard 0.

use uuid::Uuid;

use super::{
    AlterClientQuotas, AlterConfigError, AlterConfigs, AlterQuotaError, CreatePartitionsError, CreateTopicError,
    CreatedTopic, NewPartitions, NewTopic, ProducerIdBlock, ProducerIdsExhausted, UpdateFeatures, UpdateFeaturesError,
};

/// A request to the controller. Its answer comes when the records are durable and every shard has replayed them.
#[derive(Debug)]
pub enum ControlRequest {
    /// Create topics.
    CreateTopics {
        /// In the order of the answer.
        topics: Vec<NewTopic>,
        /// Only say what would happen.
        validate_only: bool,
    },
    /// Delete topics by id.
    DeleteTopics(Vec<Uuid>),
    /// Add partitions to topics.
    CreatePartitions {
        /// In the order of the answer.
        topics: Vec<NewPartitions>,
        /// Only say what would happen.
        validate_only: bool,
    },
    /// Alter configs.
    AlterConfigs(AlterConfigs),
    /// Alter client quotas.
    AlterClientQuotas(AlterClientQuotas),
    /// Change levels of features.
    UpdateFeatures(UpdateFeatures),
    /// A block of producer ids.
    ProducerIds,
}

/// The answer, of the same kind and in the same order.
#[derive(Debug)]
pub enum ControlReply {
    /// To CreateTopics.
    CreateTopics(Vec<Result<CreatedTopic, CreateTopicError>>),
    /// To DeleteTopics.
    DeleteTopics(Vec<Result<(), DeleteTopicError>>),
    /// To CreatePartitions.
    CreatePartitions(Vec<Result<(), CreatePartitionsError>>),
    /// To AlterConfigs.
    AlterConfigs(Vec<Result<(), AlterConfigError>>),
    /// To AlterClientQuotas.
    AlterClientQuotas(Vec<Result<(), AlterQuotaError>>),
    /// To UpdateFeatures.
    UpdateFeatures(Result<(), UpdateFeaturesError>),
    /// To ProducerIds.
    ProducerIds(Result<ProducerIdBlock, ProducerIdsExhausted>),
    /// The metadata log cannot be written: nothing was changed.
    Storage,
}

/// Why a topic is not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// There is none of this id.
    #[error("This server does not host this topic ID.")]
    Unknown,
}

/// Gets the controller's answer, once, on the asking shard.
pub type ReplyTo = Box<dyn FnOnce(ControlReply)>;

/// The way to the controller.
pub trait ControllerLink {
    /// Asks; `reply` is called later.
    fn request(&self, request: ControlRequest, reply: ReplyTo);
}
