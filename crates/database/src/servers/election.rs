//! Which of the servers that call themselves primary is the one.
//!
//! Two do where an old primary came back, or was never told that another had been promoted. The newer timeline has the
//! promotion behind it. Two different servers on one timeline have both been promoted, each from the same past: to write to
//! either would be to choose half of the nodes' histories, so neither gets writes.

/// A server that calls itself primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its place among all servers.
    pub(super) server: usize,
    pub(super) timeline: u32,
    /// When it was started, by its own clock: two addresses may lead to one server.
    pub(super) start: i64,
    /// Whether it may lead at all: no epoch names another.
    pub(super) is_eligible: bool,
}

/// What the claims come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Election {
    /// The one that takes writes.
    pub(super) primary: Option<Claim>,
    /// Servers that call themselves primary and are not used.
    pub(super) rivals: Vec<Claim>,
}

/// `incumbent` is the server used so far: of two addresses of one server it stays.
pub(super) fn elect(claims: &[Claim], incumbent: Option<usize>) -> Election {
    let eligible = || claims.iter().filter(|claim| claim.is_eligible);
    let newest = eligible().map(|claim| claim.timeline).max();
    let on_top = || eligible().filter(|claim| Some(claim.timeline) == newest);
    let first = on_top().next();
    let is_one = on_top().all(|claim| Some(claim.start) == first.map(|first| first.start));
    let primary =
        on_top().find(|claim| Some(claim.server) == incumbent).or(first).filter(|_| is_one).copied();
    let is_rival = |claim: &&Claim| {
        primary.is_none_or(|primary| (claim.start, claim.timeline) != (primary.start, primary.timeline))
    };
    Election { primary, rivals: claims.iter().filter(is_rival).copied().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(server: usize, timeline: u32, start: i64) -> Claim {
        Claim { server, timeline, start, is_eligible: true }
    }

    fn elected(claims: &[Claim], incumbent: Option<usize>) -> (Option<usize>, Vec<usize>) {
        let Election { primary, rivals } = elect(claims, incumbent);
        (primary.map(|claim| claim.server), rivals.iter().map(|claim| claim.server).collect())
    }

    #[test]
    fn the_newer_timeline_leads_whoever_led_before() {
        assert_eq!(elected(&[claim(0, 1, 10), claim(1, 2, 20)], Some(0)), (Some(1), vec![0]));
        assert_eq!(elected(&[claim(0, 1, 10)], None), (Some(0), vec![]));
        assert_eq!(elected(&[], Some(0)), (None, vec![]));
    }

    #[test]
    fn two_promoted_from_one_past_get_no_writes() {
        assert_eq!(elected(&[claim(0, 2, 10), claim(1, 2, 20)], Some(0)), (None, vec![0, 1]));
        let third = [claim(0, 2, 10), claim(1, 2, 20), claim(2, 3, 30)];
        assert_eq!(elected(&third, None), (Some(2), vec![0, 1]));
    }

    #[test]
    fn two_addresses_of_one_server_are_no_rivals() {
        let both = [claim(0, 2, 10), claim(1, 2, 10)];
        assert_eq!(elected(&both, None), (Some(0), vec![]));
        assert_eq!(elected(&both, Some(1)), (Some(1), vec![]));
    }

    #[test]
    fn an_epoch_outranks_a_timeline() {
        let fenced = Claim { is_eligible: false, ..claim(0, 9, 10) };
        assert_eq!(elected(&[fenced, claim(1, 2, 20)], Some(0)), (Some(1), vec![0]));
        assert_eq!(elected(&[fenced], Some(0)), (None, vec![0]));
    }
}
