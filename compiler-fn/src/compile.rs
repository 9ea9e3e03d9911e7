//! From a checked set to its artifacts: generate, wrap, test, self-check, describe.

use std::collections::BTreeMap;

use aecp_contract::{
    ABI_VERSION,
    manifest::{Manifest, SelfCheckSummary, TestSummary},
    release::{COMPONENT, CORE_MODULE, MANIFEST},
};

use crate::{
    check,
    findings::{Finding, has_errors},
    generate::{self, TooManyConstants},
    interpret::{InterpretError, Loaded},
    self_check::{Difference, SelfCheckError, self_check},
    set::PolicySet,
    source::Sources,
    testing,
};

/// The compiler's name and version, as manifests and releases carry it.
pub const COMPILER: &str = concat!("aecp ", env!("CARGO_PKG_VERSION"));

/// A compiled set whose tests passed.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The core module.
    pub core: Vec<u8>,
    /// The same as a component.
    pub component: Vec<u8>,
    /// What it says of itself.
    pub manifest: Manifest,
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
        BTreeMap::from([
            (CORE_MODULE.to_owned(), self.core.clone()),
            (COMPONENT.to_owned(), self.component.clone()),
            (MANIFEST.to_owned(), self.manifest_json()),
        ])
    }
}

/// What the manifest says of a set with these results.
#[must_use]
pub fn manifest(set: &PolicySet, tests: TestSummary, self_check: SelfCheckSummary) -> Manifest {
    Manifest {
        abi: ABI_VERSION,
        compiler: COMPILER.to_owned(),
        source: set.source,
        attributes: set.attributes.clone(),
        modules: set.modules.clone(),
        policies: set.policies.iter().map(|policy| policy.info.clone()).collect(),
        tests,
        self_check,
    }
}

/// Generates, wraps, tests and self-checks a checked set.
///
/// # Errors
/// [`CompileError`]; a set whose tests fail, or whose module does not pass the self-check, is never returned.
pub fn compile(set: &PolicySet) -> Result<Compiled, CompileError> {
    from_core(set, generate::core_module(set)?)
}

/// Wraps, tests and self-checks what was generated for a set.
pub(crate) fn from_core(set: &PolicySet, core: Vec<u8>) -> Result<Compiled, CompileError> {
    let component = generate::component(&core).map_err(CompileError::Generator)?;
    let module = Loaded::new(set, &core)?;
    let results = testing::run(set, &module)?;
    let failures = testing::findings(&results);
    if !failures.is_empty() {
        return Err(CompileError::TestsFailed(failures));
    }
    let checked = self_check(set, &module)?;
    Ok(Compiled { manifest: manifest(set, testing::summary(&results), checked), core, component })
}

/// Everything that compiling sources gives.
#[derive(Debug)]
pub struct Outcome {
    /// The artifacts, unless a finding is an error.
    pub compiled: Option<Compiled>,
    /// Everything there is to say, failed tests included.
    pub findings: Vec<Finding>,
}

/// Checks, compiles and tests sources.
///
/// # Errors
/// [`CompileError`], but for failed tests, which are findings.
pub fn compile_sources(sources: &Sources) -> Result<Outcome, CompileError> {
    let mut checked = check::check(sources);
    debug_assert_eq!(checked.set.is_none(), has_errors(&checked.findings));
    let Some(set) = checked.set else {
        return Ok(Outcome { compiled: None, findings: checked.findings });
    };
    match compile(&set) {
        Ok(compiled) => Ok(Outcome { compiled: Some(compiled), findings: checked.findings }),
        Err(CompileError::TestsFailed(failures)) => {
            checked.findings.extend(failures);
            Ok(Outcome { compiled: None, findings: checked.findings })
        }
        Err(error) => Err(error),
    }
}
