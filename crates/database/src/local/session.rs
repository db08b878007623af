//! The supervisor's own connections to a server, as superuser and for a few statements only.

use super::credentials::{ADMINISTRATOR, DATABASE};
use onefold_core::Secret;
use onefold_core::process::ProcessError;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// A server of this machine answers within this time, or is not ready.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connects, does `work` and leaves. The first of the passwords that is right counts.
///
/// Commits of such a session wait for no replica: the first ones are made before there is any.
pub(crate) async fn with<T, F>(
    address: SocketAddr,
    passwords: &[&Secret],
    work: impl FnOnce(Client) -> F,
) -> Result<T, ProcessError>
where
    F: Future<Output = Result<T, tokio_postgres::Error>>,
{
    let all = async {
        let mut refused = None;
        for password in passwords {
            match connect(address, password).await {
                Ok((client, connection)) => return drive(client, connection, work).await,
                Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => refused = Some(error),
                Err(error) => return Err(ProcessError::not_yet(text(&error))),
            }
        }
        Err(match refused {
            Some(error) if passwords.len() == 1 => wrong_password(&error),
            // One gives way to the other at this moment.
            _ => ProcessError::not_yet("the password is being set"),
        })
    };
    tokio::time::timeout(TIMEOUT, all)
        .await
        .unwrap_or_else(|_| Err(ProcessError::not_yet("no answer in time")))
}

type Connection = tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>;

async fn connect(
    address: SocketAddr,
    password: &Secret,
) -> Result<(Client, Connection), tokio_postgres::Error> {
    tokio_postgres::Config::new()
        .host(address.ip().to_string())
        .port(address.port())
        .user(ADMINISTRATOR)
        .password(password.expose())
        .dbname(DATABASE)
        .application_name("onefold supervisor")
        .options("-c synchronous_commit=local")
        .connect(NoTls)
        .await
}

/// The connection lives in the same future as the work, so that no task is left behind.
async fn drive<T, F>(
    client: Client,
    connection: Connection,
    work: impl FnOnce(Client) -> F,
) -> Result<T, ProcessError>
where
    F: Future<Output = Result<T, tokio_postgres::Error>>,
{
    let work = work(client);
    tokio::pin!(work, connection);
    let done = tokio::select! {
        done = &mut work => {
            // The client is gone with the work: what is left is to take leave of the server.
            let _ = connection.await;
            done
        }
        lost = &mut connection => match lost {
            Ok(()) => work.await,
            Err(error) => Err(error),
        },
    };
    done.map_err(|error| ProcessError::not_yet(text(&error)))
}

fn wrong_password(error: &tokio_postgres::Error) -> ProcessError {
    ProcessError::unusable(
        format!("the password in the state's secrets is not the cluster's ({})", text(error)),
        "restore the secrets that belong to this cluster, or remove the state with `make clean-state`",
    )
}

/// The server's own words, which the driver's `Display` leaves out.
fn text(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
