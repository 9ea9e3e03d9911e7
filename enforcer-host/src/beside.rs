//! Policies beside the compiled ones: components of the world `aecp:policy/policy`, which people write themselves.
//!
//! Each is one policy of its release, named, enforced and recorded like any other. It is given the attributes that it
//! declares, out of the same request.

mod reach;
mod run;
mod values;

use std::collections::BTreeSet;

use aecp_contract::{
    manifest::{
        AuditLevel, ComponentPolicy, Enforcement, MAX_COMPONENTS, Manifest, ModuleInfo, PolicyInfo,
    },
    refusal::{Code, Refusal},
    slots::{MAX_ATTRIBUTES, SlotBuffer},
    verdict::{Decision, Verdict},
};

use crate::{policy::DecisionError, source::VerifiedRelease};

/// What the manifest calls the module of these policies, in memory alone.
const MODULE: &str = "components";

/// The policies of one release that are components.
#[derive(Default)]
pub(crate) struct Beside {
    policies: Vec<Policy>,
    /// The place of each compiled policy among all of them.
    places: Vec<u32>,
}

/// One of them.
struct Policy {
    /// Its place among all.
    place: u32,
    enforcement: Enforcement,
    audit: AuditLevel,
    component: run::Component,
}

/// What one of them says of a request.
enum Outcome {
    Satisfied,
    Violated,
    Indeterminate,
}

impl Beside {
    /// None, for a host that could not run them.
    ///
    /// # Errors
    /// [`Manifest::refuse_components`].
    pub(crate) fn none(manifest: &Manifest) -> Result<Self, Refusal> {
        manifest.refuse_components()?;
        Ok(Self::default())
    }

    /// Those of a release, translated.
    ///
    /// # Errors
    /// [`Code::Malformed`] or [`Code::TooLarge`] for declarations that do not hold together; [`Code::InvalidModule`] for a
    /// component that is no such policy.
    pub(crate) fn load(release: &VerifiedRelease, manifest: &Manifest) -> Result<Self, Refusal> {
        if manifest.components.is_empty() {
            return Ok(Self::default());
        }
        check(manifest)?;
        let (engine, all) = (run::engine()?, manifest.all_attributes());
        let load = |policy: &ComponentPolicy| {
            let slots = policy.attributes.iter().filter_map(|attribute| {
                let slot = all.iter().position(|one| one.path == attribute.path)?;
                Some((slot, attribute.ty.clone()))
            });
            let component = release.artifact(&policy.artifact())?;
            Ok(Policy {
                place: place(manifest, &policy.name),
                enforcement: policy.enforcement,
                audit: policy.audit,
                component: run::Component::load(&engine, policy, component, slots.collect())?,
            })
        };
        let policies = manifest.components.iter().map(load).collect::<Result<_, Refusal>>()?;
        let places = manifest.policies.iter().map(|policy| place(manifest, &policy.name)).collect();
        Ok(Self { policies, places })
    }

    /// Puts these policies and their attributes into the manifest beside the compiled ones: the policies where their names
    /// belong, the attributes after those that the compiled module reads.
    pub(crate) fn join(&self, manifest: &mut Manifest) {
        if manifest.components.is_empty() {
            return;
        }
        let module = manifest.modules.len() as u32;
        manifest.modules.push(ModuleInfo { name: MODULE.to_owned(), default_deny: false });
        manifest.policies.extend(manifest.components.iter().map(|policy| info(policy, module)));
        manifest.policies.sort_by(|a, b| a.name.cmp(&b.name));
        for obligation in &mut manifest.obligations {
            if let Some(place) = self.places.get(obligation.policy as usize) {
                obligation.policy = *place;
            }
        }
        manifest.attributes = manifest.all_attributes().into_iter().cloned().collect();
    }

