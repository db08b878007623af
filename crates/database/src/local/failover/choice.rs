//! Who takes over from a primary that has fallen: the decision alone, as a function of what is known.

use onefold_core::Lsn;

/// What is known of a server that was led to the fallen primary in its epoch, once it is cut off from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It does not answer: it may hold more than all others.
    Unknown,
    /// It has received the log up to here, and will receive no more.
    Holds(Lsn),
}

/// One server's part in the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) server: usize,
    pub(crate) found: Found,
}

/// Who takes over, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) server: usize,
    pub(crate) held: Lsn,
}

/// Who takes over: the one that holds most; of several that hold as much the `preferred` one, else the first. Nobody
/// does where one is silent, where there is none, or where none has come to the `start` of the epoch, which holds what
/// earlier ones acknowledged: then the fallen primary is started again as what it was, since it holds every commit and
/// nobody else is known to.
///
/// The candidates must be all servers that may have acknowledged its commits, dead or alive.
pub(crate) fn choose(candidates: &[Candidate], start: Lsn, preferred: Option<usize>) -> Option<Choice> {
    let mut best: Option<(Lsn, usize)> = None;
    for candidate in candidates {
        let Found::Holds(lsn) = candidate.found else { return None };
        let is_preferred = preferred == Some(candidate.server);
        if best.is_none_or(|(most, _)| lsn > most || (lsn == most && is_preferred)) {
            best = Some((lsn, candidate.server));
        }
    }
    best.filter(|(held, _)| *held >= start).map(|(held, server)| Choice { server, held })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(server: usize, lsn: u64) -> Candidate {
        Candidate { server, found: Found::Holds(Lsn(lsn)) }
    }

    fn chosen(all: &[Candidate], start: u64, preferred: Option<usize>) -> Option<usize> {
        choose(all, Lsn(start), preferred).map(|choice| choice.server)
    }

    #[test]
    fn the_one_that_holds_most_takes_over_and_a_preference_only_breaks_a_tie() {
        assert_eq!(chosen(&[holds(1, 10), holds(2, 11)], 0, Some(1)), Some(2));
        assert_eq!(chosen(&[holds(1, 11), holds(2, 11)], 0, Some(2)), Some(2));
        assert_eq!(chosen(&[holds(1, 11), holds(2, 11)], 11, None), Some(1));
    }

    #[test]
    fn nobody_takes_over_while_one_is_silent_or_where_nobody_has_come_to_the_start() {
        let silent = Candidate { server: 2, found: Found::Unknown };
        assert_eq!(chosen(&[holds(1, 10), silent], 0, Some(1)), None);
        assert_eq!(chosen(&[silent, holds(1, 10)], 0, None), None);
        assert_eq!(chosen(&[holds(1, 10), holds(2, 9)], 11, None), None);
        assert_eq!(chosen(&[], 0, None), None);
    }
}
