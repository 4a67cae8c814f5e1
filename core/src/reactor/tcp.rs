//! Calls on TCP sockets that never wait, for both real drivers.
#![expect(unsafe_code, reason = "handles are descriptors that the reactor keeps open")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use rustix::net::{Shutdown, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::Handle;

/// Connections that wait for their accept; the kernel cuts it to net.core.somaxconn.
const BACKLOG: i32 = 4096;

pub(super) fn borrow<'a>(socket: Handle) -> BorrowedFd<'a> {
    // SAFETY: the reactor closes a socket's handle once, after its last use, and gives none that is not open.
    unsafe { BorrowedFd::borrow_raw(socket.0) }
}

/// A listening socket: SO_REUSEADDR, no SO_REUSEPORT, so that two brokers never share a port by accident.
pub(super) fn listen(address: SocketAddr) -> io::Result<Handle> {
    let socket = stream(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Handle(socket.into_raw_fd()))
}

/// A new socket of the family of `peer`.
pub(super) fn socket(peer: SocketAddr) -> io::Result<Handle> {
    Ok(Handle(stream(peer)?.into_raw_fd()))
}

fn stream(peer: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(peer), Type::STREAM, Some(Protocol::TCP))
}

pub(super) fn local_address(socket: Handle) -> io::Result<SocketAddr> {
    let address = rustix::net::getsockname(borrow(socket))?;
    SocketAddr::try_from(address).map_err(|_| io::ErrorKind::AddrNotAvailable.into())
}

pub(super) fn peer_address(socket: Handle) -> io::Result<SocketAddr> {
    let address = rustix::net::getpeername(borrow(socket))?.ok_or(io::ErrorKind::NotConnected)?;
    SocketAddr::try_from(address).map_err(|_| io::ErrorKind::AddrNotAvailable.into())
}

pub(super) fn set_nodelay(socket: Handle) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(borrow(socket), true)?)
}

/// Whether calls on the socket answer `WouldBlock` instead of waiting.
pub(super) fn set_nonblocking(socket: Handle, nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(borrow(socket), nonblocking)?)
}

/// From the page cache of `file` to a socket that does not wait.
pub(super) fn sendfile(socket: Handle, file: Handle, mut position: u64, len: usize) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(borrow(socket), borrow(file), Some(&mut position), len)?)
}

pub(super) fn shutdown(socket: Handle) {
    // Fails when the peer has ended the connection already: it is what was wanted.
    let _ = rustix::net::shutdown(borrow(socket), Shutdown::Both);
}

pub(super) fn close(socket: Handle) {
    // SAFETY: the reactor calls this once per socket, after the last operation on it.
    drop(unsafe { OwnedFd::from_raw_fd(socket.0) });
}
