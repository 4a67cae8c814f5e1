//! The paths and their answers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::About;
use super::prometheus::{CONTENT_TYPE_TEXT, Scrape, encode};
use super::recent::Recent;
use crate::meters::{Ask, Door, Doors, Phase, ShardSnapshot};

/// A shard that has not ended a turn in this time is not alive.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);

/// Scrapes that are made or sent at one time: each is the whole broker's state, written out. More wait.
const SCRAPES_MAX: usize = 2;

const INDEX: &str = "/livez     200 while every shard turns\n/readyz    200 while clients are served\n\
                     /version   name and version\n/metrics   Prometheus, version 0.0.4\n";

/// Answers requests; one thread's.
pub(super) struct Routes {
    about: About,
    doors: Doors,
    scrapes: Arc<Semaphore>,
    recent: RefCell<Recent>,
}

impl Routes {
    pub(super) fn new(about: About, doors: Doors) -> Self {
        let scrapes = Arc::new(Semaphore::new(SCRAPES_MAX));
        Self { about, doors, scrapes, recent: RefCell::new(Recent::new()) }
    }

    pub(super) async fn answer(&self, method: &Method, uri: &Uri) -> Response<Answer> {
        if method != Method::GET && method != Method::HEAD {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is there\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match uri.path() {
            "/" => text(StatusCode::OK, INDEX),
            "/livez" => self.livez().await,
            "/readyz" => self.readyz(),
            "/version" => text(StatusCode::OK, format!("{}\n", self.about.version)),
            "/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    /// A start may take long in one turn, while it recovers; the process lives all the same.
    async fn livez(&self) -> Response<Answer> {
        if self.doors.phase() == Phase::Starting {
            return text(StatusCode::OK, "starting\n");
        }
        match self.snapshots(false).await {
            Ok(_) => text(StatusCode::OK, "ok\n"),
            Err(shard) => text(StatusCode::SERVICE_UNAVAILABLE, silent(shard)),
        }
    }

    fn readyz(&self) -> Response<Answer> {
        match self.doors.phase() {
            Phase::Ready => text(StatusCode::OK, "ok\n"),
            Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Phase::Stopping => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }

    async fn metrics(&self) -> Response<Answer> {
        let place = Arc::clone(&self.scrapes).acquire_owned().await.expect("the semaphore is not closed");
        let shards = match self.doors.phase() {
            Phase::Starting => Vec::new(),
            Phase::Ready | Phase::Stopping => match self.snapshots(self.about.with_partitions).await {
                Ok(shards) => shards,
                Err(shard) => return text(StatusCode::SERVICE_UNAVAILABLE, silent(shard)),
            },
        };
        let scrape = Scrape::new(&self.about, &self.doors, shards, &mut self.recent.borrow_mut());
        match encode(scrape) {
            Ok(body) => {
                let mut response = text(StatusCode::OK, body);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_TEXT));
                response.body_mut().place = Some(place);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// Asks all shards at once; the first that is silent is the error.
    async fn snapshots(&self, with_partitions: bool) -> Result<Vec<ShardSnapshot>, usize> {
        let asked: Vec<_> = self.doors.shards().iter().map(|door| ask(door, with_partitions)).collect();
        let mut snapshots = Vec::with_capacity(asked.len());
        for (shard, answer) in asked.into_iter().enumerate() {
            match tokio::time::timeout(TURN_TIME_MAX, answer).await {
                Ok(Ok(snapshot)) => snapshots.push(snapshot),
                Ok(Err(_)) | Err(_) => return Err(shard),
            }
        }
        Ok(snapshots)
    }
}

/// A body, and its place among the scrapes until it has been sent.
pub(super) struct Answer {
    text: Full<Bytes>,
    place: Option<OwnedSemaphorePermit>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.text).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.text.size_hint()
    }
}

fn ask(door: &Door, with_partitions: bool) -> oneshot::Receiver<ShardSnapshot> {
    let (answer, receiver) = oneshot::channel();
    // An asker that is gone does not want the answer any more.
    let reply = Box::new(move |snapshot| drop(answer.send(snapshot)));
    door.ask(Ask { with_partitions, reply });
    receiver
}

fn silent(shard: usize) -> String {
    format!("shard {shard} does not answer\n")
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer { text: Full::new(body.into()), place: None });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
