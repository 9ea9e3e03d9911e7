//! What operators read: one JSON object a line on standard error, never with anything of a request or a setting in it.

use aecp_contract::refusal::Refusal;
use serde_json::json;

pub(crate) fn info(code: &str, detail: &str) {
    line("info", code, detail);
}

pub(crate) fn warn(code: &str, detail: &str) {
    line("warn", code, detail);
}

/// A release, root or module was refused; the last good release keeps serving.
pub(crate) fn refused(refusal: &Refusal) {
    line("warn", refusal.code.as_str(), &refusal.detail);
}

fn line(level: &str, code: &str, detail: &str) {
    eprintln!("{}", json!({ "level": level, "aecp": code, "detail": detail }));
}
