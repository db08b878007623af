//! Server-sent events: the whole picture and the alerts, at once and when they change, and each thing that happens.

use super::happening::Happening;
use super::survey::View;
use axum::response::sse::{Event, KeepAlive, Sse};
use chrono::{DateTime, Utc};
use futures_util::stream::{self, Stream};
use onefold_observability::collect::Alerts;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

/// Between two pictures at least: a person sees no more.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a silent stream says that it lives.
const ALIVE: Duration = Duration::from_secs(15);

/// One reader's stream.
struct Reader {
    view: View,
    happenings: broadcast::Receiver<Happening>,
    alerts: Alerts,
    alarms: watch::Receiver<u64>,
    /// What a new reader is shown first, the last first.
    first: Vec<Next>,
    /// No picture before this.
    not_before: Instant,
    stopping: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

enum Next {
    Picture,
    Alerts,
    Happening(Happening),
    End,
}

/// The events from now on, until the node stops or the reader leaves.
pub(super) fn events(
    view: View,
    alerts: Alerts,
    stopping: CancellationToken,
    seat: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (happenings, not_before) = (view.happenings(), view.clock.now());
    let alarms = alerts.changes();
    let first = vec![Next::Alerts, Next::Picture];
    let reader = Reader { view, happenings, alerts, alarms, first, not_before, stopping, _seat: seat };
    let events = stream::unfold(reader, async |mut reader| {
        let event = match reader.next().await {
            Next::Picture => reader.picture(),
            Next::Alerts => event("alerts", &reader.alerts.list()),
            Next::Happening(happening) => event("event", &happening),
            Next::End => return None,
        };
        Some((Ok(event), reader))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))
}

impl Reader {
    async fn next(&mut self) -> Next {
        if let Some(first) = self.first.pop() {
            return first;
        }
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return Next::End,
                happened = self.happenings.recv() => match happened {
                    Ok(happening) => return Next::Happening(happening),
                    // A slow reader: the picture tells what has come of what it missed.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Next::End,
                },
                changed = self.alarms.changed() => {
                    return if changed.is_ok() { Next::Alerts } else { Next::End };
                }
                changed = change(&mut self.view.picture, self.not_before) => {
                    return if changed { Next::Picture } else { Next::End };
                }
            }
        }
    }

    fn picture(&mut self) -> Event {
        let picture = self.view.picture.borrow_and_update().clone();
        self.not_before = self.view.clock.now() + PAUSE;
        event("topology", &picture.at(DateTime::<Utc>::from(self.view.clock.wall())))
    }
}

/// Returns at the next change, but not before that time; false where there will be none.
async fn change<T>(watched: &mut watch::Receiver<T>, not_before: Instant) -> bool {
    tokio::time::sleep_until(not_before.into()).await;
    watched.changed().await.is_ok()
}

fn event(name: &str, value: &impl serde::Serialize) -> Event {
    // What we show is made of strings and numbers, and always serializes.
    Event::default().event(name).json_data(value).unwrap_or_default()
}
