//! From a checked set to its artifacts: generate, wrap, test, self-check, translate, describe.

use std::collections::BTreeMap;

use aecp_contract::{
    ABI_VERSION,
    cost::Cost,
    legislation::States,
    manifest::{ComponentPolicy, Manifest, SelfCheckSummary, TestSummary},
    release::{CLAUSES, COMPONENT, CORE_MODULE, MANIFEST, SOURCES},
};

use crate::{
    analyse, check, explain,
    findings::{Finding, has_errors},
    generate::{self, CoreModule, GenerateError, TooManyConstants},
    interpret::{InterpretError, Loaded},
    lifecycle, native,
    self_check::{Difference, SelfCheckError, self_check},
    set::PolicySet,
    source::Sources,
    testing,
};

/// The compiler's name and version, as manifests and releases carry it.
pub const COMPILER: &str = concat!("aecp ", env!("CARGO_PKG_VERSION"));

/// The steps of a compilation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Text to syntax trees.
    Parse,
    /// Names, types, fields, tests.
    Check,
    /// Conflicts between policies, over all requests.
    Analyse,
    /// Invariants, over all requests.
    Prove,
    /// Optimising, and WebAssembly.
    Generate,
    /// The set's own tests.
    Test,
    /// The component around the module.
    Component,
    /// The module against the reference evaluator.
    SelfCheck,
    /// Machine code for all targets.
    Native,
}

impl Phase {
    /// The name that reports show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Check => "check",
            Self::Analyse => "analyse",
            Self::Prove => "prove",
            Self::Generate => "generate",
            Self::Component => "component",
            Self::Test => "test",
            Self::SelfCheck => "self_check",
            Self::Native => "native",
        }
    }
}

/// A compiled set whose tests passed.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The core module.
    pub core: Vec<u8>,
    /// The same as a component.
    pub component: Vec<u8>,
    /// Its machine code by the name of the artifact ([`aecp_contract::native::TARGETS`]).
    pub native: BTreeMap<&'static str, Vec<u8>>,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its policies' conditions ([`aecp_contract::explain::Clauses`]).
    pub clauses: Vec<u8>,
    /// What it was compiled from ([`Sources::to_archive`]).
    pub sources: Vec<u8>,
    /// The policies beside them that [`Manifest::components`] names, by the name of the artifact. Compiling gives none.
    pub components: BTreeMap<String, Vec<u8>>,
}

/// Why a checked set could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The set's literals are too large.
    #[error(transparent)]
    TooManyConstants(#[from] TooManyConstants),
    /// A fault of the compiler: please report it.
    #[error("the code generator is at fault, please report this: {0}")]
    Generator(String),
    /// The module decides otherwise than the reference evaluator; a fault of the compiler too.
    #[error("the code generator is at fault, nothing was signed, please report this: {0}")]
    SelfCheck(Box<Difference>),
    /// Some tests failed; each is a finding.
    #[error("{} of the set's tests failed", .0.len())]
    TestsFailed(Vec<Finding>),
    /// The tests cover less than the set asks for.
    #[error("{}", .0.message)]
    TooLittleCovered(Box<Finding>),
}

impl From<GenerateError> for CompileError {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::TooManyConstants(error) => Self::TooManyConstants(error),
            GenerateError::Unbounded(error) => Self::Generator(error.to_string()),
        }
    }
}

impl From<InterpretError> for CompileError {
    fn from(error: InterpretError) -> Self {
        Self::Generator(error.to_string())
    }
}

impl From<SelfCheckError> for CompileError {
    fn from(error: SelfCheckError) -> Self {
        match error {
            SelfCheckError::Difference(difference) => Self::SelfCheck(difference),
            SelfCheckError::Module(error) => error.into(),
        }
    }
}

impl Compiled {
    /// Puts policies that are components beside the compiled ones. Whether enforcers take them is for the caller to try.
    pub fn add_components(&mut self, components: Vec<(ComponentPolicy, Vec<u8>)>) {
        for (policy, bytes) in components {
            self.components.insert(policy.artifact(), bytes);
            self.manifest.components.push(policy);
        }
        self.manifest.components.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The manifest's one JSON form.
    #[must_use]
    pub fn manifest_json(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "text, numbers and lists always serialise")]
        let mut json = serde_json::to_vec_pretty(&self.manifest).expect("a manifest is plain data");
        json.push(b'\n');
        json
    }

    /// The artifacts by their names in a release.
    #[must_use]
    pub fn artifacts(&self) -> BTreeMap<String, Vec<u8>> {
        let mut artifacts = BTreeMap::from([
            (CORE_MODULE.to_owned(), self.core.clone()),
            (COMPONENT.to_owned(), self.component.clone()),
            (MANIFEST.to_owned(), self.manifest_json()),
            (CLAUSES.to_owned(), self.clauses.clone()),
            (SOURCES.to_owned(), self.sources.clone()),
        ]);
        artifacts.extend(self.native.iter().map(|(name, code)| ((*name).to_owned(), code.clone())));
        artifacts.extend(self.components.clone());
        artifacts
    }
}

/// What the compiler found out about a module, for its manifest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Results {
    /// What a decision costs at most.
    pub cost: Cost,
    /// Of the set's own tests.
    pub tests: TestSummary,
    /// Of the self-check.
    pub self_check: SelfCheckSummary,
}

/// What the manifest says of a set with these results.
#[must_use]
pub fn manifest(set: &PolicySet, results: Results) -> Manifest {
    let Results { cost, tests, self_check } = results;
    Manifest {
        abi: ABI_VERSION,
        compiler: COMPILER.to_owned(),
        source: set.source,
        attributes: set.attributes.clone(),
        modules: set.modules.clone(),
        policies: set.policies.iter().map(|policy| policy.info.clone()).collect(),
        obligations: set.obligations().collect(),
        proofs: set.proofs.clone(),
        cost,
        tests,
        self_check,
        states: States::new(),
        components: Vec::new(),
    }
}

