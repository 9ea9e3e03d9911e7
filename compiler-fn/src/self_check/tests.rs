use std::path::Path;

use aecp_contract::{
    cost::Cost,
    manifest::Enforcement,
    value::{Attribute, Type},
};
use proptest::{collection::vec, prelude::*, sample::select};
use wasmparser::Operator;

use super::{
    mutants::{functions, mutants, nothing, off_by_one, patched, table},
    *,
};
use crate::{
    check::check,
    compile::{CompileError, from_core},
    generate::{self, CoreModule},
    language::{
        arbitrary::{nowhere, typed::typed_condition},
        ast::{Condition, Declaration, Field, File, Policy, Schema, Scope, Statement},
        format::print,
    },
    source::{Source, Sources},
};

fn set(text: &str) -> PolicySet {
    let sources = Sources::new(vec![Source { path: "a.aecp".to_owned(), text: text.to_owned() }]);
    let checked = check(&sources);
    checked.set.unwrap_or_else(|| panic!("{:?}\n{text}", checked.findings))
}

fn shipped() -> Vec<(String, PolicySet)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    let read = |path: &Path| check(&Sources::read(path).unwrap()).set.unwrap();
    folders.iter().map(|path| (path.display().to_string(), read(path))).collect()
}

/// A module that may be a mutant, of which nobody knows the cost.
fn module(core: &[u8]) -> CoreModule {
    let cost = Cost { base: 10_000_000, linear: 0, quadratic: 0 };
    CoreModule { bytes: core.to_vec(), cost }
}

fn checked(set: &PolicySet, core: &[u8]) -> Result<SelfCheckSummary, SelfCheckError> {
    self_check(set, &Loaded::new(set, &module(core))?)
}

fn difference(set: &PolicySet, mutant: &[u8]) -> Difference {
    match checked(set, mutant) {
        Err(SelfCheckError::Difference(difference)) => *difference,
        other => panic!("not caught: {other:?}"),
    }
}

#[test]
fn the_shipped_sets_pass_and_the_summary_does_not_depend_on_the_number_of_threads() {
    for (name, set) in shipped() {
        let core = generate::core_module(&set).unwrap().bytes;
        let module = Loaded::new(&set, &module(&core)).unwrap();
        let summary = check_with(&set, &module, 1).unwrap();
        println!("{name}: {} policies, {summary:?}", set.policies.len());
        for threads in [1, 2, 5] {
            assert_eq!(check_with(&set, &module, threads).unwrap(), summary, "{threads} threads");
        }
        assert!(summary.requests as usize > 5 * set.policies.len(), "{name}: {summary:?}");
        // The authors of these sets wrote no condition that decides nothing.
        assert!(summary.decisive * 100 >= summary.atoms * 95, "{name}: {summary:?}");
    }
}

fn caught(set: &PolicySet, what: &str, mutant: &[u8]) -> Difference {
    let difference = difference(set, mutant);
    println!("{what}: {difference}");
    difference
}

const LIMITS: &str = r#"
POLICY small { SCOPE: upload WHERE size.kb <= 1000 AND principal.mfa CONSTRAINT: zone.number IN [3, 5, 9] ENFORCEMENT: BLOCKING }
POLICY near { SCOPE: upload CONSTRAINT: region IN ["eu-west-1", "eu-central-1"] OR size.kb < 7 ENFORCEMENT: BLOCKING }
"#;

#[test]
fn a_comparison_with_another_bound_is_caught() {
    let set = set(LIMITS);
    let core = generate::core_module(&set).unwrap().bytes;
    let all = functions(&core);
    let mut instructions = all.iter().flatten();
    let bound = instructions.find(|i| matches!(i.operator, Operator::I64Const { value: 1000 })).unwrap();
    let found = caught(&set, "1000 became 1001", &off_by_one(&core, bound.at));
    assert_eq!(found.policy, Some((1, "small".to_owned())));
    assert!(found.request.contains("\"size.kb\":1001"), "{found}");
    let mut instructions = all.iter().flatten();
    let less = instructions.find(|i| matches!(i.operator, Operator::I64LtS)).unwrap();
    caught(&set, "< became <=", &patched(&core, less.at, 0x57));
}

