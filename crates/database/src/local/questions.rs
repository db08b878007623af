//! What a server is asked, and what it is told, over a session of the superuser.

use super::cluster::Shared;
use super::credentials::{ADMINISTRATOR, APPLICATION, REPLICATION};
use super::server::Server;
use super::{session, settings, sql};
use onefold_core::process::{Process as _, ProcessError};
use tokio_postgres::Client;

impl Shared {
    /// Asks a server that has the cluster's passwords.
    pub(crate) async fn ask<T, F>(
        &self,
        server: usize,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, ProcessError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        session::with(self.plan.site.seats[server].address, &[&self.credentials.administrator], work).await
    }
}

impl Server {
    async fn ask<T, F>(&self, work: impl FnOnce(Client) -> F) -> Result<T, ProcessError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let own = &self.shared().credentials.administrator;
        let passwords: Vec<_> = match self.shared().template_password() {
            Some(template) if self.is_primary() && self.is_new() => vec![template, own],
            _ => vec![own],
        };
        match session::with(self.address(), &passwords, work).await {
            // A replica has the passwords of before until it has replayed what set them.
            Err(ProcessError::Unusable { problem, .. }) if !self.is_primary() => {
                Err(ProcessError::NotYet(problem))
            }
            answer => answer,
        }
    }

    pub(crate) async fn ask_role(&self) -> Result<(), ProcessError> {
        let asked = self.ask(async |client: Client| {
            let row = client.query_one(sql::IS_STANDBY, &[]).await?;
            row.try_get::<_, bool>(0)
        });
        self.note_standby(asked.await?);
        Ok(())
    }

    /// New slots for all others stand on every replica, so that any of them can be followed.
    pub(crate) async fn renew_slots(&self) -> Result<(), ProcessError> {
        let slots = self.slots();
        let work = async |client: Client| {
            client.execute(sql::DROP_SLOTS, &[]).await?;
            set_slots(&client, &slots).await
        };
        self.ask(work).await
    }

    /// Passwords and slots, in one session.
    pub(crate) async fn equip(&self) -> Result<(), ProcessError> {
        let credentials = &self.shared().credentials;
        // Generated passwords are hexadecimal, and names are ours: nothing to escape.
        let passwords = [
            (APPLICATION, &credentials.application),
            (REPLICATION, &credentials.replication),
            (ADMINISTRATOR, &credentials.administrator),
        ]
        .map(|(role, password)| format!("alter role {role} password '{}';", password.expose()))
        .concat();
        let slots = self.slots();
        let work = async |client: Client| {
            set_slots(&client, &slots).await?;
            client.batch_execute(&passwords).await
        };
        self.ask(work).await
    }

    fn slots(&self) -> Vec<String> {
        let others = self.shared().names().into_iter().filter(|name| name != self.name());
        others.map(|name| settings::slot(&name)).collect()
    }

    /// Whether the primary sees it follow. A new replica is not asked itself before that: it knows no password yet.
    pub(crate) async fn follows(&self) -> Result<(), ProcessError> {
        let name = self.name().as_str();
        let asked = self.ask_primary(async |client: Client| {
            client.query_one(sql::FOLLOWS, &[&name]).await?.try_get::<_, bool>(0)
        });
        if asked.await? { Ok(()) } else { Err(ProcessError::not_yet("it does not follow the primary yet")) }
    }

    /// Whether the primary has thrown away WAL that this replica still needs.
    pub(crate) async fn slot_is_lost(&self) -> Result<bool, ProcessError> {
        let slot = settings::slot(self.name());
        let asked = self.ask_primary(async |client: Client| {
            client.query_one(sql::SLOT_IS_LOST, &[&slot]).await?.try_get::<_, bool>(0)
        });
        asked.await
    }

    /// A new slot on the primary, which keeps WAL from now on.
    pub(crate) async fn renew_slot(&self) -> Result<(), ProcessError> {
        let slot = settings::slot(self.name());
        let asked = self.ask_primary(async |client: Client| {
            client.execute(sql::DROP_SLOT, &[&slot]).await?;
            client.execute(sql::RESERVE_SLOT, &[&slot]).await.map(|_| ())
        });
        asked.await
    }

    pub(crate) async fn ask_primary<T, F>(&self, work: impl FnOnce(Client) -> F) -> Result<T, ProcessError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        self.shared().ask(self.shared().roles.primary(), work).await
    }

    pub(crate) async fn streams(&self) -> Result<(), ProcessError> {
        let asked =
            self.ask(async |client: Client| client.query_one(sql::STREAMS, &[]).await?.try_get::<_, bool>(0));
        if asked.await? { Ok(()) } else { Err(ProcessError::not_yet("it does not stream from the primary")) }
    }
}

async fn set_slots(client: &Client, slots: &Vec<String>) -> Result<(), tokio_postgres::Error> {
    client.execute(sql::DROP_STALE_SLOTS, &[slots]).await?;
    client.execute(sql::MAKE_SLOTS, &[slots]).await?;
    Ok(())
}