/// Generates, wraps, tests and self-checks a checked set of these sources, and translates it to machine code.
///
/// # Errors
/// [`CompileError`]; a set whose tests fail, or whose module does not pass the self-check, is never returned.
pub fn compile(
    sources: &Sources,
    set: &PolicySet,
    started: &mut dyn FnMut(Phase),
) -> Result<Compiled, CompileError> {
    started(Phase::Generate);
    from_core(sources, set, generate::core_module(set)?, started)
}

/// All that follows after a set's core module was generated.
pub(crate) fn from_core(
    sources: &Sources,
    set: &PolicySet,
    core: CoreModule,
    started: &mut dyn FnMut(Phase),
) -> Result<Compiled, CompileError> {
    started(Phase::Test);
    let module = Loaded::new(set, &core)?;
    let tests = tested(set, &module)?;
    released(sources, set, core, &module, tests, started)
}

/// The same of a set of which policies are held back: tested as it is written, released as it is enforced.
fn compile_held_back(
    sources: &Sources,
    set: &PolicySet,
    states: States,
    started: &mut dyn FnMut(Phase),
) -> Result<Compiled, CompileError> {
    started(Phase::Test);
    let tests = tested(set, &Loaded::new(set, &generate::core_module(set)?)?)?;
    started(Phase::Prove);
    let mut held = lifecycle::held_back(set, &states);
    held.proofs = lifecycle::proofs(&held, &set.proofs, &states).map_err(CompileError::Generator)?;
    started(Phase::Generate);
    let core = generate::core_module(&held)?;
    let module = Loaded::new(&held, &core)?;
    let mut compiled = released(sources, &held, core, &module, tests, started)?;
    compiled.manifest.states = states;
    Ok(compiled)
}

/// What the set's own tests say of its module.
fn tested(set: &PolicySet, module: &Loaded) -> Result<TestSummary, CompileError> {
    let results = testing::run(set, module)?;
    let failures = testing::findings(&results);
    if !failures.is_empty() {
        return Err(CompileError::TestsFailed(failures));
    }
    covered(set, testing::summary(&results))
}

/// Wraps, self-checks, translates and describes the module that is released.
fn released(
    sources: &Sources,
    set: &PolicySet,
    core: CoreModule,
    module: &Loaded,
    tests: TestSummary,
    started: &mut dyn FnMut(Phase),
) -> Result<Compiled, CompileError> {
    started(Phase::Component);
    let component = generate::component(&core.bytes).map_err(CompileError::Generator)?;
    started(Phase::SelfCheck);
    let self_check = self_check(set, module)?;
    started(Phase::Native);
    let native = native::compile(&core.bytes).map_err(CompileError::Generator)?;
    let manifest = manifest(set, Results { cost: core.cost, tests, self_check });
    let (clauses, sources) = (explain::clauses(set, sources).to_json(), sources.to_archive());
    let components = BTreeMap::new();
    Ok(Compiled { core: core.bytes, component, native, manifest, clauses, sources, components })
}

/// Adds the clause coverage where the set asks for some.
fn covered(set: &PolicySet, tests: TestSummary) -> Result<TestSummary, CompileError> {
    let Some((required, _)) = set.min_coverage else { return Ok(tests) };
    let coverage = testing::coverage(set);
    match coverage.finding(set) {
        Some(finding) => Err(CompileError::TooLittleCovered(Box::new(finding))),
        None => Ok(TestSummary { coverage: Some(coverage.summary(required)), ..tests }),
    }
}

/// Everything that compiling sources gives.
#[derive(Debug)]
pub struct Outcome {
    /// The set, unless checking found an error.
    pub set: Option<PolicySet>,
    /// The artifacts, unless a finding is an error.
    pub compiled: Option<Compiled>,
    /// Everything there is to say, failed tests included.
    pub findings: Vec<Finding>,
}

/// Checks, compiles and tests sources, telling `started` of each phase as it begins.
///
/// # Errors
/// [`CompileError`], but for failed tests, which are findings.
pub fn compile_sources(
    sources: &Sources,
    started: &mut dyn FnMut(Phase),
) -> Result<Outcome, CompileError> {
    compile_sources_under(sources, &States::new(), started)
}

/// The same, with policies held back by their states ([`lifecycle`]).
///
/// # Errors
/// [`CompileError`], but for failed tests, which are findings.
pub fn compile_sources_under(
    sources: &Sources,
    states: &States,
    started: &mut dyn FnMut(Phase),
) -> Result<Outcome, CompileError> {
    started(Phase::Parse);
    let (files, findings) = check::parse_files(sources);
    started(Phase::Check);
    let checked = check::check_files(sources, &files, findings);
    started(Phase::Analyse);
    let checked = analyse::analysed(checked);
    started(Phase::Prove);
    let mut checked = analyse::proven(checked);
    debug_assert_eq!(checked.set.is_none(), has_errors(&checked.findings));
    let Some(set) = &checked.set else {
        return Ok(Outcome { set: None, compiled: None, findings: checked.findings });
    };
    let states = lifecycle::of_set(set, states);
    let compiled = if states.is_empty() {
        compile(sources, set, started)
    } else {
        compile_held_back(sources, set, states, started)
    };
    let compiled = match compiled {
        Ok(compiled) => Some(compiled),
        Err(CompileError::TestsFailed(failures)) => {
            checked.findings.extend(failures);
            None
        }
        Err(CompileError::TooLittleCovered(finding)) => {
            checked.findings.push(*finding);
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Outcome { set: checked.set, compiled, findings: checked.findings })
}
