//! No decision costs more than its module's manifest says, whatever the request: counted by wasmi and by
//! wasmtime. And the bound is of some use: a worst request comes near it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::path::Path;

use aecp_compiler::{
    check::check,
    generate::{self, CoreModule},
    interpret::Interpreter,
    set::PolicySet,
    source::{Source, Sources},
};
use aecp_contract::{
    request::AttributeTable,
    slots::{ARENA_BASE, DECIDE_EXPORT, SlotBuffer},
    value::Type,
};
use aecp_integration_tests::generated::{self, Random};
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, TypedFunc};

/// A module in both engines.
struct Counted {
    set: PolicySet,
    core: CoreModule,
    interpreter: Interpreter,
    store: Store<()>,
    memory: Memory,
    decide: TypedFunc<(u32, u32), u32>,
    table: AttributeTable,
    slots: SlotBuffer,
}

impl Counted {
    fn new(sources: &Sources) -> Self {
        let checked = check(sources);
        let set = checked.set.unwrap_or_else(|| panic!("{:#?}", checked.findings));
        let core = generate::core_module(&set).unwrap();
        let interpreter = Interpreter::new(&set, &core).unwrap();
        let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX).unwrap();
        let module = Module::from_binary(&engine, &core.bytes).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let decide = instance.get_typed_func(&mut store, DECIDE_EXPORT).unwrap();
        let table = AttributeTable::new(&set.attributes);
        let slots = SlotBuffer::new(set.attributes.len());
        Self { set, core, interpreter, store, memory, decide, table, slots }
    }

    fn of(text: &str) -> Self {
        Self::new(&Sources::new(vec![Source { path: "a.aecp".to_owned(), text: text.to_owned() }]))
    }

    /// Decides with both engines held to the bound, and says what the dearer one spent, and the bound.
    fn decide(&mut self, request: &str) -> (u64, u64) {
        self.table.read_json(request.as_bytes(), &mut self.slots).unwrap();
        let bound = self.core.cost.bound(self.slots.content().len());
        let failed = |error: &dyn std::fmt::Display| -> ! {
            panic!("beyond {bound}, {:?}: {error}, {request:.300}", self.core.cost)
        };
        // The interpreter holds itself to the bound.
        self.interpreter.decide(request).unwrap_or_else(|error| failed(&error));
        self.memory.write(&mut self.store, ARENA_BASE as usize, self.slots.bytes()).unwrap();
        self.store.set_fuel(bound).unwrap();
        let arguments = (ARENA_BASE, self.slots.count() as u32);
        self.decide.call(&mut self.store, arguments).unwrap_or_else(|error| failed(&error));
        let spent = self.interpreter.spent().max(bound - self.store.get_fuel().unwrap());
        assert!(spent > 0, "somebody counts");
        (spent, bound)
    }

    /// Decides, and wants the bound to be at most `factor` times what was spent.
    fn near(&mut self, factor: u64, request: &str) {
        let (spent, bound) = self.decide(request);
        println!("{:.1} times: {spent} of {bound}, {:?}", bound as f64 / spent as f64, self.core.cost);
        assert!(bound <= factor * spent, "{spent} of {bound}, {:?}: {request:.300}", self.core.cost);
    }
}

fn policy(name: &str, scope: &str, constraint: &str) -> String {
    format!("POLICY {name} {{ SCOPE: {scope} CONSTRAINT: {constraint} ENFORCEMENT: BLOCKING }}\n")
}

/// A set of one policy for every request.
fn one(schema: &str, constraint: &str) -> Counted {
    Counted::of(&format!("SCHEMA {{ {schema} }}\n{}", policy("p", "requests", constraint)))
}

fn list(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect::<Vec<_>>().join(",")
}

