//! Policy modules: what is run, and what is refused before it runs.

use std::{sync::Arc, thread};

use aecp_contract::{
    cost::Cost,
    manifest::{Action, AuditLevel, Manifest, Obligation},
    native::this_machine,
    refusal::{Code, Refusal},
    release::{CORE_MODULE, MANIFEST},
    slots::{DECIDE_EXPORT, SlotBuffer},
    verdict::Decision,
};
use aecp_enforcer::{Engine, Execution, PolicyPre, Reason};
use proptest::prelude::*;

use crate::fixture::{artifacts, core, machine_code, manifest, verified, with_code};

/// The same set in each of the ways that it can run here.
fn sets() -> Vec<Arc<PolicyPre>> {
    let engine = Engine::new().unwrap();
    let interpreted = interpreted(&engine, &core('E', AuditLevel::None), manifest()).unwrap();
    let native = PolicyPre::load(&engine, &verified(artifacts('E', AuditLevel::None))).unwrap();
    assert_eq!(interpreted.execution().as_str(), "interpreted");
    assert_eq!(
        native.execution().as_str(),
        if this_machine().is_some() { "native" } else { "interpreted" }
    );
    vec![Arc::new(interpreted), Arc::new(native)]
}

fn interpreted(engine: &Engine, core: &[u8], manifest: Manifest) -> Result<PolicyPre, Refusal> {
    without_code(engine, core, &serde_json::to_vec(&manifest).unwrap())
}

/// Loads a release that has no machine code.
fn without_code(engine: &Engine, core: &[u8], manifest: &[u8]) -> Result<PolicyPre, Refusal> {
    let named = [(CORE_MODULE, core), (MANIFEST, manifest)];
    let artifacts = named.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    PolicyPre::load(engine, &verified(artifacts.into()))
}

