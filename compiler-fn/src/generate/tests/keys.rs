//! Keys of every type: the plan uses them, and the module decides as the reference does.

use aecp_contract::verdict::Verdict;

use super::{super::*, set};
use crate::{
    generate::{intervals::Intervals, numbers::Kind},
    interpret::Interpreter,
    ranges::Ranges,
    reference,
};

/// A policy for each scope over `a.x` of type `ty`, all violated where they apply.
fn scoped(ty: &str, scopes: &[String]) -> PolicySet {
    let mut text = format!("DEFAULT: DENY\nSCHEMA {{ a.x: {ty}\n a.y: INT\n b.ok: BOOL }}\n");
    for (n, scope) in scopes.iter().enumerate() {
        text.push_str(&format!(
            "POLICY p{n} {{ SCOPE: requests WHERE {scope} CONSTRAINT: b.ok ENFORCEMENT: BLOCKING }}\n"
        ));
    }
    set(text)
}

/// Asserts that the module decides as the reference does, and that something was ever violated; returns whether
/// the plan splits by the ordered attribute `a.x`.
fn agrees(set: &PolicySet, values: &[String]) -> bool {
    let core = core_module(set).unwrap();
    let mut interpreter = Interpreter::new(set, &core).unwrap();
    let mut violated = 0;
    let present = values.iter().map(|value| format!("\"a.x\":{value},"));
    for given in present.chain(["".to_owned(), "\"a.x\":[],".to_owned(), "\"a.x\":null,".to_owned()]) {
        for rest in ["\"b.ok\":false,\"a.y\":4", "\"b.ok\":true", "\"a.y\":3"] {
            let request = format!("{{{given}{rest}}}");
            let expected: Verdict =
                reference::decide(set, &serde_json::from_str::<serde_json::Value>(&request).unwrap());
            assert_eq!(interpreter.decide(&request).unwrap(), expected, "{request}");
            violated += expected.violated.len();
        }
    }
    assert!(violated > 0);
    let Planned { numbers, plan, .. } = planned(set);
    let (slot, _) = set.attribute("a.x").unwrap();
    plan.slots().contains(&slot)
        && matches!(numbers.get(slot).map(|numbering| &numbering.kind), Some(Kind::Ordered(_)))
}