/// Requests that are large and unlucky for any set: every attribute with long texts, or with lists of many
/// elements, or with elements of near-equal texts.
fn unlucky(set: &PolicySet, size: usize) -> Vec<String> {
    let long = "a".repeat(size);
    let texts = [format!("\"{long}\""), format!("\"{long}b\""), "\"\"".to_owned(), "\"é\"".to_owned()];
    let lists = [list(size, |_| "\"\"".to_owned()), list(size / 8, |n| format!("\"aaaaaaa{n}\""))];
    let value = |ty: &Type, which: usize| match ty {
        Type::String => texts[which % texts.len()].clone(),
        Type::Enum(members) => format!("{:?}", members[which % members.len()]),
        Type::Bool => "true".to_owned(),
        Type::Int | Type::Decimal => which.to_string(),
        Type::Timestamp => "\"2026-01-01T00:00:00Z\"".to_owned(),
        Type::Duration => "\"15m\"".to_owned(),
        Type::Ip => "\"10.1.2.3\"".to_owned(),
        Type::List(element) => match element.as_ref() {
            Type::String => format!("[{}]", lists[which % lists.len()]),
            Type::Enum(members) => {
                format!("[{}]", list(size, |n| format!("{:?}", members[n % members.len()])))
            }
            Type::Int | Type::Decimal => format!("[{}]", list(size, |n| n.to_string())),
            Type::Bool => format!("[{}]", list(size, |_| "false".to_owned())),
            _ => "[]".to_owned(),
        },
        Type::Any => "{}".to_owned(),
    };
    let request = |which: usize| {
        let attributes =
            set.attributes.iter().map(|a| format!("\"{}\":{}", a.path, value(&a.ty, which)));
        format!("{{{}}}", attributes.collect::<Vec<_>>().join(","))
    };
    (0..8).map(request).chain(["{}".to_owned()]).collect()
}

#[test]
fn random_sets_cost_at_most_their_bound() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let files = generated::set(&mut random, 24);
        let source = |(path, text): (String, String)| Source { path, text };
        let mut counted = Counted::new(&Sources::new(files.into_iter().map(source).collect()));
        for _ in 0..30 {
            counted.decide(&generated::request(&mut random));
        }
        for request in unlucky(&counted.set.clone(), 200) {
            counted.decide(&request);
        }
    }
}

#[test]
fn the_checked_policies_cost_at_most_their_bound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for set in ["gdpr_residency", "hipaa", "pci_dss", "soc2", "zero_trust"] {
        let mut counted = Counted::new(&Sources::read(&folder.join(set)).unwrap());
        for test in counted.set.tests.clone() {
            counted.decide(&test.request);
        }
        for request in unlucky(&counted.set.clone(), 2000) {
            counted.decide(&request);
        }
        counted.near(16, "{}");
    }
}

