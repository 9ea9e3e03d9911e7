//! Explanations over HTTP.

use aecp_contract::{
    explain::{Atom, Clause, Clauses, Explanation, Operand, Outcome, PolicyClauses, Test, Truth},
    manifest::AuditLevel,
    release::CLAUSES,
};
use aecp_enforcer::Sidecar;
use serde_json::{Value, json};

use crate::{
    fixture::{Artifacts, Publisher, artifacts, entries, release, within},
    http::{answer, post},
};

fn policy(line: u32, test: Test) -> PolicyClauses {
    let atom = Atom { text: format!("clause {line}"), line, negated: false, test };
    PolicyClauses { file: 0, line, scope: Vec::new(), constraint: vec![Clause::Atom(atom)] }
}

/// The fixture's set in words: two policies want a region that starts with `letter`, the silent one wants none.
fn with_clauses(letter: char) -> Artifacts {
    let starts = |line| policy(line, Test::StartsWith(1, Operand::Value(letter.to_string())));
    let policies = vec![starts(1), starts(2), policy(3, Test::OneOf(1, Vec::new()))];
    let clauses = Clauses { files: vec!["m.aecp".to_owned()], policies };
    let mut artifacts = artifacts(letter, AuditLevel::Required);
    artifacts.insert(CLAUSES.to_owned(), clauses.to_json());
    artifacts
}

async fn sidecar(publisher: &Publisher, explain: bool) -> Sidecar {
    let config = aecp_enforcer::SidecarConfig { explain, ..publisher.config() };
    let sidecar = Sidecar::start(config).await.unwrap();
    let mut swaps = sidecar.enforcer().watch();
    within(swaps.wait_for(Option::is_some)).await.unwrap();
    sidecar
}

async fn problem(sidecar: &Sidecar, path: &str, body: &Value) -> (u16, String) {
    let response = post(sidecar, path, body).await;
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], json!(status));
    (status, problem["code"].as_str().unwrap().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_caller_who_asks_is_told_why_and_nothing_of_silent_policies() {
    let publisher = Publisher::new();
    publisher.publish_as(&publisher.key, &release(1), &with_clauses('E'));
    let sidecar = sidecar(&publisher, true).await;
    let us = json!({"customer": {"region": "US"}});
    let plain = answer(&sidecar, "/v1/decision", &us).await;
    let mut explained = answer(&sidecar, "/v1/decision?explain=true", &us).await;
    let why: Explanation = serde_json::from_value(explained["explanation"].take()).unwrap();
    explained.as_object_mut().unwrap().remove("explanation");
    assert_eq!(plain, explained, "the answer is the same but for that");
    let told = |why: &Explanation| {
        let policies = why.policies.iter().map(|policy| (policy.policy.clone(), policy.outcome));
        policies.collect::<Vec<_>>()
    };
    let names = |outcome| [("region".to_owned(), outcome), ("advice".to_owned(), outcome)];
    assert_eq!(told(&why), names(Outcome::Violated), "what denies comes first");
    let clause = &why.policies[0].constraint[0];
    assert_eq!((clause.truth, clause.decisive, clause.line), (Truth::False, true, Some(2)));
    assert_eq!(clause.looked_at[0].value.as_deref(), Some("\"US\""));

    let body = json!({
        "subject": {"type": "user", "id": "ann"}, "action": {"name": "read"},
        "resource": {"type": "record", "id": "7"}, "context": {"customer.region": "EU"},
    });
    let mut allowed = answer(&sidecar, "/access/v1/evaluation?explain=true", &body).await;
    assert_eq!(allowed["decision"], json!(true));
    let why = serde_json::from_value(allowed["context"]["explanation"].take()).unwrap();
    let order = |mut told: Vec<_>| {
        told.sort();
        told
    };
    let names: Vec<_> = told(&why).into_iter().map(|(name, _)| name).collect();
    assert_eq!(order(names), ["advice", "region"]);
    let same = answer(&sidecar, "/v1/decision?explain=false", &us).await;
    assert_eq!(same, plain);
    sidecar.stop().await.unwrap();
    let log = entries(&publisher.state());
    assert_eq!(log.len(), 1 + 4 + 1, "the start, the decisions, and what was counted");
    assert!(
        log.iter().all(|entry| !entry.to_string().contains("clause 2")),
        "records hold no explanations"
    );
}

#[tokio::test]
async fn what_cannot_be_explained_is_a_problem_that_says_so() {
    let publisher = Publisher::new();
    publisher.publish_as(&publisher.key, &release(1), &with_clauses('E'));
    let off = sidecar(&publisher, false).await;
    let us = json!({"customer.region": "US"});
    let asked = problem(&off, "/v1/decision?explain=true", &us).await;
    assert_eq!(asked, is(403, "explanations_off"));
    assert_eq!(answer(&off, "/v1/decision", &us).await["decision"], "DENY");
    off.stop().await.unwrap();

    // The state folder has no clauses yet: the next poll fetches them.
    let on = sidecar(&publisher, true).await;
    for _ in 0..200 {
        if on.enforcer().active().is_some_and(|active| active.set.explains()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let told = answer(&on, "/v1/decision?explain=true", &us).await;
    assert_eq!(told["explanation"]["decision"], "DENY");
    let batch = json!([us]);
    assert_eq!(problem(&on, "/v1/decisions?explain=true", &batch).await, is(400, "explain_one"));
    let evaluations = problem(&on, "/access/v1/evaluations?explain=true", &json!({})).await;
    assert_eq!(evaluations, is(400, "explain_one"));
    assert_eq!(problem(&on, "/v1/decision?explain=yes", &us).await, is(400, "invalid_query"));
    let unread = problem(&on, "/v1/decision?explain=true", &json!(7)).await;
    assert_eq!(unread, is(400, "invalid_request"));
    // This module denies without the region, where the clauses say UNKNOWN.
    assert_eq!(problem(&on, "/v1/decision?explain=true", &json!({})).await, is(500, "not_explained"));

    publisher.publish(2, 'E');
    let mut swaps = on.enforcer().watch();
    on.poll_now();
    within(swaps.wait_for(|id| id.is_some_and(|id| id.serial == 2))).await.unwrap();
    assert_eq!(problem(&on, "/v1/decision?explain=true", &us).await, is(404, "no_clauses"));
    assert_eq!(answer(&on, "/v1/decision", &us).await["release"], 2);

    // Clauses of another set.
    let mut foreign = with_clauses('E');
    let nothing = Clauses { files: Vec::new(), policies: Vec::new() };
    foreign.insert(CLAUSES.to_owned(), nothing.to_json());
    publisher.publish_as(&publisher.key, &release(3), &foreign);
    on.poll_now();
    within(swaps.wait_for(|id| id.is_some_and(|id| id.serial == 3))).await.unwrap();
    assert_eq!(problem(&on, "/v1/decision?explain=true", &us).await, is(500, "not_explained"));
    on.stop().await.unwrap();
}
