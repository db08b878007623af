//! The faults of a running system as everybody may read them: `run/faults.json`, which `up` replaces at each change.

use onefold_chaos::Fault;
use onefold_core::NodeName;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is broken on purpose, and what can be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The `up` that says so.
    pid: u32,
    /// The edges that lead through the fault proxy.
    pub(crate) edges: Vec<Ends>,
    /// In force.
    pub(crate) faults: Vec<Fault>,
    /// Ended, the latest last.
    pub(crate) past: Vec<Fault>,
}

/// An edge by its ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(crate) from: NodeName,
    pub(crate) to: NodeName,
}

impl Report {
    /// What this process says.
    pub(super) fn own(edges: &[(NodeName, NodeName)], faults: Vec<Fault>, past: Vec<Fault>) -> Self {
        let ends = |(from, to): &(NodeName, NodeName)| Ends { from: from.clone(), to: to.clone() };
        Self { pid: std::process::id(), edges: edges.iter().map(ends).collect(), faults, past }
    }

    /// What the `up` of a state directory says; none where it is not there, or has not said so yet.
    pub(crate) fn read(state: &Path, up: u32) -> Option<Self> {
        let text = std::fs::read(file(&state.join("run"))).ok()?;
        // It is replaced in one step, and an earlier one's file says nothing.
        serde_json::from_slice::<Self>(&text).ok().filter(|report| report.pid == up)
    }
}

/// Where it stands in the directory of one run.
pub(super) fn file(run: &Path) -> PathBuf {
    run.join("faults.json")
}
