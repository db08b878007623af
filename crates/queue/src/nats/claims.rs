//! What a row of `claim` says of each of its messages: enough to acknowledge them in its worker's place.

use onefold_database::{Error as DatabaseError, FromRow};
use std::collections::HashSet;
use tokio_postgres::Row;

/// One message of a claim, as `letters` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) attempt: i32,
    pub(super) attempts_max: i32,
    /// Its number in the stream.
    pub(super) sequence: u64,
    /// What follows the carrier in the subject of its acknowledgement.
    pub(super) tail: String,
}

impl Letter {
    pub(super) fn encode(&self) -> String {
        format!("{} {} {} {}", self.attempt, self.attempts_max, self.sequence, self.tail)
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        Some(Self {
            attempt: parts.next()?.parse().ok()?,
            attempts_max: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
            tail: parts.next()?.to_owned(),
        })
    }
}

/// The subject of an acknowledgement in two: what all messages of one consumer share, and the rest.
///
/// `$JS.ACK.stream.consumer.…` with five more tokens, or with domain and account before the stream and more after.
pub(super) fn split(subject: &str) -> Option<(&str, &str)> {
    let shared = if subject.split('.').count() > 9 { 6 } else { 4 };
    let (at, _) = subject.match_indices('.').nth(shared - 1)?;
    Some((&subject[..at], &subject[at + 1..]))
}

/// A claim that is taken over.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) queue: String,
    carrier: String,
    jobs: Vec<(i64, Letter)>,
    ended: HashSet<i64>,
    freed: HashSet<i64>,
}

/// What became of a message whose claim is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Settled: its acknowledgement may be owed.
    Ended,
    /// Given back: its negative acknowledgement may be owed.
    Freed,
    /// Lost with its worker.
    Lost,
}

impl Taken {
    /// Its messages: job, letter, where acknowledgements go, and what became of it.
    pub(super) fn messages(&self) -> impl Iterator<Item = (i64, &Letter, String, Fate)> {
        self.jobs.iter().map(|(job, letter)| {
            let fate = match job {
                _ if self.ended.contains(job) => Fate::Ended,
                _ if self.freed.contains(job) => Fate::Freed,
                _ => Fate::Lost,
            };
            (*job, letter, format!("{}.{}", self.carrier, letter.tail), fate)
        })
    }
}

impl FromRow for Taken {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let (jobs, letters): (Vec<i64>, Vec<String>) = (row.try_get(3)?, row.try_get(4)?);
        let letters =
            jobs.into_iter().zip(letters).filter_map(|(job, text)| Some((job, Letter::decode(&text)?)));
        Ok(Self {
            queue: row.try_get(1)?,
            carrier: row.try_get(2)?,
            jobs: letters.collect(),
            ended: row.try_get::<_, Vec<i64>>(5)?.into_iter().collect(),
            freed: row.try_get::<_, Vec<i64>>(6)?.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgements_subject_is_put_together_again() {
        for (subject, carrier) in [
            ("$JS.ACK.s.workers-2.1.10.11.1700000000.0", "$JS.ACK.s.workers-2"),
            ("$JS.ACK.hub.ACCHASH.s.workers-2.1.10.11.1700000000.0.x", "$JS.ACK.hub.ACCHASH.s.workers-2"),
        ] {
            let (shared, tail) = split(subject).unwrap();
            assert_eq!((shared, format!("{shared}.{tail}").as_str()), (carrier, subject));
        }
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let letter = Letter { attempt: 2, attempts_max: 3, sequence: 10, tail: "1.10.11.17.0".to_owned() };
        assert_eq!(Letter::decode(&letter.encode()), Some(letter));
        assert_eq!(Letter::decode("what"), None);
    }
}
