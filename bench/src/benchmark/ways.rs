//! The rounds of an engine's benchmark: in each, every way once, by a load in a process of its own.

use crate::harness::{Count, PinnedEngine, PinnedPostgres, Settings, Table, run_load};
use anyhow::{Context as _, Result};

/// Its case, its name, what the load calls it, and how many tasks take it.
pub(super) type Way = (&'static str, &'static str, &'static str, usize);

/// The servers, and the name by which the load knows the engine.
pub(super) struct Stage<'a> {
    pub(super) load: &'static str,
    pub(super) engine: &'a PinnedEngine,
    pub(super) postgres: &'a PinnedPostgres,
    /// What this load wants to know beside.
    pub(super) arguments: &'a [&'a str],
}

impl Stage<'_> {
    /// Takes every way in every round; `note` writes down what was counted, by case and name.
    pub(super) fn rounds(
        &self,
        settings: &Settings,
        ways: &[Way],
        note: impl Fn(&mut Table, &'static str, &'static str, &Count),
    ) -> Result<Table> {
        let mut table = Table::new()?;
        for round in 0..settings.rounds {
            eprintln!("round {}", round + 1);
            let seed = settings.seed + round as u64;
            for (case, name, through, tasks) in ways {
                note(&mut table, case, name, &self.take(settings, (through, *tasks), seed)?);
            }
        }
        Ok(table)
    }

    fn take(&self, settings: &Settings, (through, tasks): (&str, usize), seed: u64) -> Result<Count> {
        let topology = self.engine.topology();
        let topology = topology.to_str().context("a path that is text")?;
        let (primary, tasks, seed) = (self.postgres.url(), tasks.to_string(), seed.to_string());
        let window = settings.window.as_millis().to_string();
        let mut arguments = vec![self.load, "--through", through, "--topology", topology];
        arguments.extend(["--primary", &primary, "--tasks", &tasks, "--window-ms", &window, "--seed", &seed]);
        arguments.extend(self.arguments);
        run_load(&arguments)
    }
}
