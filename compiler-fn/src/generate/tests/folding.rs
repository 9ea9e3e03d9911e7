//! Folded conditions are smaller, and mean the same for every request.

use super::{
    super::{
        fold::{constant, fold},
        lower::{Atom, Constant, Expr, Lower, Right, Shape, Test},
        *,
    },
    set,
};
use aecp_contract::manifest::AttributeDeclaration;

/// A condition lowered and folded, as text.
fn folded(condition: &str) -> Expr {
    let set = set(format!(
        "SCHEMA {{ a: INT\n c: BOOL\n e: ENUM(\"x\", \"y\")\n s: STRING\n ip: IP }}\n\
         POLICY p {{ SCOPE: requests WHERE a EXISTS AND c EXISTS AND e EXISTS AND s EXISTS AND ip EXISTS\n\
         CONSTRAINT: {condition} ENFORCEMENT: BLOCKING }}\n"
    ));
    fold(Lower { set: &set }.condition(&set.policies[0].constraint, false), &set.attributes)
}

/// Whether it is known to be `holds` whenever the attributes that it asks for are usable.
fn is_decided(expr: &Expr, asks: usize, holds: bool) -> bool {
    matches!(expr, Expr::Atom(Atom { known, test: Test::Never, negated })
        if known.len() == asks && *negated == holds)
}

#[test]
fn what_the_type_or_another_condition_decides_is_folded_but_presence_is_still_asked() {
    for condition in [
        "a < a",
        "a != a",
        "a < -9223372036854775808",
        "a > 9223372036854775807",
        "a BETWEEN 5 AND 4",
        "a < 5 AND a > 9",
        "a == 5 AND (a == 6 OR a == 7)",
        "a > 5 AND NOT a > 5",
        "c AND c == false",
        "e NOT IN [\"x\", \"y\"]",
        "e == \"x\" AND e == \"y\"",
        "s == \"x\" AND s IN [\"y\", \"z\"]",
        "ip NOT IN CIDR \"::/0\"",
        "ip IN CIDR \"10.0.0.0/8\" AND ip IN CIDR \"11.0.0.0/8\"",
    ] {
        assert!(is_decided(&folded(condition), 1, false), "{condition}: {:?}", folded(condition));
        let turned = format!("NOT ({condition})");
        assert!(is_decided(&folded(&turned), 1, true), "{turned}: {:?}", folded(&turned));
    }
    assert_eq!(constant(&folded("a EXISTS AND a IS MISSING")), Some(false));
    assert_eq!(constant(&folded("a EXISTS OR NOT a EXISTS")), Some(true));
    assert_eq!(constant(&folded("c OR a EXISTS OR a IS MISSING")), Some(true));
    assert_eq!(constant(&folded("a < a")), None);
}

#[test]
fn what_another_operand_already_says_is_dropped_and_nothing_else() {
    for (condition, same) in [
        ("a > 3 AND a > 5", "a > 5"),
        ("a > 3 OR a > 5", "a > 3"),
        ("(a < 5 OR a >= 5) AND a > 3", "a > 3"),
        ("c AND (c AND (a > 3))", "c AND a > 3"),
        ("NOT NOT (c AND c)", "c"),
        ("e == \"x\" AND e != \"y\"", "e == \"x\""),
        ("(a < a OR c) AND a > 3", "(a < a OR c) AND a > 3"),
        ("a EXISTS AND a == 5", "a EXISTS AND a == 5"),
        ("(a == a OR c) AND s == s", "s == s AND (a == a OR c)"),
    ] {
        let sorted = |expr: Expr| match expr {
            Expr::And(mut operands) => {
                operands.sort();
                Expr::And(operands)
            }
            other => other,
        };
        assert_eq!(sorted(folded(condition)), sorted(folded(same)), "{condition}");
    }
    let Expr::And(both) = folded("a == a AND c") else { panic!("the presence of `a` is not asked") };
    assert_eq!(both.len(), 2);
}

/// What a request has for a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Given {
    Missing,
    Invalid,
    Value(i64),
}

