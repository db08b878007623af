//! How long each route takes where nobody is in its way: what its requests are held against, so that a dear route is
//! not taken for a slow node, nor another mix of routes for overload.

use super::limit::Sample;
use std::collections::HashMap;
use std::time::Duration;

/// Routes that are told apart. Patterns, not paths: no application has more.
const ROUTES_MAX: usize = 256;

/// A mean of fewer is not believed.
const SAMPLES_MIN: u32 = 3;

/// How much of a lower mean is believed at once, and of a higher one that was measured at ease.
const FALL: f64 = 0.3;
const RISE: f64 = 0.1;

/// What may always be added to a route's time: a short queue keeps a node busy and harms nobody, and a tenth of a
/// millisecond is easily doubled by the machine's scheduler.
const SLACK: Duration = Duration::from_millis(10);

/// How many times as long a request may take: with all cores in use, and not more than that, it takes about twice.
const STRETCH: f64 = 2.0;

/// What part of the time that its client gave it a request may take: the mean of many has to leave room for the slowest.
/// But never less than this many times its route's own time, or hasty clients could talk a node down.
const CLIENTS_PART: f64 = 1.0 / 3.0;
const HASTE_MAX: f64 = 1.25;

/// In which state the samples of a window were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Well below the limit: what it takes longer is not the fault of too many requests.
    AtEase,
    /// At the limit: what it takes longer may be a queue.
    Pressed,
    /// At the lowest limit, and slow all the same: it is as quick as it gets.
    AtFloor,
}

/// The times of all routes.
#[derive(Debug, Default)]
pub(super) struct Baselines(HashMap<Box<str>, [Baseline; METHODS]>);

/// Reading, writing, changing, the rest: one path is rarely as dear for each.
const METHODS: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    /// Zero until there is one.
    seconds: f64,
    sum: f64,
    samples: u32,
}

impl Baselines {
    /// Notes how long a request took, and answers how strained that is: above 1, longer than it should. `None` for a
    /// route that is not known yet.
    pub(super) fn note(&mut self, sample: &Sample<'_>) -> Option<f64> {
        let seconds = sample.took.as_secs_f64();
        let baseline = self.of(sample.method, sample.route)?;
        baseline.sum += seconds;
        baseline.samples += 1;
        (baseline.seconds > 0.0).then(|| seconds / baseline.allowed(sample.left))
    }

    /// Ends a window, whose samples were taken in that state.
    pub(super) fn turn(&mut self, state: State) {
        for baseline in self.0.values_mut().flatten().filter(|baseline| baseline.samples >= SAMPLES_MIN) {
            baseline.turn(state);
        }
    }

    fn of(&mut self, method: &http::Method, route: &str) -> Option<&mut Baseline> {
        let index = match *method {
            http::Method::GET | http::Method::HEAD => 0,
            http::Method::POST => 1,
            http::Method::PUT | http::Method::PATCH => 2,
            _ => 3,
        };
        if !self.0.contains_key(route) {
            if self.0.len() >= ROUTES_MAX {
                return None;
            }
            self.0.insert(route.into(), Default::default());
        }
        self.0.get_mut(route).map(|methods| &mut methods[index])
    }
}

impl Baseline {
    /// How many seconds a request may take that began with so much of its time left.
    fn allowed(&self, left: Duration) -> f64 {
        let by_route = (self.seconds * STRETCH).max(self.seconds + SLACK.as_secs_f64());
        by_route.min(left.as_secs_f64() * CLIENTS_PART).max(self.seconds * HASTE_MAX)
    }

    fn turn(&mut self, state: State) {
        let mean = self.sum / f64::from(self.samples);
        self.seconds = match state {
            _ if self.seconds == 0.0 => mean,
            _ if mean < self.seconds => self.seconds + FALL * (mean - self.seconds),
            State::AtEase => self.seconds + RISE * (mean - self.seconds),
            State::AtFloor => mean,
            State::Pressed => self.seconds,
        };
        (self.sum, self.samples) = (0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    const PATIENT: Duration = Duration::from_secs(30);

    fn note(baselines: &mut Baselines, micros: u64, left: Duration) -> Option<f64> {
        let took = Duration::from_micros(micros);
        let sample = Sample { method: &Method::GET, route: "/", took, left, in_flight: 1 };
        let mut strain = None;
        for _ in 0..10 {
            strain = baselines.note(&sample);
        }
        strain
    }

    fn window(baselines: &mut Baselines, millis: u64, state: State) -> Option<f64> {
        let strain = note(baselines, millis * 1000, PATIENT);
        baselines.turn(state);
        strain
    }

    #[test]
    fn a_queue_does_not_become_the_measure_unless_it_cannot_be_one() {
        let mut baselines = Baselines::default();
        assert_eq!(window(&mut baselines, 20, State::AtEase), None, "nothing to hold it against");
        for _ in 0..100 {
            assert!(window(&mut baselines, 80, State::Pressed).unwrap() > 1.9);
        }
        window(&mut baselines, 80, State::AtFloor);
        assert!(window(&mut baselines, 80, State::Pressed).unwrap() < 0.6);
        for _ in 0..20 {
            window(&mut baselines, 20, State::Pressed);
        }
        assert!(window(&mut baselines, 80, State::Pressed).unwrap() > 1.9, "and falls at once");
    }

    #[test]
    fn what_is_quick_may_become_ten_milliseconds_slower() {
        let mut baselines = Baselines::default();
        note(&mut baselines, 100, PATIENT);
        baselines.turn(State::AtEase);
        assert!(note(&mut baselines, 9_000, PATIENT).unwrap() < 1.0);
        assert!(note(&mut baselines, 12_000, PATIENT).unwrap() > 1.0);
    }

    #[test]
    fn a_client_s_deadline_counts_but_an_impossible_one_does_not() {
        let mut baselines = Baselines::default();
        window(&mut baselines, 80, State::AtEase);
        assert!(note(&mut baselines, 120_000, PATIENT).unwrap() < 1.0);
        assert!(note(&mut baselines, 120_000, Duration::from_millis(330)).unwrap() > 1.0);
        assert!(note(&mut baselines, 90_000, Duration::from_millis(1)).unwrap() < 1.0);
    }

    #[test]
    fn routes_and_methods_are_held_apart_and_bounded() {
        let mut baselines = Baselines::default();
        window(&mut baselines, 20, State::AtEase);
        let sample = Sample { method: &Method::POST, route: "/", took: PATIENT, left: PATIENT, in_flight: 1 };
        assert_eq!(baselines.note(&sample), None);
        for n in 0..2 * ROUTES_MAX {
            baselines.note(&Sample { route: &n.to_string(), ..sample });
        }
        assert_eq!(baselines.0.len(), ROUTES_MAX);
    }
}
