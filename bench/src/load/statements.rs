//! The queue's own statements, read from its source: the raw loops issue the same ones, and cannot drift from them.

const SOURCE: &str = include_str!("../../../crates/queue/src/postgres/sql.rs");

/// Inserts one job.
pub(super) fn enqueue_one() -> &'static str {
    statement("ENQUEUE_ONE")
}

/// Takes a batch.
pub(super) fn fetch() -> &'static str {
    statement("FETCH")
}

/// Completes a batch.
pub(super) fn done() -> &'static str {
    statement("DONE")
}

/// Makes a worker's row.
pub(super) fn register() -> &'static str {
    statement("REGISTER")
}

/// The text of a constant. A constant that is gone ends the benchmark with an error of Postgres: an empty statement.
fn statement(name: &str) -> &'static str {
    let text = SOURCE.split_once(&format!("const {name}: &str = \"")).map_or("", |(_, rest)| rest);
    text.split_once("\";").map_or("", |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_found_whole() {
        for statement in [enqueue_one(), fetch(), done(), register()] {
            assert!(statement.contains("returning"), "{statement}");
        }
    }
}
