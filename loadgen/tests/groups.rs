//! Consumer groups against a sink that is right, or wrong in a known way, in one simulated world.

#[path = "common/sink_world.rs"]
mod sink_world;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::reactor::sim::SimNetConfig;
use ringlog_loadgen::client::{
    Asker, Pace, Pipe, Route, RouteEnd, SESSION, SetupError, Target, TopicSpec, drive, prepare,
};
use ringlog_loadgen::findings::{Failure, Findings};
use ringlog_loadgen::recorder::Recorder;
use ringlog_loadgen::series::Cut;
use ringlog_loadgen::sink::{Fault, SinkConfig};
use ringlog_loadgen::workload::{Commit, Commits, FetchOffsets, Heartbeats, Member, Workload};
use sink_world::SinkWorld;

const DEADLINE: Duration = Duration::from_secs(60);
const REQUESTS: u64 = 100;
/// In every Heartbeat of a sink.
const HEARTBEAT_VERSION: i16 = 4;

impl SinkWorld {
    fn with_fault(fault: Option<(Fault, u64)>) -> Self {
        Self::new(SimNetConfig::default(), SinkConfig { fault, ..SinkConfig::default() })
    }

    fn target(&self) -> Target {
        let (reactor, address) = (self.client.clone(), self.address.to_string());
        let topic = TopicSpec { name: "t".to_owned(), partitions: Some(3), ..TopicSpec::default() };
        let prepared = async move { prepare(&reactor, &address, &topic).await };
        self.world.block_on(&self.client, DEADLINE, prepared).expect("the sink answers")
    }

    /// What was wrong with so many requests of one connection.
    fn findings<W: Workload + 'static>(&self, workload: W) -> Findings {
        self.run(workload, 0).0
    }

    /// So many requests of one connection, each sent again so often: what was wrong, and how many were done in the end.
    fn run<W: Workload + 'static>(&self, workload: W, retries_max: u32) -> (Findings, u64) {
        let pace = Pace { in_flight_max: 4, retries_max, end: DEADLINE, requests_max: REQUESTS, ..Pace::default() };
        let recorder = Recorder::new(Cut { start: Duration::ZERO, length: DEADLINE });
        let pipe = Rc::new(RefCell::new(Pipe::new(workload, pace, Rc::new(RefCell::new(recorder)))));
        let (reactor, address, driven) = (self.client.clone(), self.address, Rc::clone(&pipe));
        self.world.block_on(&self.client, DEADLINE, async move {
            let socket = reactor.connect(address).await.expect("the sink listens");
            let route = Route { address, bootstrap: address, end: RouteEnd::Coordinator("g".to_owned()) };
            drive(&reactor, route, socket, &driven, reactor.now());
        });
        assert!(self.world.run_until(DEADLINE, || pipe.borrow().is_done()), "the run ends");
        let pipe = pipe.borrow();
        let requests = pipe.recorder.borrow().settled().requests;
        (pipe.findings.clone(), requests)
    }

    /// Commits for three groups; then each group has what it should.
    fn committed(&self, retries_max: u32) -> (Findings, u64) {
        let commits = Commits::new(&self.target(), "g", 3, 1_000).expect("the sink has OffsetCommit");
        let (mut findings, requests) = self.run(Commit::new(&commits, vec![0, 1, 2]), retries_max);
        let (reactor, address) = (self.client.clone(), self.address);
        let verified = self.world.block_on(&self.client, DEADLINE, async move {
            let mut findings = Findings::default();
            for group in 0..3 {
                let mut asker = Asker::connect(&reactor, address).await.expect("the sink listens");
                commits.verify(group, &mut asker, &mut findings).await.expect("the sink has OffsetFetch");
            }
            findings
        });
        findings.merge(&verified);
        (findings, requests)
    }

    /// Joins, is given its part, says that it is there, and leaves.
    fn member(&self) -> Result<(), SetupError> {
        let (reactor, address) = (self.client.clone(), self.address);
        self.world.block_on(&self.client, DEADLINE, async move {
            let mut asker = Asker::connect(&reactor, address).await?;
            let joined = asker.join("g", "", SESSION).await?;
            asker.sync("g", &joined).await?;
            asker.heartbeat("g", &joined).await?;
            asker.leave("g", &joined).await
        })
    }

    /// Asks three groups after each has committed.
    fn asked(&self) -> Findings {
        let commits = Commits::new(&self.target(), "g", 3, 1_000).expect("the sink has OffsetCommit");
        let (reactor, address, committing) = (self.client.clone(), self.address, Arc::clone(&commits));
        self.world.block_on(&self.client, DEADLINE, async move {
            let mut asker = Asker::connect(&reactor, address).await.expect("the sink listens");
            for group in 0..3 {
                committing.commit_first(group, &mut asker).await.expect("the sink has OffsetCommit");
            }
        });
        self.findings(FetchOffsets::new(&commits, vec![0, 1, 2]))
    }
}

