//! The subscriber that every node installs: one JSON line an event, with the ids of its trace.
//!
//! Lines follow OpenTelemetry's log data model in its common JSON spelling: `timestamp`, `severity`, `body`,
//! `trace_id`, `span_id`, the node's resource, and the attributes of the event over those of its spans.

mod config;
mod emitter;
mod json;
mod line;
mod resource;

pub use config::Config;
pub use emitter::Emitter;
pub use resource::Resource;

use onefold_core::Clock;
use onefold_core::metrics::Metrics;
use std::io::Write;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The subscriber could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The filter is none.
    #[error(
        "telemetry.log: `{filter}` is no filter of log lines: write a level, or target=level, as in info,onefold_queue=debug"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What the parser says.
        source: ParseError,
    },
    /// Another subscriber is there already.
    #[error("a tracing subscriber is installed already: leave that to the node")]
    Installed,
}

/// Installs the subscriber of this process, which writes to standard error: the supervisor, or the service
/// manager of a machine, keeps it as the node's log.
///
/// # Errors
/// [`EmitError`], where the filter does not parse or a subscriber is there already.
pub fn install(
    resource: &Resource,
    config: &Config,
    _metrics: &Metrics,
    clock: Clock,
) -> Result<Emitter, EmitError> {
    onefold_core::trace::set_sampled_share(config.sample);
    subscriber(resource, &config.log, clock, std::io::stderr)?
        .try_init()
        .map_err(|_| EmitError::Installed)?;
    Ok(Emitter::default())
}

fn subscriber<W>(
    resource: &Resource,
    log: &str,
    clock: Clock,
    writer: fn() -> W,
) -> Result<impl tracing::Subscriber + Send + Sync + use<W>, EmitError>
where
    W: Write + 'static,
{
    let lines = json::JsonLines::new(resource, clock, writer);
    Ok(tracing_subscriber::registry().with(filter(log)?).with(lines))
}

/// Reads a filter of log lines.
fn filter(text: &str) -> Result<Targets, EmitError> {
    text.parse().map_err(|source| EmitError::Filter { filter: text.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::{Role, TraceContext};
    use std::io;
    use std::sync::Mutex;
    use tracing::Instrument as _;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Buffer;

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            WRITTEN.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_line_carries_its_trace_its_node_and_the_attributes_of_its_spans() {
        let resource = Resource {
            service: "links".to_owned(),
            version: "1".to_owned(),
            node: "app-a".parse().unwrap(),
            role: Role::App,
            zone: "a".parse().unwrap(),
        };
        let subscriber = subscriber(&resource, "info", Clock::system(), || Buffer).unwrap();
        let _guard = tracing::subscriber::set_default(subscriber);
        let context = TraceContext::root(true);
        let work = async {
            tracing::warn!(attempt = 2, "it \"broke\"\n");
            tracing::debug!("too small to be seen");
        };
        context.scope(work.instrument(tracing::info_span!("GET /{code}", http.route = "/{code}"))).await;

        let text = String::from_utf8(WRITTEN.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{text}");
        let line = &lines[0];
        assert_eq!(line["trace_id"], context.trace_id());
        assert_eq!(line["body"], "it \"broke\"\n");
        assert_eq!(line["node"], "app-a");
        assert_eq!(line["attributes"]["attempt"], 2);
        assert_eq!(line["attributes"]["http.route"], "/{code}");
    }

    #[test]
    fn a_filter_that_does_not_parse_is_refused_by_name() {
        let resource = Resource {
            service: "links".to_owned(),
            version: "1".to_owned(),
            node: "app-a".parse().unwrap(),
            role: Role::App,
            zone: "a".parse().unwrap(),
        };
        let refused = subscriber(&resource, "a=b=c", Clock::system(), || Buffer).err().unwrap().to_string();
        assert!(refused.contains("a=b=c"), "{refused}");
    }
}
