//! What can be proven of a checked set over all requests, with a request for whatever can be shown.
//!
//! [`Solver`] answers whether there is a request for which conditions are TRUE, FALSE or UNKNOWN, and gives one. It is
//! exact for every atom of the language but texts that are parts of other attributes' texts, where it may say that it
//! has not decided, and it never guesses. [`conflicts`] asks it about policies and pairs of policies.

mod conflicts;
mod domain;
mod glob;
mod index;
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

use crate::{
    check::{self, Checked},
    findings,
    source::Sources,
};

pub use conflicts::conflicts;
pub(crate) use joint::{Joint, Side, Statement, table, type_differs};
pub use node::Want;
pub use request::Request;
pub use solve::{Answer, Blame, Goal, Solver};

/// Checks the sources of a set, and if they are sound its policies for conflicts: everything there is to say.
#[must_use]
pub fn check(sources: &Sources) -> Checked {
    analysed(check::check(sources))
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
