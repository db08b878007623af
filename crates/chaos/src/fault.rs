//! The words: what may be asked for, and what is in force.

use crate::course::{Course, Plan};
use onefold_core::NodeName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Longer is a mistake of the unit.
const DELAY_MS_MAX: u64 = 60_000;
const HOLD_MS_MAX: u64 = 24 * 3_600_000;

/// What is to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A process dies, once.
    Kill,
    /// A process and all that descends from it stand still.
    Pause,
    /// An engine's processes can write to no file.
    DiskFull,
    /// Bytes arrive later.
    Latency,
    /// Few bytes pass.
    Bandwidth,
    /// No byte passes on the connections that the first opens to the second.
    Blackhole,
    /// No byte passes between the two, whoever opened the connection.
    Partition,
    /// What is open is reset, once.
    Reset,
}

impl Kind {
    /// Whether it is over as soon as it is done.
    pub fn is_momentary(self) -> bool {
        matches!(self, Self::Kill | Self::Reset)
    }

    /// Whether it is done to processes rather than to connections.
    pub fn is_of_processes(self) -> bool {
        matches!(self, Self::Kill | Self::Pause | Self::DiskFull)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::DiskFull => "disk-full",
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::Blackhole => "blackhole",
            Self::Partition => "partition",
            Self::Reset => "reset",
        }
    }

    /// Which way it goes where nobody says so.
    fn usual_way(self) -> Way {
        // So that a round trip takes longer by just what was asked for.
        if self == Self::Latency { Way::There } else { Way::Both }
    }
}

/// Which bytes of a connection are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Those of the one named first.
    There,
    /// Those that go to the one named first.
    Back,
    /// All.
    Both,
}

impl Way {
    /// Whether it means bytes of the one named first.
    pub fn goes_there(self) -> bool {
        self != Self::Back
    }

    /// Whether it means bytes that go to the one named first.
    pub fn goes_back(self) -> bool {
        self != Self::There
    }

    /// The same, seen from the other end.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Self::There => Self::Back,
            Self::Back => Self::There,
            Self::Both => Self::Both,
        }
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// What is to be broken.
    pub kind: Kind,
    /// Of whom: a node, a role, `zone=a`, or an edge of two of these, `app-a:primary`.
    pub of: String,
    /// How much later bytes arrive, for [`Kind::Latency`].
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// By how much more at most, by chance.
    #[serde(default)]
    pub jitter_ms: Option<u64>,
    /// How many bytes pass in a second, for [`Kind::Bandwidth`].
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Which way; by default there for a latency, both for all else.
    #[serde(default)]
    pub way: Option<Way>,
    /// How long it lasts; by default until it is healed.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// Who asks.
    #[serde(default)]
    pub by: String,
}

impl Wish {
    /// A wish of nothing but its kind and whom it is about.
    pub fn new(kind: Kind, of: impl Into<String>) -> Self {
        Self {
            kind,
            of: of.into(),
            delay_ms: None,
            jitter_ms: None,
            bytes_per_second: None,
            way: None,
            for_ms: None,
            by: String::new(),
        }
    }

    /// The way that it goes.
    pub fn way(&self) -> Way {
        self.way.unwrap_or(self.kind.usual_way())
    }

    /// What is wrong with its figures; whom it is about is for the scene to say.
    ///
    /// # Errors
    /// The field, its value and the fix.
    pub fn check(&self) -> Result<(), String> {
        let kind = self.kind.as_str();
        let within = |field: &str, value: Option<u64>, max: u64| match value {
            Some(value) if value > max => Err(format!("{field}: {value} is too much; write at most {max}")),
            _ => Ok(()),
        };
        let unknown = |field: &str| Err(format!("{field}: a {kind} has none; leave it out"));
        within("delay_ms", self.delay_ms, DELAY_MS_MAX)?;
        within("jitter_ms", self.jitter_ms, DELAY_MS_MAX)?;
        within("for_ms", self.for_ms, HOLD_MS_MAX)?;
        if self.for_ms == Some(0) {
            return Err("for_ms: 0 lasts no time; write at least 1".to_owned());
        }
        let is_latency = self.kind == Kind::Latency;
        match (self.delay_ms, self.jitter_ms) {
            (None | Some(0), None | Some(0)) if is_latency => {
                return Err("delay_ms: a latency needs one; write a duration, like 50ms".to_owned());
            }
            (Some(_), _) if !is_latency => return unknown("delay_ms"),
            (_, Some(_)) if !is_latency => return unknown("jitter_ms"),
            _ => {}
        }
        match self.bytes_per_second {
            None | Some(0) if self.kind == Kind::Bandwidth => {
                return Err("bytes_per_second: a bandwidth needs one; write at least 1".to_owned());
            }
            Some(_) if self.kind != Kind::Bandwidth => return unknown("bytes_per_second"),
            _ => {}
        }
        if self.for_ms.is_some() && self.kind.is_momentary() {
            return unknown("for_ms");
        }
        if self.way.is_some() && (self.kind.is_of_processes() || self.kind == Kind::Reset) {
            return unknown("way");
        }
        Ok(())
    }

