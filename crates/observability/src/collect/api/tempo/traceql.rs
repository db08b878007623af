//! The part of `TraceQL` that is understood: `{ resource.service.name = "links" && duration > 100ms }`, conditions on
//! one span joined by `&&`.

use super::filter::{Attribute, Filter, Range, Scope};
use super::logfmt::unquote;

const UNDERSTOOD: &str = "of TraceQL this is understood: { resource.service.name = \"x\" && span.key = \"y\" && \
    .key = 1 && name = \"z\" && status = error && duration > 100ms && traceDuration < 2s }";

/// Reads one spanset filter.
///
/// # Errors
/// What is not understood, and what is.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    read(text).map_err(|problem| format!("{problem}; {UNDERSTOOD}"))
}

fn read(text: &str) -> Result<Filter, String> {
    let mut filter = Filter::default();
    let mut rest = text.trim().strip_prefix('{').ok_or("it does not begin with {")?.trim_start();
    while !rest.starts_with('}') {
        let (condition, after) = Condition::read(rest)?;
        condition.add_to(&mut filter)?;
        let after = after.trim_start();
        rest = match after.strip_prefix("&&") {
            Some(next) => next.trim_start(),
            None if after.starts_with('}') => after,
            None => return Err(format!("`{after:.32}` is not understood after a condition")),
        };
    }
    match rest[1..].trim() {
        "" => Ok(filter),
        more => Err(format!("`{more:.32}` is not understood after }}")),
    }
}

struct Condition<'t> {
    field: &'t str,
    operator: &'t str,
    value: Literal,
}

enum Literal {
    Text(String),
    /// A number, a duration or a word.
    Bare(String),
}

impl<'t> Condition<'t> {
    fn read(text: &'t str) -> Result<(Self, &'t str), String> {
        let is_operator = |c: char| "=!<>~".contains(c);
        let end = text.find(|c: char| c.is_whitespace() || is_operator(c) || "{}&|()".contains(c));
        let (field, rest) = text.split_at(end.unwrap_or(text.len()));
        let rest = rest.trim_start();
        let (operator, rest) = rest.split_at(rest.find(|c| !is_operator(c)).unwrap_or(rest.len()));
        if field.is_empty() || operator.is_empty() {
            return Err(format!("`{text:.32}` is no condition"));
        }
        let rest = rest.trim_start();
        let (value, rest) = Literal::read(rest).ok_or_else(|| format!("{field:.64} has no value"))?;
        Ok((Self { field, operator, value }, rest))
    }

    fn add_to(self, filter: &mut Filter) -> Result<(), String> {
        let Self { field, operator, value } = self;
        match field {
            "duration" | "span:duration" => filter.span.narrow(range(operator, &value)?),
            "traceDuration" | "trace:duration" => filter.trace.narrow(range(operator, &value)?),
            _ if operator != "=" => {
                return Err(format!("{operator} is not understood of {field:.64}: use ="));
            }
            "name" | "span:name" => filter.named(value.text())?,
            "status" | "span:status" => match value.text() {
                "error" => filter.failed = true,
                other => return Err(format!("`{other:.32}` is not searched for: of status, error alone is")),
            },
            _ => {
                let (scope, key) = attribute(field)?;
                filter.attributes.push(Attribute { scope, key, value: value.text().to_owned() });
            }
        }
        Ok(())
    }
}

impl Literal {
    fn read(text: &str) -> Option<(Self, &str)> {
        if let Some(quoted) = text.strip_prefix('"') {
            return unquote(quoted).map(|(value, rest)| (Self::Text(value), rest));
        }
        if let Some(raw) = text.strip_prefix('`') {
            return raw.split_once('`').map(|(value, rest)| (Self::Text(value.to_owned()), rest));
        }
        let end = text.find(|c: char| c.is_whitespace() || "{}&|()=<>".contains(c)).unwrap_or(text.len());
        let (bare, rest) = text.split_at(end);
        (!bare.is_empty()).then(|| (Self::Bare(bare.to_owned()), rest))
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Bare(text) => text,
        }
    }
}

