//! The rules in Rego, for regorus: its interpreter, and the register machine (RVM) that it compiles to.
//!
//! Each rule adds its name to the set `deny` or `advise`, with the resource's type as the first condition.
//! In Rego a condition on a missing attribute is undefined and the rule would pass, so a missing region counts
//! as any region.

use std::{hint::black_box, str};

use anyhow::Context as _;
use regorus::{
    Rc, Value,
    languages::rego::compiler::Compiler,
    rvm::{program::Program, vm::RegoVM},
};

use crate::{
    engine::{Engine, Outcome},
    workload::{Constraint, Rule, Scope, Workload, number},
};

const VERDICT: &str = "data.aecp.verdict";

/// What the rules share; evaluated at most once for each request.
const SHARED: &str = r#"package aecp

verdict := {"deny": deny, "advise": advise}

default region := "missing"

region := input.customer.region

deny contains "" if false

advise contains "" if false

tls_and_mfa if {
  input.request.mfa
  input.transport.tls_version >= 1.2
}
"#;

/// The Rego modules, as (path, text).
pub(crate) fn modules(workload: &Workload) -> Vec<(String, String)> {
    let shared = ("shared.rego".to_owned(), SHARED.to_owned());
    let modules = workload.modules().enumerate().map(|(number, rules)| {
        let rules: String = rules.into_iter().map(rule).collect();
        (format!("module{number:02}.rego"), format!("package aecp\n{rules}"))
    });
    [shared].into_iter().chain(modules).collect()
}

fn rule(rule: &Rule) -> String {
    let scope = match rule.scope {
        Scope::Everything => String::new(),
        Scope::RegionIs(wanted) => format!("  region in {{\"{wanted}\", \"missing\"}}\n"),
        Scope::ReadsAndWrites => "  input.action.name in {\"read\", \"write\"}\n".to_owned(),
        Scope::LevelOutsideApac(level) => {
            format!("  input.principal.level >= {level}\n  region != \"APAC\"\n")
        }
    };
    let violated = match rule.constraint {
        Constraint::LocationIn([a, b, c]) => {
            format!("not input.storage.location in {{\"{a}\", \"{b}\", \"{c}\"}}")
        }
        Constraint::SizeAtMost(size) => format!("input.payload.size_kb > {size}"),
        Constraint::RoleOrMfa(role) => {
            format!("not input.request.mfa\n  not \"{role}\" in input.principal.roles")
        }
        Constraint::NetworkOrLevel(network) => format!(
            "input.principal.level <= 2\n  not net.cidr_contains(\"10.{network}.0.0/16\", input.source.ip)"
        ),
        Constraint::TlsAndMfa => "not tls_and_mfa".to_owned(),
        Constraint::DepartmentOrEncrypted => {
            "not input.storage.encrypted\n  not startswith(input.principal.department, \"fin\")"
                .to_owned()
        }
    };
    let (set, name, resource) =
        (if rule.blocking { "deny" } else { "advise" }, rule.name(), &rule.resource);
    format!(
        "\n{set} contains \"{name}\" if {{\n  input.resource.type == \"{resource}\"\n{scope}  {violated}\n}}\n"
    )
}

/// How regorus is run.
pub(crate) trait Runtime: Sized {
    fn new(engine: regorus::Engine) -> anyhow::Result<Self>;
    fn verdict(&mut self, input: Value) -> anyhow::Result<Value>;
}

/// A warm `Engine`: the policies are prepared by the first evaluation and kept.
pub(crate) struct Interpreter(regorus::Engine);

impl Runtime for Interpreter {
    fn new(engine: regorus::Engine) -> anyhow::Result<Self> {
        Ok(Self(engine))
    }

    fn verdict(&mut self, input: Value) -> anyhow::Result<Value> {
        self.0.set_input(input);
        self.0.eval_rule(VERDICT.to_owned())
    }
}

/// A `RegoVM` with the compiled program, used over and over.
pub(crate) struct Machine(RegoVM);

impl Runtime for Machine {
    fn new(mut engine: regorus::Engine) -> anyhow::Result<Self> {
        let policy = engine.compile_with_entrypoint(&Rc::from(VERDICT))?;
        let program: std::sync::Arc<Program> = Compiler::compile_from_policy(&policy, &[VERDICT])?;
        let mut machine = RegoVM::new();
        // 25,000 by default, too few for some thousand rules.
        machine.set_max_instructions(usize::MAX);
        machine.load_program(program);
        Ok(Self(machine))
    }

    fn verdict(&mut self, input: Value) -> anyhow::Result<Value> {
        self.0.set_input(input);
        Ok(self.0.execute_entry_point_by_name(VERDICT)?)
    }
}

pub(crate) struct Rego<R>(R);

impl<R: Runtime> Rego<R> {
    pub(crate) fn new(modules: Vec<(String, String)>) -> anyhow::Result<Self> {
        let mut engine = regorus::Engine::new();
        for (path, text) in modules {
            engine.add_policy(path, text)?;
        }
        Ok(Self(R::new(engine)?))
    }
}

fn input(json: &[u8]) -> anyhow::Result<Value> {
    Value::from_json_str(str::from_utf8(json)?)
}

fn allows(verdict: &Value) -> anyhow::Result<bool> {
    Ok(verdict["deny"].as_set()?.is_empty())
}

impl<'a, R: Runtime> Engine<'a> for Rego<R> {
    type Prepared = Value;

    fn prepare(&mut self, json: &'a [u8]) -> anyhow::Result<Value> {
        input(json)
    }

    fn decide(&mut self, input: &Value) -> anyhow::Result<bool> {
        allows(black_box(&self.0.verdict(input.clone())?))
    }

    fn decide_json(&mut self, json: &'a [u8]) -> anyhow::Result<bool> {
        allows(black_box(&self.0.verdict(input(json)?)?))
    }

    fn outcome(&mut self, json: &'a [u8]) -> anyhow::Result<Outcome> {
        let verdict = self.0.verdict(input(json)?)?;
        let mut found = Vec::new();
        for set in ["deny", "advise"] {
            for name in verdict[set].as_set().with_context(|| format!("the verdict is {verdict}"))? {
                found.push(number(name.as_string()?)?);
            }
        }
        found.sort_unstable();
        Ok(Outcome { allow: allows(&verdict)?, found, undecided: None })
    }
}
