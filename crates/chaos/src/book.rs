//! What is in force and what was: the one place that counts faults, and says what they do to an edge together.

use crate::course::Plan;
use crate::fault::{Fault, Wish};
use crate::scene::Target;
use onefold_core::NodeName;
use std::collections::VecDeque;

/// In force at once: more nobody can oversee.
const ACTIVE_MAX: usize = 64;
/// What has ended and is still shown on charts.
const PAST_MAX: usize = 200;

/// The faults of one life of a system.
#[derive(Debug, Default)]
pub struct Book {
    last: u32,
    active: Vec<Fault>,
    past: VecDeque<Fault>,
}

impl Book {
    /// Writes down a fault that begins now; one that is momentary has ended by that.
    ///
    /// # Errors
    /// Where too many are in force.
    pub fn begin(&mut self, wish: &Wish, target: Target, now_ms: u64) -> Result<Fault, String> {
        if self.active.len() >= ACTIVE_MAX {
            return Err(format!("{ACTIVE_MAX} faults are in force already; heal some"));
        }
        self.last += 1;
        let words: Vec<String> = std::iter::once(wish.to_string()).chain(target.notes).collect();
        let fault = Fault {
            id: self.last,
            kind: wish.kind,
            of: wish.of.clone(),
            text: words.join("; "),
            nodes: target.nodes,
            edges: target.links,
            by: wish.by.clone(),
            since_ms: now_ms,
            until_ms: wish.for_ms.map(|for_ms| now_ms.saturating_add(for_ms)),
            ended_ms: wish.kind.is_momentary().then_some(now_ms),
            course: wish.course(),
        };
        if wish.kind.is_momentary() {
            self.keep(fault.clone());
        } else {
            self.active.push(fault.clone());
        }
        Ok(fault)
    }

    /// Ends a fault, if it is in force.
    pub fn end(&mut self, id: u32, now_ms: u64) -> Option<Fault> {
        let place = self.active.iter().position(|fault| fault.id == id)?;
        let ended = Fault { ended_ms: Some(now_ms), ..self.active.remove(place) };
        self.keep(ended.clone());
        Some(ended)
    }

    /// What is in force, the oldest first.
    pub fn active(&self) -> &[Fault] {
        &self.active
    }

    /// What has ended, the latest last.
    pub fn past(&self) -> impl Iterator<Item = &Fault> {
        self.past.iter()
    }

    /// When the next one ends by itself.
    pub fn next_end_ms(&self) -> Option<u64> {
        self.active.iter().filter_map(|fault| fault.until_ms).min()
    }

    /// What all together do to an edge.
    pub fn plan(&self, from: &NodeName, to: &NodeName) -> Plan {
        self.active.iter().map(|fault| fault.plan(from, to)).fold(Plan::default(), Plan::and)
    }

    fn keep(&mut self, fault: Fault) {
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Kind, Link, Way};
    use std::time::Duration;

    #[test]
    fn faults_of_one_edge_add_up_and_end_one_by_one() {
        let (from, to): (NodeName, NodeName) = ("app-a".parse().unwrap(), "db-1".parse().unwrap());
        let target = || Target {
            links: vec![Link { from: from.clone(), to: to.clone(), way: Way::There }],
            ..Target::default()
        };
        let mut book = Book::default();
        let latency =
            Wish { delay_ms: Some(50), for_ms: Some(100), ..Wish::new(Kind::Latency, "app-a:db-1") };
        let first = book.begin(&latency, target(), 1_000).unwrap();
        book.begin(&latency, target(), 1_010).unwrap();
        book.begin(&Wish::new(Kind::Partition, "app-a:db-1"), target(), 1_020).unwrap();
        let plan = book.plan(&from, &to);
        assert_eq!((plan.there.delay, plan.there.is_cut), (Duration::from_millis(100), true));
        assert_eq!(plan.back, crate::Course::default());
        assert_eq!(book.plan(&to, &from), Plan::default(), "an edge has a direction");
        assert_eq!(book.next_end_ms(), Some(1_100));
        assert_eq!(book.end(first.id, 1_100).unwrap().ended_ms, Some(1_100));
        assert_eq!(book.end(first.id, 1_100), None);
        assert_eq!(book.plan(&from, &to).there.delay, Duration::from_millis(50));
        let kill = book.begin(&Wish::new(Kind::Kill, "app-a"), Target::default(), 1_200).unwrap();
        assert_eq!((kill.ended_ms, book.active().len()), (Some(1_200), 2));
        assert_eq!(book.past().count(), 2);
    }
}
