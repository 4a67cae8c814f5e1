//! The simulated administrator: creates, deletes and creates topics again, and finds out what became of requests whose
//! answer was lost.
//!
//! What a topic looks like follows from its name, so that it does not matter which of several attempts made it.

use std::cell::Cell;
use std::io;

use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicState,
    DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest, MetadataResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use super::bench::Client;
use super::changes;
use super::model::{Class, Stage};
use super::wire::Link;

/// What topics of a name look like.
#[derive(Debug, Clone)]
pub struct TopicPlan {
    pub name: String,
    pub class: Class,
    pub partitions: usize,
    pub segment_bytes: u32,
    pub index_interval_bytes: u32,
    /// May be deleted.
    pub passing: bool,
    /// Its records may be deleted, and its configuration altered.
    pub changing: bool,
}

/// Starts the administrator.
pub fn start(client: Client, plans: Vec<TopicPlan>) {
    client.reactor.clone().spawn(async move {
        let admin = Admin { client, plans, life: Cell::new(0) };
        loop {
            let ended = admin.converse().await;
            admin.client.note(|| format!("admin: {:?}", ended.err()));
            admin.client.pause(20_000).await;
        }
    });
}

struct Admin {
    client: Client,
    plans: Vec<TopicPlan>,
    /// The broker's life in which the present connection was opened.
    life: Cell<u64>,
}

impl Admin {
    async fn converse(&self) -> io::Result<()> {
        self.life.set(self.client.bench.life.get());
        let mut link = Link::connect(&self.client.reactor, self.client.bench.broker).await?;
        loop {
            self.look(&mut link).await?;
            let plan = &self.plans[self.client.below(self.plans.len() as u64) as usize];
            let found = {
                let model = self.client.bench.model.borrow();
                let found =
                    model.topics.iter().find(|(_, topic)| topic.name == plan.name && topic.stage != Stage::Deleted);
                found.map(|(&topic_id, topic)| (topic_id, topic.stage))
            };
            match found {
                Some((topic_id, Stage::Deleting)) => self.delete(&mut link, topic_id).await?,
                _ if self.client.bench.draining.get() => {}
                None => self.create(&mut link, plan).await?,
                Some((topic_id, _)) if plan.passing && self.client.one_in(6) => {
                    self.delete(&mut link, topic_id).await?
                }
                Some((topic_id, _)) if plan.changing && self.client.one_in(2) => {
                    changes::change(&self.client, &mut link, topic_id, self.life.get()).await?;
                }
                Some(_) => {}
            }
            self.client.pause(10_000).await;
        }
    }

    /// Compares what topics there are with what should be there.
    async fn look(&self, link: &mut Link) -> io::Result<()> {
        let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
        let answer = link.call(ApiKey::Metadata, 12, &request).await?;
        let answer: MetadataResponse<'_> = answer.decode();
        let mut model = self.client.bench.model.borrow_mut();
        let found: Vec<Uuid> = answer.topics.iter().map(|topic| topic.topic_id).collect();
        for (topic_id, topic) in &mut model.topics {
            let is_there = found.contains(topic_id);
            match topic.stage {
                Stage::Live => assert!(is_there, "topic {} is lost", topic.name),
                Stage::Deleting if !is_there => topic.stage = Stage::Deleted,
                Stage::Deleting => {}
                Stage::Deleted => assert!(!is_there, "topic {} came back", topic.name),
            }
        }
        for topic in &answer.topics {
            let name = topic.name.unwrap_or_default();
            let Some(plan) = self.plans.iter().find(|plan| plan.name == name) else { panic!("topic {name} of nobody") };
            assert_eq!(topic.partitions.len(), plan.partitions, "partitions of {name}");
            if !model.topics.contains_key(&topic.topic_id) {
                model.created(topic.topic_id, name, plan.class, plan.partitions);
            }
        }
        Ok(())
    }

    async fn create(&self, link: &mut Link, plan: &TopicPlan) -> io::Result<()> {
        let values = [plan.segment_bytes.to_string(), plan.index_interval_bytes.to_string()];
        let class = match plan.class {
            Class::Sync => "sync",
            Class::PageCache => "page-cache",
        };
        let configs = [
            CreatableTopicConfig { name: "internal.segment.bytes", value: Some(&values[0]) },
            CreatableTopicConfig { name: "index.interval.bytes", value: Some(&values[1]) },
            CreatableTopicConfig { name: "ringlog.durability", value: Some(class) },
        ];
        let topic = CreatableTopic {
            name: &plan.name,
            num_partitions: plan.partitions as i32,
            replication_factor: 1,
            assignments: Default::default(),
            configs: configs[..].into(),
        };
        let request = CreateTopicsRequest { topics: vec![topic].into(), timeout_ms: 30_000, validate_only: false };
        let answer = link.call(ApiKey::CreateTopics, 7, &request).await?;
        let answer: CreateTopicsResponse<'_> = answer.decode();
        let result = answer.topics.iter().next().expect("one topic was asked");
        self.client
            .note(|| format!("create {} ({:?}): {} {}", plan.name, plan.class, result.error_code, result.topic_id));
        match result.error_code {
            ErrorCode::NONE => {
                self.client.bench.model.borrow_mut().created(result.topic_id, &plan.name, plan.class, plan.partitions);
            }
            // An attempt whose answer was lost: the next look finds it.
            ErrorCode::TOPIC_ALREADY_EXISTS => {}
            ErrorCode::KAFKA_STORAGE_ERROR if self.client.bench.tolerates_errors(self.life.get()) => {}
            code => panic!("create {}: {code} {:?}", plan.name, result.error_message),
        }
        Ok(())
    }

    async fn delete(&self, link: &mut Link, topic_id: Uuid) -> io::Result<()> {
        let set_stage = |stage| {
            let mut model = self.client.bench.model.borrow_mut();
            model.topics.get_mut(&topic_id).expect("a known topic").stage = stage;
        };
        set_stage(Stage::Deleting);
        let topics = vec![DeleteTopicState { name: None, topic_id }].into();
        let request = DeleteTopicsRequest { topics, topic_names: Default::default(), timeout_ms: 30_000 };
        let answer = link.call(ApiKey::DeleteTopics, 6, &request).await?;
        let answer: DeleteTopicsResponse<'_> = answer.decode();
        let result = answer.responses.iter().next().expect("one topic was asked");
        self.client.note(|| format!("delete {topic_id}: {}", result.error_code));
        match result.error_code {
            ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_ID => set_stage(Stage::Deleted),
            ErrorCode::KAFKA_STORAGE_ERROR if self.client.bench.tolerates_errors(self.life.get()) => {}
            code => panic!("delete {topic_id}: {code}"),
        }
        Ok(())
    }
}
