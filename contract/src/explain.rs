//! Why a request was decided as it was: which policies were in scope, which clauses decided, and on what values.
//!
//! The compiler writes the conditions of a set as data ([`Clauses`], the artifact `clauses.json` of a release). Whoever
//! has a verdict of the set's module and the request's slots works out of them an [`Explanation`]: the truth of each
//! clause in Kleene's logic, the values that it looked at, and which clauses are decisive. It decides nothing: an
//! explanation that comes to another outcome than the module is an error, never shown.
//!
//! Conditions are lists in preorder, a connective before its operands, so that nothing here recurses.

mod atom;
mod clauses;
mod explanation;
mod fold;
mod text;

pub use atom::{Atom, Operand, Test};
pub use clauses::{Clause, Clauses, PolicyClauses};
pub use explanation::{
    ExplainError, ExplainedClause, Explanation, Found, LookedAt, PolicyExplanation, Select, State,
    explain,
};
pub use fold::{Outcome, PolicyTruths, Truth};
pub use text::Paint;

/// The most characters of a clause or a value that are shown; what is longer ends in `…`.
pub const MAX_SHOWN: usize = 200;

/// Cuts a text to what is shown of it.
#[must_use]
pub fn shown(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}
