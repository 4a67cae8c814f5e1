//! Many members against one coordinator, with messages lost and late, members that crash, and restarts of the broker,
//! from a seed. The log is the model's judge: whatever was acked is there after a restart.

use std::collections::BTreeMap;

use ringlog_core::protocol::ErrorCode;

use super::harness::{GROUP, Harness, commit, join, sync};
use super::random::{Random, for_seeds};
use crate::coordinator::group::{GroupReply, GroupRequest, JoinGroup, SyncGroup, Token};

const SEEDS: u64 = 60;
const STEPS: usize = 400;
const CLIENTS: usize = 6;

/// What a client is doing.
#[derive(Debug, Clone, Default)]
enum Step {
    #[default]
    Joining,
    AwaitsJoin(Token),
    AwaitsSync(Token),
    Member,
}

#[derive(Debug, Default)]
struct Client {
    member_id: String,
    generation_id: i32,
    step: Step,
    /// A static member keeps its place over a crash.
    instance_id: Option<String>,
}

struct Model {
    harness: Harness,
    clients: Vec<Client>,
    random: Random,
    /// The one who holds the whole topic, by generation.
    owners: BTreeMap<i32, String>,
    acked_offset: i64,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::default()).collect();
        clients[0].instance_id = Some("static".to_owned());
        Self {
            harness: Harness::without_delay(),
            clients,
            random: Random::new(seed),
            owners: BTreeMap::new(),
            acked_offset: -1,
        }
    }

    fn step(&mut self) {
        let client = self.random.below(CLIENTS as u64) as usize;
        match self.random.below(100) {
            0..3 => {
                self.clients[client] =
                    Client { instance_id: self.clients[client].instance_id.take(), ..Client::default() }
            }
            3..5 => self.restart(),
            5..7 => self.leave(client),
            7..30 => {
                let ms = self.random.below(4000) as i64;
                self.harness.pass(ms);
            }
            // The request is lost, or the answer will be.
            30..35 => {}
            _ => self.act(client),
        }
        self.check();
    }

    fn restart(&mut self) {
        self.harness.reload();
        self.harness.replies.clear();
        // Connections are gone, and with them what was waited for.
        for client in &mut self.clients {
            match client.step {
                Step::AwaitsJoin(_) => client.step = Step::Joining,
                Step::AwaitsSync(_) => client.step = Step::Joining,
                Step::Joining | Step::Member => {}
            }
        }
    }

    fn leave(&mut self, at: usize) {
        let client = &self.clients[at];
        if matches!(client.step, Step::Member) && client.instance_id.is_none() {
            let member_id = client.member_id.clone();
            self.harness.leave(&member_id, None);
            self.clients[at] = Client::default();
        }
    }

    fn act(&mut self, at: usize) {
        match self.clients[at].step.clone() {
            Step::Joining => self.join(at),
            Step::AwaitsJoin(token) => self.on_join(at, token),
            Step::AwaitsSync(token) => self.on_sync(at, token),
            Step::Member => self.poll(at),
        }
    }

    fn join(&mut self, at: usize) {
        let client = &self.clients[at];
        let request =
            JoinGroup { group_instance_id: client.instance_id.clone(), ..join(&client.member_id, &["range"]) };
        let token = self.harness.send(GroupRequest::Join(request));
        self.clients[at].step = Step::AwaitsJoin(token);
    }

    fn on_join(&mut self, at: usize, token: Token) {
        let Some(reply) = self.harness.take_join(token) else { return };
        let client = &mut self.clients[at];
        client.step = Step::Joining;
        match reply.error_code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => return client.member_id = reply.member_id,
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => return client.member_id.clear(),
            ErrorCode::REBALANCE_IN_PROGRESS => return,
            other => panic!("{other}"),
        }
        (client.member_id, client.generation_id) = (reply.member_id.clone(), reply.generation_id);
        // Without members there is nothing to assign.
        let assigns = !reply.members.is_empty() && !reply.skip_assignment;
        let assignments = if assigns {
            let owner = &reply.members[0].member_id;
            vec![(owner.clone(), bytes::Bytes::from_static(b"all of it"))]
        } else {
            Vec::new()
        };
        let instance_id = client.instance_id.clone();
        let request =
            SyncGroup { assignments, group_instance_id: instance_id, ..sync(&client.member_id, client.generation_id) };
        let token = self.harness.send(GroupRequest::Sync(request));
        self.clients[at].step = Step::AwaitsSync(token);
    }

    fn on_sync(&mut self, at: usize, token: Token) {
        let Some(reply) = self.harness.take_sync(token) else { return };
        let client = &mut self.clients[at];
        client.step = Step::Joining;
        match reply {
            Ok(reply) => {
                client.step = Step::Member;
                if !reply.assignment.is_empty() {
                    // A static member that came back holds its own place under a new id.
                    let name = client.instance_id.clone().unwrap_or_else(|| client.member_id.clone());
                    let owner = self.owners.entry(client.generation_id).or_insert_with(|| name.clone());
                    assert_eq!(*owner, name, "two owners in generation {}", client.generation_id);
                }
            }
            Err(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID) => client.member_id.clear(),
            Err(ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// A heartbeat, and a commit from the one who owns the topic.
    fn poll(&mut self, at: usize) {
        let Client { member_id, generation_id, .. } = &self.clients[at];
        let (member_id, generation_id) = (member_id.clone(), *generation_id);
        match self.harness.heartbeat(&member_id, generation_id) {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.clients[at].member_id.clear();
                return self.clients[at].step = Step::Joining;
            }
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION => {
                return self.clients[at].step = Step::Joining;
            }
            other => panic!("{other}"),
        }
        if self.owners.get(&generation_id) == Some(&member_id) {
            let offset = self.acked_offset.max(0) + 1;
            match self.harness.commit(commit(&member_id, generation_id, offset)) {
                Ok(codes) => {
                    assert_eq!(codes, [ErrorCode::NONE]);
                    self.acked_offset = offset;
                }
                Err(
                    ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION | ErrorCode::REBALANCE_IN_PROGRESS,
                ) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn check(&mut self) {
        assert_eq!(self.harness.committed(), self.acked_offset, "an acked commit is never behind");
    }

    /// From any state: when nothing is lost any more, the group is stable in a bounded time.
    fn converge(&mut self) {
        for _ in 0..200 {
            for client in 0..CLIENTS {
                self.act(client);
            }
            self.harness.pass(500);
            let all_in = self.clients.iter().all(|client| matches!(client.step, Step::Member));
            if all_in && self.harness.state() == "Stable" {
                let description = self.harness.ask(GroupRequest::Describe(GROUP.to_owned()));
                let GroupReply::Describe(Ok(description)) = description else { panic!("{description:?}") };
                if description.members.len() == CLIENTS {
                    return;
                }
            }
        }
        panic!("no stable group: {:?} {:?}", self.harness.state(), self.clients);
    }
}

#[test]
fn members_that_come_and_go_never_share_a_partition_and_always_settle() {
    for_seeds(SEEDS, |seed| {
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step();
        }
        model.converge();
    });
}
