//! The load generator against a target that is slow or wrong in a known way, both in one simulated world: virtual time,
//! so that what is measured can be compared exactly.

#[path = "common/sink_world.rs"]
mod sink_world;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::reactor::Reactor;
use ringlog_core::reactor::sim::{SimNetConfig, SimWorld};
use ringlog_core::record::Codec;
use ringlog_loadgen::client::{Asker, Pace, Pipe, Route, RouteEnd, Shared, Target, TopicSpec, drive, prepare};
use ringlog_loadgen::findings::{Failure, Findings};
use ringlog_loadgen::plan::{Arrival, Schedule};
use ringlog_loadgen::recorder::Recorder;
use ringlog_loadgen::series::Cut;
use ringlog_loadgen::sink::{Fault, SinkConfig};
use ringlog_loadgen::workload::{
    BatchSpec, Commit, Commits, Fetch, FetchMode, FetchSpec, KeySpec, Produce, ProduceSpec, ProducerIdentity,
    Production, Requests, Sizes, Workload,
};
use sink_world::SinkWorld;

const DEADLINE: Duration = Duration::from_secs(60);
const PARTITIONS: [i32; 3] = [0, 1, 2];

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// One way of the network takes 10 us, always.
fn quiet_net() -> SimNetConfig {
    SimNetConfig { delay_ns: (10_000, 10_000), short_per_mille: 0, rearm_per_mille: 0, ..SimNetConfig::default() }
}

fn produce(target: &Target) -> Produce {
    let batch = BatchSpec {
        batch_bytes: 0,
        records: Some(3),
        sizes: Sizes::List(vec![100]),
        keys: KeySpec::None,
        codec: Codec::None,
        compressible: 0.0,
        seed: 1,
    };
    let spec = ProduceSpec { batch, partitions_per_request: 2, acks: -1 };
    let production = Production::new(target, &spec, 1).expect("the sink has Produce");
    let requests = Requests::build(&production, &PARTITIONS).expect("a few partitions fit");
    Produce::new(&production, &requests, ProducerIdentity { connection: 0, idempotent: None }, 1)
}

fn fetch(target: &Target) -> Fetch {
    let spec = FetchSpec { max_bytes: 64 << 10, min_bytes: 1, max_wait: ms(500), mode: FetchMode::Sequential, seed: 1 };
    Fetch::new(target, &PARTITIONS, &spec, 0, 10).expect("the sink holds something")
}

fn pace(rate: f64, end: Duration) -> Pace {
    let plan = schedule(rate).plan(0, 1).peekable();
    Pace { plan: Some(plan), in_flight_max: 10, end, ..Pace::default() }
}

/// Runs one connection against a sink until it is done.
fn run<W: Workload + 'static>(
    net: SimNetConfig,
    config: SinkConfig,
    pace: Pace,
    make: impl Fn(&Target) -> W + 'static,
) -> Shared<W> {
    let (world, pipe) = begin(net, config, pace, make);
    assert!(world.run_until(DEADLINE, || pipe.borrow().is_done()), "the run ends");
    pipe
}

/// One connection to a sink, before its first request.
fn begin<W: Workload + 'static>(
    net: SimNetConfig,
    config: SinkConfig,
    pace: Pace,
    make: impl Fn(&Target) -> W + 'static,
) -> (SimWorld, Shared<W>) {
    let SinkWorld { world, client, address } = SinkWorld::new(net, config);
    let connecting = client.clone();
    let pipe = world.block_on(&client, DEADLINE, async move { start(&connecting, address, pace, make).await });
    (world, pipe)
}

async fn start<W: Workload + 'static>(
    reactor: &Reactor,
    address: SocketAddr,
    pace: Pace,
    make: impl Fn(&Target) -> W,
) -> Shared<W> {
    let topic = TopicSpec { name: "t".to_owned(), partitions: Some(3), with_offsets: true, ..TopicSpec::default() };
    let target = prepare(reactor, &address.to_string(), &topic).await.expect("the sink answers");
    let socket = reactor.connect(address).await.expect("the sink listens");
    let recorder = Recorder::new(Cut { start: Duration::ZERO, length: ms(100) });
    let pipe = Rc::new(RefCell::new(Pipe::new(make(&target), pace, Rc::new(RefCell::new(recorder)))));
    let route = Route { address, bootstrap: address, end: RouteEnd::Leader(topic, 0) };
    drive(reactor, route, socket, &pipe, reactor.now());
    pipe
}

