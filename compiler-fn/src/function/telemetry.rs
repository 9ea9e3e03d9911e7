//! What the function tells of itself: one JSON object a line on standard output, one for each object of an event.

use aecp_contract::report::{PhaseTime, Report};
use serde_json::{Map, Value, json};

/// The most characters of a trace's id.
const MAX_TRACE: usize = 128;

/// What stands in every line of this function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Telemetry {
    platform: &'static str,
    /// On Lambda, the function's name: lines of reports then carry metrics in CloudWatch's embedded metric format.
    metrics_of: Option<String>,
}

impl Telemetry {
    /// Of the platform's name, and on Lambda of the function's.
    pub(crate) fn new(platform: &'static str, metrics_of: Option<String>) -> Self {
        Self { platform, metrics_of }
    }

    /// Writes what came of one object of an event.
    pub(crate) fn tell(&self, told: &Value, trace: Option<&str>) {
        let mut line = told.clone();
        line["platform"] = self.platform.into();
        if let Some(trace) = trace.and_then(trace_id) {
            line["trace_id"] = trace.into();
        }
        if let (Some(function), Some(ms)) = (&self.metrics_of, told["ms"].as_f64()) {
            line["FunctionName"] = function.as_str().into();
            line["Uploads"] = 1.into();
            line["CompileTime"] = ms.into();
            line["_aws"] = json!({
                "Timestamp": milliseconds(),
                "CloudWatchMetrics": [{
                    "Namespace": "AECP",
                    "Dimensions": [["FunctionName", "result"]],
                    "Metrics": [
                        { "Name": "Uploads", "Unit": "Count" },
                        { "Name": "CompileTime", "Unit": "Milliseconds" },
                    ],
                }],
            });
        }
        log(&line);
    }
}

/// Adds to what is told of an upload how long its compilation took, by phase and in all, in milliseconds.
pub(crate) fn add_times(told: &mut Value, report: &Report) {
    let ms =
        |microseconds: u64| json!(std::time::Duration::from_micros(microseconds).as_secs_f64() * 1e3);
    let mut phases = Map::new();
    for PhaseTime { phase, .. } in &report.phases {
        let of_phase = report.phases.iter().filter(|time| time.phase == *phase);
        phases.insert(phase.clone(), ms(of_phase.map(|time| time.microseconds).sum()));
    }
    told["ms"] = ms(report.phases.iter().map(|time| time.microseconds).sum());
    told["phases"] = phases.into();
}

/// The id of a trace, of W3C's `traceparent`, Google's `X-Cloud-Trace-Context` or Lambda's `X-Amzn-Trace-Id`; `None` if it
/// has characters that none of them has.
fn trace_id(header: &str) -> Option<String> {
    let parts: Vec<&str> = header.split('-').collect();
    let id = if let Some(root) = header.split(';').find_map(|part| part.strip_prefix("Root=")) {
        root
    } else if let [_, id, _, _] = parts[..] {
        id
    } else {
        header.split('/').next()?
    };
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_plain && !id.is_empty() && id.len() <= MAX_TRACE).then(|| id.to_owned())
}

fn milliseconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

/// Writes one line.
pub(crate) fn log(line: &Value) {
    use std::io::Write as _;
    // Who does not read the log does not stop the function.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platforms_trace_has_an_id() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (header, expected) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(id)),
            ("4bf92f3577b34da6a3ce929d0e0e4736/123;o=1", Some(id)),
            (
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=53995c3f42cd8ad8;Sampled=1",
                Some("1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
            ),
            ("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700", Some("1-5bef4de7-ad49b0e87f6ef6c87fc2e700")),
            ("", None),
            ("\"}\n{", None),
        ] {
            assert_eq!(trace_id(header).as_deref(), expected, "{header}");
        }
    }
}
