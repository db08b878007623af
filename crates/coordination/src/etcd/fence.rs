//! Fences: the greatest token that the database has seen for each lease, raised in the transaction that it guards.
//!
//! etcd and the database are two systems, so a takeover does not wait for this transaction's end. What holds: nothing
//! commits under a token after something committed under a greater one, and nothing under a lease that was lost before
//! the fence.

use super::Etcd;
use crate::error::Error;
use crate::store::Grant;
use onefold_database::Tx;

/// Raises the token, or answers nothing where a greater one was seen. Lives on the primary key.
const RAISE: &str = "
    insert into onefold.fence as fence (name, token) values ($1, $2)
    on conflict (name) do update set token = excluded.token, raised_at = clock_timestamp()
    where fence.token <= excluded.token
    returning token";

/// No transaction runs as long, and before the fence etcd was asked: the row is no longer needed. It reads the table
/// whole, a few times an hour.
const FORGET: &str = "delete from onefold.fence where raised_at < clock_timestamp() - interval '1 day'";

impl Etcd {
    pub(super) async fn fence_by_token(&self, tx: &mut Tx, grant: &Grant) -> Result<(), Error> {
        let lost = || Error::LeaseLost { name: grant.name.clone() };
        self.current(grant).await?.ok_or_else(lost)?;
        let raised = tx.query_opt::<i64>(RAISE, &[&grant.name, &grant.token.0]).await?;
        raised.map(drop).ok_or_else(lost)
    }

    /// Locks may be named after what they guard, so their fences must not pile up.
    pub(super) async fn forget_fences(&self) {
        let forgetting = async { self.database.shared().await?.execute(FORGET, &[]).await };
        match tokio::time::timeout(self.timeout, forgetting).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "forget old fences"),
            Err(_) => tracing::debug!("forget old fences: no answer in time"),
        }
    }
}
