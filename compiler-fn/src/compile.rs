//! From a checked set to its artifacts: generate, wrap, test, describe.

use std::collections::BTreeMap;

use aecp_contract::{
    ABI_VERSION,
    manifest::{Manifest, TestSummary},
    release::{COMPONENT, CORE_MODULE, MANIFEST},
};

use crate::{
    analyse,
    findings::{Finding, has_errors},
    generate::{self, TooManyConstants},
    interpret::InterpretError,
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
    /// Some tests failed; each is a finding.
    #[error("{} of the set's tests failed", .0.len())]
    TestsFailed(Vec<Finding>),
}

impl From<InterpretError> for CompileError {
    fn from(error: InterpretError) -> Self {
        Self::Generator(error.to_string())
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

/// What the manifest says of a set with these test results.
#[must_use]
pub fn manifest(set: &PolicySet, tests: TestSummary) -> Manifest {
    Manifest {
        abi: ABI_VERSION,
        compiler: COMPILER.to_owned(),
        source: set.source,
        attributes: set.attributes.clone(),
        modules: set.modules.clone(),
        policies: set.policies.iter().map(|policy| policy.info.clone()).collect(),
        tests,
    }
}

/// Generates, wraps and tests a checked set.
///
/// # Errors
/// [`CompileError`]; a set whose tests fail is never returned.
pub fn compile(set: &PolicySet) -> Result<Compiled, CompileError> {
    let core = generate::core_module(set)?;
    let component = generate::component(&core).map_err(CompileError::Generator)?;
    let results = testing::run(set, &core)?;
    let failures = testing::findings(&results);
    if !failures.is_empty() {
        return Err(CompileError::TestsFailed(failures));
    }
    Ok(Compiled { manifest: manifest(set, testing::summary(&results)), core, component })
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
    let mut checked = analyse::check(sources);
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