    /// What it does to the bytes that it means.
    pub fn course(&self) -> Course {
        Course {
            delay: Duration::from_millis(self.delay_ms.unwrap_or(0)),
            jitter: Duration::from_millis(self.jitter_ms.unwrap_or(0)),
            bytes_per_second: self.bytes_per_second.and_then(NonZeroU64::new),
            is_cut: matches!(self.kind, Kind::Blackhole | Kind::Partition),
        }
    }

    /// What it does to whom, where figures are.
    fn figures(&self) -> String {
        let mut figures = Vec::new();
        figures.extend(self.delay_ms.map(|ms| format!("{ms} ms")));
        figures.extend(self.jitter_ms.filter(|ms| *ms > 0).map(|ms| format!("up to {ms} ms more")));
        figures.extend(self.bytes_per_second.map(|bytes| format!("{bytes} bytes/s")));
        figures.join(", ")
    }
}

/// `latency of app-a:primary, 50 ms`.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind.as_str(), self.of)?;
        let figures = self.figures();
        if !figures.is_empty() {
            write!(f, ", {figures}")?;
        }
        match self.way() {
            Way::There if self.kind != Kind::Latency => f.write_str(", one way"),
            Way::Back => f.write_str(", on the way back"),
            Way::Both if self.kind == Kind::Latency => f.write_str(", both ways"),
            _ => Ok(()),
        }
    }
}

/// An edge, by its ends, and the way that is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Who opens its connections.
    pub from: NodeName,
    /// To whom.
    pub to: NodeName,
    /// Which bytes are meant.
    pub way: Way,
}

/// A fault that is in force, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its number in this life of the system, from 1 up.
    pub id: u32,
    /// What was asked for.
    pub kind: Kind,
    /// Of whom, as it was asked.
    pub of: String,
    /// The whole in words.
    pub text: String,
    /// The processes that it concerns.
    pub nodes: Vec<NodeName>,
    /// The edges that it concerns.
    pub edges: Vec<Link>,
    /// Who asked.
    pub by: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it ends by itself.
    pub until_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// What is done to the bytes that it means.
    #[serde(skip)]
    pub course: Course,
}

impl Fault {
    /// What it does to an edge.
    pub(crate) fn plan(&self, from: &NodeName, to: &NodeName) -> Plan {
        let links = self.edges.iter().filter(|link| link.from == *from && link.to == *to);
        links.map(|link| Plan::of(self.course, link.way)).fold(Plan::default(), Plan::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_do_not_belong_or_are_missing_are_refused_by_name() {
        let wish = |kind| Wish::new(kind, "app-a");
        for (wish, field) in [
            (wish(Kind::Latency), "delay_ms"),
            (Wish { delay_ms: Some(60_001), ..wish(Kind::Latency) }, "delay_ms"),
            (Wish { delay_ms: Some(5), ..wish(Kind::Pause) }, "delay_ms"),
            (Wish { jitter_ms: Some(5), ..wish(Kind::Reset) }, "jitter_ms"),
            (wish(Kind::Bandwidth), "bytes_per_second"),
            (Wish { bytes_per_second: Some(0), ..wish(Kind::Bandwidth) }, "bytes_per_second"),
            (Wish { for_ms: Some(5), ..wish(Kind::Kill) }, "for_ms"),
            (Wish { for_ms: Some(0), ..wish(Kind::Pause) }, "for_ms"),
            (Wish { way: Some(Way::There), ..wish(Kind::Pause) }, "way"),
        ] {
            let refused = wish.check().unwrap_err();
            assert!(refused.starts_with(field), "{wish:?}: {refused}");
        }
        for fine in
            [wish(Kind::Kill), wish(Kind::Partition), Wish { delay_ms: Some(5), ..wish(Kind::Latency) }]
        {
            assert_eq!(fine.check(), Ok(()));
        }
    }

    #[test]
    fn a_wish_says_in_words_what_it_does() {
        let wish =
            Wish { delay_ms: Some(50), jitter_ms: Some(10), ..Wish::new(Kind::Latency, "app-a:primary") };
        assert_eq!(wish.to_string(), "latency of app-a:primary, 50 ms, up to 10 ms more");
        let wish = Wish { way: Some(Way::There), ..Wish::new(Kind::Partition, "app-a:replica") };
        assert_eq!(wish.to_string(), "partition of app-a:replica, one way");
    }
}
