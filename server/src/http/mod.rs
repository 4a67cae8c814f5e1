//! What operators ask by HTTP: `/livez`, `/readyz`, `/version`, `/metrics`, for people and for Prometheus.
//!
//! One thread of its own, not pinned to a shard's core, with its own executor. It reads nothing of a shard: it asks at
//! the shard's door, and waits a bounded time for the answer.
//!
//! Invariants:
//! - Connections, their heads and their time are bounded; more connections wait to be accepted.
//! - Without a request nothing runs: no timer of its own wakes the thread.
//! - Its end is the end of [`Http`]; no client can keep the broker from stopping.

mod process;
mod prometheus;
mod recent;
mod routes;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};

use self::routes::Routes;
use crate::meters::Doors;

/// Connections at one time.
const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Time for a request's head, and between two requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Time for a connection: one that does not take its answer ends too. Who scrapes opens another.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);

/// What the answers say of this broker.
#[derive(Debug, Clone)]
pub struct About {
    /// Name and version of the program.
    pub version: &'static str,
    /// What shards reach sockets and files by.
    pub io_driver: &'static str,
    /// `node.id`.
    pub node_id: i32,
    /// Whether `/metrics` has a series for each partition and committed offset.
    pub with_partitions: bool,
}

/// The thread. Dropped, it ends.
#[derive(Debug)]
pub struct Http {
    end: Option<oneshot::Sender<Infallible>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Http {
    /// Listens on `address` and answers from what the shards behind `doors` say.
    pub fn start(address: SocketAddr, about: About, doors: Doors) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (end, ended) = oneshot::channel::<Infallible>();
        let run = move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                tokio::select! {
                    _ = ended => {}
                    () = serve(listener, Rc::new(Routes::new(about, doors))) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("http".to_owned()).spawn(run)?;
        Ok(Self { end: Some(end), thread: Some(thread), address })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(Err(panic)) = self.thread.take().map(thread::JoinHandle::join) {
            tracing::error!(?panic, "the HTTP thread ended by a panic");
        }
    }
}

async fn serve(listener: TcpListener, routes: Rc<Routes>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "HTTP cannot be served"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is not closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection cannot be accepted");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let routes = Rc::clone(&routes);
        tokio::task::spawn_local(async move {
            let answering = service_fn(|request| {
                let routes = Rc::clone(&routes);
                async move { Ok::<_, Infallible>(routes.answer(request.method(), request.uri()).await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
            let connection = server.serve_connection(TokioIo::new(stream), answering);
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIME_MAX, connection).await {
                tracing::debug!(%error, "an HTTP connection ends");
            }
            drop(place);
        });
    }
}
