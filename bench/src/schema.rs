//! The tables of the tiers, as `migrate` makes them.

use anyhow::{Context as _, Result};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::{Config, Database};

/// Applies the migrations of every tier.
pub(crate) async fn migrate(url: &str) -> Result<()> {
    let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
    let config = Config { url: Some(Secret::new(url)), ..Config::default() };
    let database =
        Database::connect(&config, &"bench".parse()?, &"a".parse()?, &tasks, &metrics, Clock::system())
            .await?;
    let sets = [
        onefold_database::MIGRATIONS,
        onefold_coordination::MIGRATIONS,
        onefold_cache::MIGRATIONS,
        onefold_queue::MIGRATIONS,
    ];
    database.migrate(&sets).await.context("migrate")?;
    tasks.stopping().cancel();
    Ok(())
}
