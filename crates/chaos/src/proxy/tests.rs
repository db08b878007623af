//! The proxy on real sockets.

use super::*;
use crate::course::Course;
use crate::fault::Way;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Rig {
    proxy: Proxy,
    address: SocketAddr,
    server: TcpListener,
    _tasks: TaskGroup,
}

fn names() -> (NodeName, NodeName) {
    ("app-a".parse().unwrap(), "server-1".parse().unwrap())
}

async fn rig() -> Rig {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Free, and nobody's for this moment.
    let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ((from, to), tasks) = (names(), TaskGroup::new());
    let edge = Edge { from, to, listen, upstream: server.local_addr().unwrap() };
    let proxy = Proxy::open(vec![edge], 7, &tasks).await.unwrap();
    Rig { proxy, address: listen, server, _tasks: tasks }
}

async fn pair(rig: &Rig) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(rig.address).await.unwrap();
    (client, rig.server.accept().await.unwrap().0)
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

fn cut(way: Way) -> Plan {
    Plan::of(Course { is_cut: true, ..Course::default() }, way)
}

#[tokio::test]
async fn bytes_pass_both_ways_and_half_a_close_is_half_a_close() {
    let rig = rig().await;
    let (mut client, mut server) = pair(&rig).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut server, 8).await, b"question");
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    server.write_all(b"answer").await.unwrap();
    assert_eq!(read(&mut client, 6).await, b"answer");
    drop(server);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_cut_of_one_way_holds_that_way_alone_and_loses_nothing() {
    let rig = rig().await;
    let (mut client, mut server) = pair(&rig).await;
    rig.proxy.follow(|_, _| cut(Way::There));
    client.write_all(b"lost?").await.unwrap();
    server.write_all(b"heard").await.unwrap();
    assert_eq!(read(&mut client, 5).await, b"heard");
    assert!(server.try_read(&mut [0]).is_err(), "nothing has come");
    rig.proxy.follow(|_, _| Plan::default());
    assert_eq!(read(&mut server, 5).await, b"lost?");
}

#[tokio::test]
async fn a_server_does_not_hear_of_clients_that_gave_up_behind_a_cut() {
    let rig = rig().await;
    rig.proxy.follow(|_, _| cut(Way::Both));
    let mut gone = TcpStream::connect(rig.address).await.unwrap();
    gone.write_all(b"gone").await.unwrap();
    gone.shutdown().await.unwrap();
    // The proxy lets it go, which shows here.
    assert!(gone.read(&mut [0]).await.is_err());
    let mut patient = TcpStream::connect(rig.address).await.unwrap();
    patient.write_all(b"here").await.unwrap();
    rig.proxy.follow(|_, _| Plan::default());
    let mut server = rig.server.accept().await.unwrap().0;
    assert_eq!(read(&mut server, 4).await, b"here");
}

#[tokio::test]
async fn a_reset_is_a_reset_at_both_ends_and_newcomers_are_served() {
    let rig = rig().await;
    let (mut client, mut server) = pair(&rig).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(read(&mut server, 1).await, b"x");
    let (from, to) = names();
    rig.proxy.reset(&from, &to);
    for stream in [&mut client, &mut server] {
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    let (mut client, mut server) = pair(&rig).await;
    client.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut server, 5).await, b"again");
}

#[tokio::test]
async fn a_reset_of_the_server_reaches_the_client_and_a_server_that_is_away_is_a_reset() {
    let rig = rig().await;
    let (mut client, server) = pair(&rig).await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop(rig.server);
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
