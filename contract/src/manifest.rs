//! What a compiled policy set says of itself: `manifest.json`, a deterministic artifact beside the modules.

use serde::{Deserialize, Serialize};

use crate::{
    cost::Cost,
    digest::Digest,
    legislation::States,
    refusal::{Code, Refusal},
    value::{Timestamp, Type},
};

/// The metadata of one compiled policy set. Same sources and compiler give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`crate::ABI_VERSION`] of the core module.
    pub abi: u32,
    /// The compiler and its version, such as `aecp 0.1.0`.
    pub compiler: String,
    /// The digest of the sources (see `aecp_compiler::source`).
    pub source: Digest,
    /// The attributes that the module reads, one slot each, in byte order of their paths.
    pub attributes: Vec<AttributeDeclaration>,
    /// The source modules, in the order of their paths.
    pub modules: Vec<ModuleInfo>,
    /// The policies in byte order of their names; verdicts name them by their index here.
    pub policies: Vec<PolicyInfo>,
    /// What the policies oblige a point of enforcement to do, in the order of the policies; verdicts name them by their
    /// index here.
    pub obligations: Vec<Obligation>,
    /// What is proven of the set: what holds of every set, then its own invariants in the order of the sources.
    pub proofs: Vec<Proof>,
    /// What a decision of the core module costs at most.
    pub cost: Cost,
    /// What the set's own tests said of this module.
    pub tests: TestSummary,
    /// How the compiler compared this module with its reference evaluator.
    pub self_check: SelfCheckSummary,
    /// The policies of the sources that are held back: drafts and those that have retired are not among
    /// [`Self::policies`], the others are enforced no further than this.
    #[serde(default, skip_serializing_if = "States::is_empty")]
    pub states: States,
    /// The policies beside the compiled ones, in byte order of their names, at most [`MAX_COMPONENTS`]. A reader that does
    /// not know this field refuses the manifest, so that no enforcer passes over one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentPolicy>,
}

impl Manifest {
    /// The attributes that all policies of the release look at: what the compiled ones do, then what only components do.
    #[must_use]
    pub fn all_attributes(&self) -> Vec<&AttributeDeclaration> {
        let mut all: Vec<_> = self.attributes.iter().collect();
        for attribute in self.components.iter().flat_map(|policy| &policy.attributes) {
            if !all.iter().any(|one| one.path == attribute.path) {
                all.push(attribute);
            }
        }
        all
    }

    /// Refuses what a host without components cannot enforce.
    ///
    /// # Errors
    /// [`Code::UnsupportedAbi`] if a policy is a component.
    pub fn refuse_components(&self) -> Result<(), Refusal> {
        let Some(policy) = self.components.first() else { return Ok(()) };
        let detail = format!(
            "policy `{:.64}` is a component, which this enforcer cannot run; use one with the feature `components`",
            policy.name
        );
        Err(Refusal::new(Code::UnsupportedAbi, detail))
    }
}

/// The most policies of one release that are components.
pub const MAX_COMPONENTS: usize = 16;

/// The most bytes of such a component.
pub const MAX_COMPONENT_BYTES: usize = 8 << 20;

/// The most characters of such a policy's name.
const MAX_COMPONENT_NAME: usize = 64;

/// A policy that people wrote as a component of the world `aecp:policy/policy`. It is one policy: in its verdicts it is
/// number 0, and there is no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentPolicy {
    /// Unique among all policies of the release: up to 64 of `A-Z a-z 0-9 _`.
    pub name: String,
    /// What a violation does.
    pub enforcement: Enforcement,
    /// How surely decisions are recorded, at least.
    pub audit: AuditLevel,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The attributes that it is given, in this order.
    pub attributes: Vec<AttributeDeclaration>,
}

impl ComponentPolicy {
    /// The name of its component among a release's artifacts.
    #[must_use]
    pub fn artifact(&self) -> String {
        format!("{COMPONENT_PREFIX}{}.wasm", self.name)
    }

    /// Whether its name can be one.
    #[must_use]
    pub fn is_named(&self) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (1..=MAX_COMPONENT_NAME).contains(&self.name.len()) && self.name.bytes().all(plain)
    }
}

/// What the names of these artifacts begin with.
pub const COMPONENT_PREFIX: &str = "component.";

/// One row of the attribute table: its index is the slot's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeDeclaration {
    /// Names joined by dots, such as `customer.region`.
    pub path: String,
    /// The declared or inferred type.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// One source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleInfo {
    /// Its MODULE name, or the file's stem.
    pub name: String,
    /// Whether it says `DEFAULT: DENY`.
    pub default_deny: bool,
}

/// One policy, as far as enforcers and auditors need to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInfo {
    /// Unique in the set.
    pub name: String,
    /// Index into [`Manifest::modules`].
    pub module: u32,
    /// What a violation does.
    pub enforcement: Enforcement,
    /// How surely its decisions are recorded.
    pub audit: AuditLevel,
    /// DESCRIPTION.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// VERSION.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// AUTHOR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// JUSTIFICATION.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// COMPLIANCE references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compliance: Vec<String>,
    /// EXCEPTION: whether a break-glass token may lift its denial.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// AT: the points of enforcement, all when empty. The module asks for [`POINT_ATTRIBUTE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Point>,
    /// EFFECTIVE FROM: in effect from this instant on. The module asks for [`TIME_ATTRIBUTE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Timestamp>,
    /// EFFECTIVE UNTIL: in effect before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_until: Option<Timestamp>,
}

/// The attribute that says when a request is made, a TIMESTAMP in every set. Enforcers fill it in where a request leaves
/// it out.
pub const TIME_ATTRIBUTE: &str = "request.time";

