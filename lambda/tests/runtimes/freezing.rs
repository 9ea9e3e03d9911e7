//! Environments that are stopped and continued all the time lose no record.

use std::collections::BTreeMap;

use aecp_contract::verdict::Decision;
use serde_json::json;

use crate::function::{Function, Runtime};

const CYCLES: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_500_freezes_and_the_end_every_decision_is_in_the_log_once() {
    let mut function = Function::with(Runtime::Rust("echo"), |config| {
        // So that what was not carried yet is frozen, too, and the end has to carry it.
        config.env.push(("AECP_AUDIT_EVERY".to_owned(), "100ms".into()));
        config.env.push(("AECP_LOG_LEVEL".to_owned(), "warn".into()));
    })
    .await;
    let mut expected = BTreeMap::new();
    for n in 0..CYCLES {
        let job = if n % 3 == 0 { "purge" } else { "tidy" };
        let invocation = function.invoke(json!({ "job": job, "n": n }).to_string()).await;
        assert_eq!(invocation.failure, None, "{}", function.output());
        assert_eq!(invocation.answer.expect("an answer").is_error, job == "purge");
        expected.insert(
            invocation.request_id,
            if job == "purge" { Decision::Deny } else { Decision::Allow },
        );
    }
    let exits = function.shutdown().await;
    assert_eq!(exits["aecp-extension"], "exit status: 0", "{}", function.output());
    let decisions = function.decisions();
    assert_eq!(decisions.len(), CYCLES);
    let recorded: BTreeMap<String, Decision> =
        decisions.into_iter().map(|decision| (decision.request_id, decision.decision)).collect();
    assert_eq!(recorded, expected);
}