#[test]
fn a_member_is_given_its_own_part_or_told() {
    SinkWorld::with_fault(None).member().expect("a right coordinator");
    let wrong = SinkWorld::with_fault(Some((Fault::WrongAssignment, 1))).member();
    assert!(matches!(wrong, Err(SetupError::Assignment { .. })), "{wrong:?}");
    let dead = SinkWorld::with_fault(Some((Fault::Error, 2))).member();
    assert!(matches!(dead, Err(SetupError::Refused { code: ErrorCode::UNKNOWN_MEMBER_ID, .. })), "{dead:?}");
}

#[test]
fn a_commit_that_was_refused_or_lost_is_sent_again() {
    // An error stands for a partition, of which a commit has three.
    let wrong = Failure::Code(ErrorCode::NOT_COORDINATOR);
    for (fault, failure, of_commit) in [(Fault::Error, wrong, 3), (Fault::Close, Failure::ConnectionLost, 1)] {
        let (findings, requests) = SinkWorld::with_fault(Some((fault, 10))).committed(0);
        assert!(findings.is_verified() && findings.retries.is_empty(), "{findings:?}");
        assert_eq!(requests + findings.errors[&failure] / of_commit, REQUESTS, "{findings:?}");
        let (findings, requests) = SinkWorld::with_fault(Some((fault, 10))).committed(5);
        assert!(findings.is_clean() && findings.retries[&failure] > 5, "{findings:?}");
        assert_eq!(requests, REQUESTS);
    }
    // Where every answer refuses, each commit is sent twice, and has failed.
    let (findings, requests) = SinkWorld::with_fault(Some((Fault::Error, 1))).committed(1);
    assert_eq!((requests, findings.errors[&wrong], findings.retries[&wrong]), (0, 3 * REQUESTS, REQUESTS));
}

#[test]
fn refused_heartbeats_are_failures() {
    let heartbeats = || {
        let member = Member { group_id: "g".to_owned(), member_id: "m".to_owned(), generation_id: 1 };
        Heartbeats::new(&Arc::new(vec![member]), vec![0], HEARTBEAT_VERSION)
    };
    assert!(SinkWorld::with_fault(None).findings(heartbeats()).is_clean());
    let findings = SinkWorld::with_fault(Some((Fault::Error, 10))).findings(heartbeats());
    assert_eq!(findings.errors[&Failure::Code(ErrorCode::UNKNOWN_MEMBER_ID)], REQUESTS / 10);
    assert!(findings.is_verified());
}

#[test]
fn a_wrong_committed_offset_is_detected() {
    assert!(SinkWorld::with_fault(None).asked().is_clean());
    // The second of three commits is not kept.
    let findings = SinkWorld::with_fault(Some((Fault::ForgetCommit, 2))).asked();
    assert_eq!(findings.problems["wrong committed offset"], REQUESTS / 3);
}
