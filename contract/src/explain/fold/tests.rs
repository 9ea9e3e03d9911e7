use super::*;
use crate::explain::{Operand, Test};

/// A condition in preorder: `&2` and `|2` are connectives with their operands' number, `!` is NOT, all else an atom.
fn condition(words: &str) -> Vec<Clause> {
    let clause = |word: &str| match word.split_at(1) {
        ("&", count) => Clause::All(count.parse().unwrap()),
        ("|", count) => Clause::Any(count.parse().unwrap()),
        ("!", _) => Clause::Not,
        _ => Clause::Atom(Atom {
            text: word.to_owned(),
            line: 1,
            negated: false,
            test: Test::Equal(0, Operand::Value(String::new())),
        }),
    };
    words.split_whitespace().map(clause).collect()
}

/// The outcome and the decisive atoms; atoms that begin with t are TRUE, f FALSE, u UNKNOWN.
fn decisive(scope: &str, constraint: &str) -> (Outcome, Vec<String>) {
    let (scope, constraint) = (condition(scope), condition(constraint));
    let policy = PolicyClauses { file: 0, line: 1, scope, constraint };
    let truths = PolicyTruths::of(&policy, &mut |atom| match &atom.text[..1] {
        "t" => True,
        "f" => False,
        _ => Unknown,
    });
    let (scope, constraint) = truths.decisive(&policy);
    let all = policy.scope.iter().zip(scope).chain(policy.constraint.iter().zip(constraint));
    let names = all.filter(|(_, decisive)| *decisive).map(|(clause, _)| match clause {
        Clause::Atom(atom) => atom.text.clone(),
        other => format!("{other:?}"),
    });
    (truths.outcome, names.collect())
}

#[test]
fn a_clause_is_decisive_if_it_alone_would_change_the_outcome() {
    let told = |scope, constraint| {
        let (outcome, names) = decisive(scope, constraint);
        (outcome, names.join(" "))
    };
    use Outcome::{Indeterminate, NotInScope, Satisfied, Violated};
    let is = |outcome, names: &str| (outcome, names.to_owned());
    assert_eq!(told("t1", "&2 t2 f3"), is(Violated, "f3"));
    assert_eq!(told("", "|2 f1 f2"), is(Violated, "f1 f2"));
    assert_eq!(told("", "! t1"), is(Violated, "t1"));
    assert_eq!(told("", "|2 &2 t1 f2 f3"), is(Violated, "f2 f3"));
    assert_eq!(told("&2 t1 f2", "f3"), is(NotInScope, "f2"));
    assert_eq!(told("t1", "&2 t2 u3"), is(Indeterminate, "u3"));
    assert_eq!(told("&2 t1 u2", "f3"), is(Indeterminate, "u2"));
    assert_eq!(told("u1", "u2"), is(Indeterminate, "u1 u2"));
    assert_eq!(told("t1", "|2 t2 f3"), is(Satisfied, "t2"));
    assert_eq!(told("u1", "t2"), is(Satisfied, "t2"));
    assert_eq!(told("", "&2 ! |2 f1 f2 f3"), is(Violated, "f3"));
}

#[test]
fn where_no_clause_decides_alone_those_that_do_together_are_told() {
    assert_eq!(decisive("", "&3 f1 t2 f3"), (Outcome::Violated, vec!["f1".into(), "f3".into()]));
    assert_eq!(decisive("&2 f1 f2", "t3"), (Outcome::NotInScope, vec!["f1".into(), "f2".into()]));
    assert_eq!(decisive("", "|2 t1 t2"), (Outcome::Satisfied, vec!["t1".into(), "t2".into()]));
    assert_eq!(decisive("", "! &2 t1 &2 f2 f3").1, ["f2", "f3"]);
}

#[test]
fn deep_conditions_are_folded_without_recursion() {
    let deep = format!("{} t", "! ".repeat(100_001));
    assert_eq!(decisive("", &deep), (Outcome::Violated, vec!["t".into()]));
}
