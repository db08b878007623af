//! Whether a server that runs still does its work.
//!
//! It is asked for a single byte, which takes its postmaster and a new backend: connections that are open may go on
//! working for long after a postmaster has stopped.

use crate::local::server::Server;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use onefold_core::Clock;
use onefold_core::process::pulse::{PROMPT_MAX, Pulse};
use onefold_core::process::{Process as _, Recall};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// With three vain questions, a server that was stopped is found after three and a half seconds, and one that is silent
/// alone after four and a half.
const PERIOD: Duration = Duration::from_millis(500);

/// Asks for TLS, which every Postgres answers before anything else.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Returns when the server is to be killed: it hangs, or it takes writes that belong to another.
pub(crate) async fn until_broken(server: &Server, pid: u32) -> Recall {
    let (mut pulse, fellows) = (Pulse::new(Clock::system(), pid), fellows(server));
    loop {
        if !pulse.is_weak() {
            tokio::time::sleep(PERIOD).await;
        }
        if let Some(primary) = server.usurps() {
            return Recall::Broken(format!("took writes, while {primary} is the primary,"));
        }
        let silent = pulse.beat(ask(server.address()), || is_prompt(&fellows)).await;
        if let Some(waited) = silent {
            return Recall::Broken(format!("gave no answer for {} s", waited.as_secs()));
        }
    }
}

/// The other servers of the cluster, which stand on the same machine.
fn fellows(server: &Server) -> Vec<SocketAddr> {
    let seats = server.shared().plan.site.seats.iter();
    seats.map(|seat| seat.address).filter(|address| *address != server.address()).collect()
}

/// Whether one of these servers gives its byte promptly. One that only refuses shows nothing: the kernel does that.
async fn is_prompt(fellows: &[SocketAddr]) -> bool {
    let mut asking: FuturesUnordered<_> = fellows.iter().map(|address| ask(*address)).collect();
    let answering = async {
        while let Some(answer) = asking.next().await {
            if answer.is_ok() {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(PROMPT_MAX, answering).await.unwrap_or(false)
}

async fn ask(address: SocketAddr) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&TLS_REQUEST).await?;
    stream.read_u8().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::TaskGroup;
    use tokio::net::TcpListener;

    /// A server that listens and answers nothing, or one byte to each.
    async fn server(tasks: &TaskGroup, answers: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn("server", async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if answers {
                    let _ = stream.write_all(b"N").await;
                }
                silent.push(stream);
            }
        });
        address
    }

    #[tokio::test]
    async fn only_an_answer_of_a_fellow_counts() {
        let tasks = TaskGroup::new();
        let (silent, answering) = (server(&tasks, false).await, server(&tasks, true).await);
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(!is_prompt(&[]).await && !is_prompt(&[silent, nobody]).await);
        // A busy machine may be late itself: then it is asked again.
        let mut tries = 0;
        while !is_prompt(&[silent, nobody, answering]).await {
            tries += 1;
            assert!(tries < 20, "it never answers promptly");
        }
    }
}
