//! LISTEN for the whole node: one direct connection to the primary, opened again when it is lost.

use crate::servers::Servers;
use onefold_core::TaskGroup;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// What waits for one listener. When it is full, the listener is told of a gap instead.
const HEARD_MAX: usize = 1024;
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a listener hears. Notifications are hints: they may be lost, and a [`Heard::Gap`] says when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From here on notifications arrive. What was sent before is not known.
    Subscribed,
    /// A notification.
    Payload(String),
    /// Notifications may have been lost from here on, until the next [`Heard::Subscribed`].
    Gap,
}

#[derive(Clone, Debug)]
pub(crate) struct Listener(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    channels: Mutex<HashMap<&'static str, Vec<Ear>>>,
    changed: Notify,
}

#[derive(Debug)]
struct Ear {
    sender: mpsc::Sender<Heard>,
    state: Hearing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// LISTEN is not in force, and the ear knows it.
    Deaf,
    /// Everything that arrives is handed on.
    Listening,
    /// It missed something for want of room, and does not know it yet.
    Behind,
}

impl Listener {
    pub(crate) fn start(servers: Arc<Servers>, tasks: &TaskGroup) -> Self {
        let inner = Arc::new(Inner::default());
        let (task, stopping) = (Arc::clone(&inner), tasks.stopping());
        tasks.spawn("database-listener", async move {
            stopping.run_until_cancelled(listen_forever(&task, &servers)).await;
        });
        Self(inner)
    }

    pub(crate) fn listen(&self, channel: &'static str) -> mpsc::Receiver<Heard> {
        let (sender, receiver) = mpsc::channel(HEARD_MAX);
        self.0.channels().entry(channel).or_default().push(Ear { sender, state: Hearing::Deaf });
        self.0.changed.notify_one();
        receiver
    }
}

impl Inner {
    fn channels(&self) -> MutexGuard<'_, HashMap<&'static str, Vec<Ear>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a payload to all who listen on its channel.
    fn tell(&self, channel: &str, payload: &str) {
        self.each(channel, |ear| ear.hear(payload));
    }

    /// LISTEN is in force on the channel.
    fn subscribed(&self, channel: &str) {
        self.each(channel, Ear::wake);
    }

    /// The connection is gone.
    fn lost(&self) {
        for name in self.names() {
            self.each(name, Ear::deafen);
        }
    }

    fn each(&self, channel: &str, mut act: impl FnMut(&mut Ear)) {
        if let Some(ears) = self.channels().get_mut(channel) {
            ears.retain(|ear| !ear.sender.is_closed());
            ears.iter_mut().for_each(&mut act);
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.channels().keys().copied().collect()
    }
}

impl Ear {
    fn wake(&mut self) {
        if self.state == Hearing::Deaf {
            self.state = Hearing::Listening;
            self.send(Heard::Subscribed);
        }
    }

    fn deafen(&mut self) {
        if self.state == Hearing::Listening {
            self.send(Heard::Gap);
        }
        // Whoever is behind hears of this gap with that one.
        if self.state != Hearing::Behind {
            self.state = Hearing::Deaf;
        }
    }

    fn hear(&mut self, payload: &str) {
        // One slot each for the gap, the subscription and the payload.
        if self.state == Hearing::Behind && self.sender.capacity() >= 3 {
            self.state = Hearing::Listening;
            self.send(Heard::Gap);
            self.send(Heard::Subscribed);
        }
        if self.state == Hearing::Listening {
            self.send(Heard::Payload(payload.to_owned()));
        }
    }

    fn send(&mut self, heard: Heard) {
        if self.sender.try_send(heard).is_err() {
            self.state = Hearing::Behind;
        }
    }
}

async fn listen_forever(inner: &Inner, servers: &Servers) {
    loop {
        while inner.names().is_empty() {
            inner.changed.notified().await;
        }
        if let Err(error) = listen_once(inner, servers).await {
            tracing::debug!("listener: {error}");
        }
        inner.lost();
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Listens until the connection is lost.
async fn listen_once(inner: &Inner, servers: &Servers) -> Result<(), crate::Error> {
    let primary = servers.primary(None).await?;
    let (connection, mut notifications) = primary.server.connector.listener().await?;
    let mut subscribed: Vec<&'static str> = Vec::new();
    loop {
        for channel in inner.names() {
            if !subscribed.contains(&channel) {
                connection.batch_execute(&format!("listen {}", quoted(channel))).await?;
                subscribed.push(channel);
            }
            inner.subscribed(channel);
        }
        tokio::select! {
            notification = notifications.recv() => match notification {
                Some(heard) => inner.tell(heard.channel(), heard.payload()),
                None => return Ok(()),
            },
            () = inner.changed.notified() => {}
            () = servers.moved_from(&primary) => return Ok(()),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