fn truth(expr: &Expr, given: &[Given]) -> Option<bool> {
    match expr {
        Expr::And(operands) => operands.iter().map(|it| truth(it, given)).fold(Some(true), and),
        Expr::Or(operands) => {
            let not = |truth: Option<bool>| truth.map(|holds| !holds);
            not(operands.iter().map(|it| not(truth(it, given))).fold(Some(true), and))
        }
        Expr::Atom(atom) => {
            let usable = atom.known.iter().all(|(slot, _)| matches!(given[*slot], Given::Value(_)));
            usable.then(|| test(&atom.test, given) != atom.negated)
        }
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn test(test: &Test, given: &[Given]) -> bool {
    let value = |slot: usize| match given[slot] {
        Given::Value(value) => value,
        other => panic!("{other:?} was looked at"),
    };
    let of = |constant: &Constant| match constant {
        Constant::Byte(b) => i64::from(*b),
        Constant::Word(n) => *n,
        other => panic!("{other:?}"),
    };
    let right = |right: &Right| match right {
        Right::Slot(slot) => value(*slot),
        Right::Constant(constant) => of(constant),
    };
    match test {
        Test::Never => false,
        Test::Present(slot) => given[*slot] != Given::Missing,
        Test::Equal { slot, right: other, .. } => value(*slot) == right(other),
        Test::Less { slot, right: other, swapped: false, .. } => value(*slot) < right(other),
        Test::Less { slot, right: other, .. } => right(other) < value(*slot),
        Test::OneOf { slot, entries, .. } => entries.iter().any(|entry| of(entry) == value(*slot)),
        Test::Both(a, b) => (self::test(&a.0, given) != a.1) && (self::test(&b.0, given) != b.1),
        other => panic!("{other:?}"),
    }
}

/// A small deterministic generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }

    fn constant(&mut self, slot: usize) -> Constant {
        if slot == 2 {
            return Constant::Byte(self.below(2) == 0);
        }
        Constant::Word([i64::MIN, 0, 1, 2, i64::MAX][self.below(5)])
    }

    fn atom(&mut self) -> Expr {
        let slot = self.below(3);
        let shape = if slot == 2 { Shape::Byte } else { Shape::Word };
        let tag = if slot == 2 { Tag::Boolean } else { Tag::Integer };
        let mut known = vec![(slot, tag)];
        let mut right = |random: &mut Self| match random.below(4) {
            0 if slot < 2 => {
                let other = random.below(2);
                known.push((other, tag));
                Right::Slot(other)
            }
            _ => Right::Constant(random.constant(slot)),
        };
        let test = match self.below(5) {
            0 => Test::Present(slot),
            1 => Test::OneOf { slot, shape, entries: (0..3).map(|_| self.constant(slot)).collect() },
            2 if slot < 2 => Test::Less { slot, shape, right: right(self), swapped: self.below(2) == 0 },
            3 if slot < 2 => {
                let low = Test::Less { slot, shape, right: right(self), swapped: false };
                let high = Test::Less { slot, shape, right: right(self), swapped: true };
                Test::Both(Box::new((low, true)), Box::new((high, true)))
            }
            _ => Test::Equal { slot, shape, right: right(self) },
        };
        if matches!(test, Test::Present(_)) {
            known.clear();
        }
        Expr::Atom(Atom { known, test, negated: self.below(2) == 0 })
    }

    fn expr(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.below(3) == 0 {
            return self.atom();
        }
        let operands = (0..1 + self.below(4)).map(|_| self.expr(depth - 1)).collect();
        if self.below(2) == 0 { Expr::And(operands) } else { Expr::Or(operands) }
    }
}

#[test]
fn folding_keeps_the_meaning_of_random_conditions_unknown_included() {
    let declare = |ty| AttributeDeclaration { path: String::new(), ty };
    let attributes = [Type::Int, Type::Int, Type::Bool].map(declare);
    let numbers = [i64::MIN, -1, 0, 1, 2, 3, i64::MAX].map(Given::Value);
    let unusable = [Given::Missing, Given::Invalid];
    let integers: Vec<_> = unusable.into_iter().chain(numbers).collect();
    let flags: Vec<_> = unusable.into_iter().chain([0, 1].map(Given::Value)).collect();
    let mut random = Random(1);
    let mut smaller = 0;
    for _ in 0..3000 {
        let expr = random.expr(3);
        let folded = fold(expr.clone(), &attributes);
        smaller += usize::from(conditions::weight(&folded) < conditions::weight(&expr));
        for a in &integers {
            for b in &integers {
                for c in &flags {
                    let given = [*a, *b, *c];
                    assert_eq!(
                        truth(&folded, &given),
                        truth(&expr, &given),
                        "{given:?}\n{expr:?}\n{folded:?}"
                    );
                }
            }
        }
    }
    assert!(smaller > 300, "{smaller} became smaller");
}
