use proptest::{prelude::*, sample::Index};

use super::*;
use crate::language::arbitrary;

/// The texts of the comments, in order.
fn comments(text: &str) -> Vec<&str> {
    Tokens::read(text).comments.iter().map(|at| &text[at.start as usize..at.end as usize]).collect()
}

/// The tree of a sound text.
fn tree(text: &str) -> File {
    let parsed = parse(0, text);
    assert_eq!(parsed.findings, [], "{text}");
    parsed.file
}

/// That the text is laid out as itself with the same tree and comments; gives the layout.
fn laid_out(text: &str) -> String {
    let once = format(text).unwrap();
    assert_eq!(tree(&once), tree(text), "from:\n{text}\nto:\n{once}");
    assert_eq!(comments(&once), comments(text), "from:\n{text}\nto:\n{once}");
    assert_eq!(format(&once).unwrap(), once, "not laid out as itself, from:\n{text}");
    once
}

#[test]
fn the_standard_layout_is_that_of_the_language_page() {
    let text = r#"-- The file.

MODULE residency
DEFAULT: DENY

-- About the policy.
POLICY customer_data_residency {
  DESCRIPTION: "Ensure EU customer data stays in EU regions"
  VERSION: 3

  SCOPE: requests WHERE {
    resource.type == "customer_data"
    AND customer.region == "EU" -- or EEA
  }
  -- Where it may be.
  CONSTRAINT: {
    storage.location IN ["eu-west-1", "eu-central-1"]
    AND compute.location IN ["eu-west-1", "eu-central-1"]
  }
  ENFORCEMENT: BLOCKING
  AT: [INGRESS, DATA]
  EFFECTIVE: FROM "2026-01-01T00:00:00Z" UNTIL "2027-01-01T00:00:00Z"
  MASK: customer.ssn WITH LAST(4)
  MASK: customer.name WITH REDACT
  LIMIT: 100 PER 1m BY principal.id
}

TEST "EU data stored in the US is denied" {
  GIVEN: { resource.type: "customer_data", customer.region: "EU", storage.location: "us-east-1",
           compute.location: "eu-west-1" }
  EXPECT: DENY BY customer_data_residency
}

SCHEMA {
  customer.region: ENUM("EU", "US", "APAC")
  principal.roles: LIST<STRING>
}

INVARIANT never {
  NEVER ALLOW WHERE {
    (a AND NOT b)
    OR (
      c
      AND (d OR e)
    )
  }
}
-- The end.
"#;
    assert_eq!(laid_out(text), text);
}

#[test]
fn other_layouts_become_the_standard_one() {
    let text = "\n\n\nPOLICY p{SCOPE:requests\n\n\n\nCONSTRAINT:{a=1}  ENFORCEMENT:BLOCKING\
                REDACT:x\n}TEST \"t\\u0041\\/\"{EXPECT:ALLOW GIVEN:{}}# end";
    let text = text.replace("BLOCKINGREDACT", "BLOCKING REDACT");
    let expected = r#"POLICY p {
  SCOPE: requests

  CONSTRAINT: a == 1
  ENFORCEMENT: BLOCKING
  MASK: x WITH REDACT
}

TEST "tA/" {
  EXPECT: ALLOW
  GIVEN: {}
} # end
"#;
    assert_eq!(laid_out(&text), expected);
}

#[test]
fn comments_inside_conditions_lists_and_given_break_them() {
    let text = r#"POLICY p {
  SCOPE: requests WHERE a -- one
    OR b
  CONSTRAINT: x IN ["a", -- two
    "b"
    -- three
  ]
  COMPLIANCE: [ # four
    "c"]
}
TEST "t" { GIVEN: { a: 1 -- five
  b: [2] } -- six
  EXPECT: ALLOW }
SCHEMA { e: ENUM("a", -- seven
  "b")
  -- eight

  -- nine
}
"#;
    let expected = r#"POLICY p {
  SCOPE: requests WHERE {
    a -- one
    OR b
  }
  CONSTRAINT: x IN [
    "a", -- two
    "b"
    -- three
  ]
  COMPLIANCE: [ # four
    "c"
  ]
}

TEST "t" {
  GIVEN: {
    a: 1, -- five
    b: [2]
  } -- six
  EXPECT: ALLOW
}

SCHEMA {
  e: ENUM(
    "a", -- seven
    "b"
  )
  -- eight

  -- nine
}
"#;
    assert_eq!(laid_out(text), expected);
}

