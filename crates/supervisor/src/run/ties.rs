//! What ties keepers to each other and to their supervisor.

use super::order::Order;
use crate::children::Children;
use crate::error::Error;
use crate::event::Event;
use onefold_core::{Clock, TaskGroup};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What the keepers of one system share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) children: Children,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) clock: Clock,
    /// Those that wait for the end of processes which already have a successor.
    pub(crate) leavers: TaskGroup,
}

impl Shared {
    /// Events are news, the status is the truth: where nobody reads them they are dropped.
    pub(crate) fn tell(&self, event: Event) {
        if let Err(error) = self.events.try_send(event) {
            tracing::debug!(%error, "an event is not read");
        }
    }
}

/// What ties a keeper to the supervisor.
#[derive(Debug)]
pub(crate) struct Ties {
    /// True, once and for all, when those that come before are ready.
    pub(crate) predecessors: Vec<watch::Receiver<bool>>,
    /// Hears how the first start went.
    pub(crate) first: oneshot::Sender<Result<(), Error>>,
    /// Brings orders to start the process anew.
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Set to true after the first start.
    pub(crate) started: watch::Sender<bool>,
    /// Set to true when the process has gone for good.
    pub(crate) gone: watch::Sender<bool>,
    /// Tells the process to stop.
    pub(crate) stop: CancellationToken,
    /// Ends the grace of a stop.
    pub(crate) hurry: CancellationToken,
}
