//! Requests of four kinds at a steady pace, whether or not those before were answered, and what became of them.

use onefold::testing::{TestSystem, eventually};
use reqwest::{Method, RequestBuilder, redirect};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// What an acknowledged job is given to show its effect: longer than any fault lasts.
const EFFECT_MAX: Duration = Duration::from_mins(1);

/// Links that are written and read in turn: were it one, its writes would wait for each other.
const LINKS: u64 = 32;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// `GET /{code}`: cache, replica, primary.
    Follow,
    /// The same, `strong`.
    Strong,
    /// `PATCH /links/{code}`.
    Write,
    /// The effect of a `POST /links` that was acknowledged: its job has counted it.
    Effect,
}

impl Asked {
    pub(crate) const ALL: [Self; 4] = [Self::Follow, Self::Strong, Self::Write, Self::Effect];

    fn pace(self) -> Duration {
        Duration::from_millis(if self == Self::Effect { 500 } else { 50 })
    }
}

/// One that was asked.
#[derive(Clone, Copy, Debug)]
struct One {
    asked: Asked,
    called: Instant,
    /// When it ended, and whether well.
    ended: Option<(Instant, bool)>,
}

/// Of one kind, what became of those that were asked in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) asked: usize,
    pub(crate) failed: usize,
    /// The longest time between two good answers.
    pub(crate) without: Duration,
    /// The longest that a good answer took.
    pub(crate) slowest: Duration,
}

/// The clients.
pub(crate) struct Probes {
    prober: Prober,
    asking: JoinSet<()>,
}

impl Probes {
    /// Clients that give each request so long.
    pub(crate) async fn start(system: &TestSystem, patience: Duration) -> Self {
        let prober = Prober::new(system, patience);
        for link in 0..LINKS {
            eventually(EFFECT_MAX, "the probes' links are created", async || {
                prober.create(&format!("probe-{link}"), "https://probe.example/0").await
            })
            .await;
        }
        let mut asking = JoinSet::new();
        for asked in Asked::ALL {
            asking.spawn(prober.clone().ask_on(asked));
        }
        Self { prober, asking }
    }

    /// Whether every kind of request is answered at this moment.
    pub(crate) async fn are_served(&self) -> bool {
        for asked in [Asked::Follow, Asked::Strong, Asked::Write] {
            if !self.prober.ask(asked).await {
                return false;
            }
        }
        true
    }

    /// Of what was asked in this stretch, once all of it has ended.
    pub(crate) async fn seen(&self, from: Instant, to: Instant) -> BTreeMap<Asked, Seen> {
        let of_then = |one: &&One| one.called >= from && one.called < to;
        eventually(EFFECT_MAX * 2, "every request ends", async || {
            self.prober.ones().iter().filter(of_then).all(|one| one.ended.is_some())
        })
        .await;
        let ones: Vec<One> = self.prober.ones().iter().filter(of_then).copied().collect();
        Asked::ALL.into_iter().map(|asked| (asked, judged(&ones, asked, from))).collect()
    }

    /// What came in place of good answers, since this was asked last.
    pub(crate) fn whys(&self) -> String {
        let whys = std::mem::take(&mut *self.prober.whys.lock().unwrap());
        let told = whys.into_iter().map(|((asked, why), times)| format!("\n  {asked:?}: {times} x {why}"));
        told.collect()
    }

    pub(crate) async fn stop(mut self) {
        self.asking.shutdown().await;
    }
}

fn judged(ones: &[One], asked: Asked, from: Instant) -> Seen {
    let of_kind: Vec<&One> = ones.iter().filter(|one| one.asked == asked).collect();
    let good = of_kind.iter().filter_map(|one| match one.ended {
        Some((ended, true)) => Some((one.called, ended)),
        _ => None,
    });
    let slowest = good.clone().map(|(called, ended)| ended - called).max().unwrap_or_default();
    let mut ends: Vec<Instant> = [from].into_iter().chain(good.map(|(_, ended)| ended)).collect();
    ends.sort_unstable();
    let failed = of_kind.len() + 1 - ends.len();
    let without = ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    Seen { asked: of_kind.len(), failed, without, slowest }
}