#[test]
fn a_decision_is_one_line_with_the_names_of_its_policies() {
    for set in sets() {
        let line = |json: &str| serde_json::to_string(&set.decide_json(json.as_bytes())).unwrap();
        assert_eq!(
            line(r#"{"customer":{"region":"EU"}}"#),
            r#"{"decision":"ALLOW","violated":[{"policy":"silent","enforcement":"AUDIT_ONLY"}],"indeterminate":[]}"#
        );
        assert_eq!(
            line("{}"),
            concat!(
                r#"{"decision":"DENY","violated":[{"policy":"advice","enforcement":"ADVISORY"},"#,
                r#"{"policy":"region","enforcement":"BLOCKING"},{"policy":"silent","enforcement":"AUDIT_ONLY"}],"#,
                r#""indeterminate":[]}"#
            )
        );
        assert_eq!(
            line("[]"),
            r#"{"decision":"DENY","violated":[],"indeterminate":[],"reason":"invalid_request"}"#
        );
    }
}

#[test]
fn filled_slots_decide_like_the_json_that_fills_them() {
    for set in sets() {
        let mut slots = SlotBuffer::new(set.attributes().len());
        assert_eq!(set.decide_slots(&slots).decision(), Decision::Deny);
        slots.set_text(1, "EU").unwrap();
        assert_eq!(set.decide_slots(&slots).decision(), Decision::Allow);
        let foreign = set.decide_slots(&SlotBuffer::new(7));
        assert_eq!(foreign.reason(), Some(Reason::PolicyTrap));
        assert_eq!(set.decide_slots(&slots).decision(), Decision::Allow);
    }
}

#[test]
fn a_module_that_fails_denies_and_the_next_request_is_decided() {
    for set in sets() {
        let good = br#"{"customer.region":"EU"}"#;
        for (behave, reason) in [
            (1, Reason::PolicyTrap),
            (2, Reason::PolicyTimeout),
            (3, Reason::PolicyTrap),
            (2, Reason::PolicyTimeout),
        ] {
            let json = format!(r#"{{"behave":{behave},"customer.region":"EU"}}"#);
            let decided = set.decide_json(json.as_bytes());
            assert_eq!((decided.decision(), decided.reason()), (Decision::Deny, Some(reason)));
            assert_eq!(decided.audit(), AuditLevel::Required);
            assert_eq!(set.decide_json(good).decision(), Decision::Allow);
        }
    }
}

#[test]
fn an_instance_that_failed_never_decides_again() {
    for set in sets() {
        let mut instance = set.instantiate().unwrap();
        assert!(instance.decide_json(b"nonsense").is_err());
        assert!(instance.decide_json(b"{}").is_ok(), "an unreadable request does no harm");
        assert!(instance.decide_json(br#"{"behave":1}"#).is_err());
        assert!(instance.decide_json(b"{}").is_err());
    }
}

#[test]
fn many_threads_decide_at_once_and_no_request_sees_another() {
    for set in sets() {
        thread::scope(|scope| {
            for region in ["EU", "US", "EX", "FR"] {
                let set = &set;
                scope.spawn(move || {
                    let json = format!(r#"{{"customer.region":"{region}"}}"#);
                    for _ in 0..2_000 {
                        let allowed = set.decide_json(json.as_bytes()).decision() == Decision::Allow;
                        assert_eq!(allowed, region.starts_with('E'));
                    }
                });
            }
        });
    }
}

#[test]
fn modules_of_another_shape_are_refused() {
    let engine = Engine::new().unwrap();
    let memory = r#"(memory (export "memory") 17 17)"#;
    let decide = format!(r#"(func (export "{DECIDE_EXPORT}") (param i32 i32) (result i32)"#);
    let nothing = format!("{decide} (i32.const 0))");
    let cases = [
        ("imports", format!(r#"(import "a" "b" (func)) {memory} {nothing}"#)),
        ("exports no memory", nothing.clone()),
        ("can grow", format!(r#"(memory (export "memory") 17) {nothing}"#)),
        ("can grow", format!(r#"(memory (export "memory") 17 18) {nothing}"#)),
        ("has 1048576 bytes", format!(r#"(memory (export "memory") 16 16) {nothing}"#)),
        ("bytes, not", format!(r#"(memory (export "memory") 2000 2000) {nothing}"#)),
        ("exports no function", memory.to_owned()),
        ("not (i32, i32) -> i32", format!(r#"{memory} (func (export "{DECIDE_EXPORT}") (param i32))"#)),
        ("failed", format!("{memory} {decide} unreachable)")),
        ("too long", format!("{memory} {decide} (loop (br 0)) unreachable)")),
        ("too long", format!("{memory} {nothing} (func $s (loop (br 0))) (start $s)")),
        ("no valid verdict", format!("{memory} {decide} (i32.const -1))")),
        ("failed", format!("{memory} (func $f (call $f)) {decide} (call $f) (i32.const 0))")),
        ("table", format!("{memory} {nothing} (table 200000 funcref)")),
    ];
    for (words, text) in cases {
        let wasm = wat::parse_str(format!("(module {text})")).unwrap();
        let native = verified(with_code(wasm.clone(), &manifest()));
        for loaded in [interpreted(&engine, &wasm, manifest()), PolicyPre::load(&engine, &native)] {
            let refusal = loaded.unwrap_err();
            assert_eq!(refusal.code, Code::InvalidModule, "{text}");
            assert!(refusal.detail.contains(words), "`{refusal}` should say `{words}`");
        }
    }
}

#[test]
fn code_that_this_host_cannot_run_is_interpreted_and_the_reason_is_told() {
    let Some(target) = this_machine() else { return };
    let engine = Engine::new().unwrap();
    let core = core('E', AuditLevel::None);
    let other = |change: fn(&mut wasmtime::Config)| {
        let mut config = wasmtime::Config::new();
        change(&mut config);
        machine_code(&mut config, &core)
    };
    let strange_version = wasmtime::ModuleVersionStrategy::Custom("strange".to_owned());
    let mut of_another_wasmtime = wasmtime::Config::new();
    of_another_wasmtime.target(target.triple).unwrap().module_version(strange_version).unwrap();
    let cases = [
        ("incompatible version 'strange'", Some(machine_code(&mut of_another_wasmtime, &core))),
        (
            "memory reservation",
            Some(other(|config| {
                config.memory_reservation(1 << 20);
            })),
        ),
        (
            "fuel",
            Some(other(|config| {
                config.consume_fuel(true);
            })),
        ),
        ("came without", None),
        ("ELF", Some(b"nonsense".to_vec())),
    ];
    for (words, code) in cases {
        let mut artifacts = artifacts('E', AuditLevel::None);
        match code {
            Some(code) => drop(artifacts.insert(target.artifact.to_owned(), code)),
            None => drop(artifacts.remove(target.artifact)),
        }
        assert_eq!(artifacts[CORE_MODULE], core);
        let set = Arc::new(PolicyPre::load(&engine, &verified(artifacts)).unwrap());
        let Execution::Interpreted(reason) = set.execution() else { panic!("`{words}` ran") };
        assert!(reason.contains(words), "`{reason}` should say `{words}`");
        assert_eq!(set.decide_json(br#"{"customer.region":"EU"}"#).decision(), Decision::Allow);
        assert_eq!(set.decide_json(br#"{"customer.region":"US"}"#).decision(), Decision::Deny);
    }
}

#[test]
fn a_module_is_held_to_the_cost_that_its_manifest_says() {
    let engine = Engine::new().unwrap();
    let core = core('E', AuditLevel::None);
    let load = |base| {
        let cost = Cost { base, ..Cost::default() };
        interpreted(&engine, &core, Manifest { cost, ..manifest() })
    };
    let refusal = load(5).unwrap_err();
    assert!(refusal.detail.contains("too long"), "{refusal}");
    let set = Arc::new(load(200).unwrap());
    assert_eq!(set.decide_json(br#"{"customer.region":"EU"}"#).decision(), Decision::Allow);
}

#[test]
fn manifests_that_do_not_hold_together_are_refused() {
    let engine = Engine::new().unwrap();
    let refuse = |change: fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        interpreted(&engine, &core('E', AuditLevel::None), manifest).unwrap_err().code
    };
    assert_eq!(refuse(|m| m.abi += 1), Code::UnsupportedAbi);
    assert_eq!(refuse(|m| m.policies.swap(0, 1)), Code::Malformed);
    assert_eq!(refuse(|m| m.attributes[1] = m.attributes[0].clone()), Code::Malformed);
    assert_eq!(refuse(|m| m.policies[0].module = 1), Code::Malformed);
    assert_eq!(refuse(|m| m.policies.truncate(2)), Code::InvalidModule, "verdicts name three");
    let action = Action::Redact { attribute: "a".to_owned() };
    let obligation = |policy| Obligation { policy, action: action.clone() };
    let mut obliging = manifest();
    obliging.obligations = vec![obligation(3)];
    let refused = interpreted(&engine, &core('E', AuditLevel::None), obliging).unwrap_err();
    assert_eq!(refused.code, Code::Malformed, "there are three policies");
    let bytes = serde_json::to_vec(&manifest()).unwrap();
    let cut = without_code(&engine, &core('E', AuditLevel::None), &bytes[..99]);
    assert_eq!(cut.unwrap_err().code, Code::Truncated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_modules_and_manifests_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let engine = Engine::new().unwrap();
        let core = core('E', AuditLevel::None);
        let whole = serde_json::to_vec(&manifest()).unwrap();
        let _ = without_code(&engine, &bytes, &whole);
        let _ = without_code(&engine, &core, &bytes);
        // Somewhere inside of good ones, too.
        let spliced = |good: &[u8]| {
            let mut good = good.to_vec();
            let at = at.index(good.len());
            for (to, from) in good[at..].iter_mut().zip(&bytes) {
                *to = *from;
            }
            good
        };
        let _ = without_code(&engine, &spliced(&core), &whole);
        let _ = without_code(&engine, &core, &spliced(&whole));
    }

    #[test]
    fn random_requests_never_panic_and_never_leave_a_broken_instance(json in ".{0,200}") {
        static SETS: std::sync::LazyLock<Vec<Arc<PolicyPre>>> = std::sync::LazyLock::new(sets);
        for set in SETS.iter() {
            let _ = set.decide_json(json.as_bytes());
            let _ = set.decide_json(format!(r#"{{"customer.region":{json}}}"#).as_bytes());
            prop_assert_eq!(set.decide_json(br#"{"customer.region":"EU"}"#).decision(), Decision::Allow);
        }
    }
}
