//! `migrate`: applies pending migrations, under a lock.

use super::Place;
use super::exit::Failure;
use super::reach;
use crate::App;
use crate::node::schema;

pub(super) fn run(app: &App, place: &Place) -> Result<(), Failure> {
    let applied = reach::with(app, place, async |reach| Ok(reach.database.migrate(&schema(app)).await?))?;
    for migration in &applied {
        println!("applied {} of {}", migration.name, migration.owner);
    }
    if applied.is_empty() {
        println!("the schema is up to date");
    }
    Ok(())
}
