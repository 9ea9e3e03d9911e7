//! What a denied invocation is answered with, in the form that its source understands. It says why: which policies, and the
//! code; never what the request said.

use aecp_contract::manifest::{Enforcement, PolicyInfo};
use aecp_enforcer::{Decided, Reason};
use serde_json::{Value, json};

use crate::{
    batch,
    event::{Event, HttpEvent, Records, Service, Source},
    returned::DELIMITER,
};

/// Why something is denied.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    /// Constant.
    pub(crate) code: &'static str,
    /// The names of the policies, none twice.
    pub(crate) policies: Vec<String>,
    /// The modules that deny what none of their policies covers.
    pub(crate) default_deny: Vec<String>,
}

/// An answer in the function's place.
pub(crate) struct Denial {
    pub(crate) why: Why,
    /// JSON, or a streamed response with its prelude.
    pub(crate) body: Vec<u8>,
    /// The type of the error; `None` if the answer is a response.
    pub(crate) error_type: Option<&'static str>,
}

impl Why {
    /// The BLOCKING policies that are violated or in doubt. The others deny nothing, and AUDIT_ONLY ones are not for callers.
    pub(crate) fn of(decided: &Decided) -> Self {
        let against = decided.violated().chain(decided.indeterminate());
        let blocking = against.filter(|policy| policy.enforcement == Enforcement::Blocking);
        Self {
            code: decided.reason().map_or("denied", Reason::as_str),
            policies: names(blocking),
            default_deny: decided.default_deny().map(str::to_owned).collect(),
        }
    }

    /// The policies whose obligations cannot be carried out.
    pub(crate) fn unfulfilled(decided: &Decided) -> Self {
        let obliging = decided.obligations().map(|(policy, _)| policy);
        let shown = obliging.filter(|policy| policy.enforcement != Enforcement::AuditOnly);
        let code = Reason::ObligationUnsupported.as_str();
        Self { code, policies: names(shown), default_deny: Vec::new() }
    }

    /// That no policy spoke.
    pub(crate) fn code(code: &'static str) -> Self {
        Self { code, policies: Vec::new(), default_deny: Vec::new() }
    }

    fn message(&self) -> String {
        let Self { code, policies, default_deny } = self;
        match (policies.as_slice(), default_deny.as_slice()) {
            ([], []) => format!("denied ({code})"),
            ([], modules) => format!("denied by default of module {} ({code})", modules.join(", ")),
            (policies, _) => format!("denied by policy {} ({code})", policies.join(", ")),
        }
    }
}

fn names<'a>(policies: impl Iterator<Item = &'a PolicyInfo>) -> Vec<String> {
    let mut names: Vec<String> = policies.map(|policy| policy.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Denial {
    /// 403 for HTTP, all messages as failed for SQS, an error for all else.
    pub(crate) fn of(event: &Event<'_>, why: Why) -> Self {
        let body = match event {
            Event::Http(event) => forbidden(event, &why).to_string(),
            Event::Records(Records { service: Service::Sqs, records, .. }) => {
                let ids: Vec<String> = records.iter().filter_map(|record| record.id.clone()).collect();
                batch::failed(&ids)
            }
            _ => return Self::error(why),
        };
        Self { why, body: body.into(), error_type: None }
    }

    /// An error of the function, `AECP.Denied`.
    pub(crate) fn error(why: Why) -> Self {
        let body =
            json!({ "errorMessage": why.message(), "errorType": "AECP.Denied", "stackTrace": [] });
        Self { why, body: body.to_string().into(), error_type: Some("AECP.Denied") }
    }

    /// The same, where the function streams its answer: 403 with a prelude for HTTP.
    pub(crate) fn streamed(event: &Event<'_>, why: Why) -> Self {
        if !matches!(event, Event::Http(_)) {
            return Self::error(why);
        }
        let prelude = json!({ "statusCode": 403, "headers": { "content-type": PROBLEM } }).to_string();
        let body = [prelude.as_bytes(), &DELIMITER, problem(&why).as_bytes()].concat();
        Self { why, body, error_type: None }
    }
}

const PROBLEM: &str = "application/problem+json";

/// Problem details (RFC 9457).
fn problem(why: &Why) -> String {
    let mut problem =
        json!({ "title": "Forbidden", "status": 403, "code": why.code, "policies": why.policies });
    if !why.default_deny.is_empty() {
        problem["default_deny"] = json!(why.default_deny);
    }
    problem.to_string()
}

fn forbidden(event: &HttpEvent<'_>, why: &Why) -> Value {
    let mut response = json!({ "statusCode": 403, "isBase64Encoded": false, "body": problem(why) });
    if event.source == Source::LoadBalancer {
        response["statusDescription"] = json!("403 Forbidden");
    }
    if event.source == Source::LoadBalancer && event.multi_value {
        response["multiValueHeaders"] = json!({ "content-type": [PROBLEM] });
    } else {
        response["headers"] = json!({ "content-type": PROBLEM });
    }
    response
}
