//! Tables for people, from what programs get as JSON: a column for each field that is not empty in every row.

use super::exit::Failure;
use super::output;
use onefold_coordination::store::{Past, Position};
use serde::Serialize;
use serde_json::Value;

/// How much of a history is shown.
pub(super) const HISTORY_ROWS: u32 = 50;
/// A longer cell is cut: `--json` has the whole.
const CELL_CHARS_MAX: usize = 60;

/// Prints rows as a table.
pub(super) fn print_rows<T: Serialize>(rows: &[T]) -> Result<(), Failure> {
    let failed = |error: serde_json::Error| Failure::Failed(error.to_string());
    let rows: Vec<Value> = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(failed)?;
    output::print(layout(&rows))
}

/// Prints what something was, the newest first.
pub(super) fn history(past: &[Past], json: bool) -> Result<(), Failure> {
    if json { output::json(&past) } else { print_rows(past) }
}

/// Says from when a change is in force.
pub(super) fn in_force(position: &Position, json: bool) -> Result<(), Failure> {
    output::outcome(format_args!("in force from revision {}", position.revision), position, json)
}

fn layout(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else { return "none\n".to_owned() };
    let mut columns: Vec<&String> = first.keys().collect();
    for row in rows {
        columns.extend(row.as_object().into_iter().flat_map(|row| row.keys()));
    }
    let mut seen = std::collections::HashSet::new();
    columns
        .retain(|column| seen.insert(column.as_str()) && rows.iter().any(|row| says(&row[column.as_str()])));
    let head = columns.iter().map(|column| column.to_uppercase().replace('_', " ")).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| cell(&row[column.as_str()])).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        // A name may come from elsewhere, and must not speak to the terminal.
        Value::String(text) => text.replace(char::is_control, " "),
        value => value.to_string(),
    };
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_become_aligned_columns() {
        let rows = [
            json!({ "name": "a", "count": 1, "errors": [] }),
            json!({ "name": "long", "count": null, "errors": [] }),
        ];
        let table = layout(&rows);
        assert_eq!(table.lines().count(), 3);
        assert!(table.contains("long") && table.contains('-'), "{table}");
        assert!(!table.contains("ERRORS"), "{table}");
        assert_eq!(layout(&[]), "none\n");
    }
}