/// The attribute that says at which [`Point`] a request is decided, an ENUM in every set. Enforcers that know it fill it
/// in where a request leaves it out.
pub const POINT_ATTRIBUTE: &str = "request.point";

/// A point of enforcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Point {
    /// Where requests enter.
    Ingress,
    /// Between services.
    Mesh,
    /// At the data.
    Data,
    /// Where answers leave.
    Egress,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ingress, Self::Mesh, Self::Data, Self::Egress];

    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "INGRESS",
            Self::Mesh => "MESH",
            Self::Data => "DATA",
            Self::Egress => "EGRESS",
        }
    }
}

impl std::str::FromStr for Point {
    type Err = String;

    /// Reads the word of the language, in capitals or not.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|point| point.as_str().eq_ignore_ascii_case(text));
        named.ok_or_else(|| "expected ingress, mesh, data or egress".to_owned())
    }
}

/// What a policy obliges a point of enforcement to do with requests in its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// Index into [`Manifest::policies`].
    pub policy: u32,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// MASK … WITH LAST: hides all but the last characters of a text.
    Mask {
        /// The attribute.
        attribute: String,
        /// How many characters stay, from 1 on.
        last: u32,
    },
    /// REDACT: leaves the value out.
    Redact {
        /// The attribute.
        attribute: String,
    },
    /// HASH: puts the value's digest in its place.
    Hash {
        /// The attribute.
        attribute: String,
    },
    /// FILTER: lets only rows pass of which the condition is TRUE.
    Filter {
        /// In the language's own words.
        condition: String,
    },
    /// LIMIT: lets only so many requests pass in a time, for each value of an attribute.
    Limit {
        /// How many, from 1 on.
        count: u64,
        /// In how many milliseconds, from 1 on.
        per_ms: u64,
        /// The attribute.
        by: String,
    },
}

/// What a violation does to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Enforcement {
    /// Denies it.
    Blocking,
    /// Is reported to the caller and recorded; the request goes on.
    Advisory,
    /// Is recorded; the caller sees nothing.
    AuditOnly,
}

impl Enforcement {
    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "BLOCKING",
            Self::Advisory => "ADVISORY",
            Self::AuditOnly => "AUDIT_ONLY",
        }
    }
}

/// How surely decisions are recorded, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuditLevel {
    /// Not recorded.
    None,
    /// Recorded asynchronously.
    Optional,
    /// No answer leaves before its record is durable.
    Required,
}

impl AuditLevel {
    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Optional => "OPTIONAL",
            Self::Required => "REQUIRED",
        }
    }
}

/// Something that holds of all requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The invariant's name; for those of every set `fail_closed` (leaving out attributes of a request that is denied never
    /// gets it allowed), `default_deny_holds`, `only_blocking_denies`.
    pub name: String,
    /// Whose it is.
    pub kind: ProofKind,
    /// Whether it is proven.
    pub status: ProofStatus,
    /// How, in words.
    pub method: String,
    /// The policies (and modules that deny by default) without which it would not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because_of: Vec<String>,
    /// Those of them whose denials a break-glass token may lift: it holds of requests without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless_excepted: Vec<String>,
    /// Attributes of which a policy asks whether they are there, so that leaving them out may open a way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<PresenceException>,
}

/// Whose a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// It holds of every set.
    BuiltIn,
    /// An INVARIANT of this set.
    Invariant,
}

/// Whether something is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofStatus {
    /// It is.
    Proven,
    /// It could not be decided; its author vouches for it.
    Assumed,
    /// It is of the set as it is written, and not of this release, in which policies are held back.
    Suspended,
}

/// An attribute that a policy asks the presence of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceException {
    /// The policy.
    pub policy: String,
    /// The attribute.
    pub attribute: String,
}

/// The result of the set's TESTs against the compiled module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSummary {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed; never above zero in a signed release.
    pub failed: u32,
    /// What the tests cover, where the set asks for some coverage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageSummary>,
}

/// The clause coverage of the set's TESTs. Each comparison of each policy counts in two ways: as one that decides a
/// request by being TRUE, and as one that decides by being FALSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageSummary {
    /// What is asked for, in percent of the ways that are possible.
    pub required: u32,
    /// Twice the comparisons.
    pub ways: u32,
    /// Ways that some test sees decide.
    pub decisive: u32,
    /// Ways that are proven to decide no request at all.
    pub impossible: u32,
}

impl CoverageSummary {
    /// Ways that some test could see decide.
    #[must_use]
    pub const fn possible(&self) -> u32 {
        self.ways.saturating_sub(self.impossible)
    }

    /// Whether the tests cover what is asked for.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        self.decisive as u64 * 100 >= self.possible() as u64 * self.required as u64
    }

    /// The coverage in percent, rounded down; 100 where there is nothing to cover.
    #[must_use]
    pub const fn percent(&self) -> u32 {
        match (self.decisive as u64 * 100).checked_div(self.possible() as u64) {
            Some(percent) => percent as u32,
            None => 100,
        }
    }
}

/// The compiler's self-check: the module decided boundary requests as the reference evaluator does. A module that
/// does not is never signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfCheckSummary {
    /// Requests that were decided, those of the set's TESTs included.
    pub requests: u32,
    /// Atoms of the policies' conditions that were taken through their boundary values.
    pub atoms: u32,
    /// Those of them that changed their policy's outcome by being TRUE or FALSE, all else being equal. The others
    /// decide nothing, or under attributes that the check did not find.
    pub decisive: u32,
}