    /// What all policies say, if the compiled ones say this.
    ///
    /// # Errors
    /// [`DecisionError`] if one of the components gives no verdict.
    pub(crate) fn decide(
        &self,
        slots: &SlotBuffer,
        mut verdict: Verdict,
    ) -> Result<Verdict, DecisionError> {
        if self.policies.is_empty() {
            return Ok(verdict);
        }
        for policy in verdict.violated.iter_mut().chain(&mut verdict.indeterminate) {
            *policy = self.places.get(*policy as usize).copied().unwrap_or(*policy);
        }
        for policy in &self.policies {
            verdict.audit = verdict.audit.max(policy.audit);
            match policy.component.decide(slots)? {
                Outcome::Satisfied => continue,
                Outcome::Violated => verdict.violated.push(policy.place),
                Outcome::Indeterminate => verdict.indeterminate.push(policy.place),
            }
            if policy.enforcement == Enforcement::Blocking {
                verdict.decision = Decision::Deny;
            }
        }
        verdict.violated.sort_unstable();
        verdict.indeterminate.sort_unstable();
        Ok(verdict)
    }
}

/// Where a policy of this name stands among all.
fn place(manifest: &Manifest, name: &str) -> u32 {
    let compiled = manifest.policies.iter().filter(|policy| policy.name.as_str() < name).count();
    (compiled + manifest.components.iter().filter(|policy| policy.name.as_str() < name).count()) as u32
}

/// Whether the declarations hold together, with each other and with the compiled policies.
fn check(manifest: &Manifest) -> Result<(), Refusal> {
    let refused = |code, detail: String| Err(Refusal::new(code, detail));
    let components = &manifest.components;
    let attributed = components.iter().map(|policy| policy.attributes.len()).max().unwrap_or(0);
    if components.len() > MAX_COMPONENTS || attributed > MAX_ATTRIBUTES {
        let detail =
            format!("a release has at most {MAX_COMPONENTS} components of {MAX_ATTRIBUTES} attributes");
        return refused(Code::TooLarge, detail);
    }
    if !components.is_sorted_by(|a, b| a.name < b.name) {
        let detail = "the manifest's components are not in order, or one stands twice";
        return refused(Code::Malformed, detail.to_owned());
    }
    let all = manifest.all_attributes();
    if all.len() > MAX_ATTRIBUTES {
        let detail = format!("the policies read more than {MAX_ATTRIBUTES} attributes");
        return refused(Code::TooLarge, detail);
    }
    for policy in components {
        let name = &policy.name;
        if !policy.is_named() {
            let detail = format!("`{name:.64}` is no name of a component: up to 64 of A-Z a-z 0-9 _");
            return refused(Code::Malformed, detail);
        }
        if manifest.policies.iter().any(|compiled| compiled.name == *name) {
            let detail = format!("policy `{name}` is a compiled one and a component; rename one");
            return refused(Code::Malformed, detail);
        }
        let mut paths = BTreeSet::new();
        for attribute in &policy.attributes {
            let path = &attribute.path;
            if !paths.insert(path) {
                let detail = format!("component `{name}` declares attribute `{path:.80}` twice");
                return refused(Code::Malformed, detail);
            }
            let other = all.iter().find(|other| other.path == *path && other.ty != attribute.ty);
            if let Some(other) = other {
                let detail = format!(
                    "component `{name}` declares attribute `{path:.80}` as {}, another policy as {}",
                    attribute.ty, other.ty
                );
                return refused(Code::Malformed, detail);
            }
        }
    }
    Ok(())
}

/// The policy as verdicts and records name it.
fn info(policy: &ComponentPolicy, module: u32) -> PolicyInfo {
    PolicyInfo {
        name: policy.name.clone(),
        module,
        enforcement: policy.enforcement,
        audit: policy.audit,
        description: policy.description.clone(),
        version: None,
        author: None,
        justification: None,
        compliance: Vec::new(),
        break_glass: false,
        at: Vec::new(),
        effective_from: None,
        effective_until: None,
    }
}
