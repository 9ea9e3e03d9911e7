//! What is proposed where.

use super::*;

const SCHEMA: &str = "SCHEMA {\n  customer.region: ENUM(\"EU\", \"US\")\n  payload.size: INT\n  principal.mfa: BOOL\n  \
                      principal.roles: LIST<STRING>\n  request.ip: IP\n}\n";

const ATTRIBUTES: [&str; 5] =
    ["customer.region", "payload.size", "principal.mfa", "principal.roles", "request.ip"];

/// The proposals at `|`, and what they replace.
fn proposed(text: &str) -> (Vec<String>, String) {
    let (snapshot, file, byte) = at(&[("a.aecp", text), ("schema.aecp", SCHEMA)]);
    match completions(&snapshot, file, byte) {
        None => (Vec::new(), String::new()),
        Some(found) => {
            let replaced = snapshot.sources.text(found.replace).to_owned();
            (found.items.into_iter().map(|item| item.text).collect(), replaced)
        }
    }
}

fn in_policy(field: &str) -> Vec<String> {
    proposed(&format!("POLICY p {{\n  {field}\n}}\n")).0
}

fn and_not(attributes: &[&str]) -> Vec<String> {
    attributes.iter().copied().chain(["NOT"]).map(str::to_owned).collect()
}

#[test]
fn attributes_are_proposed_where_a_condition_goes_on_even_in_broken_statements() {
    let all = and_not(&ATTRIBUTES);
    assert_eq!(in_policy("SCOPE: requests WHERE |"), all);
    assert_eq!(in_policy("CONSTRAINT: |"), all);
    assert_eq!(in_policy("CONSTRAINT: { payload.size < 3 AND (|"), all);
    assert_eq!(in_policy("CONSTRAINT: NOT |"), all);
    assert_eq!(proposed("INVARIANT i {\n  NEVER ALLOW WHERE cus|").0, all);
    let (items, replaced) =
        proposed("POLICY p {\n  CONSTRAINT: customer.re|\n  ENFORCEMENT: BLOCKING\n}");
    assert_eq!((items, replaced.as_str()), (all, "customer.re"));
    let (snapshot, file, byte) = at(&[("a.aecp", "POLICY p { CONSTRAINT: |"), ("schema.aecp", SCHEMA)]);
    let items = completions(&snapshot, file, byte).unwrap().items;
    assert_eq!(items[0].detail.as_deref(), Some("ENUM(\"EU\", \"US\")"));
    assert_eq!(items[5].documentation, Some("The contrary; it binds most."));
}

#[test]
fn values_of_the_type_are_proposed_behind_an_operator() {
    assert_eq!(in_policy("CONSTRAINT: customer.region == |"), ["\"EU\"", "\"US\""]);
    assert_eq!(in_policy("CONSTRAINT: customer.region NOT IN [\"US\", |"), ["\"EU\"", "\"US\""]);
    assert_eq!(in_policy("CONSTRAINT: principal.mfa != |"), ["true", "false"]);
    let (items, replaced) = proposed("POLICY p {\n  CONSTRAINT: customer.region == \"E|\"\n}");
    assert_eq!((items.len(), replaced.as_str()), (2, "\"E\""));
    assert_eq!(in_policy("CONSTRAINT: request.ip IN |"), ["CIDR"]);
    assert_eq!(in_policy("CONSTRAINT: \"admin\" IN |"), ["principal.roles"]);
    assert_eq!(
        proposed("TEST \"t\" {\n  GIVEN: { payload.size: 1, customer.region: |").0,
        ["\"EU\"", "\"US\""]
    );
    assert_eq!(in_policy("DESCRIPTION: \"E|\""), Vec::<String>::new());
    assert_eq!(in_policy("-- CONSTRAINT: |"), Vec::<String>::new());
}

