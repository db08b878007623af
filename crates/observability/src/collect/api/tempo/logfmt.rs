//! `tags` of a search: `service.name=links http.route="/links"`. A value must be the whole value, and the case counts.

use super::filter::{Attribute, Filter, Scope};

/// Reads pairs of names and values.
///
/// # Errors
/// What is wrong, with what would be right.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let mut filter = Filter::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) =
            rest.split_once('=').ok_or_else(|| format!("`{rest:.64}` is not of the form key=value"))?;
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(format!("`{key:.64}` is no name of an attribute"));
        }
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted).ok_or_else(|| format!("the value of {key:.64} has no end"))?
        } else {
            let (value, after) = after.split_at(after.find(char::is_whitespace).unwrap_or(after.len()));
            (value.to_owned(), after)
        };
        add(&mut filter, key, value)?;
        rest = after.trim_start();
    }
    Ok(filter)
}

fn add(filter: &mut Filter, key: &str, value: String) -> Result<(), String> {
    match (key, value.as_str()) {
        ("name", name) => filter.named(name)?,
        ("error", "true") | ("status" | "status.code", "error") => filter.failed = true,
        ("status" | "status.code", other) => {
            return Err(format!("`{other:.64}` is not searched for: of {key}, error alone is"));
        }
        _ => filter.attributes.push(Attribute { scope: Scope::Any, key: key.to_owned(), value }),
    }
    Ok(())
}

/// A text up to its closing quote, and what follows.
pub(super) fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_with_and_without_quotes() {
        let filter = parse(r#" service.name="a \"b\"" http.route=/x name="GET /" error=true"#).unwrap();
        let read: Vec<_> = filter
            .attributes
            .iter()
            .map(|attribute| (attribute.key.as_str(), attribute.value.as_str()))
            .collect();
        assert_eq!(read, [("service.name", "a \"b\""), ("http.route", "/x")]);
        assert_eq!((filter.name.as_deref(), filter.failed), (Some("GET /"), true));
        assert_eq!(parse("").unwrap(), Filter::default());
        for wrong in ["a", "=b", "a b=c", "a=\"b", "name=a name=b", "status=ok"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
