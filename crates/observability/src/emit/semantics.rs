//! What attributes with a meaning of their own say of a span: its kind, whether it failed, what it is called.
//!
//! `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_description` are what users of `tracing` know from
//! elsewhere; `onefold.link` holds a `traceparent` that the span is linked to. None of them is sent as an attribute.

use super::fields::Seen;
use super::recorder::View;
use onefold_core::TraceContext;

/// The kinds of OTLP, by their numbers there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// The statuses of OTLP, by their numbers there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Unset = 0,
    Ok = 1,
    Error = 2,
}

/// What a span is.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) status: Status,
    pub(super) message: &'a str,
    /// The statement of a database call.
    pub(super) query: &'a str,
    pub(super) link: Option<TraceContext>,
}

/// Whether this attribute is not sent, since it says what a field of its own says.
pub(super) fn is_special(name: &str) -> bool {
    name == "onefold.link"
        || name.strip_prefix("otel.").is_some_and(|rest| {
            matches!(rest, "name" | "kind" | "status_code" | "status_description" | "status_message")
        })
}

/// Reads a span's attributes.
pub(super) fn read(part: View<'_>, index: u8) -> Reading<'_> {
    let span = &part.spans[usize::from(index)];
    let status = if span.has_erred { Status::Error } else { Status::Unset };
    let name = span.metadata.name();
    let mut reading = Reading { name, kind: Kind::Internal, status, message: "", query: "", link: None };
    for (name, value) in part.attributes(index) {
        match (name, value) {
            // The system's failures: a client's mistake that a proxy hands on is none.
            ("http.response.status_code", Seen::Int(code)) if code >= 500 => reading.status = Status::Error,
            ("error.type", Seen::Text(kind)) if !kind.is_empty() => reading.status = Status::Error,
            ("onefold.link", Seen::Text(text)) => reading.link = text.parse().ok(),
            ("db.query.text", Seen::Text(text)) => reading.query = text,
            (name, Seen::Text(text)) => reading.take_otel(name, text),
            _ => {}
        }
    }
    reading
}

impl<'a> Reading<'a> {
    fn take_otel(&mut self, name: &str, text: &'a str) {
        match name.strip_prefix("otel.") {
            Some("name") => self.name = text,
            Some("kind") => self.kind = kind(text),
            Some("status_code") if text.eq_ignore_ascii_case("error") => self.status = Status::Error,
            Some("status_code") if text.eq_ignore_ascii_case("ok") => self.status = Status::Ok,
            Some("status_description" | "status_message") => self.message = text,
            _ => {}
        }
    }
}

fn kind(text: &str) -> Kind {
    match text {
        "server" => Kind::Server,
        "client" => Kind::Client,
        "producer" => Kind::Producer,
        "consumer" => Kind::Consumer,
        _ => Kind::Internal,
    }
}
