//! Asking a server of the cluster as its administrator.

use onefold_core::Secret;
use onefold_core::process::ProcessError;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
};
use std::net::SocketAddr;
use std::time::Duration;

/// It is on this machine.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Admin(MultiplexedConnection);

impl Admin {
    /// # Errors
    /// [`ProcessError::NotYet`].
    pub(super) async fn of(at: SocketAddr, password: &Secret) -> Result<Self, ProcessError> {
        let entry = RedisConnectionInfo::default().set_password(password.expose()).set_skip_set_lib_name();
        let opening = async {
            let info = (at.ip().to_string(), at.port()).into_connection_info()?.set_redis_settings(entry);
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(PATIENCE))
                .set_response_timeout(Some(PATIENCE));
            redis::Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
        };
        opening.await.map(Self).map_err(|error| not_yet(at, &error))
    }

    /// # Errors
    /// [`ProcessError::NotYet`].
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, ProcessError> {
        command.query_async(&mut self.0).await.map_err(|error| ProcessError::NotYet(error.to_string()))
    }

    /// # Errors
    /// [`ProcessError::NotYet`].
    pub(super) async fn cluster<T: FromRedisValue>(
        &mut self,
        words: &[impl redis::ToRedisArgs],
    ) -> Result<T, ProcessError> {
        let mut command = redis::cmd("CLUSTER");
        for word in words {
            command.arg(word);
        }
        self.ask(&command).await
    }
}

fn not_yet(at: SocketAddr, error: &RedisError) -> ProcessError {
    ProcessError::NotYet(format!("Redis at {at} does not answer: {error}"))
}
