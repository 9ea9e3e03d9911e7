//! What can be proven of a checked set over all requests, with a request for whatever can be shown.
//!
//! [`Solver`] answers whether there is a request for which conditions are TRUE, FALSE or UNKNOWN, and gives one. It is
//! exact for every atom of the language but texts that are parts of other attributes' texts, where it may say that it
//! has not decided, and it never guesses. [`conflicts`] asks it about policies and pairs of policies.

mod built_in;
mod conflicts;
mod domain;
mod glob;
mod index;
mod invariants;
mod joint;
mod lower;
mod node;
mod pair;
mod relations;
mod report;
mod request;
mod solve;
mod state;
mod subject;
mod text;
mod witness;

use aecp_contract::manifest::Proof;

use crate::{
    check::{self, Checked},
    findings::{self, Finding, Kind, code},
    generate,
    interpret::Interpreter,
    set::PolicySet,
    source::Sources,
};

pub use conflicts::conflicts;
pub(crate) use joint::{Joint, Side, Statement, table, type_differs};
pub use node::Want;
pub use request::Request;
pub use solve::{Answer, Blame, Goal, Solver};

/// Checks the sources of a set, and if they are sound its policies for conflicts and its invariants: everything there is
/// to say.
#[must_use]
pub fn check(sources: &Sources) -> Checked {
    proven(analysed(check::check(sources)))
}

/// What was checked, with the conflicts between its policies.
#[must_use]
pub fn analysed(checked: Checked) -> Checked {
    let Checked { set, types, mut findings } = checked;
    let Some(set) = set else { return Checked { set, types, findings } };
    findings.extend(conflicts(&set));
    findings::sort(&mut findings);
    Checked { set: (!findings::has_errors(&findings)).then_some(set), types, findings }
}

/// What was checked, with the proofs of its invariants and of what holds of every set; findings where there are none.
#[must_use]
pub fn proven(checked: Checked) -> Checked {
    let Checked { set, types, mut findings } = checked;
    let Some(mut set) = set else { return Checked { set, types, findings } };
    match proofs(&set) {
        Ok((proofs, told)) => {
            set.proofs = proofs;
            findings.extend(told);
        }
        Err(finding) => findings.push(*finding),
    }
    findings::sort(&mut findings);
    Checked { set: (!findings::has_errors(&findings)).then_some(set), types, findings }
}

/// What is proven of a set, and a finding for each invariant that is not.
pub(crate) fn proofs(set: &PolicySet) -> Result<(Vec<Proof>, Vec<Finding>), Box<Finding>> {
    let place = set.policies.first().map(|policy| policy.span).unwrap_or_default();
    let core = generate::core_module(set)
        .map_err(|error| Box::new(Finding::error(code::LIMIT, Kind::Limit, place, error.to_string())))?;
    let fault = |why: String| {
        let message = format!("the compiler is at fault, please report this: {why}");
        Box::new(Finding::error(code::INTERNAL, Kind::Internal, place, message))
    };
    let mut module = Interpreter::new(set, &core).map_err(|error| fault(error.to_string()))?;
    let mut proofs = built_in::prove(set, &Solver::new(set), &mut module).map_err(fault)?;
    let mut findings = Vec::new();
    if !set.invariants.is_empty() {
        // Invariants may ask for attributes that no policy looks at, and that the module therefore has no slots for.
        let wide = set.with_all_attributes();
        for invariant in &set.invariants {
            // A solver of its own: what one invariant takes is not taken from the others.
            let (proof, finding) =
                invariants::prove(&wide, &Solver::new(&wide), &mut module, invariant).map_err(fault)?;
            proofs.extend(proof);
            findings.extend(finding);
        }
    }
    Ok((proofs, findings))
}
