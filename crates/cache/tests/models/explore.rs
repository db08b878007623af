//! Explores every interleaving of a small world, breadth first, and answers whether a bad state can be reached.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

/// A world whose steps are taken one at a time, by anybody who can take one.
pub(crate) trait Model {
    type State: Copy + Eq + Hash + Debug;

    fn start(&self) -> Self::State;

    /// Calls `take` with every step that is possible in `state`.
    fn steps(&self, state: &Self::State, take: &mut dyn FnMut(&'static str, usize, Self::State));

    /// What is wrong with a state.
    fn violation(&self, state: &Self::State) -> Option<String>;
}

/// What an exploration came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Holds { states: usize },
    Violated { what: String, path: String },
}

impl Outcome {
    #[track_caller]
    pub(crate) fn holds(&self) {
        let Self::Holds { states } = self else { panic!("{self:#?}") };
        println!("{states} states");
    }

    #[track_caller]
    pub(crate) fn is_violated(&self, rule: &str) {
        let Self::Violated { what, path } = self else {
            panic!("without {rule} nothing is violated: {self:?}")
        };
        println!("without {rule}: {what}\n   {path}");
    }
}

const STATES_MAX: usize = 20_000_000;

pub(crate) fn explore<M: Model>(model: &M) -> Outcome {
    let mut seen = Seen::default();
    seen.insert(model.start(), u32::MAX);
    let mut todo = VecDeque::from([0_u32]);
    while let Some(at) = todo.pop_front() {
        let state = seen.states[at as usize].0;
        if let Some(what) = model.violation(&state) {
            return Outcome::Violated { what, path: path(model, &seen, at) };
        }
        model.steps(&state, &mut |_, _, next| {
            if let Some(new) = seen.insert(next, at) {
                todo.push_back(new);
            }
        });
        assert!(seen.states.len() < STATES_MAX, "too many states");
    }
    Outcome::Holds { states: seen.states.len() }
}

fn path<M: Model>(model: &M, seen: &Seen<M::State>, mut at: u32) -> String {
    let mut names = Vec::new();
    while seen.states[at as usize].1 != u32::MAX {
        let (state, before) = seen.states[at as usize];
        let mut name = None;
        model.steps(&seen.states[before as usize].0, &mut |what, who, next| {
            if next == state {
                name.get_or_insert(format!("{what} {who}"));
            }
        });
        names.extend(name);
        at = before;
    }
    names.reverse();
    names.join(" | ")
}

/// The states in the order of their discovery, each with the one before it, and a table of their indices.
struct Seen<S> {
    states: Vec<(S, u32)>,
    table: Vec<u32>,
}

impl<S> Default for Seen<S> {
    fn default() -> Self {
        Self { states: Vec::new(), table: vec![u32::MAX; 1 << 16] }
    }
}

impl<S: Copy + Eq + Hash> Seen<S> {
    /// The index of a state that is new.
    fn insert(&mut self, state: S, before: u32) -> Option<u32> {
        if self.states.len() * 2 > self.table.len() {
            self.grow();
        }
        let mut slot = self.home(&state);
        while self.table[slot] != u32::MAX {
            if self.states[self.table[slot] as usize].0 == state {
                return None;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
        let index = u32::try_from(self.states.len()).expect("a small world");
        self.table[slot] = index;
        self.states.push((state, before));
        Some(index)
    }

    fn home(&self, state: &S) -> usize {
        let mut hasher = Mixer::default();
        state.hash(&mut hasher);
        usize::try_from(hasher.finish() >> 20).expect("a small world") & (self.table.len() - 1)
    }

    fn grow(&mut self) {
        self.table = vec![u32::MAX; self.table.len() * 4];
        for index in 0..self.states.len() {
            let mut slot = self.home(&self.states[index].0);
            while self.table[slot] != u32::MAX {
                slot = (slot + 1) & (self.table.len() - 1);
            }
            self.table[slot] = u32::try_from(index).expect("a small world");
        }
    }
}

/// A multiplicative hash: the worlds are small integers, and nobody attacks a test.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