#[test]
fn a_set_whose_module_is_at_fault_is_not_compiled() {
    let (sources, set) = (Sources::new(Vec::new()), set(LIMITS));
    let core = generate::core_module(&set).unwrap().bytes;
    let compiled = from_core(&sources, &set, module(&core), &mut |_| ()).unwrap();
    assert!(compiled.manifest.self_check.requests > 50, "{:?}", compiled.manifest.self_check);
    let all = functions(&core);
    let bound = all.iter().flatten().find(|i| matches!(i.operator, Operator::I64Const { value: 7 }));
    let error = from_core(&sources, &set, module(&off_by_one(&core, bound.unwrap().at)), &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, CompileError::SelfCheck(_)));
    let said = error.to_string();
    println!("{said}");
    let begins = "the code generator is at fault, nothing was signed, please report this: policy `near` on the request {";
    assert!(said.starts_with(begins), "{said}");
    assert!(
        said.ends_with(
            "\"size.kb\":6} should be: neither violated nor indeterminate; the module says: violated"
        ),
        "{said}"
    );
}

#[test]
fn another_entry_of_a_list_is_caught() {
    let set = set(LIMITS);
    let core = generate::core_module(&set).unwrap().bytes;
    let entries: Vec<u8> = [3i64, 5, 9].iter().flat_map(|n| n.to_le_bytes()).collect();
    let at = core.windows(entries.len()).position(|bytes| bytes == entries).unwrap();
    let found = caught(&set, "5 became 4", &patched(&core, at + 8, 4));
    assert!(found.request.contains("\"zone.number\":4") || found.request.contains(":5"), "{found}");
}

#[test]
fn and_for_or_is_caught() {
    let set = set(LIMITS);
    let core = generate::core_module(&set).unwrap().bytes;
    let (mut tried, mut missed) = (0, Vec::new());
    for function in functions(&core) {
        for pair in function.windows(3) {
            // Of a chain: `and`, kept in a local, compared with what decides.
            if let [Operator::I32And, Operator::LocalSet { .. }, Operator::LocalGet { .. }] =
                [&pair[0], &pair[1], &pair[2]].map(|it| it.operator.clone())
            {
                tried += 1;
                if checked(&set, &patched(&core, pair[0].at, 0x72)).is_ok() {
                    missed.push(pair[0].at);
                }
            }
        }
    }
    assert!(tried > 0 && missed.is_empty(), "{missed:?} of {tried} not caught");
}

#[test]
fn a_policy_left_out_of_a_branch_or_noted_as_another_is_caught() {
    let policies: Vec<_> = (0..40)
        .map(|n| {
            let scope =
                format!("requests WHERE resource.type IN [\"t{}\", \"t{}\"]", n % 8, (n + 1) % 8);
            format!("POLICY p{n:02} {{ SCOPE: {scope} CONSTRAINT: level > {n} ENFORCEMENT: ADVISORY }}")
        })
        .collect();
    let set = set(&policies.join("\n"));
    let core = generate::core_module(&set).unwrap().bytes;
    checked(&set, &core).unwrap();
    let entries = table(&core);
    let nothing = nothing(&core);
    for (number, (at, function)) in entries.iter().enumerate().filter(|(_, (_, f))| *f != nothing) {
        assert!(*function < 128 && nothing < 128, "of one byte each");
        let found =
            caught(&set, &format!("branch {number} left out"), &patched(&core, *at, nothing as u8));
        assert_eq!(found.found, "neither violated nor indeterminate");
    }
    let mut noted = 0;
    for function in functions(&core) {
        for part in function.windows(4) {
            if let [
                Operator::I32Const { value },
                Operator::I32Const { .. },
                Operator::I32Const { .. },
                Operator::Call { .. },
            ] = [&part[0], &part[1], &part[2], &part[3]].map(|it| it.operator.clone())
            {
                noted += 1;
                let mutant = off_by_one(&core, part[0].at);
                let found = difference(&set, &mutant);
                let policy = found.policy.as_ref().map(|(index, _)| *index as i32);
                let twice = found.found.contains("no valid verdict"); // the other is noted as well
                assert!(twice || [Some(value), Some(value ^ 1)].contains(&policy), "{found}");
            }
        }
    }
    assert!(noted >= 80, "{noted}");
}

/// Random requests out of the boundary values of all policies, as slots and values.
fn random_requests(set: &PolicySet, count: u64) -> Vec<Vec<(usize, Type, Attribute)>> {
    let constants = boundaries::constants(set);
    let mut pools: Vec<Vec<Attribute>> = vec![Vec::new(); set.attributes.len()];
    for policy in 0..set.policies.len() {
        for tried in Subject::new(set, &constants, policy).attributes {
            for value in tried.values {
                if !pools[tried.slot].contains(&value) {
                    pools[tried.slot].push(value);
                }
            }
        }
    }
    let mut state = 1u64;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let request = |_| {
        let slots = pools.iter().zip(&set.attributes).enumerate();
        let pick = |(slot, (pool, attribute)): (usize, (&Vec<Attribute>, &_))| {
            let attribute: &aecp_contract::manifest::AttributeDeclaration = attribute;
            (slot, attribute.ty.clone(), pool[random(pool.len())].clone())
        };
        slots.map(pick).collect()
    };
    (0..count).map(request).collect()
}

