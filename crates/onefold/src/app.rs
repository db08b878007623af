//! What a team hands over: routes, jobs, schedules, migrations.

use crate::cli;
use crate::job::{Job, JobCx, Registered, Scheduled};
use crate::{Migration, Priority, Result};
use axum::Router;
use http::request::Parts;
use onefold_coordination::{Setting, Typed};
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

/// An application: everything of it that Onefold runs.
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use onefold::prelude::*;
///
/// fn main() -> std::process::ExitCode {
///     App::new("hello").routes(Router::new().route("/", get(async || "hello\n"))).run()
/// }
/// ```
#[must_use = "an application does nothing until it is run"]
pub struct App {
    pub(crate) name: &'static str,
    pub(crate) routes: Router,
    pub(crate) jobs: Vec<Registered>,
    pub(crate) schedules: Vec<Scheduled>,
    pub(crate) migrations: &'static [Migration],
    pub(crate) client: ClientOf,
    pub(crate) settings: Vec<RegisterSetting>,
    pub(crate) priorities: HashMap<&'static str, Priority>,
}

/// Makes a setting known to the configuration service, so that it can be listed and checked.
pub(crate) type RegisterSetting =
    Box<dyn Fn(&onefold_coordination::Settings) -> Result<(), onefold_coordination::Error> + Send + Sync>;

/// Names the client of a request: the targeting key of flags, and part of the scope of idempotency keys.
pub(crate) type ClientOf = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

impl App {
    /// An application of this name, which is also its system's unless the topology file names another.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            routes: Router::new(),
            jobs: Vec::new(),
            schedules: Vec::new(),
            migrations: &[],
            client: Arc::new(|_| None),
            settings: Vec::new(),
            priorities: HashMap::new(),
        }
    }

    /// Adds routes. A router with a state of its own is added after its `.with_state(…)`.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Says what is given up first, or last, when a node has more to do than it can: a route by its pattern, as in
    /// `/links/{code}/stats`, whatever the method. Routes that are not named are [`Priority::Normal`].
    pub fn priority(mut self, route: &'static str, priority: Priority) -> Self {
        self.priorities.insert(route, priority);
        self
    }

    /// Registers a kind of job: workers run it, and only registered kinds can be enqueued.
    pub fn job<J: Job>(mut self) -> Self {
        self.jobs.push(Registered::of::<J>());
        self
    }

    /// Runs `task` at the times of a cron expression (five fields, UTC), on the workers, once for each time in
    /// the whole system.
    pub fn cron<F, Fut>(mut self, name: &'static str, expression: &'static str, task: F) -> Self
    where
        F: Fn(JobCx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.schedules.push(Scheduled::new(name, expression, task));
        self
    }

    /// The schema's migrations, in order; see [`migrations!`](crate::migrations).
    pub fn migrations(mut self, migrations: &'static [Migration]) -> Self {
        self.migrations = migrations;
        self
    }

    /// Makes a runtime setting known: only known ones can be listed and set.
    pub fn setting<T: Typed>(mut self, setting: Setting<T>) -> Self {
        self.settings.push(Box::new(move |settings| settings.register(&setting)));
        self
    }

    /// Says how the client of a request is named, for flags and idempotency keys. By default nobody is named.
    pub fn client(mut self, name: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.client = Arc::new(name);
        self
    }

    /// Does what the command line says: `up`, `serve`, `migrate`, …
    pub fn run(self) -> ExitCode {
        cli::run(self)
    }
}

/// Embeds migration files, named from the crate's root, in order.
///
/// ```ignore
/// App::new("links").migrations(migrations!["migrations/0001_links.sql"])
/// ```
#[macro_export]
macro_rules! migrations {
    ($($path:literal),+ $(,)?) => {
        &[$($crate::Migration {
            name: $path,
            sql: ::core::include_str!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $path)),
        }),+]
    };
}
