//! Many members of a consumer group (KIP-848) with heartbeats and answers lost, members that crash and leave, topics
//! that grow, and restarts of the broker, from a seed.

use std::collections::BTreeMap;

use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::harness::{GROUP, Harness, heartbeat_848};
use super::random::{Random, for_seeds};
use crate::config::GroupSettings;
use crate::coordinator::group::{Assignment, ConsumerGroupDescription, ConsumerHeartbeat, GroupReply, GroupRequest};

const SEEDS: u64 = 60;
const STEPS: usize = 300;
const CLIENTS: usize = 5;

#[derive(Debug, Default)]
struct Client {
    member_id: String,
    member_epoch: i32,
    owned: Assignment,
    /// The broker does not know yet that it gave something up, or took something.
    owes_owned: bool,
    /// An answer was lost: the client says everything again, and is told everything.
    owes_all: bool,
}

struct Model {
    harness: Harness,
    clients: Vec<Client>,
    random: Random,
    lives: u32,
    partitions: i32,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut harness = Harness::new(GroupSettings::default());
        harness.topics.set(&[("t", 5), ("u", 3)]);
        harness.assignment_interval_ms = [0, 1000, 7000][(seed % 3) as usize];
        let mut model = Self { harness, clients: Vec::new(), random: Random::new(seed), lives: 0, partitions: 5 };
        model.clients = (0..CLIENTS).map(|_| model.new_client()).collect();
        model
    }

    fn new_client(&mut self) -> Client {
        self.lives += 1;
        Client { member_id: format!("member-{}", self.lives), ..Client::default() }
    }

    fn step(&mut self) {
        let at = self.random.below(CLIENTS as u64) as usize;
        match self.random.below(100) {
            0..3 => self.clients[at] = self.new_client(),
            3..6 => {
                let request = heartbeat_848(&self.clients[at].member_id, -1);
                self.harness.ask(GroupRequest::ConsumerHeartbeat(request));
                self.clients[at] = self.new_client();
            }
            6..9 => self.harness.reload(),
            9..11 => {
                self.partitions = (self.partitions + 1).min(9);
                self.harness.topics.set(&[("t", self.partitions), ("u", 3)]);
            }
            11..25 => {
                let ms = self.random.below(9000) as i64;
                self.harness.pass(ms);
            }
            25..32 => self.heartbeat(at, true),
            _ => self.heartbeat(at, false),
        }
        self.check();
    }

    fn heartbeat(&mut self, at: usize, is_answer_lost: bool) {
        let client = &mut self.clients[at];
        let mut request = heartbeat_848(&client.member_id, client.member_epoch);
        if client.member_epoch > 0 && client.owes_owned {
            request.owned = Some(client.owned.clone());
        }
        if client.member_epoch > 0 && client.owes_all {
            let all = heartbeat_848(&client.member_id, 0);
            request = ConsumerHeartbeat { member_epoch: client.member_epoch, owned: Some(client.owned.clone()), ..all };
        }
        let GroupReply::ConsumerHeartbeat(reply) = self.harness.ask(GroupRequest::ConsumerHeartbeat(request)) else {
            panic!("a heartbeat is answered by a heartbeat")
        };
        if is_answer_lost {
            client.owes_all = true;
            return;
        }
        client.owes_all = false;
        match reply {
            Ok(reply) => {
                client.member_epoch = reply.member_epoch;
                client.owes_owned = false;
                if let Some(assignment) = reply.assignment {
                    client.owes_owned = client.owned != assignment;
                    client.owned = assignment;
                }
            }
            // It gives everything up and joins again.
            Err(error) => {
                assert!(
                    matches!(
                        error.error_code,
                        ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::GROUP_ID_NOT_FOUND
                    ),
                    "{error:?}"
                );
                (client.member_epoch, client.owes_owned) = (0, false);
                client.owned.clear();
            }
        }
    }

    fn describe(&mut self) -> Option<ConsumerGroupDescription> {
        match self.harness.ask(GroupRequest::ConsumerDescribe(GROUP.to_owned())) {
            GroupReply::ConsumerDescribe(description) => description.ok(),
            other => panic!("{other:?}"),
        }
    }

    /// Among the members that the group knows, a partition is read by one.
    fn check(&mut self) {
        let Some(description) = self.describe() else { return };
        assert!(description.assignment_epoch <= description.group_epoch);
        let mut readers: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
        for client in &self.clients {
            let is_member = description
                .members
                .iter()
                .any(|member| member.member_id == client.member_id && client.member_epoch > 0);
            if !is_member {
                continue;
            }
            for (topic_id, partitions) in &client.owned {
                for partition in partitions {
                    let other = readers.insert((*topic_id, *partition), &client.member_id);
                    assert_eq!(other, None, "{topic_id} {partition} also at {}", client.member_id);
                }
            }
        }
    }

    /// When nothing is lost any more, all is read, evenly, in a bounded number of rounds.
    fn converge(&mut self) {
        for _ in 0..40 {
            for at in 0..CLIENTS {
                self.heartbeat(at, false);
                self.check();
            }
            self.harness.pass(5000);
            let description = self.describe().expect("has members");
            if description.state == "Stable" && description.members.len() == CLIENTS {
                let loads = self.clients.iter().map(|client| client.owned.values().map(|held| held.len()).sum());
                let loads: Vec<usize> = loads.collect();
                assert_eq!(loads.iter().sum::<usize>(), self.partitions as usize);
                assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
                return;
            }
        }
        panic!("no stable group: {:?}", self.describe());
    }
}

#[test]
fn members_never_share_a_partition_and_always_settle() {
    for_seeds(SEEDS, |seed| {
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step();
        }
        model.converge();
    });
}
