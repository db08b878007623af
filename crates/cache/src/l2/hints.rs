//! How nodes tell each other of invalidations, where an engine has a way for that.

use onefold_database::Heard;
use tokio::sync::mpsc;

/// A channel between nodes. What is told reaches all who listen, the teller's own node as well, soon and at most once.
/// It may be lost, and then who listens hears of a [`Heard::Gap`]; order is not kept.
pub trait Hints: Send + Sync + std::fmt::Debug {
    /// Listens, and connects again by itself.
    fn listen(&self) -> mpsc::Receiver<Heard>;

    /// Tells all who listen; what cannot be told is dropped.
    fn tell(&self, payload: String);
}
