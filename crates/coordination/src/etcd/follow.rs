//! The one watch of a process: it fills the feed.
//!
//! It resumes where it broke off, so that what the feed holds has no gap.

use super::Etcd;
use super::channel::Channel;
use super::client::CallError;
use super::frames::Frames;
use super::keys::Span;
use super::wire::{WATCH, WatchCreate, WatchRequest, Watched};
use super::{kv, past, step, value};
use crate::election::pause_after;
use crate::error::Error;
use crate::store::Hint;
use prost::Message as _;
use std::sync::Arc;

impl Etcd {
    /// Watches until the node stops.
    pub(super) async fn follow(self) {
        let mut failures = 0;
        loop {
            let error = self.follow_once(&mut failures).await;
            tracing::debug!(%error, "watch etcd");
            failures += 1;
            tokio::time::sleep(pause_after(failures, rand::random())).await;
        }
    }

    /// Watches until that is over; answers why it is.
    async fn follow_once(&self, failures: &mut u32) -> Error {
        let mut epochs = self.feed.epochs();
        let watching = async {
            let epoch = self.epoch().await?;
            let from = match self.feed.resume(epoch) {
                Some(watched) => watched,
                None => self.begin_anew(epoch).await?,
            };
            let (channel, mut frames) = self.watch(self.keys.watched(), from + 1).await?;
            loop {
                let message = tokio::select! {
                    message = frames.next() => message.map_err(|failure| self.client.failed(failure))?,
                    () = channel.retired() => return Err(Error::Away("the connection is given up".to_owned())),
                    // The sender lives in what we hold.
                    _ = epochs.wait_for(|now| *now != epoch) => {
                        return Err(Error::Away("another epoch has begun".to_owned()));
                    }
                };
                let Some(message) = message else { return Err(self.client.failed(frames.end()).into()) };
                self.hear(&message)?;
                *failures = 0;
            }
        };
        let watched: Result<std::convert::Infallible, Error> = watching.await;
        match watched {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn begin_anew(&self, epoch: i64) -> Result<i64, Error> {
        let answer = self.read(vec![step::get(self.keys.forgotten()), step::get(self.keys.head())]).await?;
        let watched = answer.header.as_ref().map_or(0, |header| header.revision);
        self.feed.begin(epoch, kv::head(&answer), watched);
        self.feed.forget_up_to(past::forgotten(answer.read(0))?.0);
        self.feed.hint(Hint::Gap);
        Ok(watched)
    }

    pub(super) async fn watch(&self, span: Span, from: i64) -> Result<(Arc<Channel>, Frames), CallError> {
        let create = WatchCreate { key: span.key, end: span.end, from };
        self.client.stream(WATCH, &WatchRequest { create: Some(create) }).await
    }

    fn hear(&self, message: &[u8]) -> Result<(), Error> {
        let watched = decode(message)?;
        if watched.canceled {
            self.feed.lose();
            return Err(Error::Away(format!("the watch was ended: {}", watched.reason)));
        }
        let mut changes = Vec::new();
        let (mut head, mut last) = (None, 0);
        for event in &watched.events {
            let Some(kv) = &event.kv else { continue };
            last = last.max(kv.modified);
            if let Some(change) = value::change(&self.keys, event)? {
                changes.push((change, kv.key.len() + kv.value.len()));
            } else if kv.key == self.keys.head() {
                head = head.max(Some(kv.modified));
            } else if kv.key == self.keys.epoch() {
                self.epoch.forget();
            } else if kv.key == self.keys.forgotten() && !event.is_deletion() {
                self.feed.forget_up_to(value::parse(kv)?);
            }
        }
        self.feed.take(changes, head, last);
        if head.is_some() {
            self.feed.hint(Hint::Changed);
        }
        let ended = watched.events.iter().filter(|event| event.is_deletion());
        let names = ended.filter_map(|event| self.keys.strip(&event.kv.as_ref()?.key, "lease/"));
        names.for_each(|name| self.feed.hint(Hint::Released(name.to_owned())));
        Ok(())
    }
}

pub(super) fn decode(message: &[u8]) -> Result<Watched, Error> {
    Watched::decode(message).map_err(|error| Error::Away(format!("etcd's watch is unreadable: {error}")))
}
