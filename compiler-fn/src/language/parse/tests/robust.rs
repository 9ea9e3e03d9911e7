use pest::Parser as _;
use proptest::{prelude::*, sample::Index};

use crate::{
    findings::{Kind, code},
    language::{
        arbitrary,
        format::{format, print},
        parse::{
            MAX_NESTING,
            grammar::{Grammar, Rule},
            parse,
        },
    },
};

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("POLICY p {{ CONSTRAINT: {}a{} }}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn conditions_nest_two_hundred_deep() {
    for (open, close, levels) in [
        ("(", ")", 1),
        ("{", "}", 1),
        ("NOT ", "", 1),
        ("(b OR ", ")", 1),
        ("{NOT b AND NOT (", ")}", 3),
    ] {
        // The policy's own brace is a level, too.
        for depth in [200 / levels, (MAX_NESTING - 1) / levels] {
            let text = nested(open, close, depth);
            let parsed = parse(0, &text);
            assert_eq!(parsed.findings, [], "{open} {depth}");
            let once = format(&text).unwrap();
            assert_eq!(parse(0, &once).file, parsed.file);
            assert_eq!(format(&once).unwrap(), once);
        }
    }
}

#[test]
fn what_nests_too_deeply_is_a_limit_error_and_nothing_overflows() {
    for (open, close) in
        [("(", ")"), ("{", "}"), ("NOT ", ""), ("NOT (", ")"), ("(b OR ", ")"), ("[", "]")]
    {
        for depth in [MAX_NESTING + 1, 100_000] {
            let parsed = parse(0, &nested(open, close, depth));
            let [finding] = &parsed.findings[..] else { panic!("{open}: {:?}", parsed.findings) };
            assert_eq!((finding.code, finding.kind), (code::LIMIT, Kind::Limit));
            assert_eq!(finding.message, "nested deeper than 256 levels");
            assert_eq!(finding.policies, ["p"]);
            // Unclosed as well.
            assert!(!parse(0, &nested(open, "", depth)).findings.is_empty());
        }
    }
    for text in ["{", "(", "[", "NOT ", "SCHEMA { a: ", "LIST<", "TEST \"t\" {", "}"] {
        assert!(!parse(0, &text.repeat(20_000)).findings.is_empty());
    }
}

/// Tokens and fragments that texts near the language are made of.
const FRAGMENTS: [&str; 47] = [
    "POLICY ",
    "SCHEMA ",
    "TEST ",
    "INVARIANT ",
    "MODULE ",
    "DEFAULT",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    ",",
    "\n",
    " ",
    "\"",
    "\"x\"",
    "'x'",
    "--",
    "#",
    "NOT ",
    "AND ",
    "OR ",
    "IN ",
    "SCOPE: ",
    "CONSTRAINT: ",
    "requests ",
    "WHERE ",
    "a.b ",
    "== ",
    "1",
    "-1.5",
    "15m",
    "GIVEN: ",
    "EXPECT: ",
    "EXPECT ",
    "ALLOW ",
    "FIXTURE ",
    "EXTENDS ",
    "TABLE: ",
    "| ",
    "MISSING ",
    "DENY ",
    "\\",
    "\r",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        let _ = format(&text);
    }

    #[test]
    fn no_row_of_fragments_panics_and_the_grammar_decides_what_is_a_file(
        parts in prop::collection::vec(prop::sample::select(FRAGMENTS.to_vec()), 0..40),
    ) {
        the_grammar_decides(&parts.concat())?;
    }

    #[test]
    fn no_broken_file_panics_and_the_grammar_decides_what_is_a_file(
        file in arbitrary::file(),
        cuts in prop::collection::vec((any::<Index>(), 0..6_usize, prop::sample::select(FRAGMENTS.to_vec())), 0..4),
    ) {
        let mut text: Vec<char> = print(&file).chars().collect();
        for (at, length, insert) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, insert.chars());
        }
        the_grammar_decides(&text.into_iter().collect::<String>())?;
    }
}

/// Reading by pieces accepts exactly what the grammar's `file` accepts, but for literals and test parts, which
/// the grammar does not look into; and whatever is accepted is laid out.
fn the_grammar_decides(text: &str) -> Result<(), TestCaseError> {
    let parsed = parse(0, text);
    let beyond_grammar = |it: &crate::findings::Finding| {
        matches!(it.code, code::BAD_LITERAL | code::MISSING_FIELD | code::DUPLICATE_FIELD)
            || it.message.ends_with("is no escape")
            || it.message.ends_with("surrogate pair")
    };
    let accepted = parsed.findings.iter().all(beyond_grammar);
    prop_assert_eq!(
        accepted,
        Grammar::parse(Rule::file, text).is_ok(),
        "{}\n{:?}",
        text,
        parsed.findings
    );
    if parsed.findings.is_empty() {
        prop_assert_eq!(parse(0, &format(text).unwrap()).file, parsed.file);
    }
    Ok(())
}
