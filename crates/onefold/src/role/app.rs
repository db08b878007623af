//! The app node: runs the handlers.

use super::lifecycle::{Lifecycle, bind};
use super::recall;
use crate::App;
use crate::error::{Error, Kind, Result};
use crate::node::{Identity, Node};
use crate::overload::Gate;
use crate::request::{Edge, Routes, around};
use crate::serve::{Limits, serve};
use crate::topology::Topology;
use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use http::HeaderValue;
use onefold_core::TaskGroup;
use std::sync::Arc;
use std::time::Duration;

/// How long a leaving node still takes requests: until every balancer has heard that it leaves. They hear it
/// within milliseconds by push; by poll, if a push is lost, within half a second.
const LEAVE: Duration = Duration::from_secs(1);

pub(super) async fn run(app: App, topology: &Topology, identity: Identity, lifecycle: Lifecycle) -> Result {
    let listen = identity
        .listen
        .ok_or_else(|| Error::new(Kind::Internal, "an app node has no address to listen on"))?;
    let node = Node::start(&app, topology, identity.clone(), &lifecycle.tasks, &lifecycle.metrics).await?;
    let listener = bind(listen, "app.listen", "--listen").await?;
    let router = router(app, topology, Arc::clone(&node));
    let (serving, connections) = (TaskGroup::new(), TaskGroup::new());
    let drain = topology.app.drain;
    serving
        .spawn("serve", serve(listener, router, Limits::default(), connections, serving.stopping(), drain));
    let members = node.coordination.members();
    recall::start(&lifecycle.emitter, members.watch(), &identity.name, &lifecycle.tasks);
    let registration = members.register(identity.member());
    lifecycle.readiness.set(true);
    tracing::info!(server.address = %listen, "ready");

    lifecycle.stopping.cancelled().await;
    lifecycle.readiness.set(false);
    registration.leave().await;
    tokio::time::sleep(LEAVE).await;
    serving.stop(drain + LEAVE).await;
    node.queue.flush().await;
    lifecycle.end(drain).await;
    Ok(())
}

fn router(app: App, topology: &Topology, node: Arc<Node>) -> Router {
    let identity = &node.identity;
    let served_by = format!("{};zone={}", identity.name, identity.zone);
    let edge = Edge {
        client: app.client,
        gate: Gate::new(topology.app.concurrency, &node.metrics, node.clock.clone()),
        priorities: app.priorities,
        timeout: topology.app.timeout,
        body_bytes_max: topology.app.body_bytes_max,
        served_by: HeaderValue::try_from(served_by).ok().filter(|_| topology.app.expose_node),
        routes: Routes::default(),
        node,
    };
    app.routes
        .layer(DefaultBodyLimit::max(topology.app.body_bytes_max))
        .layer(middleware::from_fn_with_state(Arc::new(edge), around))
}
