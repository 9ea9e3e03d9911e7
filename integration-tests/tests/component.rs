//! The component of a set runs in a component host that is not ours, and decides as our own hosts do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::process::Command;

use aecp_compiler::{
    compile::compile_sources,
    source::{Source, Sources},
};
use aecp_integration_tests::python;

const SET: &str = r#"
SCHEMA {
  customer.region: ENUM("EU", "US")
  payload.ratio: DECIMAL
  principal.roles: LIST<STRING>
  resource.type: STRING
  source.ip: IP
  storage.location: STRING
}
POLICY residency {
  SCOPE: customer_data WHERE customer.region = "EU"
  CONSTRAINT: storage.location IN ["eu-west-1", "eu-central-1"] AND principal.roles CONTAINS "dpo"
  ENFORCEMENT: BLOCKING
}
POLICY small {
  SCOPE: requests
  CONSTRAINT: payload.ratio <= 0.5 AND source.ip IN CIDR "10.0.0.0/8"
  ENFORCEMENT: ADVISORY
}
"#;

/// Calls the component's `decide` over and over, so that memory that were not given back would run out.
const HOST: &str = r#"
import sys
from wasmtime import Engine, Store
from wasmtime.component import Component, Linker, Variant, Record

def variant(tag, payload=None): return Variant(tag, payload)
def wide(high, low, names):
    record = Record(); setattr(record, names[0], high); setattr(record, names[1], low); return record

engine = Engine()
store = Store(engine)
component = Component.from_file(engine, sys.argv[1])
assert not list(component.type.imports(engine)), "a policy imports nothing"
instance = Linker(engine).instantiate(store, component)
interface = instance.get_export_index(store, "aecp:policy/evaluation@0.1.0")
decide = instance.get_func(store, instance.get_export_index(store, "decide", interface))

def ask(location, region="EU"):
    # customer.region, payload.ratio, principal.roles, resource.type, source.ip, storage.location
    half = 5 * 10**17
    values = [
        variant("text", region),
        variant("decimal", wide(0, half, ("high", "low"))),
        variant("texts", ["viewer", "dpo"]),
        variant("text", "customer_data"),
        variant("address", wide(0, 0xffff0b010203, ("high", "low"))),
        location,
    ]
    verdict = decide(store, values)
    decide.post_return(store)
    return [verdict.decision, sorted(verdict.violated), sorted(verdict.indeterminate)]

long = "x" * 100_000
for _ in range(30):
    assert ask(variant("text", "eu-west-1")) == ["allow", [1], []], ask(variant("text", "eu-west-1"))
    assert ask(variant("text", long)) == ["deny", [0, 1], []]
    assert ask(variant("missing")) == ["deny", [1], [0]]
    assert ask(variant("text", "eu-west-1"), region="MARS") == ["allow", [1], []]
    assert ask(variant("text", "us"), region="MARS") == ["deny", [1], [0]]
print("decided", 150)
"#;

#[test]
fn the_component_decides_in_a_host_that_is_not_ours() {
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text: SET.to_owned() }]);
    let outcome = compile_sources(&sources, &mut |_| ()).unwrap();
    let compiled = outcome.compiled.unwrap_or_else(|| panic!("{:?}", outcome.findings));
    let paths: Vec<_> = compiled.manifest.attributes.iter().map(|a| a.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "customer.region",
            "payload.ratio",
            "principal.roles",
            "resource.type",
            "source.ip",
            "storage.location"
        ]
    );
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("policy.wasm");
    std::fs::write(&component, &compiled.component).unwrap();
    let script = folder.path().join("host.py");
    std::fs::write(&script, HOST).unwrap();
    let python = python::interpreter(env!("CARGO_TARGET_TMPDIR"));
    let output = Command::new(python).arg(&script).arg(&component).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "decided 150\n");
}
