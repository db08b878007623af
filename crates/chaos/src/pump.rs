//! Carries the bytes of one way of one connection, by the course that holds at each moment.

use crate::bucket::Bucket;
use crate::course::{Course, Plan};
use crate::line::{End, Line, Next};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

/// What is read at once.
const READ_BYTES: usize = 16 << 10;

/// Which of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    There,
    Back,
}

/// What rules one way.
pub(crate) struct Rules {
    pub(crate) plan: watch::Receiver<Plan>,
    pub(crate) side: Side,
    pub(crate) bucket: Arc<Mutex<Bucket>>,
    pub(crate) chance: SmallRng,
}

impl Rules {
    pub(crate) fn new(
        plan: watch::Receiver<Plan>,
        side: Side,
        bucket: Arc<Mutex<Bucket>>,
        seed: u64,
    ) -> Self {
        Self { plan, side, bucket, chance: SmallRng::seed_from_u64(seed) }
    }

    fn course(&mut self) -> Course {
        let plan = *self.plan.borrow_and_update();
        match self.side {
            Side::There => plan.there,
            Side::Back => plan.back,
        }
    }

    /// How many of these bytes may pass now, or when one may.
    fn allowance(&self, course: &Course, wanted: usize, now: Instant) -> Result<usize, Instant> {
        let Some(rate) = course.bytes_per_second else { return Ok(wanted) };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.allowance(rate, now).map(|bytes| bytes.min(wanted))
    }

    fn spend(&self, course: &Course, bytes: usize) {
        let Some(rate) = course.bytes_per_second else { return };
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).spend(bytes, rate);
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, line: &mut Line, read: &std::io::Result<usize>, buffer: &[u8]) {
        match read {
            Ok(0) => line.end(End::Closed, now()),
            Ok(count) => line.push(&buffer[..*count], now(), self.chance.next_u32()),
            Err(_) => line.end(End::Broken, now()),
        }
    }
}

/// The clock of the timers, which tests stop.
#[expect(clippy::disallowed_methods, reason = "delays are measured by the clock that tokio's timers have")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Carries until the end, and answers how it came. `line` is what was read before.
///
/// A writer that has gone ends it too; that this end is a break is for the other way to find.
pub(crate) async fn pump(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut line: Line,
    mut rules: Rules,
) -> End {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let (course, now) = (rules.course(), now());
        let has_room = line.has_room();
        let (mut ready, mut at) = (&[][..], None);
        match line.next(&course, now) {
            Next::Nothing => {}
            Next::At(due) => at = Some(due),
            Next::Bytes(bytes) => match rules.allowance(&course, bytes.len(), now) {
                Ok(count) => ready = &bytes[..count],
                Err(due) => at = Some(due),
            },
            Next::End(end) => {
                if end == End::Closed {
                    // Whoever has gone already needs no goodbye.
                    let _ = writer.shutdown().await;
                }
                return end;
            }
        }
        let until = at.unwrap_or(now);
        tokio::select! {
            biased;
            changed = rules.plan.changed() => if changed.is_err() { return End::Broken },
            written = writer.write(ready), if !ready.is_empty() => match written {
                Ok(count) if count > 0 => {
                    line.leave(count);
                    rules.spend(&course, count);
                }
                _ => return End::Closed,
            },
            () = tokio::time::sleep_until(until), if at.is_some() => {}
            read = reader.read(&mut buffer), if has_room => rules.take(&mut line, &read, &buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Way;
    use onefold_core::TaskGroup;
    use std::num::NonZeroU64;
    use std::time::Duration;
    use tokio::io::{DuplexStream, duplex};

    struct Rig {
        plan: watch::Sender<Plan>,
        sender: DuplexStream,
        receiver: DuplexStream,
        _tasks: TaskGroup,
    }

    fn rig(course: Course) -> Rig {
        let (sender, reader) = duplex(1 << 10);
        let (writer, receiver) = duplex(1 << 10);
        let (plan, rules) = watch::channel(Plan::of(course, Way::There));
        let rules = Rules::new(rules, Side::There, Arc::new(Mutex::new(Bucket::new(now()))), 7);
        let tasks = TaskGroup::new();
        tasks.spawn("pump", async move {
            pump(reader, writer, Line::default(), rules).await;
        });
        Rig { plan, sender, receiver, _tasks: tasks }
    }

    async fn arrives(rig: &mut Rig, count: usize) -> (Vec<u8>, Duration) {
        let (begun, mut bytes) = (now(), vec![0; count]);
        rig.receiver.read_exact(&mut bytes).await.unwrap();
        (bytes, now() - begun)
    }

    const DELAY: Duration = Duration::from_millis(50);

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_added_once_and_an_end_is_delayed_as_well() {
        let mut rig = rig(Course { delay: DELAY, ..Course::default() });
        rig.sender.write_all(b"one").await.unwrap();
        assert_eq!(arrives(&mut rig, 3).await, (b"one".to_vec(), DELAY));
        let begun = now();
        drop(rig.sender);
        assert_eq!(rig.receiver.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(now() - begun, DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_holds_for_what_is_on_its_way() {
        let mut rig = rig(Course { is_cut: true, ..Course::default() });
        rig.sender.write_all(b"held").await.unwrap();
        let waited = tokio::time::timeout(Duration::from_hours(1), rig.receiver.read_u8()).await;
        assert!(waited.is_err(), "nothing passes");
        rig.plan.send_replace(Plan::default());
        assert_eq!(arrives(&mut rig, 4).await.0, b"held");
    }

    #[tokio::test(start_paused = true)]
    async fn a_narrow_way_takes_its_time_and_loses_nothing() {
        let rate = NonZeroU64::new(1000);
        let mut rig = rig(Course { bytes_per_second: rate, ..Course::default() });
        let sent: Vec<u8> = (0..=255).cycle().take(1000).collect();
        rig.sender.write_all(&sent).await.unwrap();
        let (bytes, took) = arrives(&mut rig, 1000).await;
        assert_eq!(bytes, sent);
        assert!((970..=1010).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_slow_makes_the_sender_wait() {
        let mut rig = rig(Course::default());
        let mut sent = 0;
        let piece = [1; 1024];
        let sending = async {
            loop {
                rig.sender.write_all(&piece).await.unwrap();
                sent += piece.len();
            }
        };
        assert!(tokio::time::timeout(Duration::from_hours(1), sending).await.is_err());
        assert!(sent <= (256 << 10) + (20 << 10), "{sent} bytes were taken for a reader that never reads");
        let mut left = vec![0; sent];
        rig.receiver.read_exact(&mut left).await.unwrap();
    }
}
