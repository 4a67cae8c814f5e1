//! The broker goes away during a run and comes back: the run goes on, what was lost is counted, and nothing that was
//! acknowledged is missing.

mod common;

use common::{REQUESTS, Run, ms, run_with};
use ringlog_core::reactor::sim::SimWorld;
use ringlog_loadgen::findings::Failure;
use ringlog_loadgen::sink::SinkConfig;

/// For 300 ms from the hundredth request on, connections break and cannot be made.
fn outage(world: &SimWorld) {
    world.run_for(ms(100));
    world.partition(0, 1);
    world.partition(1, 0);
    world.reset_connections(0, 1);
    world.run_for(ms(300));
    world.heal_all();
}

fn through_an_outage(idempotent: Option<(i64, i16)>) -> Run {
    run_with(SinkConfig { keep: true, ..SinkConfig::default() }, None, idempotent, outage)
}

#[test]
fn the_run_goes_on_and_nothing_acknowledged_is_lost() {
    let run = through_an_outage(None);
    assert!(run.findings.is_verified(), "{:?}", run.findings);
    assert_eq!(run.findings.errors[&Failure::ConnectionLost], run.failed);
    assert!((1..=10).contains(&run.failed), "{} requests were in flight", run.failed);
    assert_eq!(run.requests + run.failed, REQUESTS);
    // What was planned during the outage waited for its end.
    assert!(run.latency_max >= ms(250), "{:?}", run.latency_max);
}

/// What was in flight is sent again. The sink does not know sequences, so that it may have some batches twice, and says so.
#[test]
fn an_idempotent_producer_sends_again_what_was_lost() {
    let run = through_an_outage(Some((1, 0)));
    assert!(run.failed > 0);
    assert_eq!(run.requests + run.failed, REQUESTS);
    let duplicated = run.findings.problems.get("duplicated").copied().unwrap_or_default();
    // Every number is there once at least: all requests but those that repeated a lost one were new.
    assert_eq!(run.records_read, run.requests + duplicated, "{:?}", run.findings);
    assert!(!run.findings.problems.contains_key("lost"), "{:?}", run.findings);
}
