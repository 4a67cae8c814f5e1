//! A run of produce against a sink in one simulated world.

mod sink_world;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::reactor::sim::{SimNetConfig, SimWorld, host_ip};
use ringlog_core::reactor::{Listener, Reactor};
use ringlog_core::record::Codec;
use ringlog_loadgen::client::{Pace, Pipe, Route, RouteEnd, TopicSpec, drive, prepare};
use ringlog_loadgen::findings::Findings;
use ringlog_loadgen::plan::{Arrival, Schedule};
use ringlog_loadgen::recorder::Recorder;
use ringlog_loadgen::run::read_back_on;
use ringlog_loadgen::series::Cut;
use ringlog_loadgen::sink::SinkConfig;
use ringlog_loadgen::workload::{
    BatchSpec, KeySpec, Produce, ProduceSpec, ProducerIdentity, Production, Requests, Sizes,
};

use self::sink_world::SinkWorld;

const DEADLINE: Duration = Duration::from_secs(60);
/// Requests of a run.
pub const REQUESTS: u64 = 400;

/// Something between the load and its target: it is given its own reactor, a listener, and where the target is.
pub type Between = Rc<dyn Fn(&Reactor, Listener, SocketAddr)>;

/// What a run brought.
pub struct Run {
    pub findings: Findings,
    pub requests: u64,
    pub failed: u64,
    pub records_read: u64,
    pub latency_max: Duration,
}

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// One connection, an idempotent producer if it has an id, sends 400 requests of one record to one partition, one each
/// millisecond; `during` may change the world when the load has started. Then everything is read back, not through
/// `between`.
pub fn run_with(
    config: SinkConfig,
    between: Option<Between>,
    idempotent: Option<(i64, i16)>,
    during: impl FnOnce(&SimWorld),
) -> Run {
    let net =
        SimNetConfig { delay_ns: (10_000, 10_000), short_per_mille: 0, rearm_per_mille: 0, ..SimNetConfig::default() };
    let SinkWorld { world, client, address } = SinkWorld::new(net, config);
    let mut way = address;
    if let Some(between) = between {
        let middle = world.reactor(2, 0);
        way = SocketAddr::new(host_ip(2), 9_092);
        between(&middle, middle.listen(way).expect("the port is free"), address);
    }
    let connecting = client.clone();
    let (topic, target, production, pipe) = world.block_on(&client, DEADLINE, async move {
        let topic = TopicSpec { name: "t".to_owned(), partitions: Some(1), with_offsets: true, ..TopicSpec::default() };
        let target = prepare(&connecting, &address.to_string(), &topic).await.expect("the sink answers");
        let production = Production::new(&target, &spec(), 1).expect("the sink has Produce");
        let requests = Requests::build(&production, &[0]).expect("one partition fits");
        let identity = ProducerIdentity { connection: 0, idempotent };
        let produce = Produce::new(&production, &requests, identity, 1);
        let plan = schedule(1_000.0).plan(0, 1).peekable();
        let pace =
            Pace { plan: Some(plan), in_flight_max: 10, end: ms(60_000), requests_max: REQUESTS, ..Pace::default() };
        let recorder = Recorder::new(Cut { start: Duration::ZERO, length: ms(100) });
        let pipe = Rc::new(RefCell::new(Pipe::new(produce, pace, Rc::new(RefCell::new(recorder)))));
        let socket = connecting.connect(way).await.expect("it listens");
        let route = Route { address, bootstrap: address, end: RouteEnd::Leader(topic.clone(), 0) };
        drive(&connecting, route, socket, &pipe, connecting.now());
        (topic, target, production, pipe)
    });
    during(&world);
    assert!(world.run_until(DEADLINE, || pipe.borrow().is_done()), "the run ends");
    let mut findings = pipe.borrow().findings.clone();
    let reading = client.clone();
    let (findings, records_read) = world.block_on(&client, DEADLINE, async move {
        let read = read_back_on(&reading, &topic, &target, &production, &mut findings).await;
        (findings, read.expect("the sink has Fetch").records)
    });
    let pipe = pipe.borrow();
    let recorder = pipe.recorder.borrow().settled();
    let latency_max = Duration::from_nanos(recorder.latency.max());
    Run { findings, requests: recorder.requests, failed: recorder.failed, records_read, latency_max }
}

fn spec() -> ProduceSpec {
    let batch = BatchSpec {
        batch_bytes: 0,
        records: Some(1),
        sizes: Sizes::List(vec![100]),
        keys: KeySpec::None,
        codec: Codec::None,
        compressible: 0.0,
        seed: 1,
    };
    ProduceSpec { batch, partitions_per_request: 1, acks: -1 }
}

fn schedule(rate: f64) -> Schedule {
    let (length, arrival) = (DEADLINE, Arrival::Constant);
    Schedule { rate, rate_at_end: rate, length, arrival, burst: 1, seed: 1 }
}
