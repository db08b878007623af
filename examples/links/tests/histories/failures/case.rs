//! What is done to which component, and what is promised meanwhile.

use super::probe::Asked::{self, Effect, Follow, Strong, Write};
use onefold::testing::ProcessStatus;
use std::fmt;

/// What befalls a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `SIGKILL`; the supervisor starts it again.
    Dies,
    /// `SIGSTOP` for a while: it answers nobody, and its connections stay open.
    Hangs,
    /// What it sends arrives a tenth of a second later, on each of its edges.
    Slow,
    /// On none of its edges does a byte pass.
    CutOff,
}

impl What {
    pub(crate) const ALL: &[Self] = &[Self::Dies, Self::Hangs, Self::Slow, Self::CutOff];
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dies => "dies",
            Self::Hangs => "hangs",
            Self::Slow => "slow",
            Self::CutOff => "cut off",
        })
    }
}

/// One component.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// How the page calls it.
    pub(crate) component: &'static str,
    /// The processes that it is.
    pub(crate) is: fn(&ProcessStatus) -> bool,
    /// How many of them.
    pub(crate) count: usize,
    /// What is tried in every run of the tests; for the page, all there is.
    pub(crate) always: &'static [What],
    /// Of these not one fails, whatever befalls it.
    pub(crate) unharmed: &'static [Asked],
    /// What is at risk.
    pub(crate) risk: &'static str,
}

const ALL: usize = usize::MAX;

/// A system whose only engine is Postgres has the first of them; the rest is where there are processes of that name.
pub(crate) const CASES: &[Case] = &[
    Case {
        component: "app node",
        is: |process| process.name.as_str() == "app-a",
        count: 1,
        always: &[],
        unharmed: &[Effect],
        risk: "requests in its hands, where they may not be sent twice",
    },
    Case {
        component: "balancer",
        is: |process| process.role == "balancer",
        count: 1,
        always: &[],
        unharmed: &[Effect],
        risk: "requests in its hands",
    },
    Case {
        component: "primary",
        is: |process| process.role == "primary",
        count: 1,
        always: &[],
        unharmed: &[Effect],
        risk: "writes under way may or may not have been made (`MaybeCommitted`)",
    },
    Case {
        component: "one replica",
        is: |process| process.role == "replica",
        count: 1,
        always: &[],
        unharmed: &[Strong, Effect],
        risk: "nothing",
    },
    Case {
        component: "both replicas",
        is: |process| process.role == "replica",
        count: 2,
        always: &[What::Hangs],
        unharmed: &[Strong, Effect],
        risk: "writes wait for a replica (`when_alone = \"wait\"`)",
    },
    Case {
        component: "one worker",
        is: |process| process.role == "worker",
        count: 1,
        always: &[],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "jobs in its hands run again",
    },
    Case {
        component: "both workers",
        is: |process| process.role == "worker",
        count: 2,
        always: &[What::Hangs],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "jobs wait",
    },
    Case {
        component: "observer",
        is: |process| process.role == "observer",
        count: 1,
        always: &[What::Hangs],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "telemetry beyond what nodes hold for it; counted",
    },
    Case {
        component: "zone b",
        is: |process| process.zone.as_ref().is_some_and(|zone| zone.as_str() == "b"),
        count: ALL,
        always: &[What::Dies],
        unharmed: &[Effect],
        risk: "requests in its nodes' hands",
    },
    Case {
        component: "one Redis master",
        is: |process| process.name.as_str() == "redis-1",
        count: 1,
        always: &[],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "its keys are misses",
    },
    Case {
        component: "all of Redis",
        is: |process| process.name.as_str().starts_with("redis-"),
        count: ALL,
        always: &[What::Hangs],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "every read that L1 does not answer is a miss",
    },
    Case {
        component: "one NATS server",
        is: |process| process.name.as_str() == "nats-1",
        count: 1,
        always: &[],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "nothing",
    },
    Case {
        component: "all of NATS",
        is: |process| process.name.as_str().starts_with("nats-"),
        count: ALL,
        always: &[What::Hangs],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "jobs wait in the outbox",
    },
    Case {
        component: "one etcd member",
        is: |process| process.name.as_str() == "etcd-1",
        count: 1,
        always: &[],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "nothing",
    },
    Case {
        component: "all of etcd",
        is: |process| process.name.as_str().starts_with("etcd-"),
        count: ALL,
        always: &[What::Hangs],
        unharmed: &[Follow, Strong, Write, Effect],
        risk: "nothing changes: members, leaders, flags, settings, locks",
    },
];
