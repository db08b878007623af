//! `/api/v1/rules` and `/api/v1/alerts`: what Grafana's page of alerts reads from a data source.

use super::answer::{Answer, Refusal};
use super::form::Form;
use crate::collect::alerts::{Alerts, ListedAlert, ListedGroup, ListedRule};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;

pub(in crate::collect::api) fn router(alerts: &Alerts) -> Router {
    Router::new()
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(active))
        .with_state(alerts.clone())
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<ListedGroup>,
}

#[derive(Serialize)]
struct Active {
    alerts: Vec<ListedAlert>,
}

/// Which rules are asked for.
struct Wanted<'f> {
    alerting: bool,
    recording: bool,
    names: Vec<&'f str>,
}

async fn rules(State(alerts): State<Alerts>, form: Form) -> Result<Answer<Groups>, Refusal> {
    let (alerting, recording) = match form.text("type") {
        None => (true, true),
        Some("alert") => (true, false),
        Some("record") => (false, true),
        Some(other) => {
            return Err(Refusal::parameter("type", format!("{other:?} is neither alert nor record")));
        }
    };
    let wanted = Wanted { alerting, recording, names: form.all("rule_name[]").collect() };
    let (groups, files): (Vec<_>, Vec<_>) =
        (form.all("rule_group[]").collect(), form.all("file[]").collect());
    let bare = form.text("exclude_alerts").is_some_and(|value| value == "true");
    let mut all = alerts.groups();
    all.retain(|group| is_one_of(&groups, &group.name) && is_one_of(&files, &group.file));
    for group in &mut all {
        group.rules.retain(|rule| wanted.holds(rule));
        for rule in &mut group.rules {
            if let ListedRule::Alerting(rule) = rule
                && bare
            {
                rule.alerts = None;
            }
        }
    }
    all.retain(|group| !group.rules.is_empty());
    Ok(Answer(Groups { groups: all }))
}

async fn active(State(alerts): State<Alerts>) -> Answer<Active> {
    Answer(Active { alerts: alerts.active() })
}

impl Wanted<'_> {
    fn holds(&self, rule: &ListedRule) -> bool {
        let kind = match rule {
            ListedRule::Alerting(_) => self.alerting,
            ListedRule::Recording(_) => self.recording,
        };
        kind && is_one_of(&self.names, rule.name())
    }
}

/// An empty list is no condition.
fn is_one_of(wanted: &[&str], name: &str) -> bool {
    wanted.is_empty() || wanted.contains(&name)
}

#[cfg(test)]
mod tests {
    use crate::collect::api::tests::observer;
    use serde_json::json;

    #[tokio::test]
    async fn rules_are_chosen_by_kind_group_and_name() {
        let observer = observer();
        let (_, all) = observer.get("/api/v1/rules").await;
        let groups = all["data"]["groups"].as_array().unwrap();
        assert_eq!((&all["status"], groups.is_empty()), (&json!("success"), false));
        let (group, rule) = (&groups[0]["name"], &groups[0]["rules"][0]["name"]);
        let path = format!(
            "/api/v1/rules?type=alert&exclude_alerts=true&rule_group[]={}&rule_name[]={}",
            group.as_str().unwrap().replace(' ', "+"),
            rule.as_str().unwrap()
        );
        let (_, one) = observer.get(&path).await;
        let chosen = &one["data"]["groups"];
        assert_eq!(
            (chosen.as_array().unwrap().len(), &chosen[0]["name"], &chosen[0]["rules"][0]["name"]),
            (1, group, rule)
        );
        assert!(chosen[0]["rules"][0].get("alerts").is_none(), "{one}");
        let (_, none) = observer.get("/api/v1/rules?file[]=none").await;
        assert_eq!(none, json!({"status": "success", "data": {"groups": []}}));
        let (_, active) = observer.get("/api/v1/alerts").await;
        assert_eq!(active, json!({"status": "success", "data": {"alerts": []}}));
    }
}