/// How many of `every`th mutants were caught, and those that were not although a random request tells them apart.
fn hunt(set: &PolicySet, every: usize, requests: u64) -> (usize, Vec<String>) {
    let core = generate::core_module(set).unwrap().bytes;
    let requests = random_requests(set, requests);
    let verdicts = |core: &[u8]| -> Option<Vec<_>> {
        let mut interpreter = Loaded::new(set, &module(core)).ok()?.interpreter(set).ok()?;
        let decide = |request: &Vec<(usize, Type, Attribute)>| {
            let slots = request.iter().map(|(slot, ty, attribute)| (*slot, ty, attribute));
            interpreter.decide_attributes(slots).ok()
        };
        Some(requests.iter().map(decide).collect())
    };
    let right = verdicts(&core);
    let (mut caught, mut missed) = (0, Vec::new());
    for (name, mutant) in mutants(&core).into_iter().step_by(every) {
        match checked(set, &mutant) {
            Err(_) => caught += 1,
            Ok(_) if verdicts(&mutant) != right => missed.push(name),
            Ok(_) => {}
        }
    }
    (caught, missed)
}

#[test]
fn of_the_mutants_that_change_a_decision_hardly_one_is_missed() {
    let every: usize = std::env::var("MUTANTS_EVERY").map_or(150, |every| every.parse().unwrap());
    let (mut all_caught, mut all_missed) = (0, 0);
    for (name, set) in shipped() {
        let (caught, missed) = hunt(&set, every, 1000);
        println!("{name}: {caught} caught, missed: {missed:#?}");
        all_caught += caught;
        all_missed += missed.len();
    }
    assert!(all_caught > 30, "{all_caught}");
    assert!(all_missed * 20 <= all_caught, "{all_missed} missed, {all_caught} caught");
}

/// One attribute of each type.
fn attributes() -> Vec<(String, Type)> {
    let members = vec!["a".to_owned(), "b".to_owned()];
    let list = |ty| Type::List(Box::new(ty));
    let all = [
        ("s", Type::String),
        ("t", Type::String),
        ("i", Type::Int),
        ("d", Type::Decimal),
        ("b", Type::Bool),
        ("at", Type::Timestamp),
        ("age", Type::Duration),
        ("ip", Type::Ip),
        ("e", Type::Enum(members.clone())),
        ("roles", list(Type::String)),
        ("zones", list(Type::Enum(members))),
        ("levels", list(Type::Int)),
    ];
    all.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect()
}

fn source(policies: Vec<(Option<Condition>, Condition, Enforcement)>) -> String {
    let declarations = attributes()
        .into_iter()
        .map(|(name, ty)| Declaration { path: nowhere(name), ty: nowhere(ty) })
        .collect();
    let policy = |(number, (scope, constraint, enforcement))| {
        let fields = [
            Field::Scope(Scope { resource: None, condition: scope }),
            Field::Constraint(constraint),
            Field::Enforcement(nowhere(enforcement)),
        ];
        let name = nowhere(format!("p{number}"));
        Statement::Policy(Policy { name, fields: fields.map(nowhere).to_vec(), incomplete: false })
    };
    let schema = Statement::Schema(Schema { strict: true, declarations });
    let policies = policies.into_iter().enumerate().map(policy);
    let statements = std::iter::once(schema).chain(policies).map(nowhere).collect();
    print(&File { default_deny: true, statements, ..File::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_sets_pass(
        policies in vec(
            (
                proptest::option::of(typed_condition(attributes())),
                typed_condition(attributes()),
                select(vec![Enforcement::Blocking, Enforcement::Advisory]),
            ),
            1..12,
        )
    ) {
        let text = source(policies);
        let set = set(&text);
        let core = generate::core_module(&set).unwrap().bytes;
        let module = Loaded::new(&set, &module(&core)).unwrap();
        match check_with(&set, &module, 1) {
            Ok(summary) => prop_assert_eq!(check_with(&set, &module, 3).unwrap(), summary),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }
}
