//! The request target as a node gets it: its path and query, whatever form the client used.

use http::Uri;

/// The origin form of a target. An absolute one names the same host as `Host`, which was checked before.
pub(super) fn origin_form(target: Uri) -> Uri {
    if target.scheme().is_none() {
        return target;
    }
    let path = target.into_parts().path_and_query;
    path.map_or_else(|| Uri::from_static("/"), Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_target_is_sent_as_a_path() {
        for (from, to) in [("http://a:80/b?c", "/b?c"), ("http://a", "/"), ("/b?c", "/b?c"), ("*", "*")] {
            assert_eq!(origin_form(from.parse().unwrap()), to);
        }
    }
}
