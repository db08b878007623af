//! What is given up first when not everything can be done.

/// How much a route matters when a node has more to do than it can.
///
/// No method comes before another by default: a `POST` may be an order and a `GET` a picture of it, and only who wrote
/// both knows. What clients could claim themselves they all would, so the application says it, and no header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Given up as soon as a node is busy: it takes three quarters of the node's places at most, and never waits for
    /// one. For reports, exports, previews.
    Low,
    /// What every route is that nothing is said of.
    #[default]
    Normal,
    /// Waits before the others, and has a tenth of the places for itself when all are taken. For what is cheap and must
    /// work: signing in, a check of health that goes through the application, an answer to a payment.
    High,
}
