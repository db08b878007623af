//! One address for several servers: each connection leads to the next.

use onefold_core::TaskGroup;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that ends with the test.
pub(crate) struct Proxy {
    port: u16,
    tasks: TaskGroup,
}

impl Proxy {
    pub(crate) async fn start<const N: usize>(ports: [u16; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tasks, next) = (TaskGroup::new(), AtomicUsize::new(0));
        let (spawner, stopping) = (tasks.clone(), tasks.stopping());
        let accepting = async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = ports[next.fetch_add(1, Ordering::Relaxed) % N];
                let stopping = spawner.stopping();
                spawner.spawn("proxied", async move {
                    let relay = async {
                        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                        tokio::io::copy_bidirectional(&mut client, &mut server).await
                    };
                    let _ = stopping.run_until_cancelled(relay).await;
                });
            }
        };
        tasks.spawn("proxy", async move {
            stopping.run_until_cancelled(accepting).await;
        });
        Self { port, tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}
