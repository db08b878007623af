//! `/api/prometheus/targets`: whom Prometheus is to scrape, as its HTTP service discovery asks for it.
//!
//! Nodes alone: of engines nobody here knows whether they speak Prometheus' format, and where. A node that has died stays in the
//! list for as long as the picture shows it, so that `up` becomes 0 rather than nothing.

use crate::error::{Error, Kind, Result};
use crate::role::observer::picture::{Node, Picture};
use crate::role::observer::survey::View;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

/// One target with its labels. `instance` is the node's name, as in what nodes send by OTLP.
#[derive(Debug, PartialEq, Serialize)]
struct Target {
    targets: [String; 1],
    labels: Labels,
}

#[derive(Debug, PartialEq, Serialize)]
struct Labels {
    instance: String,
    node: String,
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    system: String,
}

pub(super) fn router(view: View) -> Router {
    Router::new().route("/api/prometheus/targets", get(list)).with_state(view)
}

async fn list(State(view): State<View>) -> Result<Json<Vec<Target>>> {
    // Not by `View::picture`: nobody looks at the edges.
    let picture = view.picture.borrow().clone();
    let targets = targets(&picture);
    if targets.is_empty() {
        // The observer itself is a node: it has not looked yet. Prometheus keeps what it knows on an error.
        return Err(Error::new(Kind::Unavailable, "no node is known yet: ask again"));
    }
    Ok(Json(targets))
}

fn targets(picture: &Picture) -> Vec<Target> {
    let of = |node: &Node| {
        let admin = node.admin?;
        Some(Target {
            targets: [admin.to_string()],
            labels: Labels {
                instance: node.name.to_string(),
                node: node.name.to_string(),
                role: node.role.clone(),
                zone: node.zone.as_ref().map(ToString::to_string),
                system: picture.system().to_owned(),
            },
        })
    };
    picture.nodes.iter().filter_map(of).collect()
}
