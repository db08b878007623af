//! What one thread works with, and what all threads share.

use crate::clients::Clients;
use crate::config::Config;
use crate::endpoint::roster::Probing;
use crate::endpoint::{Endpoint, Table};
use crate::hygiene::strict;
use crate::meters::Meters;
use http::HeaderValue;
use onefold_core::Clock;
use onefold_core::deadline::DurationText;
use onefold_core::retry::RetryBudget;
use std::sync::Arc;
use std::time::Instant;

/// What all threads share. Snapshots and atomics: nothing here is waited for.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) table: Arc<Table>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) clients: Arc<Clients>,
    /// One for all threads, so that few requests on each still earn a retry together.
    pub(crate) budget: RetryBudget,
    pub(crate) stream_limits: Arc<strict::Limits>,
    /// `onefold-timeout` where the client asked for none.
    pub(crate) request_timeout: HeaderValue,
}

impl Shared {
    pub(crate) fn new(config: Config, clock: Clock, table: Arc<Table>, meters: Arc<Meters>) -> Self {
        let request_timeout = HeaderValue::try_from(DurationText(config.request_timeout).to_string());
        Self {
            clients: Arc::new(Clients::new(&config)),
            budget: RetryBudget::new(config.retry_share, config.retry_per_second, clock.now()),
            stream_limits: Arc::new(config.stream_limits()),
            request_timeout: request_timeout.unwrap_or(HeaderValue::from_static("30s")),
            config,
            clock,
            table,
            meters,
        }
    }
}

/// One thread's part.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) thread: usize,
    pub(crate) shared: Arc<Shared>,
}

impl Lane {
    /// The endpoint for the next try.
    pub(crate) fn choose(
        &self,
        tried: &[Arc<Endpoint>],
        probing: Probing,
        now: Instant,
    ) -> Option<Arc<Endpoint>> {
        self.shared.table.roster().choose(tried, probing, now, &mut rand::rng())
    }
}
