//! A proxy between the load generator and its target drops, repeats, delays, damages and swaps frames: each is detected,
//! on the way or when everything is read back. All in one simulated world.

mod common;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use common::{Between, Run, ms, run_with};
use ringlog_core::reactor::{Listener, Parts, Reactor, Socket};
use ringlog_loadgen::client::Frames;
use ringlog_loadgen::sink::{Fault, SinkConfig};

/// The frame of a connection that is mangled: behind all questions that are asked before the load.
const MANGLED: usize = 50;
/// So far from the end of a request lies a byte of its only record's value; number of headers and tagged fields follow.
const VALUE_BYTE_FROM_END: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mangle {
    Drop,
    Twice,
    Delay(Duration),
    /// A bit of a record, or of whatever stands there.
    Flip,
    /// This and the next one change places, but keep their correlation ids.
    Swap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Answers,
}

/// Accepts and forwards for ever.
async fn proxy(reactor: Reactor, mut listener: Listener, to: std::net::SocketAddr, mangle: (Way, Mangle)) {
    loop {
        let client = listener.accept().await.expect("the listener lives");
        let broker = reactor.connect(to).await.expect("the sink listens");
        for (way, from, to) in
            [(Way::Requests, client.clone(), broker.clone()), (Way::Answers, broker.clone(), client.clone())]
        {
            let mangle = Some(mangle.1).filter(|_| mangle.0 == way);
            let pumping = reactor.clone();
            reactor.spawn(async move {
                pump(&pumping, from, to.clone(), mangle).await;
                to.shutdown();
            });
        }
    }
}

async fn pump(reactor: &Reactor, from: Socket, to: Socket, mangle: Option<Mangle>) {
    let mut frames = Frames::new(from);
    let mut held: VecDeque<Vec<u8>> = VecDeque::new();
    let mut count = 0;
    while let Ok(true) = frames.advance().await {
        let mut frame = frames.frame().to_vec();
        count += 1;
        let mut out = VecDeque::new();
        match mangle.filter(|_| count == MANGLED) {
            Some(Mangle::Drop) => {}
            Some(Mangle::Twice) => out.extend([frame.clone(), frame]),
            Some(Mangle::Delay(delay)) => {
                reactor.sleep(delay).await;
                out.push_back(frame);
            }
            Some(Mangle::Flip) => {
                let at = frame.len() - VALUE_BYTE_FROM_END;
                frame[at] ^= 1;
                out.push_back(frame);
            }
            Some(Mangle::Swap) => held.push_back(frame),
            None => {
                if let Some(mut earlier) = held.pop_front() {
                    let (id, earlier_id) = (frame[4..8].to_vec(), earlier[4..8].to_vec());
                    frame[4..8].copy_from_slice(&earlier_id);
                    earlier[4..8].copy_from_slice(&id);
                    out.extend([frame, earlier]);
                } else {
                    out.push_back(frame);
                }
            }
        }
        for frame in out {
            let prefix = Bytes::copy_from_slice(&(frame.len() as i32).to_be_bytes());
            if to.send_all(Parts::from_iter([prefix, frame.into()])).await.is_err() {
                return;
            }
        }
    }
}

/// 400 requests of one record through the proxy, then everything is read back.
fn through(way: Way, mangle: Mangle) -> Run {
    let start = move |reactor: &Reactor, listener, to| {
        let proxying = reactor.clone();
        reactor.spawn(async move { proxy(proxying, listener, to, (way, mangle)).await });
    };
    run_produce(SinkConfig { keep: true, ..SinkConfig::default() }, Some(Rc::new(start)))
}

fn run_produce(config: SinkConfig, between: Option<Between>) -> Run {
    run_with(config, between, None, |_| ())
}

fn problem(run: &Run, kinds: &[&str]) {
    let problems = &run.findings.problems;
    assert!(kinds.iter().all(|kind| problems.contains_key(kind)), "{kinds:?}: {:?}", run.findings);
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let run = run_produce(SinkConfig { keep: true, ..SinkConfig::default() }, None);
    assert!(run.findings.is_clean(), "{:?}", run.findings);
    assert_eq!((run.requests, run.failed, run.records_read), (400, 0, 400));
}

#[test]
fn dropped_frames_are_detected() {
    problem(&through(Way::Requests, Mangle::Drop), &["answer out of order"]);
    problem(&through(Way::Answers, Mangle::Drop), &["answer out of order"]);
}

#[test]
fn repeated_frames_are_detected() {
    // The sink has the batch twice.
    problem(&through(Way::Requests, Mangle::Twice), &["answer without a request", "duplicated"]);
    problem(&through(Way::Answers, Mangle::Twice), &["answer without a request"]);
}

#[test]
fn damaged_records_are_detected() {
    problem(&through(Way::Requests, Mangle::Flip), &["CRC", "record damaged"]);
    let damaged = through(Way::Answers, Mangle::Flip);
    assert!(!damaged.findings.is_verified(), "{:?}", damaged.findings);
}

#[test]
fn swapped_batches_are_detected() {
    problem(&through(Way::Requests, Mangle::Swap), &["reordered", "lost"]);
}

#[test]
fn a_delay_is_measured_and_nothing_is_wrong() {
    for way in [Way::Requests, Way::Answers] {
        let run = through(way, Mangle::Delay(ms(200)));
        assert!(run.findings.is_clean(), "{:?}", run.findings);
        assert!(run.latency_max >= ms(200), "{:?}", run.latency_max);
    }
}

#[test]
fn what_was_acknowledged_and_not_kept_is_lost() {
    let fault = Some((Fault::ForgetBatch, 100));
    let run = run_produce(SinkConfig { keep: true, fault, ..SinkConfig::default() }, None);
    assert_eq!(run.findings.problems["lost"], 4, "{:?}", run.findings);
}
