//! The control echo: beside the load, requests of the same size go at a fixed rate to a sink in a thread of this process,
//! from the same worker over the same kind of connection. What they take is the machine's share of the tail, not the
//! broker's.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use ringlog_core::reactor::{Instant, Reactor};
use ringlog_core::record::Codec;

use super::{Load, reactor, stop, target};
use crate::client::{Pace, Pipe, Route, RouteEnd, Shared, TopicSpec, drive};
use crate::plan::Schedule;
use crate::recorder::Recorder;
use crate::sink::{SinkConfig, serve};
use crate::workload::{BatchSpec, KeySpec, Produce, ProduceSpec, ProducerIdentity, Production, Requests, Sizes};

/// How often the sink looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);
/// Echoes without an answer: more wait, and their latency says so.
const IN_FLIGHT_MAX: usize = 100;

/// What is echoed.
#[derive(Debug, Clone, Copy)]
pub struct ControlSpec {
    /// Echoes per second.
    pub rate: f64,
    /// Bytes of the batch in each.
    pub bytes: usize,
}

/// The sink, and what is sent to it.
#[derive(Debug)]
pub struct Control {
    spec: ControlSpec,
    address: SocketAddr,
    topic: TopicSpec,
    production: Arc<Production>,
    ended: Arc<AtomicBool>,
    sink: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Control {
    /// Starts the sink.
    pub fn start(spec: ControlSpec) -> anyhow::Result<Self> {
        let (listening, address) = mpsc::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        #[expect(clippy::disallowed_methods, reason = "the sink runs beside the workers, on a ring of its own")]
        let sink = std::thread::spawn(move || run_sink(&listening, &until));
        let address: SocketAddr = address.recv().context("the sink of the control echo did not start")?;
        let topic = TopicSpec { name: "control".to_owned(), partitions: Some(1), ..TopicSpec::default() };
        let target = target(&address.to_string(), &topic)?;
        let batch = BatchSpec {
            batch_bytes: spec.bytes,
            records: Some(1),
            sizes: Sizes::List(vec![spec.bytes]),
            keys: KeySpec::None,
            codec: Codec::None,
            compressible: 0.0,
            seed: 1,
        };
        let production = Production::new(&target, &ProduceSpec { batch, partitions_per_request: 1, acks: 1 }, 0)?;
        Ok(Self { spec, address, topic, production, ended, sink: Some(sink) })
    }

    /// Connects the echo of one worker, to be started with the load.
    pub fn connect(&self, reactor: &Reactor, load: &Load) -> anyhow::Result<Echo> {
        let requests = Requests::build(&self.production, &[0])?;
        let identity = ProducerIdentity { connection: 0, idempotent: None };
        let rate = self.spec.rate;
        let (length, arrival, seed) = (load.planned_end(), load.arrival, load.seed);
        let schedule = Schedule { rate, rate_at_end: rate, length, arrival, burst: 1, seed };
        let pace = Pace {
            plan: Some(schedule.plan(0, 1).peekable()),
            in_flight_max: IN_FLIGHT_MAX,
            warmup: load.warmup,
            end: load.planned_end(),
            ..Pace::default()
        };
        let recorder = Rc::new(RefCell::new(Recorder::new(load.cut())));
        let pipe = Pipe::new(Produce::new(&self.production, &requests, identity, 1), pace, Rc::clone(&recorder));
        let socket = reactor.block_on(reactor.connect(self.address)).context("connect to the control echo")?;
        let end = RouteEnd::Leader(self.topic.clone(), 0);
        let route = Route { address: self.address, bootstrap: self.address, end };
        Ok(Echo { route, socket, pipe: Rc::new(RefCell::new(pipe)), recorder })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(sink) = self.sink.take() {
            // What went wrong in it has shown in the echoes.
            let _ = sink.join();
        }
    }
}

/// The connected echo of one worker.
pub struct Echo {
    route: Route,
    socket: ringlog_core::reactor::Socket,
    pipe: Shared<Produce>,
    recorder: Rc<RefCell<Recorder>>,
}

impl Echo {
    /// Starts it; returns what it records into.
    pub fn drive(self, reactor: &Reactor, start: Instant) -> Rc<RefCell<Recorder>> {
        drive(reactor, self.route, self.socket, &self.pipe, start);
        self.recorder
    }
}

fn run_sink(listening: &mpsc::Sender<SocketAddr>, ended: &AtomicBool) -> anyhow::Result<()> {
    let reactor = reactor()?;
    let listener = reactor.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    listening.send(listener.local_address()).map_err(|_| anyhow!("nobody waits for the sink"))?;
    let serving = reactor.clone();
    reactor.spawn(async move {
        // It ends when its listener fails: the echoes show it.
        let _ = serve(serving, listener, SinkConfig::default()).await;
    });
    reactor.block_on(async {
        while !ended.load(Ordering::Relaxed) {
            reactor.sleep(LOOK).await;
        }
    });
    stop(&reactor)
}
