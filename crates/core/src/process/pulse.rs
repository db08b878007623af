//! Whether a process that runs still does its work: it is asked for a word, again and again.
//!
//! A machine that stalls must not look like a process that hangs: a question whose own clock was late says nothing, and
//! one that is merely silent may be short of time like all others. One that the system shows as stopped is given up
//! sooner, and so is one that is silent alone: its fellows on the same machine answered promptly in each of the same
//! seconds, so it is not the machine.

use crate::Clock;
use std::time::Duration;

/// How long one answer is waited for.
pub const ANSWER_MAX: Duration = Duration::from_secs(1);
/// A machine that has time answers sooner than this: its fellows, and our own clock after the deadline.
pub const PROMPT_MAX: Duration = Duration::from_millis(250);
/// A question that took this long was held up on our side.
const LATE: Duration = Duration::from_millis(1500);
/// Vain questions until one that was stopped is given up.
const MISSES_STOPPED_MAX: u32 = 3;
/// So many in a row beside fellows that answered. The first miss has them asked.
const MISSES_ALONE_MAX: u32 = 3;
/// Until one that is silent for another reason is.
const MISSES_MAX: u32 = 15;

/// The questions to one process, and how many in a row were in vain.
#[derive(Debug)]
pub struct Pulse {
    clock: Clock,
    pid: u32,
    silence: Silence,
}

impl Pulse {
    /// Of the process with this id, which has answered.
    pub fn new(clock: Clock, pid: u32) -> Self {
        Self { clock, pid, silence: Silence::default() }
    }

    /// Whether the last question was in vain: the next one is better not waited for.
    pub fn is_weak(&self) -> bool {
        self.silence.missed > 0
    }

    /// Asks once. Whatever the answer, somebody gave it; where nobody did for too long, answers for how long.
    ///
    /// `are_fellows_prompt` asks others on the same machine, for [`PROMPT_MAX`] at most. In good days nobody is asked.
    pub async fn beat<T, F: Future<Output = bool>>(
        &mut self,
        question: impl Future<Output = T>,
        are_fellows_prompt: impl Fn() -> F,
    ) -> Option<Duration> {
        let beat = self.ask(question, are_fellows_prompt).await;
        self.silence.note(beat, || is_stopped(self.pid)).then(|| ANSWER_MAX * self.silence.missed)
    }

    async fn ask<T, F: Future<Output = bool>>(
        &self,
        question: impl Future<Output = T>,
        are_fellows_prompt: impl Fn() -> F,
    ) -> Beat {
        let (asked, is_weak) = (self.clock.now(), self.is_weak());
        // At the end of the second as well as at its beginning: a stall between would show at one of them.
        let before = async { is_weak && are_fellows_prompt().await };
        let (answer, were_prompt) = tokio::join!(tokio::time::timeout(ANSWER_MAX, question), before);
        let took = self.clock.now().saturating_duration_since(asked);
        match answer {
            // One that refuses is there, and its end is heard of by itself.
            Ok(_) => Beat::Answered,
            Err(_) if took >= LATE => Beat::Unheard,
            Err(_) if took < ANSWER_MAX + PROMPT_MAX && were_prompt && are_fellows_prompt().await => {
                Beat::MissedAlone
            }
            Err(_) => Beat::Missed,
        }
    }
}

/// What came of one question.
#[derive(Clone, Copy, Debug)]
enum Beat {
    Answered,
    Missed,
    /// It was silent while the machine had time: a fellow answered promptly, and our own clock was on time.
    MissedAlone,
    /// Our own clock was late: nobody knows.
    Unheard,
}

/// How long a process has been silent.
#[derive(Debug, Default)]
struct Silence {
    missed: u32,
    /// Of these the last in a row beside fellows that answered.
    alone: u32,
}

impl Silence {
    /// Answers whether it is enough to call it hanging.
    fn note(&mut self, beat: Beat, is_stopped: impl FnOnce() -> bool) -> bool {
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
        self.missed >= MISSES_MAX
            || self.alone >= MISSES_ALONE_MAX
            || (self.missed >= MISSES_STOPPED_MAX && is_stopped())
    }
}

/// Whether the system shows a process as stopped by a signal (proc(5)).
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command stands in parentheses and may hold any of them.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// After how many beats it is given up, if it is.
    fn given_up_after(beats: impl IntoIterator<Item = Beat>, is_stopped: bool) -> Option<usize> {
        let mut silence = Silence::default();
        beats.into_iter().position(|beat| silence.note(beat, || is_stopped)).map(|before| before + 1)
    }

    #[test]
    fn one_that_is_silent_alone_is_given_up_sooner_than_one_among_many() {
        use Beat::{Answered, Missed, MissedAlone, Unheard};
        let many = |beat| std::iter::repeat_n(beat, 60);
        assert_eq!(given_up_after([Missed].into_iter().chain(many(MissedAlone)), false), Some(4));
        assert_eq!(given_up_after(many(Missed), true), Some(3), "stopped by a signal");
        assert_eq!(given_up_after(many(Missed), false), Some(15));

        // A machine that stalls: now and then somebody answers, or our own clock is late.
        let stalls = |between| [Missed, MissedAlone, MissedAlone, between];
        let stalling = |between| (0..4).flat_map(move |_| stalls(between)).take(14).collect::<Vec<_>>();
        assert_eq!(given_up_after(stalling(Missed), false), None);
        assert_eq!(given_up_after(stalling(Unheard), false), None);
        assert_eq!(given_up_after((0..60).flat_map(|_| stalls(Answered)), false), None);
        assert_eq!(given_up_after(many(Unheard), true), None, "nobody knows");
    }

    #[tokio::test(start_paused = true)]
    async fn fellows_are_asked_once_a_question_was_in_vain() {
        let asked = AtomicU32::new(0);
        let fellows = || {
            asked.fetch_add(1, Ordering::Relaxed);
            ready(true)
        };
        let mut pulse = Pulse::new(Clock::manual(), std::process::id());
        assert_eq!(pulse.beat(ready(()), fellows).await, None);
        assert_eq!(pulse.beat(pending::<()>(), fellows).await, None);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert_eq!(pulse.beat(pending::<()>(), fellows).await, None);
        assert_eq!(pulse.beat(pending::<()>(), fellows).await, None);
        assert_eq!(pulse.beat(pending::<()>(), fellows).await, Some(ANSWER_MAX * 4));
        assert_eq!(asked.load(Ordering::Relaxed), 6, "before and after, each time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_was_held_up_on_this_side_says_nothing() {
        let clock = Clock::manual();
        let mut pulse = Pulse::new(clock.clone(), std::process::id());
        for _ in 0..100 {
            let held_up = async {
                clock.advance(LATE);
                pending::<()>().await;
            };
            assert_eq!(pulse.beat(held_up, || ready(true)).await, None);
        }
    }
}