#[test]
fn tables_stand_in_columns_and_fixtures_like_tests() {
    let text = r#"MIN_COVERAGE: 80 DEFAULT: DENY
FIXTURE "f" { GIVEN: { a: MISSING, b: 1 } EXTENDS "g" }
TEST "l" { EXPECT: DENY GIVEN: { a.long.path.of.an.attribute: "with a long value" } EXTENDS "a fixture with a very long name" }
TEST "t" { TABLE: { storage.location|n|EXPECT "eu-west-1"|[1,2]|ALLOW
 MISSING | 15m | DENY BY p ,
 q -- one
 -- two

 "é" | ALLOW WITH ADVISORY p } GIVEN: { a: 1 -- three
 } EXTENDS "f" }
"#;
    let expected = r#"MIN_COVERAGE: 80
DEFAULT: DENY

FIXTURE "f" {
  GIVEN: { a: MISSING, b: 1 } EXTENDS "g"
}

TEST "l" {
  EXPECT: DENY
  GIVEN: { a.long.path.of.an.attribute: "with a long value" }
    EXTENDS "a fixture with a very long name"
}

TEST "t" {
  TABLE: {
    storage.location | n      | EXPECT
    "eu-west-1"      | [1, 2] | ALLOW
    MISSING          | 15m    | DENY BY p, q -- one
    -- two

    "é"              | ALLOW WITH ADVISORY p
  }
  GIVEN: {
    a: 1 -- three
  } EXTENDS "f"
}
"#;
    assert_eq!(laid_out(text), expected);
}

#[test]
fn a_file_with_syntax_errors_is_refused() {
    assert!(format("POLICY p {").is_err());
    assert_eq!(format("").unwrap(), "");
    assert_eq!(format("\n\n-- only a comment").unwrap(), "-- only a comment\n");
}

#[test]
fn what_could_not_be_read_again_is_not_laid_out() {
    let text = |depth| {
        let (open, close) = ("(a OR b AND ".repeat(depth), ")".repeat(depth));
        format!("POLICY p {{ CONSTRAINT: {open}c{close} }}")
    };
    laid_out(&text(100));
    assert_eq!(parse(0, &text(200)).findings, []);
    let findings = format(&text(200)).unwrap_err();
    assert_eq!(findings[0].message, "the layout would nest deeper than 256 levels");
}

#[test]
fn not_before_a_comparison_has_parentheses() {
    let text = "POLICY p { CONSTRAINT: NOT a IN b  FILTER: NOT a EXISTS }";
    let expected = "POLICY p {\n  CONSTRAINT: NOT (a IN b)\n  FILTER: NOT a EXISTS\n}\n";
    assert_eq!(laid_out(text), expected);
}

#[test]
fn the_policy_sets_of_the_project_keep_tree_and_comments() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for set in std::fs::read_dir(folder).unwrap() {
        let set = set.unwrap().path();
        if set.is_dir() {
            for source in crate::source::Sources::read(&set).unwrap().files() {
                laid_out(&source.text);
            }
        }
    }
}

/// Puts comments before some tokens, on lines of their own or at the end of what stands before.
fn with_comments(text: &str, places: &[(Index, bool, bool)]) -> String {
    let starts: Vec<_> = Tokens::read(text).all.iter().map(|token| token.start as usize).collect();
    let mut places: Vec<_> = places
        .iter()
        .map(|(index, own, blank)| {
            (if starts.is_empty() { 0 } else { starts[index.index(starts.len())] }, own, blank)
        })
        .collect();
    places.sort();
    let mut commented = String::new();
    let mut from = 0;
    for (number, (at, own_line, blank)) in places.into_iter().enumerate() {
        commented.push_str(&text[from..at]);
        commented.push_str(if *own_line { "\n" } else { " " });
        commented.push_str(&format!("-- comment {number} \"\n{}", if *blank { "\n\n" } else { "" }));
        from = at;
    }
    commented + &text[from..]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_parsed_as_the_same_tree(file in arbitrary::file()) {
        let printed = print(&file);
        prop_assert_eq!(&tree(&printed), &file, "{}", printed);
        prop_assert_eq!(format(&printed).unwrap(), printed);
    }

    #[test]
    fn comments_anywhere_are_kept_in_their_order(
        file in arbitrary::file(),
        places in prop::collection::vec(any::<(Index, bool, bool)>(), 0..12),
    ) {
        let text = with_comments(&print(&file), &places);
        laid_out(&text);
    }
}
