//! Which box of the picture a span belongs to: that of the crate whose span it is, and the node's own for spans of
//! the application.

use onefold_core::Role;

/// By the module that opened the span.
pub(super) fn of(target: &str, role: Role) -> &'static str {
    let mut path = target.split("::");
    match path.next().unwrap_or_default() {
        "onefold_balancer" => "balancer",
        "onefold_cache" => "cache",
        "onefold_database" => "database",
        "onefold_coordination" => "coordination",
        "onefold_queue" if path.next() == Some("worker") => "worker",
        "onefold_queue" => "queue",
        _ => match role {
            Role::Balancer => "balancer",
            Role::App => "app",
            Role::Worker => "worker",
            Role::Observer => "observer",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_its_crates_and_an_application_is_where_it_runs() {
        assert_eq!(of("onefold_queue::worker::slot", Role::Worker), "worker");
        assert_eq!(of("onefold_queue::queue", Role::App), "queue");
        assert_eq!(of("onefold_database::tx", Role::Worker), "database");
        assert_eq!(of("links::handlers", Role::App), "app");
        assert_eq!(of("onefold::request", Role::App), "app");
        assert_eq!(of("links::jobs", Role::Worker), "worker");
    }
}
