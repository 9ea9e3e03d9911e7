//! The process that decides is killed, wherever it is: nothing that it did not decide reaches the function, invocations go on,
//! and the log has what was decided.

use std::{collections::BTreeSet, fs, process::Command, thread, time::Duration};

use aecp_contract::{
    audit::{Event, GapReason},
    verdict::Decision,
};
use aecp_integration_tests::{
    generated::Random,
    lambda::{Config, Invocation},
};
use serde_json::json;

use crate::function::{Function, Runtime};

const EVENTS: &str = r#"
POLICY no_purges {
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event == "json"
  CONSTRAINT: event.job IS MISSING OR event.job != "purge"
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
"#;

const ANSWERS: &str = r#"
POLICY no_secrets {
  AT: [EGRESS]
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event == "json"
  CONSTRAINT: response.body.secret IS MISSING
  ENFORCEMENT: BLOCKING
  AUDIT: NONE
}
"#;

/// Kills the process that decides, which is the only child of the one that Lambda knows.
fn kill_worker(supervisor: u32) -> bool {
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
    let Ok(worker) = children.unwrap_or_default().trim().parse::<u32>() else { return false };
    Command::new("kill").args(["-9", &worker.to_string()]).status().unwrap().success()
}

/// What becomes of an invocation in which the process that decides is killed so often while the function has the event.
async fn killed_in_hand(policies: &str, fail: &str, kills: usize) -> (Function, Invocation) {
    let fail = ("AECP_FAIL".to_owned(), fail.into());
    let mut function =
        Function::deciding(policies, Runtime::Python("app"), |config| config.env.push(fail)).await;
    function.answer(r#"{"job":"tidy"}"#).await;
    let supervisor = function.emulator.process("aecp-extension").unwrap();
    let killing = tokio::task::spawn_blocking(move || {
        for _ in 0..kills {
            thread::sleep(Duration::from_millis(700));
            assert!(kill_worker(supervisor));
        }
    });
    let invocation = function.invoke(r#"{"job":"pause"}"#).await;
    killing.await.unwrap();
    (function, invocation)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_function_has_an_event_its_answer_leaves_if_no_policy_looks_at_it() {
    let (mut function, invocation) = killed_in_hand(EVENTS, "closed", 1).await;
    assert_eq!(invocation.failure, None, "{}", function.output());
    assert!(!invocation.answer.unwrap().is_error);
    assert_eq!(function.answer(r#"{"job":"tidy"}"#).await["job"], "tidy");
    assert!(function.invoke(r#"{"job":"purge"}"#).await.answer.unwrap().is_error);
    let exits = function.shutdown().await;
    assert_eq!(exits["aecp-extension"], "exit status: 0", "{}", function.output());
    assert_eq!(function.decisions().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_an_answer_that_policies_look_at_it_is_denied_or_passes_as_configured() {
    let policies = format!("{EVENTS}{ANSWERS}");
    let (mut function, invocation) = killed_in_hand(&policies, "closed", 2).await;
    let answer = invocation.answer.unwrap_or_else(|| panic!("{}", function.output()));
    assert!(answer.is_error);
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["errorMessage"], "denied (enforcer_unavailable)");
    assert_eq!(function.answer(r#"{"job":"tidy"}"#).await["job"], "tidy");
    function.shutdown().await;
    // Three events, and the two answers that could be decided on.
    assert_eq!(function.decisions().len(), 5);

    let (mut function, invocation) = killed_in_hand(&policies, "open", 2).await;
    assert!(!invocation.answer.unwrap_or_else(|| panic!("{}", function.output())).is_error);
    function.shutdown().await;
    let gaps: Vec<_> = function
        .logged()
        .into_iter()
        .filter_map(|event| match event {
            Event::Gap(gap) => Some((gap.reason, gap.lost)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [(GapReason::Undecided, 1)], "{}", function.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_invocations_the_next_one_is_decided_or_ends_with_the_runtime() {
    let mut function = Function::deciding(EVENTS, Runtime::Python("app"), |_| ()).await;
    for _ in 0..3 {
        function.answer(r#"{"job":"tidy"}"#).await;
        assert!(kill_worker(function.emulator.process("aecp-extension").unwrap()));
        let invocation = function.invoke(r#"{"job":"purge"}"#).await;
        match invocation.answer {
            Some(answer) => assert!(answer.is_error),
            // The runtime waited for an event, and its connection is gone.
            None => assert_eq!(invocation.failure.unwrap().error_type, "Runtime.ExitError"),
        }
        assert!(function.invoke(r#"{"job":"purge"}"#).await.answer.unwrap().is_error);
    }
    function.shutdown().await;
    assert!(!function.seen().contains("purge"));
    let (denied, allowed): (Vec<_>, Vec<_>) =
        function.decisions().into_iter().partition(|record| record.decision == Decision::Deny);
    assert_eq!(allowed.len(), 3);
    assert!((3..=6).contains(&denied.len()), "{}", function.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_anywhere_nothing_undecided_reaches_the_function() {
    let shorter = |config: &mut Config| config.timeout = Duration::from_secs(10);
    let mut function = Function::deciding(EVENTS, Runtime::Rust("echo"), shorter).await;
    let mut random = Random::new(11);
    let mut answered = BTreeSet::new();
    let mut killed = 0;
    for n in 0..40 {
        let job = if n % 3 == 0 { "purge" } else { "tidy" };
        let supervisor = function.emulator.process("aecp-extension");
        let pause = Duration::from_micros(random.below(4_000) as u64);
        let killing = (n % 2 == 1).then_some(supervisor).flatten().map(|supervisor| {
            thread::spawn(move || {
                thread::sleep(pause);
                kill_worker(supervisor)
            })
        });
        let invocation = function.invoke(json!({ "job": job, "n": n }).to_string()).await;
        killed += u32::from(killing.is_some_and(|killing| killing.join().unwrap()));
        // Without an answer Lambda says why: the runtime ended with its connection, or the time was over.
        match invocation.answer {
            Some(answer) if !answer.is_error => {
                assert_eq!(job, "tidy");
                answered.insert(invocation.request_id);
            }
            Some(_) => {}
            None => assert!(invocation.failure.is_some()),
        }
        // A crash now and then, not the loop of one that does not work.
        tokio::time::sleep(Duration::from_millis(if n % 2 == 1 { 1_000 } else { 0 })).await;
    }
    assert!(killed > 10, "{killed}");
    assert_eq!(function.answer(r#"{"job":"tidy"}"#).await["job"], "tidy");
    function.shutdown().await;
    assert!(!function.seen().contains("purge"));
    let allowed = function.decisions().into_iter().filter(|record| record.decision == Decision::Allow);
    let allowed: BTreeSet<String> = allowed.map(|record| record.request_id).collect();
    assert!(answered.is_subset(&allowed), "{answered:?} {allowed:?}");
}
