//! One connection through the proxy, from its first byte to its end.

use crate::bucket::Bucket;
use crate::course::Plan;
use crate::line::{End, Line};
use crate::pump::{Rules, Side, pump};
use futures_util::future::{Either, select};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What rules the connections of one edge.
pub(crate) struct Regime {
    pub(crate) upstream: SocketAddr,
    pub(crate) plan: watch::Receiver<Plan>,
    /// Rises when what is open is to be reset.
    pub(crate) resets: watch::Receiver<u64>,
    pub(crate) there: Arc<Mutex<Bucket>>,
    pub(crate) back: Arc<Mutex<Bucket>>,
    pub(crate) seed: u64,
}

/// Carries one connection.
pub(crate) async fn relay(mut client: TcpStream, regime: Regime) {
    let Regime { upstream, plan, mut resets, there, back, seed } = regime;
    let mut there = Rules::new(plan.clone(), Side::There, there, seed);
    let back = Rules::new(plan, Side::Back, back, seed.wrapping_add(1));
    resets.mark_unchanged();
    let begun = tokio::select! {
        _ = resets.changed() => None,
        begun = begin(&mut client, upstream, &mut there) => begun,
    };
    // As if nobody listened: who asks shall not wait.
    let Some((mut server, line)) = begun else { return abort(&client) };
    let end = {
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let there = pump(client_reads, server_writes, line, there);
        let back = pump(server_reads, client_writes, Line::default(), back);
        tokio::select! {
            _ = resets.changed() => End::Broken,
            end = both(there, back) => end,
        }
    };
    if end == End::Broken {
        abort(&client);
        abort(&server);
    }
}

/// The connection to the server, once the first byte there may pass, and what the client has sent meanwhile. None where
/// there will be none. A client that gave up before is forgotten: the server never heard of it.
async fn begin(client: &mut TcpStream, upstream: SocketAddr, there: &mut Rules) -> Option<(TcpStream, Line)> {
    let (mut line, mut buffer) = (Line::default(), vec![0; 4 << 10]);
    while there.plan.borrow_and_update().there.is_cut {
        let has_room = line.has_room();
        tokio::select! {
            changed = there.plan.changed() => changed.ok()?,
            read = client.read(&mut buffer), if has_room => there.take(&mut line, &read, &buffer),
        }
        if line.has_end() {
            return None;
        }
    }
    let server = dial(client, upstream).await.ok()?;
    Some((server, line))
}

async fn dial(client: &TcpStream, upstream: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(upstream).await?;
    // Delays are ours to add.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// The end of both ways; a break of one is the end of the other.
async fn both(there: impl Future<Output = End>, back: impl Future<Output = End>) -> End {
    let (there, back) = (pin!(there), pin!(back));
    match select(there, back).await {
        Either::Left((End::Broken, _)) | Either::Right((End::Broken, _)) => End::Broken,
        Either::Left((End::Closed, back)) => back.await,
        Either::Right((End::Closed, there)) => there.await,
    }
}

/// The other end gets a reset as soon as the connection is dropped.
fn abort(stream: &TcpStream) {
    // It may have gone by itself.
    let _ = stream.set_zero_linger();
}
