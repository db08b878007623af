//! `migrate`: applies pending migrations, under a lock.

use super::Place;
use super::exit::Failure;
use super::output;
use super::reach;
use crate::App;
use crate::node::schema;

pub(super) fn run(app: &App, place: &Place) -> Result<(), Failure> {
    let applied = reach::with(app, place, async |reach| Ok(reach.database.migrate(&schema(app)).await?))?;
    for migration in &applied {
        output::line(format_args!("applied {} of {}", migration.name, migration.owner))?;
    }
    if applied.is_empty() {
        output::line("the schema is up to date")?;
    }
    Ok(())
}
