//! Metrics for CloudWatch: one line of its embedded metric format on standard output for each invocation, which CloudWatch
//! takes out of the function's own log group.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::{
    env,
    io::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aecp_enforcer::{Enforcer, now, record::RequestContext};
use serde_json::{Value, json};

use crate::config::MetricsFormat;

/// The point of enforcement of events.
pub(crate) const INVOCATION: &str = "lambda/invocation";

/// The point of enforcement of answers.
pub(crate) const RESPONSE: &str = "lambda/response";

/// What is counted from one line to the next.
pub(crate) struct Telemetry {
    format: MetricsFormat,
    function: String,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// The invocation that was begun last.
    invocation: Option<RequestContext>,
    ingress: Decisions,
    egress: Decisions,
    undecided: u64,
    /// The time that events and answers were held.
    latency: Duration,
}

#[derive(Default)]
struct Decisions {
    allowed: u64,
    denied: u64,
}

impl Telemetry {
    /// Metrics of the function that this environment is for.
    pub(crate) fn new(format: MetricsFormat) -> Self {
        let function = env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "unknown".to_owned());
        Self { format, function, counts: Mutex::default() }
    }

    /// Whether metrics go anywhere.
    pub(crate) fn is_on(&self) -> bool {
        self.format != MetricsFormat::None
    }

    /// A request was decided. It passes, or it is denied.
    pub(crate) fn decided(&self, context: &RequestContext, passes: bool) {
        self.count(|counts| {
            let decisions =
                if context.point == RESPONSE { &mut counts.egress } else { &mut counts.ingress };
            *if passes { &mut decisions.allowed } else { &mut decisions.denied } += 1;
        });
    }

    /// Something passes undecided.
    pub(crate) fn undecided(&self) {
        self.count(|counts| counts.undecided += 1);
    }

    /// An event or answer was held for so long.
    pub(crate) fn held(&self, context: &RequestContext) {
        let latency = context.started.elapsed();
        self.count(|counts| {
            counts.latency += latency;
            counts.invocation = Some(context.clone());
        });
    }

    /// Writes what was counted, if anything was.
    pub(crate) fn write(&self, enforcer: &Enforcer, waiting: Option<u64>) {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.is_on() || counts.invocation.is_none() {
            return;
        }
        let line = self.line(&counts, enforcer, waiting);
        // A log that nobody takes must not stop the function.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn line(&self, counts: &Counts, enforcer: &Enforcer, waiting: Option<u64>) -> Value {
        let time = now();
        let active = enforcer.active();
        let active = active.as_ref();
        let metrics = [
            ("IngressAllowed", "Count", Some(counts.ingress.allowed)),
            ("IngressDenied", "Count", Some(counts.ingress.denied)),
            ("EgressAllowed", "Count", Some(counts.egress.allowed)),
            ("EgressDenied", "Count", Some(counts.egress.denied)),
            ("Undecided", "Count", Some(counts.undecided)),
            ("AddedLatency", "Microseconds", u64::try_from(counts.latency.as_micros()).ok()),
            ("ReleaseSerial", "None", active.map(|active| active.id.serial)),
            (
                "ReleaseAge",
                "Seconds",
                active
                    .and_then(|active| u64::try_from(time.seconds - active.release.issued.seconds).ok()),
            ),
            ("RecordsWaiting", "Count", waiting),
        ];
        let known = || metrics.iter().filter_map(|(name, unit, value)| Some((name, unit, (*value)?)));
        let declared: Vec<Value> =
            known().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": time.seconds * 1000 + i64::from(time.nanoseconds / 1_000_000),
                "CloudWatchMetrics": [
                    { "Namespace": "AECP", "Dimensions": [["FunctionName"]], "Metrics": declared }
                ]
            },
            "FunctionName": self.function,
        });
        for (name, _, value) in known() {
            line[name] = json!(value);
        }
        if let Some(invocation) = &counts.invocation {
            line["request_id"] = json!(&*invocation.request_id);
            line["trace_id"] = json!(invocation.trace_id.as_deref());
        }
        line
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
