//! The schema of this tier, applied by the database tier.

use onefold_database::{Migration, MigrationSet};

/// The queue's tables, all in the schema `onefold`.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    owner: "queue",
    migrations: &[
        Migration { name: "0001_queue", sql: include_str!("migrations/0001_queue.sql") },
        Migration { name: "0002_carried", sql: include_str!("migrations/0002_carried.sql") },
        Migration { name: "0003_retrying", sql: include_str!("migrations/0003_retrying.sql") },
    ],
};
