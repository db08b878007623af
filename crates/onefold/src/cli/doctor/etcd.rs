//! etcd: its members, whether a majority answers, and what its promises depend on.

use super::super::reach::Reach;
use super::finding::Finding;
use onefold_coordination::Engine;
use onefold_coordination::etcd::{Etcd, Health, MemberAnswer, MemberHealth, health};
use onefold_core::TaskGroup;
use std::time::Duration;

const MEBIBYTE: u64 = 1 << 20;

/// More than synchronised clocks are ever apart.
const APART_MAX: Duration = Duration::from_secs(1);

/// etcd's own bound, unless `--quota-backend-bytes` says otherwise: then it takes no more writes.
const QUOTA_BYTES: u64 = 2 << 30;

pub(super) async fn check(reach: &Reach) -> Vec<Finding> {
    let config = &reach.topology.coordination;
    if config.engine != Engine::Etcd {
        return Vec::new();
    }
    let found = async {
        let etcd = Etcd::new(config, reach.database.clone(), TaskGroup::new(), reach.clock.clone())?;
        health(config, &etcd).await
    };
    match found.await {
        Ok(health) => findings(&health),
        Err(fault) => {
            vec![Finding::Wrong { problem: format!("{}: {}", fault.key, fault.problem), fix: fault.fix }]
        }
    }
}

fn findings(health: &Health) -> Vec<Finding> {
    let mut findings: Vec<Finding> = health.members.iter().map(member).collect();
    findings.extend(health.members.iter().filter_map(clock));
    for MemberHealth { address, answer, .. } in &health.members {
        let Ok(answer) = answer else { continue };
        findings.push(space(address, answer));
        findings.extend(answer.alarms.iter().map(|alarm| {
            Finding::Wrong {
                problem: format!("etcd at {address} raises {alarm}"),
                fix: "compact, defragment, then `etcdctl alarm disarm`; restore a member that is corrupt"
                    .to_owned(),
            }
        }));
    }
    findings.push(match &health.quorum {
        Ok(took) => {
            Finding::Good(format!("a majority of etcd answers in {:.1} ms", took.as_secs_f64() * 1e3))
        }
        Err(why) => Finding::Wrong {
            problem: format!("no majority of etcd answers: {why}"),
            fix: "bring its members back; nodes serve on with what they last knew, and only changes wait"
                .to_owned(),
        },
    });
    if let Some(count) = health.members_count {
        let survives = count.saturating_sub(1) / 2;
        let what = format!("etcd has {count} members, of which {survives} may be lost");
        findings.push(Finding::of(
            survives > 0,
            what,
            "run three or five: a write is then on several machines",
        ));
    }
    findings.extend(health.has_users.map(|has_users| {
        let (with, without) = ("etcd asks everybody who they are", "etcd lets everybody in who reaches it");
        let fix = "make users, `etcdctl auth enable`, and name one in coordination.user";
        Finding::of(has_users, if has_users { with } else { without }, fix)
    }));
    findings
}

fn member(member: &MemberHealth) -> Finding {
    let address = &member.address;
    match &member.answer {
        Ok(answer) if !answer.has_leader => Finding::Wrong {
            problem: format!("etcd {} at {address} knows no leader", answer.version),
            fix: "let it reach the other members".to_owned(),
        },
        Ok(answer) => {
            let role = if answer.leads { "leader" } else { "member" };
            Finding::Good(format!("etcd {} at {address} is {role}", answer.version))
        }
        Err(why) => Finding::Wrong {
            problem: format!("etcd at {address} gives no answer that serves: {why}"),
            fix: "look at its log; nodes ask the others meanwhile".to_owned(),
        },
    }
}

/// Leases go by etcd's leader alone. What is written says when by its writer's clock.
fn clock(MemberHealth { address, clock_apart, .. }: &MemberHealth) -> Option<Finding> {
    let apart = (*clock_apart)?;
    let (same, other) = (
        format!("the clock of etcd at {address} shows this machine's time, to the second"),
        format!("the clock of etcd at {address} is {:.0} s or more from this machine's", apart.as_secs_f64()),
    );
    let fix = "synchronise both, as chrony does: histories and traces tell wrong times otherwise";
    let holds = apart < APART_MAX;
    Some(Finding::of(holds, if holds { same } else { other }, fix))
}

fn space(address: &str, answer: &MemberAnswer) -> Finding {
    let (file, used) = (answer.db_bytes / MEBIBYTE, answer.db_bytes_used / MEBIBYTE);
    let what = format!(
        "etcd at {address} keeps {used} MiB in {file} MiB, of {} unless told otherwise",
        QUOTA_BYTES / MEBIBYTE
    );
    let fix = "compact (--auto-compaction-retention), defragment, or raise --quota-backend-bytes";
    Finding::of(answer.db_bytes < QUOTA_BYTES / 5 * 4, what, fix)
}
