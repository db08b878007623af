//! The `OpenMetrics` text format.

use super::exemplar::Exemplar;
use super::snapshot::{Family, Kind, Series, Snapshot, Value};
use std::fmt::{self, Write};
use std::time::UNIX_EPOCH;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for family in &self.families {
            self::family(f, family)?;
        }
        f.write_str("# EOF\n")
    }
}

fn family(f: &mut impl Write, family: &Family) -> fmt::Result {
    let Family { name, help, kind, series } = family;
    let kind_name = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(f, "# HELP {name} {}", Escaped(help))?;
    writeln!(f, "# TYPE {name} {kind_name}")?;
    for series in series {
        match &series.value {
            Value::Histogram { bounds, counts, sum, exemplars } => {
                histogram(f, name, series, bounds, counts, *sum, exemplars)?;
            }
            value => {
                let suffix = if *kind == Kind::Counter { "_total" } else { "" };
                write!(f, "{name}{suffix}")?;
                labels(f, &series.labels, None)?;
                match value {
                    Value::Count(count) => writeln!(f, " {count}")?,
                    Value::Number(number) => writeln!(f, " {}", Number(*number))?,
                    Value::Histogram { .. } => {}
                }
            }
        }
    }
    Ok(())
}

fn histogram(
    f: &mut impl Write,
    name: &str,
    series: &Series,
    bounds: &[f64],
    counts: &[u64],
    sum: f64,
    exemplars: &[Option<Exemplar>],
) -> fmt::Result {
    let mut below = 0;
    for (bucket, count) in counts.iter().enumerate() {
        below += count;
        write!(f, "{name}_bucket")?;
        labels(f, &series.labels, Some(bounds.get(bucket).copied().unwrap_or(f64::INFINITY)))?;
        write!(f, " {below}")?;
        if let Some(exemplar) = exemplars.get(bucket).copied().flatten() {
            self::exemplar(f, &exemplar)?;
        }
        f.write_char('\n')?;
    }
    for (suffix, value) in [("sum", Number(sum).to_string()), ("count", below.to_string())] {
        write!(f, "{name}_{suffix}")?;
        labels(f, &series.labels, None)?;
        writeln!(f, " {value}")?;
    }
    Ok(())
}

fn exemplar(f: &mut impl Write, exemplar: &Exemplar) -> fmt::Result {
    let context = exemplar.context;
    write!(f, " # {{trace_id=\"{}\",span_id=\"{:016x}\"}}", context.trace(), context.span())?;
    let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    write!(f, " {} {}.{:03}", Number(exemplar.value), at.as_secs(), at.subsec_millis())
}

fn labels(f: &mut impl Write, labels: &[(String, String)], bound: Option<f64>) -> fmt::Result {
    let mut separator = '{';
    for (name, value) in labels {
        write!(f, "{separator}{name}=\"{}\"", Escaped(value))?;
        separator = ',';
    }
    if let Some(bound) = bound {
        write!(f, "{separator}le=\"{}\"", Number(bound))?;
        separator = ',';
    }
    if separator == ',' { f.write_char('}') } else { Ok(()) }
}

/// A number as the format wants it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            let is_whole = self.0.fract() == 0.0;
            write!(f, "{}{}", self.0, if is_whole { ".0" } else { "" })
        }
    }
}

/// A text in quotes or behind `# HELP`.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