#[test]
fn operators_and_connectives_are_proposed_behind_operands() {
    assert!(in_policy("CONSTRAINT: payload.size |").contains(&"BETWEEN".to_owned()));
    assert_eq!(in_policy("CONSTRAINT: payload.size < 3 |"), ["AND", "OR"]);
    assert_eq!(in_policy("CONSTRAINT: payload.size BETWEEN 1 |"), ["AND"]);
    assert_eq!(in_policy("CONSTRAINT: payload.size IS |"), ["MISSING"]);
    assert_eq!(in_policy("CONSTRAINT: customer.region NOT |"), ["IN"]);
    assert_eq!(in_policy("CONSTRAINT: \"x\" |"), ["IN", "NOT"]);
}

#[test]
fn at_a_field_those_are_proposed_that_the_policy_does_not_have() {
    let fields = in_policy("SCOPE: requests\n  |\n  ENFORCEMENT: BLOCKING\n  MASK: a WITH LAST(4)");
    assert!(
        fields.contains(&"CONSTRAINT".to_owned()) && fields.contains(&"MASK".to_owned()),
        "{fields:?}"
    );
    let used = |field: &str| fields.contains(&field.to_owned());
    assert!(!used("SCOPE") && !used("ENFORCEMENT"), "{fields:?}");
    let (fields, replaced) =
        proposed("POLICY p {\n  SCOPE: requests\n  CON|\n}\nPOLICY q { CONSTRAINT: a == 1 }");
    assert!(fields.contains(&"CONSTRAINT".to_owned()), "{fields:?}");
    assert_eq!(replaced, "CON");
    assert_eq!(in_policy("ENFORCEMENT: |"), ["BLOCKING", "ADVISORY", "AUDIT_ONLY"]);
    assert_eq!(in_policy("AUDIT: |"), ["REQUIRED", "OPTIONAL", "NONE"]);
    assert_eq!(in_policy("AT: [INGRESS, |]"), ["INGRESS", "MESH", "DATA", "EGRESS"]);
    assert_eq!(in_policy("MASK: payload.size WITH |"), ["LAST", "REDACT", "HASH"]);
    assert_eq!(in_policy("LIMIT: 100 PER 1m |"), ["BY"]);
    assert_eq!(in_policy("SCOPE: orders |"), ["WHERE"]);
    assert_eq!(proposed("POLICY p { SCOPE: |}\nPOLICY q { SCOPE: orders }").0, ["requests", "orders"]);
}

#[test]
fn a_test_is_proposed_its_parts_attributes_outcomes_and_policies() {
    assert_eq!(proposed("TEST \"t\" {\n  GIVEN: { payload.size: 1 }\n  |\n}").0, ["EXPECT", "TABLE"]);
    assert_eq!(proposed("TEST \"t\" {\n  GIVEN: { payload.size: 1, |").0, ATTRIBUTES);
    assert_eq!(proposed("TEST \"t\" {\n  EXPECT: |").0, ["ALLOW", "DENY"]);
    let policies = "POLICY big {\n  SCOPE: requests\n}\nPOLICY small {\n}\n";
    for expect in ["DENY BY |", "DENY BY big, |", "ALLOW WITH ADVISORY s|"] {
        let text = format!("{policies}TEST \"t\" {{\n  EXPECT: {expect}\n}}");
        assert_eq!(proposed(&text).0, ["big", "small"], "{expect}");
    }
}

#[test]
fn a_schema_is_proposed_types_and_what_is_not_declared_yet() {
    assert!(proposed("SCHEMA {\n  a.b: |").0.contains(&"TIMESTAMP".to_owned()));
    assert!(!proposed("SCHEMA {\n  a.b: LIST<|").0.contains(&"LIST".to_owned()));
    let policy = "POLICY p { SCOPE: requests CONSTRAINT: a.new == 3 ENFORCEMENT: BLOCKING }\n";
    assert_eq!(proposed(&format!("{policy}SCHEMA {{\n  |\n}}")).0, ["a.new"]);
    assert_eq!(proposed("SCHEMA |").0, ["STRICT"]);
}

#[test]
fn between_statements_statements_are_proposed() {
    assert!(proposed("|").0.contains(&"MODULE".to_owned()));
    let (items, replaced) = proposed("DEFAULT: DENY\nPOL|");
    assert!(items.contains(&"POLICY".to_owned()) && !items.contains(&"MODULE".to_owned()));
    assert_eq!(replaced, "POL");
}