fn assert_about(nanos: u64, expected: Duration) {
    let expected = expected.as_nanos() as u64;
    assert!(nanos.abs_diff(expected) <= expected / 100, "{nanos} ns, expected {expected} ns within 1 %");
}

#[test]
fn an_injected_delay_comes_back_right() {
    for delay in [ms(5), ms(20), ms(100)] {
        let config = SinkConfig { delay, ..SinkConfig::default() };
        // Few enough that none waits for a place: 10 in flight at `delay` each.
        let rate = 5.0 / delay.as_secs_f64();
        let pipe = run(quiet_net(), config, pace(rate, ms(2_000)), produce);
        let pipe = pipe.borrow();
        let recorder = pipe.recorder.borrow().settled();
        assert!(pipe.findings.is_clean(), "{:?}", pipe.findings);
        assert_eq!(recorder.requests, (rate * 2.0) as u64);
        let expected = delay + Duration::from_micros(20);
        for quantile in [0.01, 0.5, 0.99, 1.0] {
            assert_about(recorder.latency.value_at_quantile(quantile), expected);
            assert_about(recorder.service.value_at_quantile(quantile), expected);
        }
    }
}

#[test]
fn a_stall_of_the_target_shows_in_every_request_it_delayed() {
    let config = SinkConfig { stall: Some((ms(500), ms(1_000))), ..SinkConfig::default() };
    let pipe = run(quiet_net(), config, pace(1_000.0, ms(3_000)), produce);
    let pipe = pipe.borrow();
    let recorder = pipe.recorder.borrow().settled();
    assert_eq!(recorder.requests, 3_000);
    // A third of the requests was planned during the stall, evenly: they waited from 1,000 ms down to nothing.
    assert_about(recorder.latency.max(), ms(1_000));
    assert_about(recorder.latency.value_at_quantile(0.9), ms(700));
    assert_about(recorder.latency.value_at_quantile(0.8), ms(400));
    // A clock that starts at the send sees only the ten that were in flight.
    assert!(recorder.service.value_at_quantile(0.99) < ms(1).as_nanos() as u64);
}

/// A target that is slower than the plan, as under an instrument: answers come all the time, and half of the plan is
/// still to leave when it should have ended.
#[test]
fn what_was_planned_and_has_not_left_is_counted() {
    let config = SinkConfig { delay: ms(20), ..SinkConfig::default() };
    let pace = Pace { in_flight_max: 1, ..pace(100.0, ms(2_000)) };
    let (world, pipe) = begin(quiet_net(), config, pace, produce);
    assert!(!world.run_until(ms(2_000), || pipe.borrow().is_done()));
    let mut pipe = pipe.borrow_mut();
    let left = pipe.recorder.borrow().requests as usize + pipe.in_flight_count();
    assert!((95..105).contains(&left), "{left}");
    assert_eq!((pipe.give_up_plan(), pipe.give_up_plan()), (200 - left, 0));
}

#[test]
fn the_answer_that_brings_the_last_of_a_number_of_records_ends_the_run() {
    const RECORDS: u64 = 1_000;
    let pace = Pace { records_max: RECORDS, ..pace(100.0, DEADLINE) };
    let pipe = run(quiet_net(), SinkConfig::default(), pace, fetch);
    let mut pipe = pipe.borrow_mut();
    let recorder = pipe.recorder.borrow().settled();
    let per_answer = recorder.volume.records / recorder.requests;
    assert_eq!(recorder.requests, RECORDS.div_ceil(per_answer));
    assert_eq!((pipe.give_up_plan(), pipe.findings.is_clean()), (0, true));
}

