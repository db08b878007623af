//! Runs jobs: fetches them under a lease, runs their handlers, and tells the engine how they ended.
//!
//! One worker goes through *lives*, one for each lease. A life is a set of tasks that share a [`life::Life`]:
//! the fetching, the slots, the settling and the lease. When the lease is lost they are dropped where they are,
//! since nothing they hold is theirs any more, and the next life begins under a new row of the engine. When the
//! worker is told to stop, the life winds down: it stops fetching, gives back what it only prefetched, lets
//! handlers end within the grace, cancels the rest and gives those jobs back with the attempt not counted.

mod appetite;
mod crew;
mod fetching;
mod lease;
mod life;
mod lives;
mod pace;
mod ready;
mod settling;
mod slot;

pub use lives::{Start, Worker};
