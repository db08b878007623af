//! The users of the local etcd: root, for `up` alone, and the application's, who sees its own keys.

use super::Shared;
use crate::config::{Config, Engine};
use crate::error::Error;
use crate::etcd::client::{CallError, Client};
use crate::etcd::keys::Keys;
use crate::etcd::wire::{AddRole, AddUser, EnableAuth, GrantPermission, GrantRole, Permission, Rpc};
use onefold_core::process::ProcessError;
use onefold_core::{Secret, TaskGroup};
use std::time::Duration;

/// The application's user, and its role.
pub(super) const APPLICATION: &str = "onefold";

/// etcd's own name for who may do everything.
const ROOT: &str = "root";

/// To read and to write.
const READWRITE: i32 = 2;

const PATIENCE: Duration = Duration::from_secs(5);

/// Makes what is missing, and has etcd ask everybody who they are. Idempotent.
pub(super) async fn equip(shared: &Shared, tasks: &TaskGroup) -> Result<(), ProcessError> {
    let config = Config {
        engine: Engine::Etcd,
        endpoints: shared.endpoints(),
        user: Some(ROOT.to_owned()),
        password: Some(shared.root.clone()),
        timeout: PATIENCE,
        ..Config::default()
    };
    let client = Client::new(&config, tasks.clone()).map_err(ProcessError::not_yet)?;
    let keys = Keys::new(&shared.prefix).all();
    let permission = Permission { kind: READWRITE, key: keys.key, end: keys.end };
    make(&client, &user(ROOT, &shared.root), shared).await?;
    make(&client, &role(ROOT, ROOT), shared).await?;
    make(&client, &AddRole { name: APPLICATION.to_owned() }, shared).await?;
    let granting = GrantPermission { role: APPLICATION.to_owned(), permission: Some(permission) };
    make(&client, &granting, shared).await?;
    make(&client, &user(APPLICATION, &shared.application), shared).await?;
    make(&client, &role(APPLICATION, APPLICATION), shared).await?;
    let enabled = make(&client, &EnableAuth {}, shared).await;
    client.close();
    enabled
}

fn user(name: &str, password: &Secret) -> AddUser {
    AddUser { name: name.to_owned(), password: password.expose().to_owned() }
}

fn role(user: &str, role: &str) -> GrantRole {
    GrantRole { user: user.to_owned(), role: role.to_owned() }
}

/// What is there already is as good.
async fn make<R: Rpc>(client: &Client, request: &R, shared: &Shared) -> Result<(), ProcessError> {
    match client.call(request).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused(refusal)) if refusal.says("already") => Ok(()),
        Err(CallError::Refused(refusal)) if refusal.says("authentication failed") => {
            Err(ProcessError::unusable(
                format!(
                    "the passwords in {} are not those of the data of etcd",
                    shared.site.secrets.display()
                ),
                "bring the files back, or begin anew after `make clean-state`",
            ))
        }
        Err(error) => Err(ProcessError::not_yet(Error::from(error))),
    }
}
