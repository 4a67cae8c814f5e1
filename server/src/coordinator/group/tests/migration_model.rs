//! A group with members of both protocols, which come, go silently, and change their protocol, from a seed.

use std::collections::{BTreeMap, BTreeSet};

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_protocol::ConsumerProtocolAssignment;
use uuid::Uuid;

use super::harness::{GROUP, Harness, assignment, heartbeat_848, join, owning, sync};
use super::random::{Random, for_seeds};
use crate::config::GroupSettings;
use crate::coordinator::group::{Assignment, ConsumerGroupDescription, ConsumerHeartbeat, GroupReply, GroupRequest};

const SEEDS: u64 = 60;
const STEPS: usize = 300;
const CLIENTS: usize = 5;
const PARTITIONS: i32 = 8;

/// A client that gives up at once what it must.
struct Client {
    member_id: String,
    is_classic: bool,
    /// Or generation; 0 while it is no member.
    epoch: i32,
    owned: BTreeSet<i32>,
}

impl Client {
    fn forget(&mut self) {
        (self.epoch, self.owned) = (0, BTreeSet::new());
    }

    fn act(&mut self, harness: &mut Harness) {
        if self.is_classic { self.act_classic(harness) } else { self.act_848(harness) }
    }

    fn act_848(&mut self, harness: &mut Harness) {
        let mut request = heartbeat_848(&self.member_id, self.epoch);
        if self.epoch > 0 {
            let owned = Assignment::from([(Uuid::from_u128(1), self.owned.clone())]);
            request = ConsumerHeartbeat { owned: Some(owned), ..request };
        }
        let GroupReply::ConsumerHeartbeat(reply) = harness.ask(GroupRequest::ConsumerHeartbeat(request)) else {
            panic!("a heartbeat is answered by a heartbeat")
        };
        let Ok(reply) = reply else { return self.forget() };
        self.epoch = reply.member_epoch;
        if let Some(assigned) = reply.assignment {
            self.owned = assigned.into_values().flatten().collect();
        }
    }

    /// A heartbeat, and a join and a sync if it says so.
    fn act_classic(&mut self, harness: &mut Harness) {
        if self.epoch > 0 && harness.heartbeat(&self.member_id, self.epoch) == ErrorCode::NONE {
            return;
        }
        let held: Vec<i32> = self.owned.iter().copied().collect();
        let token = harness.send(GroupRequest::Join(owning(join(&self.member_id, &["range"]), &held)));
        let reply = harness.take_join(token).expect("a consumer group answers at once");
        if reply.error_code != ErrorCode::NONE {
            return self.forget();
        }
        let token = harness.send(GroupRequest::Sync(sync(&self.member_id, reply.generation_id)));
        let Ok(reply_to_sync) = harness.take_sync(token).expect("answered at once") else { return self.forget() };
        let (_, assigned) = ConsumerProtocolAssignment::from_bytes(&reply_to_sync.assignment).expect("an assignment");
        self.epoch = reply.generation_id;
        self.owned =
            assigned.assigned_partitions.iter().flat_map(|topic| topic.partitions.iter().collect::<Vec<_>>()).collect();
    }
}

struct Model {
    harness: Harness,
    clients: Vec<Client>,
    random: Random,
    lives: u32,
}

impl Model {
    /// Two classic members, and one that makes their group a consumer group and stays.
    fn new(seed: u64) -> Self {
        let mut harness = Harness::new(GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() });
        harness.topics.set(&[("t", PARTITIONS)]);
        harness.assignment_interval_ms = [0, 1000, 7000][(seed % 3) as usize];
        harness.assignment_of = |_, at| assignment("t", &[at as i32 * 2, at as i32 * 2 + 1]);
        let (ids, generation) = harness.stable_group(2);
        let mut model = Self { harness, clients: Vec::new(), random: Random::new(seed), lives: 0 };
        let stays = model.new_client(false);
        model.clients.push(stays);
        for member_id in ids {
            model.clients.push(Client { member_id, is_classic: true, epoch: generation, owned: BTreeSet::new() });
        }
        while model.clients.len() < CLIENTS {
            let client = model.new_client(true);
            model.clients.push(client);
        }
        model.clients[0].act(&mut model.harness);
        model
    }

    fn new_client(&mut self, is_classic: bool) -> Client {
        self.lives += 1;
        Client { member_id: format!("member-{}", self.lives), is_classic, epoch: 0, owned: BTreeSet::new() }
    }

    fn step(&mut self) {
        let at = self.random.below(CLIENTS as u64) as usize;
        match self.random.below(100) {
            0..4 if at > 0 => {
                let is_classic = self.random.below(2) == 0;
                self.clients[at] = self.new_client(is_classic);
            }
            4..7 if at > 0 && self.clients[at].is_classic => {
                self.harness.leave(&self.clients[at].member_id, None);
                self.clients[at].forget();
            }
            7..10 => self.harness.reload(),
            10..20 => {
                let ms = self.random.below(3000) as i64;
                self.harness.pass(ms);
                self.clients[0].act(&mut self.harness);
            }
            _ => self.clients[at].act(&mut self.harness),
        }
        self.check();
    }

    fn describe(&mut self) -> ConsumerGroupDescription {
        match self.harness.ask(GroupRequest::ConsumerDescribe(GROUP.to_owned())) {
            GroupReply::ConsumerDescribe(Ok(description)) => description,
            other => panic!("{other:?}"),
        }
    }

    /// Among the members that the group knows, a partition is read by one.
    fn check(&mut self) {
        let group = self.describe();
        let mut readers: BTreeMap<i32, &str> = BTreeMap::new();
        for client in self.clients.iter().filter(|client| client.epoch > 0) {
            if group.members.iter().all(|member| member.member_id != client.member_id) {
                continue;
            }
            for partition in &client.owned {
                let other = readers.insert(*partition, &client.member_id);
                assert_eq!(other, None, "{partition} also at {}", client.member_id);
            }
        }
    }

    /// When nobody goes any more, all is read, in a bounded number of rounds.
    fn converge(&mut self) {
        for _ in 0..40 {
            for at in 0..CLIENTS {
                self.clients[at].act(&mut self.harness);
                self.check();
            }
            self.harness.pass(3000);
            let group = self.describe();
            if group.state == "Stable" && group.members.len() == CLIENTS {
                let owned: BTreeSet<i32> = self.clients.iter().flat_map(|client| client.owned.clone()).collect();
                assert_eq!(owned.len(), PARTITIONS as usize);
                return;
            }
        }
        panic!("no stable group: {:?}", self.describe());
    }
}

#[test]
fn members_of_both_protocols_never_share_a_partition_and_always_settle() {
    for_seeds(SEEDS, |seed| {
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step();
        }
        model.converge();
    });
}
