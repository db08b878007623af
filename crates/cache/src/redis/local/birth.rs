//! Making six servers into a cluster: whatever is missing is done, and it is asked again until nothing is. What an
//! interrupted beginning has left is a beginning too.

use super::admin::Admin;
use super::cluster::{MASTERS, Shared};
use super::nodes::{self, Member};
use crate::redis::slot::SLOTS;
use onefold_core::engine::Seat;
use onefold_core::process::ProcessError;

/// What one server sees.
struct View<'a> {
    seat: &'a Seat,
    admin: Admin,
    id: String,
    members: Vec<Member>,
}

impl View<'_> {
    fn own(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.is_self)
    }

    fn serves_nothing(&self) -> bool {
        self.own().is_some_and(|own| own.is_master && own.slots.is_empty())
    }

    fn knows(&self, id: &str) -> bool {
        self.members.iter().any(|member| member.id == id && !member.is_failing)
    }
}

/// Does the next step that is missing.
///
/// # Errors
/// [`ProcessError::NotYet`] while any is.
pub(super) async fn form(shared: &Shared) -> Result<(), ProcessError> {
    let mut views = Vec::new();
    for seat in &shared.site.seats {
        let mut admin = Admin::of(seat.address, &shared.passwords.admin).await?;
        let id = admin.cluster(&["MYID"]).await?;
        let members = nodes::read(&admin.cluster::<String>(&["NODES"]).await?);
        views.push(View { seat, admin, id, members });
    }
    meet(&mut views).await?;
    share_slots(&mut views).await?;
    replicate(&mut views).await?;
    for view in &mut views {
        let info: String = view.admin.cluster(&["INFO"]).await?;
        if !info.contains("cluster_state:ok") {
            return Err(ProcessError::NotYet("the cluster is not whole yet".to_owned()));
        }
    }
    Ok(())
}

async fn meet(views: &mut [View<'_>]) -> Result<(), ProcessError> {
    let ids: Vec<String> = views.iter().map(|view| view.id.clone()).collect();
    if views.iter().all(|view| ids.iter().all(|id| view.knows(id))) {
        return Ok(());
    }
    let (first, others) = views.split_first_mut().ok_or_else(|| ProcessError::not_yet("no servers"))?;
    for other in others {
        let (at, peers) = (other.seat.address, other.seat.peers.port());
        let words = ["MEET".to_owned(), at.ip().to_string(), at.port().to_string(), peers.to_string()];
        first.admin.cluster::<()>(&words).await?;
    }
    Err(ProcessError::NotYet("the servers do not know each other yet".to_owned()))
}

/// Gives the first three their thirds, as far as nobody serves them.
async fn share_slots(views: &mut [View<'_>]) -> Result<(), ProcessError> {
    let served: Vec<(u16, u16)> =
        views.iter().filter_map(View::own).flat_map(|own| own.slots.iter().copied()).collect();
    let mut shared_any = false;
    for (index, view) in views.iter_mut().take(MASTERS).enumerate() {
        let (first, last) = third(index);
        if !served.iter().any(|(from, to)| (*from..=*to).contains(&first)) {
            let words = ["ADDSLOTSRANGE".to_owned(), first.to_string(), last.to_string()];
            view.admin.cluster::<()>(&words).await?;
            shared_any = true;
        }
    }
    if shared_any { Err(ProcessError::NotYet("the slots are being shared out".to_owned())) } else { Ok(()) }
}

fn third(index: usize) -> (u16, u16) {
    let masters = u16::try_from(MASTERS).unwrap_or(1);
    let index = u16::try_from(index).unwrap_or(0);
    let size = SLOTS / masters;
    let last = if index + 1 == masters { SLOTS - 1 } else { (index + 1) * size - 1 };
    (index * size, last)
}

/// Whoever serves nothing follows a master that nobody follows, in another zone if there is one.
async fn replicate(views: &mut [View<'_>]) -> Result<(), ProcessError> {
    let mut followed: Vec<String> = views.iter().filter_map(|view| view.own()?.master.clone()).collect();
    let masters: Vec<(String, onefold_core::Zone)> = views
        .iter()
        .filter(|view| view.own().is_some_and(|own| !own.slots.is_empty()))
        .map(|view| (view.id.clone(), view.seat.zone.clone()))
        .collect();
    let mut changed = false;
    for view in views.iter_mut().filter(|view| view.serves_nothing()) {
        let lonely = || masters.iter().filter(|(id, _)| !followed.contains(id));
        let chosen = lonely().find(|(_, zone)| *zone == view.seat.zone.clone()).cloned();
        let elsewhere = lonely().find(|(_, zone)| *zone != view.seat.zone).cloned();
        let Some((master, _)) = elsewhere.or(chosen) else { continue };
        view.admin.cluster::<()>(&["REPLICATE", master.as_str()]).await?;
        followed.push(master);
        changed = true;
    }
    if changed { Err(ProcessError::NotYet("the replicas begin to follow".to_owned())) } else { Ok(()) }
}