/// Asks, and takes down what came of it. Clones write into the same list.
#[derive(Clone)]
struct Prober {
    patience: Duration,
    http: reqwest::Client,
    base: String,
    ones: Arc<Mutex<Vec<One>>>,
    /// What came in place of good answers, and how often, since it was asked last.
    whys: Arc<Mutex<BTreeMap<(Asked, String), usize>>>,
    /// Gives links and keys names of their own.
    count: Arc<AtomicU64>,
}

impl Prober {
    fn new(system: &TestSystem, patience: Duration) -> Self {
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(patience * 2);
        Self {
            patience,
            http: http.build().unwrap(),
            base: system.url(""),
            ones: Arc::default(),
            whys: Arc::default(),
            count: Arc::default(),
        }
    }

    /// At a steady pace, and for as long as the set that holds this.
    async fn ask_on(self, asked: Asked) {
        let mut ticks = interval(asked.pace());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => drop(open.spawn(self.clone().one(asked))),
                Some(_) = open.join_next() => {}
            }
        }
    }

    async fn one(self, asked: Asked) {
        let link = format!("effect-{}", self.count.fetch_add(1, Ordering::Relaxed));
        // What was not accepted need not have an effect.
        if asked == Asked::Effect && !self.create(&link, &format!("https://{link}.example/")).await {
            return;
        }
        let place = self.begins(asked);
        let is_good =
            if asked == Asked::Effect { self.has_effect(&link).await } else { self.ask(asked).await };
        self.ended(place, is_good);
    }

    async fn ask(&self, asked: Asked) -> bool {
        let link = format!("probe-{}", self.count.fetch_add(1, Ordering::Relaxed) % LINKS);
        let request = match asked {
            Asked::Follow => self.request(&Method::GET, &format!("/{link}")),
            Asked::Strong => {
                self.request(&Method::GET, &format!("/{link}")).header("onefold-consistency", "strong")
            }
            Asked::Write | Asked::Effect => {
                let body = json!({ "url": "https://probe.example/1" });
                self.request(&Method::PATCH, &format!("/links/{link}")).json(&body)
            }
        };
        match answered(request).await {
            Ok(_) => true,
            Err(why) => {
                *self.whys.lock().unwrap().entry((asked, why)).or_default() += 1;
                false
            }
        }
    }

    async fn create(&self, code: &str, url: &str) -> bool {
        let body = json!({ "code": code, "url": url });
        answered(self.request(&Method::POST, "/links").json(&body)).await.is_ok()
    }

    /// Whether the job of this link, which has a host of its own, is seen to have run.
    async fn has_effect(&self, code: &str) -> bool {
        let counted = async {
            loop {
                let stats = answered(self.request(&Method::GET, &format!("/links/{code}/stats"))).await;
                if stats.is_ok_and(|stats| stats["host_links"] == 1) {
                    return;
                }
                sleep(Duration::from_millis(250)).await;
            }
        };
        timeout(EFFECT_MAX, counted).await.is_ok()
    }

    /// A write may be asked again by the balancer, under its key.
    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        let once = format!("probe-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let timeout = format!("{}ms", self.patience.as_millis());
        let request = self.http.request(method.clone(), format!("{}{path}", self.base));
        let request = request.header("onefold-timeout", timeout);
        if *method == Method::GET { request } else { request.header("idempotency-key", once) }
    }

    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    fn begins(&self, asked: Asked) -> usize {
        let mut ones = self.ones();
        ones.push(One { asked, called: Instant::now(), ended: None });
        ones.len() - 1
    }

    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    fn ended(&self, place: usize, is_good: bool) {
        self.ones()[place].ended = Some((Instant::now(), is_good));
    }

    fn ones(&self) -> MutexGuard<'_, Vec<One>> {
        self.ones.lock().unwrap()
    }
}

/// The body of a good answer, null where that is no JSON; or what came in its place.
async fn answered(request: RequestBuilder) -> Result<Value, String> {
    let response = request.send().await.map_err(without_url)?;
    let (status, by) = (response.status(), response.headers().get("onefold-served-by").cloned());
    let body = response.bytes().await.map_err(without_url)?;
    if status.is_success() || status.is_redirection() {
        return Ok(serde_json::from_slice(&body).unwrap_or_default());
    }
    Err(format!("{} by {by:?}", status.as_u16()))
}

fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
}
