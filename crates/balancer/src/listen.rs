//! Listeners: one for each thread on the same address, among which the kernel spreads connections.
//!
//! Each has a queue of its own. So whoever hands them over hands over all of them, and whoever takes them serves all.

use crate::config::Config;
use crate::error::Error;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// Connections that wait to be accepted, for each listener.
const BACKLOG: u32 = 1024;

/// Opens the sockets of a balancer with this configuration, for one who keeps them over its restarts and hands them to
/// [`Balancer::take`](crate::Balancer::take). Port 0 takes any free port.
///
/// # Errors
/// [`Error::Listen`] where the address is taken or not this machine's.
///
/// # Panics
/// Outside a tokio runtime.
pub fn listen(config: &Config, address: SocketAddr) -> Result<Vec<std::net::TcpListener>, Error> {
    open(address, config.thread_count())
}

/// Spreads sockets over `threads` threads: no socket is left out, and no thread goes without.
pub(crate) fn spread(
    sockets: Vec<std::net::TcpListener>,
    threads: usize,
) -> io::Result<Vec<Vec<std::net::TcpListener>>> {
    let mut shares: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    let doubles: Vec<_> = (sockets.len()..threads)
        .zip(sockets.iter().cycle())
        .map(|(_, socket)| socket.try_clone())
        .collect::<io::Result<_>>()?;
    for (socket, thread) in sockets.into_iter().chain(doubles).zip((0..threads).cycle()) {
        shares[thread].push(socket);
    }
    Ok(shares)
}

/// Opens `count` listeners on `address`. Port 0 takes any free port, the same for all.
///
/// # Errors
/// [`Error::Listen`] where the address is taken, by whomever.
pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Vec<std::net::TcpListener>, Error> {
    open_all(address, count).map_err(|source| Error::Listen { address, source })
}

fn open_all(mut address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    if count <= 1 {
        return Ok(vec![listener(socket(address, Sharing::Alone)?)?]);
    }
    if address.port() != 0 {
        // Without this trial the kernel would let another process of this user share the port in silence.
        drop(socket(address, Sharing::Alone)?);
    }
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let next = listener(socket(address, Sharing::WithThreads)?)?;
        address = next.local_addr()?;
        listeners.push(next);
    }
    Ok(listeners)
}

#[derive(Clone, Copy)]
enum Sharing {
    Alone,
    WithThreads,
}

fn socket(address: SocketAddr, sharing: Sharing) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if let Sharing::WithThreads = sharing {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

/// The listener without a runtime, so that each thread can take it into its own.
fn listener(socket: TcpSocket) -> io::Result<std::net::TcpListener> {
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_an_error_even_among_our_own() {
        let first = open("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = first[0].local_addr().unwrap();
        assert_eq!(first[1].local_addr().unwrap(), address);
        let refused = open(address, 2).unwrap_err();
        assert!(refused.to_string().contains(&address.to_string()), "{refused}");
    }

    #[tokio::test]
    async fn sockets_that_were_handed_over_are_all_served() {
        let sizes = async |sockets: usize, threads: usize| {
            let sockets = open("127.0.0.1:0".parse().unwrap(), sockets).unwrap();
            spread(sockets, threads).unwrap().iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(2, 2).await, [1, 1]);
        assert_eq!(sizes(1, 3).await, [1, 1, 1]);
        assert_eq!(sizes(3, 2).await, [2, 1]);
    }
}
