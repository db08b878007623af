//! Whether a server that runs still does its work.
//!
//! It is asked for a single byte, which takes its postmaster and a new backend: connections that are open may go on
//! working for long after a postmaster has stopped. A machine that stalls must not look like a server that hangs: a
//! question whose own clock was late says nothing, and one that the system shows as stopped is given up sooner than one
//! that is merely silent, which may be short of time like all others.

use crate::local::server::Server;
use onefold_core::Clock;
use onefold_core::process::{Process as _, Recall};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PERIOD: Duration = Duration::from_millis(500);
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// A question that took this long was held up on our side.
const LATE: Duration = Duration::from_millis(1500);
/// With the period before, a server that was stopped is found after three and a half seconds.
const MISSES_STOPPED_MAX: u32 = 3;
/// One that is silent for another reason.
const MISSES_MAX: u32 = 15;

/// Asks for TLS, which every Postgres answers before anything else.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Returns when the server is to be killed: it hangs, or it takes writes that belong to another.
pub(crate) async fn until_broken(server: &Server) -> Recall {
    let (clock, mut missed) = (Clock::system(), 0);
    loop {
        if missed == 0 {
            tokio::time::sleep(PERIOD).await;
        }
        if let Some(primary) = server.usurps() {
            return Recall::Broken(format!("took writes, while {primary} is the primary,"));
        }
        match beat(server.address(), &clock).await {
            Beat::Answered => missed = 0,
            Beat::Missed => missed += 1,
            Beat::Unheard => {}
        }
        if missed >= MISSES_MAX || (missed >= MISSES_STOPPED_MAX && is_stopped(&server.data())) {
            let waited = (ANSWER_MAX * missed).as_secs();
            return Recall::Broken(format!("gave no answer for {waited} s"));
        }
    }
}

/// Whether the system shows the postmaster of a data directory as stopped by a signal (proc(5)).
fn is_stopped(data: &Path) -> bool {
    let pid = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let pid = pid.lines().next().unwrap_or_default().trim();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command stands in parentheses and may hold any of them.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

enum Beat {
    Answered,
    Missed,
    Unheard,
}

async fn beat(address: SocketAddr, clock: &Clock) -> Beat {
    let asked = clock.now();
    match tokio::time::timeout(ANSWER_MAX, ask(address)).await {
        // One that refuses is there, and its end is heard of by itself.
        Ok(_) => Beat::Answered,
        Err(_) if clock.now().saturating_duration_since(asked) < LATE => Beat::Missed,
        Err(_) => Beat::Unheard,
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&TLS_REQUEST).await?;
    stream.read_u8().await
}
