//! Fetch (api key 1), versions 4..=18. Returns record batches up to the high watermark, at once or when there are
//! enough.
//!
//! v5 log start offset   v7 fetch sessions (KIP-227)   v9 current leader epoch (KIP-320)   v12 flexible   v13 topic ids
//! v10 zstd   v15 replica state tagged
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, OFFSET_OUT_OF_RANGE, FENCED_LEADER_EPOCH,
//! UNKNOWN_LEADER_EPOCH, UNSUPPORTED_COMPRESSION_TYPE, KAFKA_STORAGE_ERROR; FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
//! FETCH_SESSION_TOPIC_ID_ERROR for the whole request.

mod answer;
mod session;
mod targets;
mod wait;

use std::future::Future;
use std::rc::Rc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{FetchRequest, FetchResponse};
use ringlog_core::reactor::Instant;
use ringlog_core::record::Codec;

use self::answer::{Told, answer};
pub use self::session::FetchSessions;
use self::session::{FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION};
use self::targets::Targets;
use self::wait::{Bounds, Outcomes, Room, record_bytes};
use super::{Context, Request};
use crate::partition::{Isolation, PartitionError};
use crate::quota::QuotaKind;

/// The first version whose readers know zstd.
const ZSTD_VERSION_MIN: i16 = 10;

/// What a fetch has to do with sessions.
#[derive(Debug, Clone, Copy)]
enum Session {
    /// Nothing.
    None,
    /// It asks for one.
    New,
    /// It is the next of this one.
    Next(i32),
}

/// Answers at once where it can, else waits in a task of its own.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let encoded = request.body();
    let body: FetchRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut bounds = bounds(context, &body);
    if context.limits.has(QuotaKind::Fetch) {
        let bytes_max = context.limits.amount_max(QuotaKind::Fetch, &request.client_id());
        bounds.max_bytes = bounds.max_bytes.min(bytes_max.unwrap_or(usize::MAX));
        bounds.min_bytes = bounds.min_bytes.min(bounds.max_bytes);
    }
    let (targets, session) = match begin(context, &body, request.api_version >= 13) {
        Ok(begun) => begun,
        Err(error_code) => return request.answer(&FetchResponse { error_code, ..Default::default() }, []),
    };
    // Now and not in the task: the connection's next requests have to see what this one will hold.
    let mut room = Room::take(request.responder(), &targets, bounds.max_bytes);
    let context_of_task = Rc::clone(context);
    let mut answering = Box::pin(async move {
        let Context { reactor, router, .. } = &*context_of_task;
        let mut outcomes = wait::fetch(reactor, router, &targets, bounds, &mut request, &mut room).await;
        if request.api_version < ZSTD_VERSION_MIN {
            refuse_zstd(&context_of_task, &targets, &mut outcomes);
        }
        finish(&context_of_task, request, session, targets, bounds.isolation, outcomes);
    });
    // Nobody is woken by this look: a task that has to wait is polled again when it is spawned.
    if answering.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending() {
        context.reactor.spawn(answering);
    }
}

fn bounds(context: &Context, body: &FetchRequest<'_>) -> Bounds {
    let now = context.reactor.now().0;
    let wait = Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0)).as_nanos() as u64;
    Bounds {
        min_bytes: usize::try_from(body.min_bytes).unwrap_or(0),
        max_bytes: usize::try_from(body.max_bytes).unwrap_or(0).min(context.settings.fetch_max_bytes as usize),
        deadline: Instant(now.saturating_add(wait)),
        isolation: Isolation::from_wire(body.isolation_level),
    }
}

/// The partitions to read: those of the request, or those of its session with what the request changes.
fn begin(context: &Context, body: &FetchRequest<'_>, by_id: bool) -> Result<(Targets, Session), ErrorCode> {
    let mut sessions = context.fetch_sessions.borrow_mut();
    if let INITIAL_EPOCH | FINAL_EPOCH = body.session_epoch {
        sessions.remove(body.session_id);
        let mut targets = Targets::new(by_id);
        targets.set(&context.metadata, &body.topics);
        let session = if body.session_epoch == INITIAL_EPOCH { Session::New } else { Session::None };
        return Ok((targets, session));
    }
    let mut targets = sessions.take(body.session_id, body.session_epoch, by_id, context.reactor.now())?;
    targets.set(&context.metadata, &body.topics);
    targets.forget(&body.forgotten_topics_data);
    if targets.is_empty() {
        sessions.remove(body.session_id);
        return Ok((targets, Session::None));
    }
    Ok((targets, Session::Next(body.session_id)))
}

fn finish(
    context: &Context,
    mut request: Request,
    session: Session,
    mut targets: Targets,
    isolation: Isolation,
    outcomes: Outcomes,
) {
    if let Err(delay) = within_quota(context, &request, &outcomes) {
        request.throttle(delay);
        return answer_nothing(context, request, session, targets);
    }
    let (session_id, told) = match session {
        Session::None => (NO_SESSION, Told::All),
        Session::New => {
            let Context { reactor, fetch_sessions, .. } = context;
            let id = fetch_sessions.borrow_mut().create(&targets, reactor.now(), || reactor.random_u64());
            (id, Told::All)
        }
        Session::Next(id) => (context.fetch_sessions.borrow_mut().resize(id, &targets), Told::Changes),
    };
    answer(request, session_id, &mut targets, outcomes, told, isolation);
    if session_id != NO_SESSION {
        context.fetch_sessions.borrow_mut().put_back(session_id, targets);
    }
}

/// Readers before version 10 do not know the codec: they get nothing of topics that store all batches in it.
fn refuse_zstd(context: &Context, targets: &Targets, outcomes: &mut Outcomes) {
    let image = context.metadata.image();
    for ((_, target), outcome) in targets.iter().zip(outcomes) {
        let topic = target.place.and_then(|(_, partition)| image.topic(&partition.topic_id));
        let recompression = topic.and_then(|topic| context.metadata.produce_rules(topic).recompression);
        if recompression.is_some_and(|to| to.codec == Codec::Zstd) {
            *outcome = Err(PartitionError::UnknownCodec);
        }
    }
}

/// Counts the records for the client's quota; if they are too many, how long it has to wait for them.
fn within_quota(context: &Context, request: &Request, outcomes: &Outcomes) -> Result<(), Duration> {
    let Context { limits, reactor, .. } = context;
    if !limits.has(QuotaKind::Fetch) {
        return Ok(());
    }
    let bytes: usize = outcomes.iter().flatten().map(record_bytes).sum();
    limits.try_record(QuotaKind::Fetch, &request.client_id(), reactor.now(), bytes as u64)
}

/// Tells a reader to wait, and nothing else: what was read is read again then.
fn answer_nothing(context: &Context, request: Request, session: Session, targets: Targets) {
    let session_id = match session {
        Session::None | Session::New => NO_SESSION,
        Session::Next(id) => context.fetch_sessions.borrow_mut().resize(id, &targets),
    };
    let throttle_time_ms = request.throttle_time_ms();
    request.answer(&FetchResponse { throttle_time_ms, session_id, ..Default::default() }, []);
    context.fetch_sessions.borrow_mut().put_back(session_id, targets);
}