#[test]
fn a_worst_request_for_each_kind_of_search_comes_near_the_bound() {
    let a = |count: usize| "a".repeat(count);
    let text = |count: usize| format!(r#"{{"t":"{}"}}"#, a(count));
    // The longest near misses.
    one("t: STRING", &format!("t CONTAINS \"{}b\"", a(14))).near(3, &text(20_000));
    one("t: STRING", &format!("t STARTS WITH \"{}b\"", a(2000))).near(3, &text(2001));
    one("t: STRING", &format!("t == \"{}b\"", a(2000))).near(3, &text(2001));
    let two = format!(r#"{{"t":"{}","u":"{}b"}}"#, a(3000), a(2999));
    one("t: STRING u: STRING", "t == u").near(4, &two);
    // The only search that grows with the square of the request: of one attribute in another.
    let part = format!(r#"{{"t":"{}","u":"{}b"}}"#, a(2000), a(500));
    one("t: STRING u: STRING", "t CONTAINS u").near(12, &part);
    // Many stars cost nothing; a long part between them does, at each place of the text.
    one("t: STRING", r#"t MATCHES "*a*a*a*a*a*b""#).near(8, &text(20_000));
    one("t: STRING", r#"t MATCHES "*aaaaaaaaab""#).near(8, &text(20_000));
    one("t: STRING", r#"t MATCHES "*?????????b""#)
        .near(8, &format!(r#"{{"t":"{}"}}"#, "é".repeat(9000)));
    // Lists of many elements, of long ones, and of equal ones.
    let elements = |entry: &str, count| format!(r#"{{"l":[{}]}}"#, list(count, |_| entry.to_owned()));
    one("l: LIST<STRING>", r#"l CONTAINS "aaaaaaaaaaaaaaab""#)
        .near(6, &elements(r#""aaaaaaaaaaaaaaaa""#, 2000));
    one("l: LIST<INT>", "l CONTAINS 7").near(3, &elements("8", 5000));
    one("l: LIST<BOOL>", "l CONTAINS true").near(3, &elements("false", 5000));
    one("l: LIST<DECIMAL>", "l CONTAINS 0.5").near(3, &elements("8", 5000));
    one("l: LIST<STRING> m: LIST<STRING>", "l == m").near(
        10,
        &format!(r#"{{"l":[{0}],"m":[{0}]}}"#, list(1000, |_| r#""aaaaaaaaaaaaaaa""#.to_owned())),
    );
    let members = list(20, |n| format!("\"aaaaaaaa{n:02}\""));
    one(&format!("l: LIST<ENUM({members})>"), "l EXISTS").near(12, &elements(r#""aaaaaaaa19""#, 1000));
}

#[test]
fn texts_that_all_collide_and_atoms_that_all_policies_share_come_near_the_bound() {
    // The lookup's hash mixes the length, the first and the last eight bytes: these differ in none.
    let entries = list(50, |n| format!("\"aaaaaaaa{n:04}bbbbbbbb\""));
    let mut counted = one("t: STRING", &format!("t IN [{entries}]"));
    counted.near(6, r#"{"t":"aaaaaaaa0050bbbbbbbb"}"#);
    counted.near(6, r#"{"t":"aaaaaaaa0049bbbbbbbb"}"#);

    let constraint = |n| format!("l CONTAINS \"admin\" OR n == {n}");
    let policies = (0..50).map(|n| policy(&format!("p{n}"), "requests", &constraint(n)));
    let text: String =
        ["SCHEMA { l: LIST<STRING> n: INT }\n".to_owned()].into_iter().chain(policies).collect();
    let elements = list(2000, |_| r#""admim""#.to_owned());
    Counted::of(&text).near(4, &format!(r#"{{"l":[{elements}],"n":50}}"#));
}

#[test]
fn a_large_set_costs_at_most_its_bound_and_comes_near_it_where_all_its_policies_are_looked_at() {
    let large = |policies: usize| {
        let mut text = String::new();
        for n in 0..policies {
            let scope = format!("type_{} WHERE a.region == \"r{}\"", n / 10, n % 3);
            let constraint = format!("a.size <= {n} AND a.text STARTS WITH \"{}\"", "x".repeat(n % 40));
            text.push_str(&policy(&format!("p{n}"), &scope, &constraint));
        }
        Counted::of(&text)
    };
    let mut counted = large(1000);
    counted.near(3, "{}");
    counted.near(3, &format!(r#"{{"a":{{"size":100000,"text":"{}"}}}}"#, "x".repeat(50)));
    counted.decide(r#"{"resource":{"type":"type_7"},"a":{"region":"r1","size":0,"text":"xx"}}"#);
}

#[test]
fn sets_at_the_ends_of_what_the_compiler_takes_cost_at_most_their_bound() {
    let entries = list(10_000, |n| format!("\"entry {n}\""));
    let numbers = list(10_000, |n| (n * 7).to_string());
    let mut counted = one("t: STRING n: INT", &format!("t IN [{entries}] AND n IN [{numbers}]"));
    for text in ["entry 9999", "entry 10000", "entry", &"entry ".repeat(10_000)] {
        counted.decide(&format!(r#"{{"t":"{text}","n":69994}}"#));
    }
    counted.near(3, r#"{"t":"entry 9999","n":69994}"#);

    let mut nested = "a1 == 1".to_owned();
    for n in 0..200 {
        let joined = if n % 2 == 0 { "AND" } else { "OR" };
        nested = format!("({nested} {joined} NOT b{n} == {n})");
    }
    let mut counted = Counted::of(&policy("p", "requests", &nested));
    counted.near(3, "{}");
    for request in unlucky(&counted.set.clone(), 10) {
        counted.decide(&request);
    }
}
