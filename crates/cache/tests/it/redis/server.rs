//! A Redis of a test's own.

use crate::node::eventually;
use onefold_database::testing::free_port;
use redis::aio::MultiplexedConnection;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The password of every test's servers.
pub(crate) const PASSWORD: &str = "hunter2";

/// One server; killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    settings: String,
    process: Child,
}

impl Server {
    /// Starts a server that keeps nothing on disk.
    pub(crate) async fn start(settings: &str) -> Self {
        let port = free_port();
        let settings = format!(
            "bind 127.0.0.1\nport {port}\nsave \"\"\ndir {}\nrequirepass {PASSWORD}\nlogfile /dev/null\n{settings}\n",
            std::env::temp_dir().display()
        );
        let process = spawn(&settings);
        let server = Self { port, settings, process };
        server.answers().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    pub(crate) async fn client(&self) -> MultiplexedConnection {
        self.try_client().await.expect("a client")
    }

    async fn try_client(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    async fn answers(&self) {
        eventually("the server answers", async || self.try_client().await.is_ok()).await;
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(&self.settings);
        self.answers().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(settings: &str) -> Child {
    let mut server = Command::new("redis-server");
    let server = server.arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut server = server.expect("redis-server; scripts/install test brings it");
    server.stdin.take().unwrap().write_all(settings.as_bytes()).unwrap();
    server
}

/// Lets time pass for all keys of a server, but for the sentinels, which a day would not end.
pub(crate) async fn age(client: &mut MultiplexedConnection, by: Duration) {
    let script = "for _, key in ipairs(redis.call('KEYS', '*')) do
        local left = redis.call('PTTL', key)
        if string.sub(key, -1) ~= '}' and left >= 0 then
            if left > tonumber(ARGV[1]) then redis.call('PEXPIRE', key, left - ARGV[1]) else redis.call('DEL', key) end
        end
    end";
    let mut age = redis::cmd("EVAL");
    age.arg(script).arg(0).arg(u64::try_from(by.as_millis()).unwrap());
    age.query_async::<()>(client).await.unwrap();
}
