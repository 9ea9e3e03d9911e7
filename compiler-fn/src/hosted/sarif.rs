//! A report for tools that show findings in code: SARIF 2.1.0 (OASIS standard, 27 March 2020).

use std::{collections::BTreeSet, fmt::Write as _};

use aecp_contract::report::{Report, Reported, Severity};
use serde_json::{Value, json};

/// The report as SARIF. Paths are relative to the set's folder.
#[must_use]
pub fn sarif(report: &Report) -> String {
    let codes: BTreeSet<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    let rules: Vec<Value> = codes.iter().map(|code| json!({ "id": code })).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "aecp", "fullName": report.compiler, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "automationDetails": { "id": format!("{}/{}", report.set, report.upload.digest) },
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    log.to_string()
}

fn result(finding: &Reported) -> Value {
    let mut message = finding.message.clone();
    for more in [&finding.cause, &finding.suggestion].into_iter().flatten() {
        // Writing to a String does not fail.
        let _ = write!(message, "; {more}");
    }
    let mut result = json!({
        "ruleId": finding.code,
        "level": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": { "text": message },
        "properties": { "policies": finding.policies },
    });
    if let Some(file) = &finding.file {
        result["locations"] = json!([{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(file) },
                "region": { "startLine": finding.line, "startColumn": finding.column },
            },
        }]);
    }
    if let Some(witness) = &finding.witness {
        result["properties"]["witness"] = witness.get().into();
    }
    result
}

/// A path as a relative URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}
