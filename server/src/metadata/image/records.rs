//! The way back: records that become an image, for its snapshot.

use std::collections::BTreeMap;

use ringlog_core::protocol::metadata::{
    ConfigRecord, FeatureLevelRecord, MetadataRecord, ProducerIdsRecord, TopicRecord, ZkMigrationStateRecord,
};

use super::super::client_quotas;
use super::super::records::resource_type;
use super::{Configs, MetadataImage, TopicImage};

const METADATA_VERSION: &str = "metadata.version";

impl MetadataImage {
    /// Records that an empty image replays to this one, in Kafka's order. What belongs to a metadata transaction that has
    /// not ended is not among them.
    pub fn records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        self.feature_records()
            .chain(self.registration_records())
            .chain(self.topics().flat_map(|topic| topic_records(topic)))
            .chain(self.config_records())
            .chain(client_quotas::records(&self.client_quotas).map(MetadataRecord::from))
            .chain(self.producer_ids_record())
            .chain(self.unenforced.records())
    }

    /// The level of the metadata first: it says how the others are to be read.
    fn feature_records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        let (metadata, others): (Vec<_>, Vec<_>) = self.features().partition(|(name, _)| *name == METADATA_VERSION);
        let levels = metadata.into_iter().chain(others);
        let zk = self.zk_migration_state.map(|zk_migration_state| ZkMigrationStateRecord { zk_migration_state });
        levels.map(|(name, feature_level)| FeatureLevelRecord { name, feature_level }.into()).chain(zk.map(Into::into))
    }

    fn registration_records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        let brokers = self.brokers.iter().map(|(id, broker)| broker.as_record(*id).into());
        brokers.chain(self.controllers.iter().map(|(id, controller)| controller.as_record(*id).into()))
    }

    fn config_records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        let topics = self.topics().flat_map(|topic| config_records(resource_type::TOPIC, &topic.name, &topic.configs));
        let others = self.other_configs.iter().flat_map(|((kind, name), configs)| config_records(*kind, name, configs));
        topics
            .chain(configs_of(resource_type::BROKER, &self.broker_configs))
            .chain(configs_of(resource_type::GROUP, &self.group_configs))
            .chain(others)
    }

    /// Whose block it was does not matter any more.
    fn producer_ids_record(&self) -> Option<MetadataRecord<'_>> {
        let next_producer_id = self.next_producer_id;
        (next_producer_id > 0).then(|| ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id }.into())
    }
}

fn topic_records(topic: &TopicImage) -> impl Iterator<Item = MetadataRecord<'_>> {
    let TopicImage { topic_id, name, partitions, .. } = topic;
    let partitions = (0..).zip(partitions).map(|(index, partition)| partition.as_record(*topic_id, index).into());
    std::iter::once(TopicRecord { name, topic_id: *topic_id }.into()).chain(partitions)
}

fn configs_of(resource_type: i8, named: &BTreeMap<String, Configs>) -> impl Iterator<Item = MetadataRecord<'_>> {
    named.iter().flat_map(move |(name, configs)| config_records(resource_type, name, configs))
}

fn config_records<'a>(
    resource_type: i8,
    resource_name: &'a str,
    configs: &'a Configs,
) -> impl Iterator<Item = MetadataRecord<'a>> {
    configs
        .iter()
        .map(move |(name, value)| ConfigRecord { resource_type, resource_name, name, value: Some(value) }.into())
}

#[cfg(test)]
mod tests {
    use ringlog_core::protocol::metadata::{
        BrokerRegistrationChangeRecord, ClearElrRecord, ClientQuotaRecord, DelegationTokenRecord, EndPoint,
        FenceBrokerRecord, PartitionChangeRecord, PartitionRecord, QuotaEntity, RegisterBrokerRecord,
        RegisterControllerRecord, SupportedFeature,
    };
    use uuid::Uuid;

    use super::super::super::controller::{self, tests::random};
    use super::super::tests::{acl, golden, scram};
    use super::*;