/// Scopes that bound `a.x` by these literals in every way that an ordered type has.
fn ranges(literals: &[&str]) -> Vec<String> {
    let mut scopes = Vec::new();
    for (n, literal) in literals.iter().enumerate() {
        for operator in ["==", "!=", "<", "<=", ">", ">="] {
            scopes.push(format!("a.x {operator} {literal}"));
        }
        let other = literals[(n + 1) % literals.len()];
        scopes.push(format!("a.x BETWEEN {literal} AND {other}"));
        scopes.push(format!("a.x > {literal} AND a.x <= {other} AND a.y == 4"));
        scopes.push(format!("a.x NOT IN [{literal}, {other}]"));
        scopes.push(format!("a.x < {literal} OR a.x == {other}"));
        scopes.push(format!("(a.x < {literal} AND a.y == 4) OR a.x == {other}"));
        scopes.push(format!("NOT (a.x < {literal} AND a.x != {other})"));
    }
    scopes
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn ranges_of_every_ordered_type_key_policies_and_decide_as_the_reference_does() {
    let least = "-9223372036854775808";
    let (below_least, greatest) = ("-9223372036854775807", "9223372036854775807");
    // Literal 18.446744073709551616 is 2⁶⁴ steps: the bound whose low half is 0. The reference reads numbers as
    // serde_json does, by way of f64, so requests keep to the 15 digits that it has.
    let cases: [(&str, &[&str], &[&str]); 4] = [
        (
            "INT",
            &[least, below_least, "-1", "0", "5", "6", "9223372036854775806", greatest],
            &[
                least,
                below_least,
                "-2",
                "-1",
                "0",
                "1",
                "4",
                "5",
                "6",
                "7",
                "9223372036854775806",
                greatest,
            ],
        ),
        (
            "DECIMAL",
            &[
                "-170141183460469231731.687303715884105727",
                "-1.5",
                "0",
                "0.1",
                "18.446744073709551616",
                "170141183460469231731.687303715884105727",
            ],
            &[
                "-1e20",
                "-1.50000000000001",
                "-1.5",
                "-1e-18",
                "0",
                "1e-18",
                "0.1",
                "0.100000000000001",
                "18.4467440737095",
                "18.4467440737096",
                "1e20",
            ],
        ),
        (
            "DURATION",
            &["-15m", "0s", "1ms", "15m", "24h"],
            &["-900001ms", "-15m", "-1ms", "0s", "1ms", "2ms", "900001ms", "24h", "2d"],
        ),
        (
            "TIMESTAMP",
            &[
                "\"1969-12-31T23:59:59.999999999Z\"",
                "\"1970-01-01T00:00:00Z\"",
                "\"2026-06-01T12:00:00.5Z\"",
            ],
            &[
                "1969-12-31T23:59:59.999999998Z",
                "1969-12-31T23:59:59.999999999Z",
                "1970-01-01T00:00:00Z",
                "1970-01-01T00:00:00.000000001Z",
                "2026-06-01T13:00:00.5+01:00",
                "2026-06-01T12:00:00.500000001Z",
                "2027-01-01T00:00:00Z",
            ],
        ),
    ];
    for (ty, literals, values) in cases {
        let quoted = matches!(ty, "DURATION" | "TIMESTAMP");
        let quote = |value: &&str| if quoted { format!("\"{value}\"") } else { (*value).to_owned() };
        let values: Vec<_> = values.iter().map(quote).collect();
        assert!(agrees(&scoped(ty, &ranges(literals)), &values), "{ty}");
        // The bounds of one literal are few and are counted one after the other.
        let few: Vec<_> = ranges(&literals[1..2]);
        assert!(agrees(&scoped(ty, &few), &values), "{ty}");
    }
}

#[test]
fn dense_and_sparse_integers_and_other_words_are_keys() {
    let each = |step: i64| -> Vec<_> { (-20..20).map(|n| format!("a.x == {}", n * step)).collect() };
    let values = |step: i64| -> Vec<_> {
        (-21..21).flat_map(|n| [n * step, n * step + 1]).map(|n| n.to_string()).collect()
    };
    let extremes = owned(&["-9223372036854775808", "9223372036854775807"]);
    for step in [1, 3, 1000, 1 << 55] {
        let values = [values(step), extremes.clone()].concat();
        assert!(agrees(&scoped("INT", &each(step)), &values), "{step}");
    }
    let last = (0..20).map(|n| format!("a.x == {}", i64::MAX - n)).collect::<Vec<_>>();
    assert!(agrees(&scoped("INT", &last), &[extremes, owned(&["9223372036854775788"])].concat()));
    let flags: Vec<_> = (0..8).map(|n| format!("a.x == {} AND a.y != {n}", n % 2 == 0)).collect();
    assert!(agrees(&scoped("BOOL", &flags), &owned(&["true", "false", "1"])));
    let networks = [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.3/32",
        "192.0.2.0/24",
        "::/1",
        "8000::/1",
        "::/0",
        "255.255.255.255/32",
        "ffff::/16",
        "0.0.0.0/0",
    ];
    let inside = networks.map(|network| format!("a.x IN CIDR \"{network}\""));
    let outside = networks.map(|network| format!("a.x NOT IN CIDR \"{network}\" AND a.x != \"::\""));
    let equal = (0..9).map(|n| format!("a.x == \"10.1.2.{n}\""));
    let addresses = [
        "10.0.0.0",
        "9.255.255.255",
        "10.255.255.255",
        "10.1.2.3",
        "10.1.2.9",
        "11.0.0.0",
        "::",
        "::1",
        "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "8000::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "::ffff:0:0",
        "::fffe:ffff:ffff",
        "255.255.255.255",
        "::1:0:0:0",
    ]
    .map(|address| format!("\"{address}\""));
    let scopes: Vec<_> = inside.into_iter().chain(outside).chain(equal).collect();
    assert!(agrees(&scoped("IP", &scopes), &addresses));
}

#[test]
fn texts_that_are_excluded_are_keys_and_other_texts_have_a_branch() {
    let scopes: Vec<_> =
        (0..12).map(|n| format!("a.x != \"t{}\" AND a.x != \"t{}\"", n % 4, (n + 1) % 4)).collect();
    let set = scoped("STRING", &scopes);
    agrees(&set, &owned(&["\"t0\"", "\"t1\"", "\"t2\"", "\"t3\"", "\"\"", "\"other\""]));
    let split = &planned(&set).plan.splits[0];
    assert!(split.branches.contains_key(&0), "{split:?}");
    let set = scoped(
        "ENUM(\"EU\", \"US\", \"APAC\")",
        &owned(&[
            "a.x != \"EU\"",
            "a.x == \"US\"",
            "a.x != \"US\"",
            "NOT a.x IN [\"US\", \"APAC\"]",
            "a.x IN [\"US\", \"APAC\", \"EU\"]",
            "a.x == \"US\" AND a.x == \"EU\"",
        ]),
    );
    agrees(&set, &owned(&["\"EU\"", "\"US\"", "\"APAC\"", "\"MARS\""]));
    let split = &planned(&set).plan.splits[0];
    assert!(split.branches.keys().eq(&[1, 2, 3]), "{split:?}");
}

#[test]
fn intervals_are_numbered_from_the_lowest_and_empty_ones_do_not_exist() {
    let (min, max) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let intervals = |ranges: &[(i128, i128)]| Intervals::new(&Type::Int, ranges.iter()).unwrap();
    let all = intervals(&[(min, max)]);
    assert_eq!((all.last(), all.numbers(&Ranges::between(min, max))), (0, Some(vec![(0, 0)])));
    // Bounds 5, 10, 20, 21: the ends that touch are one bound, and so are equal ones.
    let some = intervals(&[(min, 4), (5, 9), (10, max), (20, 20), (5, 9)]);
    assert_eq!(some.last(), 4);
    for (ranges, numbers) in [
        (vec![(min, 4)], vec![(0, 0)]),
        (vec![(5, 9)], vec![(1, 1)]),
        (vec![(20, 20)], vec![(3, 3)]),
        (vec![(10, max)], vec![(2, 4)]),
        (vec![(min, 4), (21, max)], vec![(0, 0), (4, 4)]),
        (vec![], vec![]),
    ] {
        assert_eq!(some.numbers(&Ranges::union(ranges.clone())), Some(numbers), "{ranges:?}");
    }
    assert_eq!(some.numbers(&Ranges::between(6, 9)), None, "part of an interval has no number");
    let ends = intervals(&[(min, min), (max, max)]);
    assert_eq!((ends.last(), ends.numbers(&Ranges::between(min, min))), (2, Some(vec![(0, 0)])));
    assert_eq!(ends.numbers(&Ranges::between(max, max)), Some(vec![(2, 2)]));
    assert!(Intervals::new(&Type::String, [].iter()).is_none());
}

#[test]
fn the_worked_example_of_the_plan_is_planned_as_its_page_says() {
    let scopes = [
        "resource.type == \"card\" AND action == \"read\"",
        "resource.type == \"card\" AND size > 10",
        "resource.type IN [\"card\", \"log\", \"file\"]",
        "b.ok EXISTS",
        "port == 22",
        "port BETWEEN 1024 AND 49151",
    ];
    let set = scoped("INT", &scopes.map(|scope| vec![scope.to_owned(); 10]).concat());
    let plan = planned(&set).plan;
    let slot = |path: &str| set.attribute(path).unwrap().0;
    let [by_type, by_port] = plan.splits.as_slice() else { panic!("{plan:#?}") };
    assert_eq!((by_type.slot, by_type.all.len()), (slot("resource.type"), 30));
    assert_eq!((by_port.slot, by_port.all.len(), plan.always.len()), (slot("port"), 20, 10));
    // The texts in byte order: card 1, file 2, log 3.
    assert_eq!(by_type.branches[&2], by_type.branches[&3]);
    assert_eq!(by_type.branches[&2].always.len(), 10);
    let card = &by_type.branches[&1];
    assert_eq!((card.always.len(), card.splits.len(), card.splits[0].slot), (20, 1, slot("size")));
    assert!(card.splits[0].branches.keys().eq(&[1]));
    let ports: Vec<_> = by_port.branches.iter().map(|(n, node)| (*n, node.always.len())).collect();
    assert_eq!(ports, [(1, 10), (3, 10)]);
}
