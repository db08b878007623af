//! Who emits.

use onefold_core::{NodeName, Role, Zone};

/// Who emits: stands on every line, span and metric.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The system's name.
    pub service: String,
    /// The build's version.
    pub version: String,
    /// The node's name.
    pub node: NodeName,
    /// What it does.
    pub role: Role,
    /// Where it stands.
    pub zone: Zone,
}
