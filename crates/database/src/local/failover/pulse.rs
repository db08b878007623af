//! Whether a server that runs still does its work.
//!
//! It is asked for a single byte, which takes its postmaster and a new backend: connections that are open may go on
//! working for long after a postmaster has stopped. A machine that stalls must not look like a server that hangs: a
//! question whose own clock was late says nothing, and one that is merely silent may be short of time like all others. One
//! that the system shows as stopped is given up sooner, and so is one that is silent alone: its fellows on the same machine
//! answered promptly in each of the same seconds, so it is not the machine.

use crate::local::server::Server;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
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
/// A machine that has time answers sooner than this: its fellows, and our own clock after the deadline.
const PROMPT_MAX: Duration = Duration::from_millis(250);
/// With the period before, a server that was stopped is found after three and a half seconds.
const MISSES_STOPPED_MAX: u32 = 3;
/// So many in a row beside fellows that answered. The first miss has them asked, so that this takes four and a half seconds.
const MISSES_ALONE_MAX: u32 = 3;
/// One that is silent for another reason.
const MISSES_MAX: u32 = 15;

/// Asks for TLS, which every Postgres answers before anything else.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Returns when the server is to be killed: it hangs, or it takes writes that belong to another.
pub(crate) async fn until_broken(server: &Server) -> Recall {
    let (clock, mut silence) = (Clock::system(), Silence::default());
    loop {
        if silence.missed == 0 {
            tokio::time::sleep(PERIOD).await;
        }
        if let Some(primary) = server.usurps() {
            return Recall::Broken(format!("took writes, while {primary} is the primary,"));
        }
        // In good days nobody else is asked.
        let fellows = if silence.missed == 0 { Vec::new() } else { fellows(server) };
        let beat = beat(server.address(), &fellows, &clock).await;
        let is_stopped = silence.missed + 1 >= MISSES_STOPPED_MAX && is_stopped(&server.data());
        silence.note(beat, is_stopped);
        if silence.is_enough {
            let waited = (ANSWER_MAX * silence.missed).as_secs();
            return Recall::Broken(format!("gave no answer for {waited} s"));
        }
    }
}

/// The other servers of the cluster, which stand on the same machine.
fn fellows(server: &Server) -> Vec<SocketAddr> {
    let seats = server.shared().plan.site.seats.iter();
    seats.map(|seat| seat.address).filter(|address| *address != server.address()).collect()
}

/// How long a server has been silent, and whether that is enough to call it hanging.
#[derive(Debug, Default)]
struct Silence {
    missed: u32,
    /// Of these the last in a row beside fellows that answered.
    alone: u32,
    is_enough: bool,
}

impl Silence {
    fn note(&mut self, beat: Beat, is_stopped: bool) {
        match beat {
            Beat::Answered => *self = Self::default(),
            Beat::Unheard => self.alone = 0,
            Beat::Missed => {
                self.missed += 1;
                self.alone = 0;
            }
            Beat::MissedAlone => {
                self.missed += 1;
                self.alone += 1;
            }
        }
        self.is_enough = self.missed >= MISSES_MAX
            || self.alone >= MISSES_ALONE_MAX
            || (self.missed >= MISSES_STOPPED_MAX && is_stopped);
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

#[derive(Clone, Copy, Debug)]
enum Beat {
    Answered,
    Missed,
    /// It was silent while the machine had time: a fellow answered promptly, and our own clock was on time.
    MissedAlone,
    /// Our own clock was late: nobody knows.
    Unheard,
}

async fn beat(address: SocketAddr, fellows: &[SocketAddr], clock: &Clock) -> Beat {
    let asked = clock.now();
    // At the end of the second as well as at its beginning: a stall between would show at one of them.
    let (answer, fellow_before) =
        tokio::join!(tokio::time::timeout(ANSWER_MAX, ask(address)), is_prompt(fellows));
    let took = clock.now().saturating_duration_since(asked);
    match answer {
        // One that refuses is there, and its end is heard of by itself.
        Ok(_) => Beat::Answered,
        Err(_) if took >= LATE => Beat::Unheard,
        Err(_) if took < ANSWER_MAX + PROMPT_MAX && fellow_before && is_prompt(fellows).await => {
            Beat::MissedAlone
        }
        Err(_) => Beat::Missed,
    }
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
    use tokio::net::TcpListener;

    /// After how many beats it is killed, if it is.
    fn killed_after(beats: impl IntoIterator<Item = Beat>, is_stopped: bool) -> Option<usize> {
        let mut silence = Silence::default();
        let mut is_enough = |beat| {
            silence.note(beat, is_stopped);
            silence.is_enough
        };
        beats.into_iter().position(&mut is_enough).map(|before| before + 1)
    }

    #[test]
    fn one_that_is_silent_alone_is_given_up_sooner_than_one_among_many() {
        use Beat::{Answered, Missed, MissedAlone, Unheard};
        let many = |beat| std::iter::repeat_n(beat, 60);
        assert_eq!(killed_after([Missed].into_iter().chain(many(MissedAlone)), false), Some(4));
        assert_eq!(killed_after(many(Missed), true), Some(3), "stopped by a signal");
        assert_eq!(killed_after(many(Missed), false), Some(15));

        // A machine that stalls: now and then somebody answers, or our own clock is late.
        let stalls = |between| [Missed, MissedAlone, MissedAlone, between];
        let stalling = |between| (0..4).flat_map(move |_| stalls(between)).take(14).collect::<Vec<_>>();
        assert_eq!(killed_after(stalling(Missed), false), None);
        assert_eq!(killed_after(stalling(Unheard), false), None);
        assert_eq!(killed_after((0..60).flat_map(|_| stalls(Answered)), false), None);
        assert_eq!(killed_after(many(Unheard), true), None, "nobody knows");
    }

    /// A server that listens and answers nothing, or one byte to each.
    async fn server(answers: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = onefold_core::TaskGroup::new();
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
    async fn fellows_are_asked_and_only_an_answer_of_theirs_counts() {
        let (silent, answering) = (server(false).await, server(true).await);
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let clock = Clock::system();
        assert!(matches!(beat(answering, &[], &clock).await, Beat::Answered));
        assert!(matches!(beat(nobody, &[], &clock).await, Beat::Answered), "it refuses: its end is heard of");
        // A busy machine may be late itself: then nothing is said, and it is asked again.
        let judged = async |fellows: &[SocketAddr]| {
            for _ in 0..20 {
                match beat(silent, fellows, &clock).await {
                    Beat::MissedAlone => return true,
                    Beat::Missed if !fellows.contains(&answering) => return false,
                    _ => {}
                }
            }
            panic!("never on time")
        };
        let (with_one, with_none) = ([nobody, answering], [silent, nobody]);
        let (alone, among) = tokio::join!(judged(&with_one), judged(&with_none));
        assert!(alone && !among);
    }
}