fn findings<W: Workload + 'static>(fault: Option<(Fault, u64)>, make: fn(&Target) -> W) -> Findings {
    let config = SinkConfig { fault, ..SinkConfig::default() };
    let pipe = run(SimNetConfig::default(), config, pace(1_000.0, ms(500)), make);
    pipe.borrow().findings.clone()
}

#[test]
fn a_right_target_is_verified_on_a_bad_network() {
    assert!(findings(None, produce).is_clean());
    assert!(findings(None, fetch).is_clean());
}

/// The sink closes at every hundredth request of a plan of 500: the run goes on, and what was in flight is told.
#[test]
fn a_broken_connection_is_made_again_and_what_was_lost_is_counted() {
    let config = SinkConfig { fault: Some((Fault::Close, 100)), ..SinkConfig::default() };
    let pipe = run(quiet_net(), config, pace(1_000.0, ms(500)), produce);
    let pipe = pipe.borrow();
    let recorder = pipe.recorder.borrow().settled();
    assert!(pipe.findings.is_verified(), "{:?}", pipe.findings);
    let lost = pipe.findings.errors[&Failure::ConnectionLost];
    assert_eq!((recorder.failed, recorder.requests), (lost, 500 - lost));
    assert!((5..50).contains(&lost), "{lost}");
    // During the pause before the new connection requests went on being planned.
    assert!(recorder.latency.max() >= ms(20).as_nanos() as u64);
}

/// Commits for three groups, then asks what the sink has kept.
fn committed(fault: Option<(Fault, u64)>) -> Findings {
    let config = SinkConfig { fault, ..SinkConfig::default() };
    let SinkWorld { world, client, address } = SinkWorld::new(quiet_net(), config);
    let commits = Rc::new(RefCell::new(None));
    let (connecting, made) = (client.clone(), Rc::clone(&commits));
    let pipe = world.block_on(&client, DEADLINE, async move {
        let make = |target: &Target| {
            let commits = Commits::new(target, "g", 3, 1_000).expect("the sink has OffsetCommit");
            let commit = Commit::new(&commits, vec![0, 1, 2]);
            *made.borrow_mut() = Some(commits);
            commit
        };
        start(&connecting, address, pace(1_000.0, ms(99)), make).await
    });
    assert!(world.run_until(DEADLINE, || pipe.borrow().is_done()), "the run ends");
    let commits = commits.take().expect("the run started");
    let mut findings = pipe.borrow().findings.clone();
    let asking = client.clone();
    world.block_on(&client, DEADLINE, async move {
        let mut asker = Asker::connect(&asking, address).await.expect("the sink listens");
        for group in 0..3 {
            commits.verify(group, &mut asker, &mut findings).await.expect("the sink has OffsetFetch");
        }
        findings
    })
}

#[test]
fn a_commit_that_was_acknowledged_and_not_kept_is_detected() {
    assert!(committed(None).is_clean());
    // The 99th is the last one of its group.
    let forgotten = committed(Some((Fault::ForgetCommit, 99)));
    assert_eq!(forgotten.problems["committed offset lost"], PARTITIONS.len() as u64);
    // A refused one is repeated with a newer offset by the group's next commit.
    let refused = committed(Some((Fault::Error, 50)));
    assert!(refused.is_verified() && !refused.is_clean(), "{refused:?}");
}

#[test]
fn each_fault_is_detected() {
    let problem = |findings: Findings, kind: &str| {
        assert!(findings.problems.get(kind).is_some_and(|count| *count > 0), "{kind}: {findings:?}");
    };
    problem(findings(Some((Fault::RepeatOffset, 100)), produce), "offset not rising");
    problem(findings(Some((Fault::FlipBit, 100)), fetch), "CRC");
    problem(findings(Some((Fault::SkipBatch, 100)), fetch), "offset gap");
    for errors in
        [findings(Some((Fault::Error, 100)), produce).errors, findings(Some((Fault::Error, 100)), fetch).errors]
    {
        assert!(!errors.is_empty());
    }
}

fn schedule(rate: f64) -> Schedule {
    let (length, arrival) = (DEADLINE, Arrival::Constant);
    Schedule { rate, rate_at_end: rate, length, arrival, burst: 1, seed: 1 }
}
