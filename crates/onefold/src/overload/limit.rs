//! How many requests may run at once: as many as still bring throughput, and no more.
//!
//! A gradient, as in Netflix' concurrency-limits (`Gradient2Limit`) and Envoy's adaptive concurrency: in each window the
//! limit is multiplied by how much shorter requests should have been, at most halved, and given half its square root to
//! grow by, so that a short queue stays and more capacity is found. Three things differ. A request is held against
//! its own route's time instead of one time for all, since a node serves cheap and dear routes in a mix that changes. And
//! that time is not measured by letting only a few requests through every minute, as Envoy does: it is the mean of
//! windows, follows a lower one at once, and a higher one only where no queue can be the reason. Last, the time that clients
//! give their requests bounds it (`baseline.rs`).

use super::baseline::{Baselines, State};
use std::time::{Duration, Instant};

/// The least and the most requests at once. Less than the one cannot be measured; more than the other no node of a few
/// cores needs, and each holds memory.
const FLOOR: f64 = 4.0;
const CEILING: f64 = 1000.0;

/// Before anything is known. The first times are measured under it, so it is low; it doubles within two seconds.
const START: f64 = 16.0;

/// The shortest window, and how many samples it needs; the longest ends with one.
const WINDOW: Duration = Duration::from_millis(100);
const SAMPLES_MIN: u32 = 10;
const WINDOW_MAX: Duration = Duration::from_secs(1);

/// How much of a window's verdict is believed: one that the machine has disturbed costs little.
const TRUST: f64 = 0.4;

/// A single request counts at most this often: one that has waited for a lock of its own says little of the node.
const STRAIN_MAX: f64 = 5.0;

/// So many windows in a row at the floor show that routes have become slower by themselves.
const FLOOR_WINDOWS: u32 = 5;

/// A limit, fixed or found.
#[derive(Debug)]
pub(super) enum Limit {
    Fixed(u32),
    Adaptive(Box<Adaptive>),
}

/// A limit that follows what it brings.
#[derive(Debug)]
pub(super) struct Adaptive {
    estimate: f64,
    baselines: Baselines,
    window: Window,
    floor_windows: u32,
}

#[derive(Debug)]
struct Window {
    begun: Instant,
    strain: f64,
    strained: u32,
    samples: u32,
    in_flight_max: u32,
}

/// How a request ended, for the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) method: &'a http::Method,
    pub(super) route: &'a str,
    pub(super) took: Duration,
    /// How much of its time it had when it began.
    pub(super) left: Duration,
    /// How many ran when it began, itself included.
    pub(super) in_flight: u32,
}

impl Limit {
    pub(super) fn adaptive(now: Instant) -> Self {
        Self::Adaptive(Box::new(Adaptive {
            estimate: START,
            baselines: Baselines::default(),
            window: Window::new(now),
            floor_windows: 0,
        }))
    }

    /// How many may run at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between the floor and the ceiling"
    )]
    pub(super) fn get(&self) -> u32 {
        match self {
            Self::Fixed(limit) => *limit,
            Self::Adaptive(adaptive) => adaptive.estimate as u32,
        }
    }

    /// Learns of a request that has ended.
    pub(super) fn learn(&mut self, sample: Sample<'_>, now: Instant) {
        if let Self::Adaptive(adaptive) = self {
            adaptive.learn(sample, now);
        }
    }
}

impl Adaptive {
    fn learn(&mut self, sample: Sample<'_>, now: Instant) {
        let strain = self.baselines.note(&sample);
        let window = &mut self.window;
        window.samples += 1;
        window.in_flight_max = window.in_flight_max.max(sample.in_flight);
        if let Some(strain) = strain {
            window.strain += strain.min(STRAIN_MAX);
            window.strained += 1;
        }
        if window.is_over(now) {
            self.turn();
            self.window = Window::new(now);
        }
    }

    fn turn(&mut self) {
        let window = &self.window;
        let is_used = f64::from(window.in_flight_max) >= self.estimate / 2.0;
        let strain = window.strain / f64::from(window.strained.max(1));
        let is_at_floor = self.estimate < FLOOR + 1.0 && strain > 1.0 && is_used;
        self.floor_windows = if is_at_floor { self.floor_windows + 1 } else { 0 };
        let state = match is_used {
            false => State::AtEase,
            true if self.floor_windows >= FLOOR_WINDOWS => State::AtFloor,
            true => State::Pressed,
        };
        // A limit that is not reached is neither the reason for what is slow nor worth raising.
        if is_used && window.strained > 0 {
            let gradient = strain.max(1.0).recip().max(0.5);
            let goal = self.estimate * gradient + self.estimate.sqrt() / 2.0;
            self.estimate = (self.estimate + TRUST * (goal - self.estimate)).clamp(FLOOR, CEILING);
        }
        self.baselines.turn(state);
    }
}

impl Window {
    fn new(begun: Instant) -> Self {
        Self { begun, strain: 0.0, strained: 0, samples: 0, in_flight_max: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        let length = now.saturating_duration_since(self.begun);
        length >= WINDOW_MAX || length >= WINDOW && self.samples >= SAMPLES_MIN
    }
}
