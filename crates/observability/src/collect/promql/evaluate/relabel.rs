//! `label_replace` and `label_join`.

use super::{Evaluator, Series, distinct};
use crate::collect::promql::ast::{Expression, Kind};
use crate::collect::promql::error::Error;
use crate::collect::promql::labels::is_label_name;
use crate::collect::promql::select::anchored;

impl Evaluator<'_> {
    pub(super) fn label_replace(&self, arguments: &[Expression]) -> Result<Vec<Series>, Error> {
        let [target, replacement, source, pattern] = [1, 2, 3, 4].map(|i| text(&arguments[i]));
        let compiled = anchored(pattern).map_err(|_| {
            Error::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        check_name(target, "label_replace")?;
        distinct(self.vector(&arguments[0])?.into_iter().map(|mut series| {
            if let Some(groups) = compiled.captures(series.labels.get(source)) {
                let mut value = String::new();
                groups.expand(replacement, &mut value);
                series.labels = series.labels.with(target, &value);
            }
            series
        }))
    }

    pub(super) fn label_join(&self, arguments: &[Expression]) -> Result<Vec<Series>, Error> {
        let (target, separator) = (text(&arguments[1]), text(&arguments[2]));
        let sources: Vec<&str> = arguments[3..].iter().map(text).collect();
        for name in sources.iter().copied().chain([target]) {
            check_name(name, "label_join")?;
        }
        distinct(self.vector(&arguments[0])?.into_iter().map(|mut series| {
            let values: Vec<&str> = sources.iter().map(|name| series.labels.get(name)).collect();
            series.labels = series.labels.with(target, &values.join(separator));
            series
        }))
    }
}

/// The parser has seen to it that these arguments are texts.
fn text(expression: &Expression) -> &str {
    match &expression.kind {
        Kind::Text(text) => text,
        _ => "",
    }
}

fn check_name(name: &str, function: &str) -> Result<(), Error> {
    if is_label_name(name) {
        Ok(())
    } else {
        Err(Error::Execution(format!("invalid label name in {function}(): {name:?}")))
    }
}
