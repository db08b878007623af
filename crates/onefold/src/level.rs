//! Which consistency level a request is served with: the handler's, the client's wish, and what the route
//! allows.

use onefold_database::Read;
use std::cmp::Ordering;
use std::sync::Arc;
use tower::Layer;

/// Levels that a client may ask for though they are stricter than the handler's; stands in the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed(Arc<[Read]>);

/// Lets clients of these routes raise the level by the header `onefold-consistency`. Without it the header only
/// weakens: a strict read costs the primary, so the application says who may have it.
///
/// ```ignore
/// Router::new().route("/{code}", get(follow)).layer(allow(&[Read::Strong]))
/// ```
pub fn allow(levels: &[Read]) -> AllowLayer {
    AllowLayer(Allowed(levels.into()))
}

/// The layer that [`allow`] makes.
#[derive(Clone, Debug)]
pub struct AllowLayer(Allowed);

impl<S> Layer<S> for AllowLayer {
    type Service = AllowService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AllowService { inner, allowed: self.0.clone() }
    }
}

/// A service whose requests carry what [`allow`] allows.
#[derive(Clone, Debug)]
pub struct AllowService<S> {
    inner: S,
    allowed: Allowed,
}

impl<S, B> tower::Service<http::Request<B>> for AllowService<S>
where
    S: tower::Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        request.extensions_mut().insert(self.allowed.clone());
        self.inner.call(request)
    }
}

/// What a client asked for and may have.
#[derive(Clone, Debug, Default)]
pub(crate) struct LevelPolicy {
    pub(crate) asked: Option<Read>,
    pub(crate) allowed: Allowed,
}

impl LevelPolicy {
    /// The level that a read is served with whose handler says `default`.
    pub(crate) fn effective(&self, default: Read) -> Read {
        match self.asked {
            Some(asked) if is_weaker_or_equal(asked, default) || self.allowed.includes(asked) => asked,
            _ => default,
        }
    }
}

impl Allowed {
    fn includes(&self, asked: Read) -> bool {
        self.0.iter().any(|allowed| is_weaker_or_equal(asked, *allowed))
    }
}

fn is_weaker_or_equal(a: Read, b: Read) -> bool {
    compare(a, b) != Ordering::Greater
}

/// By strictness: `Strong` is the greatest.
fn compare(a: Read, b: Read) -> Ordering {
    let rank = |level| match level {
        Read::Any => 0,
        Read::Bounded(_) => 1,
        Read::YourWrites => 2,
        Read::Strong => 3,
    };
    match (a, b) {
        (Read::Bounded(a), Read::Bounded(b)) => b.cmp(&a),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn effective(asked: Read, allowed: &[Read], default: Read) -> Read {
        LevelPolicy { asked: Some(asked), allowed: Allowed(allowed.into()) }.effective(default)
    }

    #[test]
    fn a_client_may_weaken_and_raises_only_what_the_route_allows() {
        let bounded = |ms| Read::Bounded(Duration::from_millis(ms));
        assert_eq!(effective(Read::Any, &[], Read::YourWrites), Read::Any);
        assert_eq!(effective(Read::Strong, &[], Read::YourWrites), Read::YourWrites);
        assert_eq!(effective(Read::Strong, &[Read::Strong], Read::YourWrites), Read::Strong);
        assert_eq!(effective(bounded(500), &[], bounded(100)), bounded(500));
        assert_eq!(effective(bounded(50), &[], bounded(100)), bounded(100));
        assert_eq!(effective(bounded(50), &[bounded(10)], bounded(100)), bounded(50));
        assert_eq!(LevelPolicy::default().effective(Read::Strong), Read::Strong);
    }
}
