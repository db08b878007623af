//! `$evaluators`: rules that several flags share by name.

use serde_json::{Map, Value as Json};

/// The shared rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evaluators(pub(super) Map<String, Json>);

/// Deeper than any sane rule: a circle ends here.
const DEPTH_MAX: usize = 32;

impl Evaluators {
    /// The rule with each `{"$ref": "name"}` replaced.
    pub(super) fn resolve(&self, rule: &Json) -> Result<Json, String> {
        self.resolve_at(rule, 0)
    }

    fn resolve_at(&self, rule: &Json, depth: usize) -> Result<Json, String> {
        Ok(match rule {
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.resolve_at(item, depth)).collect::<Result<_, _>>()?)
            }
            Json::Object(fields) => match reference(fields) {
                Some(_) if depth == DEPTH_MAX => {
                    return Err("$evaluators refer to each other in a circle".into());
                }
                Some(name) => {
                    let shared = self.0.get(name).ok_or_else(|| format!("there is no evaluator `{name}`"))?;
                    self.resolve_at(shared, depth + 1)?
                }
                None => Json::Object(
                    fields
                        .iter()
                        .map(|(name, value)| Ok((name.clone(), self.resolve_at(value, depth)?)))
                        .collect::<Result<_, String>>()?,
                ),
            },
            other => other.clone(),
        })
    }
}

fn reference(fields: &Map<String, Json>) -> Option<&str> {
    (fields.len() == 1).then(|| fields.get("$ref")?.as_str()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_replaced_and_circles_refused() {
        let Json::Object(shared) = json!({
            "is-ours": {"ends_with": [{"var": "email"}, "@ours.example"]},
            "both": {"and": [{"$ref": "is-ours"}, true]},
            "circle": {"!": {"$ref": "circle"}},
        }) else {
            unreachable!()
        };
        let evaluators = Evaluators(shared);
        let resolved = evaluators.resolve(&json!({"if": [{"$ref": "both"}, "on"]})).unwrap();
        let expected =
            json!({"if": [{"and": [{"ends_with": [{"var": "email"}, "@ours.example"]}, true]}, "on"]});
        assert_eq!(resolved, expected);
        assert!(evaluators.resolve(&json!({"$ref": "circle"})).unwrap_err().contains("circle"));
        assert!(evaluators.resolve(&json!({"$ref": "nowhere"})).unwrap_err().contains("nowhere"));
    }
}
