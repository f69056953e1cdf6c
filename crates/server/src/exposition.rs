//! All that is counted, as OpenMetrics text: a page behind a listener of its own
//! ([`Exposition::router`]).

mod process;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::count::Count;
use crate::outbox::LaneMetrics;
use crate::password::Passwords;
use crate::site::Site;
use crate::store::Store;

/// The form of the answer. Prometheus has read it since its version 2.5.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the numbers come from.
pub struct Exposition {
    /// The environments that are served.
    pub sites: Vec<Arc<Site>>,
    /// Their store.
    pub store: Store,
    /// Where their passwords are checked.
    pub passwords: Passwords,
    /// When this process began to serve, in Unix seconds.
    pub started_at: i64,
}

impl Exposition {
    /// The page: `GET /metrics`, and nothing else.
    pub fn router(self) -> Router {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        Router::new()
            .route("/metrics", get(metrics))
            .fallback(async || {
                let words = "The metrics are at /metrics.\n";
                (StatusCode::NOT_FOUND, headers("text/plain; charset=utf-8"), words)
            })
            .with_state(Arc::new(registry))
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut body = String::new();
    match text::encode(&mut body, &registry) {
        Ok(()) => (headers(OPEN_METRICS), body).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics.encode");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn headers(content_type: &'static str) -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.requests(&mut encoder)?;
        self.tokens(&mut encoder)?;
        self.store(&mut encoder)?;
        self.outbox(&mut encoder)?;
        self.passwords(&mut encoder)?;
        self.throttling(&mut encoder)?;
        self.process(&mut encoder)
    }
}

impl Exposition {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "grantor_requests",
            "Requests that were answered.",
            None,
            MetricType::Counter,
        )?;
        for site in &self.sites {
            let environment = site.environment.as_str();
            for route in site.metrics.requests.routes() {
                for (status, count) in route.statuses() {
                    let status = status.to_string();
                    let labels = [
                        ("environment", environment),
                        ("route", route.name.as_str()),
                        ("status", status.as_str()),
                    ];
                    counted(family.encode_family(&labels)?, count)?;
                }
            }
        }
        let mut family = encoder.encode_descriptor(
            "grantor_request_duration_seconds",
            "How long requests took, from their head to the head of the answer.",
            None,
            MetricType::Histogram,
        )?;
        for site in &self.sites {
            let environment = site.environment.as_str();
            for route in site.metrics.requests.routes() {
                let labels = [("environment", environment), ("route", route.name.as_str())];
                let buckets = route.buckets();
                // Counted from the buckets, so that the two never contradict each other.
                let count = buckets.iter().map(|(_, count)| count).sum();
                family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                    route.seconds(),
                    count,
                    &buckets,
                    None,
                )?;
            }
        }
        Ok(())
    }

    fn tokens(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "grantor_token_calls",
            "Calls to the token endpoint, by what they brought and what became of them.",
            None,
            MetricType::Counter,
        )?;
        for site in &self.sites {
            for (grant_type, outcome, count) in site.metrics.tokens.calls() {
                let labels = [
                    ("environment", site.environment.as_str()),
                    ("grant_type", grant_type),
                    ("outcome", outcome),
                ];
                counted(family.encode_family(&labels)?, count)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "grantor_token_events",
            "Uses of codes and refresh tokens that deserve a look; the log has a line for each.",
            None,
            MetricType::Counter,
        )?;
        for site in &self.sites {
            for (event, count) in site.metrics.tokens.events() {
                let labels = [("environment", site.environment.as_str()), ("event", event)];
                counted(family.encode_family(&labels)?, count)?;
            }
        }
        Ok(())
    }

    fn store(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let store = self.store.metrics();
        for (name, help, count) in [
            (
                "grantor_store_transactions",
                "Transactions that were carried out, or refused by their own condition.",
                &store.transactions,
            ),
            (
                "grantor_store_commits",
                "Commits; transactions that wait together share one.",
                &store.commits,
            ),
            (
                "grantor_store_busy",
                "Transactions that were turned away because too many waited.",
                &store.busy,
            ),
            ("grantor_store_faults", "Transactions and reads that failed.", &store.faults),
            ("grantor_store_reads", "Reads.", &store.reads),
        ] {
            counter(encoder, name, help, count.read())?;
        }
        let help = "Callers that wait for a transaction now.";
        gauge(encoder, "grantor_store_waiting", help, store.waiting.read())
    }

    fn outbox(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let outbox = &self.store.metrics().outbox;
        let kinds = [("mail", &outbox.mail), ("webhook", &outbox.webhooks)];
        for (name, help, count) in [
            (
                "grantor_outbox_delivered",
                "Messages that were taken.",
                (|kind| &kind.delivered) as fn(&LaneMetrics) -> &Count,
            ),
            ("grantor_outbox_failed", "Tries to deliver a message that failed.", |kind| {
                &kind.failed
            }),
            ("grantor_outbox_gave_up", "Messages that were given up.", |kind| &kind.gave_up),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (kind, metrics) in kinds {
                counted(family.encode_family(&[("kind", kind)])?, count(metrics).read())?;
            }
        }
        let help = "Messages that wait to be delivered, as this process counted them last.";
        gauge(encoder, "grantor_outbox_waiting", help, outbox.waiting.read())
    }

    fn passwords(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let passwords = self.passwords.metrics();
        let help = "Passwords that were hashed, to check or to set them.";
        counter(encoder, "grantor_passwords_hashed", help, passwords.hashed.read())?;
        let help = "Passwords that were turned away because too many waited.";
        counter(encoder, "grantor_passwords_busy", help, passwords.busy.read())?;
        let help = "Passwords that wait to be hashed now.";
        gauge(encoder, "grantor_passwords_waiting", help, passwords.waiting.read())
    }

    fn throttling(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "grantor_throttled",
            "Tries that were not taken, because too many before them were wrong.",
            None,
            MetricType::Counter,
        )?;
        for site in &self.sites {
            for (credential, count) in site.throttle.refused() {
                let labels =
                    [("environment", site.environment.as_str()), ("credential", credential)];
                counted(family.encode_family(&labels)?, count)?;
            }
        }
        Ok(())
    }

    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "When this process began to serve, in Unix seconds.";
        let started_at = u64::try_from(self.started_at).unwrap_or_default();
        gauge(encoder, "process_start_time_seconds", help, started_at)?;
        if let Some(bytes) = process::resident_bytes() {
            gauge(encoder, "process_resident_memory_bytes", "Memory in use.", bytes)?;
        }
        if let Some(files) = process::open_files() {
            gauge(encoder, "process_open_fds", "Files and sockets that are open.", files)?;
        }
        let help = "The version of the program.";
        encoder
            .encode_descriptor("grantor_build", help, None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, count: u64) -> fmt::Result {
    counted(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, count)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn counted(metric: MetricEncoder<'_>, count: u64) -> fmt::Result {
    ConstCounter::new(count).encode(metric)
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("started_at", &self.started_at).finish_non_exhaustive()
    }
}