    fn replay<'a>(image: &mut MetadataImage, records: impl IntoIterator<Item = MetadataRecord<'a>>) {
        records.into_iter().for_each(|record| image.replay(image.end_offset(), &record).unwrap());
    }

    /// What a snapshot of it would be read back as: encoded at its own level of `metadata.version`.
    fn read_back(image: &MetadataImage) -> MetadataImage {
        let mut records = controller::records_for(image);
        records.extend(image.records());
        let mut back = MetadataImage::default();
        back.replay_all(0, &records).unwrap();
        back.set_end_offset(image.end_offset());
        back
    }

    fn topic(id: u128, name: &str) -> MetadataRecord<'_> {
        TopicRecord { name, topic_id: Uuid::from_u128(id) }.into()
    }

    fn config<'a>(resource_type: i8, resource_name: &'a str, name: &'a str, value: &'a str) -> MetadataRecord<'a> {
        ConfigRecord { resource_type, resource_name, name, value: Some(value) }.into()
    }

    /// No field of it has the value that it begins with.
    fn partition(partition_id: i32) -> MetadataRecord<'static> {
        PartitionRecord {
            partition_id,
            topic_id: Uuid::from_u128(1),
            replicas: vec![1, 2, 3].into(),
            isr: vec![2, 1].into(),
            removing_replicas: vec![3].into(),
            adding_replicas: vec![2].into(),
            leader: 2,
            leader_recovery_state: 1,
            leader_epoch: 7,
            partition_epoch: 9,
            directories: (5..8).map(Uuid::from_u128).collect(),
            eligible_leader_replicas: Some(vec![3].into()),
            last_known_elr: Some(vec![1, 3].into()),
        }
        .into()
    }

    /// An image that has something in every part.
    fn image_of_everything() -> MetadataImage {
        let features = || [SupportedFeature { name: "f", min_supported_version: 1, max_supported_version: 3 }];
        let end_point = |name| EndPoint { name, host: "h", port: 9092, security_protocol: 0 };
        let end_points = || ["A", "B"].map(end_point);
        let broker = |broker_id| RegisterBrokerRecord {
            broker_id,
            is_migrating_zk_broker: true,
            incarnation_id: Uuid::from_u128(11),
            broker_epoch: 12,
            end_points: end_points().into_iter().collect(),
            features: features().into_iter().collect(),
            rack: Some("rack"),
            fenced: false,
            in_controlled_shutdown: true,
            log_dirs: (5..8).map(Uuid::from_u128).collect(),
            cordoned_log_dirs: Some(vec![Uuid::from_u128(5)].into()),
        };
        let level = |name, feature_level| FeatureLevelRecord { name, feature_level };
        let quota = |name, value| ClientQuotaRecord {
            entity: vec![
                QuotaEntity { entity_type: "user", entity_name: name },
                QuotaEntity { entity_type: "client-id", entity_name: None },
            ]
            .into(),
            key: "producer_byte_rate",
            value,
            remove: false,
        };
        let token = DelegationTokenRecord {
            owner: "User:ada",
            requester: "User:ada",
            renewers: vec!["User:bob"].into(),
            issue_timestamp: 1,
            max_timestamp: 2,
            expiration_timestamp: 3,
            token_id: "token",
        };
        let controller = RegisterControllerRecord {
            controller_id: 1,
            incarnation_id: Uuid::from_u128(13),
            zk_migration_ready: true,
            end_points: end_points().into_iter().collect(),
            features: features().into_iter().collect(),
        };
        let mut image = MetadataImage::default();
        replay(
            &mut image,
            [
                level("group.version", 1).into(),
                level(METADATA_VERSION, 30).into(),
                ZkMigrationStateRecord { zk_migration_state: 3 }.into(),
                broker(1).into(),
                broker(2).into(),
                controller.into(),
                topic(1, "t"),
                partition(0),
                partition(1),
                topic(2, "without-partitions"),
                config(resource_type::TOPIC, "t", "retention.ms", "5"),
                config(resource_type::TOPIC, "nowhere", "retention.ms", "5"),
                config(resource_type::BROKER, "", "min.insync.replicas", "1"),
                config(resource_type::BROKER, "1", "num.io.threads", "3"),
                config(resource_type::GROUP, "g", "consumer.session.timeout.ms", "50000"),
                config(16, "metrics", "interval.ms", "100"),
                quota(Some("ada"), 0.1 + 0.2).into(),
                quota(None, 1e300).into(),
                ProducerIdsRecord { broker_id: 1, broker_epoch: 12, next_producer_id: 7000 }.into(),
                acl().into(),
                scram().into(),
                token.into(),
            ],
        );
        image
    }

    #[test]
    fn nothing_is_lost_on_the_way_to_records_and_back() {
        let image = image_of_everything();
        assert_eq!(read_back(&image), image);
        assert_eq!(image.records().count() as i64, image.end_offset(), "one record for each");
    }

    #[test]
    fn every_change_of_a_registration_or_a_partition_is_kept() {
        let mut image = image_of_everything();
        let cleared = |topic_name| MetadataRecord::from(ClearElrRecord { topic_name });
        let change = |change: BrokerRegistrationChangeRecord<'static>| MetadataRecord::from(change);
        let of_broker = || BrokerRegistrationChangeRecord { broker_id: 1, broker_epoch: 12, ..Default::default() };
        let of_partition = || PartitionChangeRecord { topic_id: Uuid::from_u128(1), ..Default::default() };
        let changes = [
            change(BrokerRegistrationChangeRecord { cordoned_log_dirs: Some([].into_iter().collect()), ..of_broker() }),
            change(BrokerRegistrationChangeRecord { log_dirs: vec![Uuid::from_u128(9)].into(), ..of_broker() }),
            FenceBrokerRecord { id: 2, epoch: 12 }.into(),
            PartitionChangeRecord { partition_id: 0, adding_replicas: Some(vec![].into()), ..of_partition() }.into(),
            PartitionChangeRecord { partition_id: 0, leader_recovery_state: 0, ..of_partition() }.into(),
            cleared("t"),
            PartitionChangeRecord { partition_id: 1, last_known_elr: Some(vec![2].into()), ..of_partition() }.into(),
            cleared(""),
        ];
        for record in changes {
            let before = MetadataImage { end_offset: image.end_offset + 1, ..image.clone() };
            image.replay(image.end_offset(), &record).unwrap();
            assert_ne!(image, before, "{record:?} changes nothing");
            assert_eq!(read_back(&image), image, "{record:?}");
        }
        let partition = image.partition(&Uuid::from_u128(1), 1).unwrap();
        assert_eq!((partition.placement.eligible_leader_replicas.len(), partition.partition_epoch), (0, 12));
    }

    #[test]
    fn what_kafka_and_the_controller_write_comes_back() {
        let mut image = golden();
        assert_eq!(read_back(&image), image);
        let (node, identity) = (controller::tests::node(), controller::tests::identity());
        for batch in controller::start(&image, &node, &identity, random(1)) {
            image.replay_all(image.end_offset(), &batch).unwrap();
        }
        assert_eq!(read_back(&image), image);
    }
}