fn attribute(field: &str) -> Result<(Scope, String), String> {
    let scopes = [("resource.", Scope::Resource), ("span.", Scope::Span), (".", Scope::Any)];
    let found = scopes.iter().find_map(|(prefix, scope)| Some((*scope, field.strip_prefix(prefix)?)));
    match found {
        Some((scope, key)) if !key.is_empty() => Ok((scope, key.to_owned())),
        _ => Err(format!("`{field:.64}` is not searched for")),
    }
}

fn range(operator: &str, value: &Literal) -> Result<Range, String> {
    let Literal::Bare(text) = value else { return Err("a duration stands without quotes".to_owned()) };
    let nanos =
        duration_ns(text).ok_or_else(|| format!("`{text:.32}` is no duration such as 100ms or 1.5s"))?;
    let any = Range::default();
    match operator {
        "=" => Ok(Range { min_ns: nanos, max_ns: nanos }),
        ">=" => Ok(Range { min_ns: nanos, ..any }),
        ">" => Ok(Range { min_ns: nanos.saturating_add(1), ..any }),
        "<=" => Ok(Range { max_ns: nanos, ..any }),
        "<" if nanos > 0 => Ok(Range { max_ns: nanos - 1, ..any }),
        "<" => Err("nothing takes less than 0".to_owned()),
        other => Err(format!("`{other}` does not compare durations: use =, >, >=, < or <=")),
    }
}

/// A duration as Go writes it: numbers with their units, `1m30s`, `1.5s`.
pub(super) fn duration_ns(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) =
            after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    nanos(total).filter(|_| !text.is_empty())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn nanos(total: f64) -> Option<u64> {
    (0.0..1e18).contains(&total).then(|| total.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_one_span_are_read() {
        let text = r#"{ resource.service.name = "links" && span.http.route=`/x` && .n = 5 && name = "GET }" &&
            status = error && duration > 100ms && duration <= 2s && trace:duration<1m30s }"#;
        let filter = parse(text).unwrap();
        let attribute =
            |scope, key: &str, value: &str| Attribute { scope, key: key.to_owned(), value: value.to_owned() };
        let expected = Filter {
            name: Some("GET }".to_owned()),
            attributes: vec![
                attribute(Scope::Resource, "service.name", "links"),
                attribute(Scope::Span, "http.route", "/x"),
                attribute(Scope::Any, "n", "5"),
            ],
            failed: true,
            span: Range { min_ns: 100_000_001, max_ns: 2_000_000_000 },
            trace: Range { min_ns: 0, max_ns: 89_999_999_999 },
        };
        assert_eq!(filter, expected);
        assert_eq!(parse(" {} ").unwrap(), Filter::default());
    }

    #[test]
    fn the_rest_is_refused_by_name() {
        for (wrong, part) in [
            ("", "does not begin with {"),
            ("{", "`` is no condition"),
            ("{ a }", "`a }` is no condition"),
            ("{ .a = 1 || .b = 2 }", "`|| .b = 2 }` is not understood after a condition"),
            ("{ .a = 1 } | count() > 2", "`| count() > 2` is not understood after }"),
            ("{} >> {}", "not understood after }"),
            ("{ .a =~ \"x\" }", "=~ is not understood of .a"),
            ("{ .a != 1 }", "!= is not understood of .a"),
            ("{ status = ok }", "error alone is"),
            ("{ kind = server }", "`kind` is not searched for"),
            ("{ duration > 5 }", "`5` is no duration"),
            ("{ duration > \"5s\" }", "without quotes"),
            ("{ .a = \"x }", ".a has no value"),
            ("{ name = \"a\" && name = \"b\" }", "no span is called both"),
        ] {
            let problem = parse(wrong).unwrap_err();
            assert!(problem.contains(part) && problem.ends_with(UNDERSTOOD), "{wrong}: {problem}");
        }
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(duration_ns("1m30s"), Some(90_000_000_000));
        assert_eq!(duration_ns("1.5ms"), Some(1_500_000));
        for wrong in ["", "5", "ms", "1x", "-1s", "1e9h", "999999999h"] {
            assert_eq!(duration_ns(wrong), None, "{wrong}");
        }
    }
}
