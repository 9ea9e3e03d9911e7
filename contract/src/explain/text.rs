//! An explanation as text for terminals.

use std::fmt;

use super::{ExplainedClause, Explanation, LookedAt, Outcome, PolicyExplanation, State, Truth};
use crate::{manifest::Enforcement, verdict::Decision};

/// What a piece of the text is, for whoever paints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// ALLOW, TRUE, satisfied.
    Good,
    /// DENY, FALSE, violated.
    Bad,
    /// UNKNOWN, undecided.
    Care,
    /// Places and what else is beside the point.
    Faint,
}

/// Columns that clauses and values are filled up to, at most.
const MAX_COLUMN: usize = 60;

/// Where the truth of a clause ends: `UNKNOWN` and a space.
const TRUTH_COLUMN: usize = 8;

/// Plain, with no colour.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&|_, text| text.to_owned()))
    }
}

impl Explanation {
    /// The text, pieces painted by `paint`, which must not change how wide they are.
    #[must_use]
    pub fn text(&self, paint: &dyn Fn(Paint, &str) -> String) -> String {
        let (kind, denying) = match self.decision {
            Decision::Allow => (Paint::Good, String::new()),
            Decision::Deny => (Paint::Bad, self.denying()),
        };
        let mut text = format!("{}{denying}\n", paint(kind, self.decision.as_str()));
        for module in &self.default_deny {
            text += &format!(
                "\nmodule {module} denies by default: none of its BLOCKING policies is surely in scope\n"
            );
        }
        for policy in &self.policies {
            text.push('\n');
            policy.write(&mut text, paint);
        }
        if self.policies.is_empty() {
            text += "\nno policy is in scope\n";
        }
        if self.left_out > 0 {
            text += &format!("\n… and {} more\n", self.left_out);
        }
        text
    }

    /// ` by a, b`: the policies and modules that deny.
    fn denying(&self) -> String {
        let policies = self.policies.iter().filter(|policy| {
            policy.enforcement == Enforcement::Blocking
                && matches!(policy.outcome, Outcome::Violated | Outcome::Indeterminate)
        });
        let policies = policies.map(|policy| policy.policy.clone());
        let modules = self.default_deny.iter().map(|module| format!("the default of module {module}"));
        let by: Vec<_> = policies.chain(modules).collect();
        if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) }
    }
}

impl PolicyExplanation {
    fn write(&self, text: &mut String, paint: &dyn Fn(Paint, &str) -> String) {
        let (kind, outcome) = match self.outcome {
            Outcome::Violated => (Paint::Bad, "violated"),
            Outcome::Indeterminate => (Paint::Care, "undecided"),
            Outcome::Satisfied => (Paint::Good, "satisfied"),
            Outcome::NotInScope => (Paint::Faint, "not in scope"),
        };
        let mut about = vec![self.enforcement.as_str()];
        about.extend(self.compliance.iter().map(String::as_str));
        let place = format!("{}:{}", self.file, self.line);
        let (outcome, place) = (paint(kind, outcome), paint(Paint::Faint, &place));
        *text += &format!("{} is {outcome} ({})  {place}\n", self.policy, about.join(", "));
        let (scope, constraint) = (rows(&self.scope), rows(&self.constraint));
        let widest = |column: for<'a> fn(&'a Row<'_>) -> &'a str| {
            let wide = |row: &Row<'_>| column(row).chars().count();
            scope.iter().chain(&constraint).map(wide).max().unwrap_or(0).min(MAX_COLUMN)
        };
        let widths = (widest(|row| &row.clause), widest(|row| &row.values));
        *text += match self.scope.first().map(|clause| clause.truth) {
            None => "  in scope, as every request is\n",
            Some(Truth::True) => "  in scope because\n",
            Some(Truth::Unknown) => "  perhaps in scope because\n",
            Some(Truth::False) => "  not in scope because\n",
        };
        self.write_rows(text, &scope, widths, paint);
        *text += match self.constraint.first().map_or(Truth::True, |clause| clause.truth) {
            Truth::True => "  its constraint holds because\n",
            Truth::Unknown => "  its constraint is undecided because\n",
            Truth::False => "  its constraint fails because\n",
        };
        self.write_rows(text, &constraint, widths, paint);
    }

    fn write_rows(
        &self,
        text: &mut String,
        rows: &[Row<'_>],
        widths: (usize, usize),
        paint: &dyn Fn(Paint, &str) -> String,
    ) {
        for row in rows {
            let clause = row.of;
            let kind = match clause.truth {
                Truth::True => Paint::Good,
                Truth::Unknown => Paint::Care,
                Truth::False => Paint::Bad,
            };
            let mark = if clause.decisive { "▸" } else { " " };
            let truth = paint(kind, &format!("{:TRUTH_COLUMN$}", clause.truth.as_str()));
            let mut line = format!("  {mark} {truth}");
            match clause.line {
                None => line += &row.clause,
                Some(number) => {
                    let place = paint(Paint::Faint, &format!("{}:{number}", self.file));
                    let (clauses, values) = widths;
                    line += &format!("{:clauses$}  {:values$}  {place}", row.clause, row.values);
                }
            }
            *text += line.trim_end();
            text.push('\n');
        }
    }
}

/// What stands in the columns of a clause.
struct Row<'a> {
    of: &'a ExplainedClause,
    clause: String,
    values: String,
}

/// An AND of the whole goes without saying.
fn rows(clauses: &[ExplainedClause]) -> Vec<Row<'_>> {
    let outer = clauses.first().is_some_and(|first| first.line.is_none() && first.clause == "AND");
    clauses.iter().skip(usize::from(outer)).map(|clause| row(clause, u32::from(outer))).collect()
}

fn row(clause: &ExplainedClause, outer: u32) -> Row<'_> {
    let indent = "  ".repeat(clause.depth.saturating_sub(outer) as usize);
    let name = match (clause.line, clause.clause.as_str()) {
        (None, "AND") => "all of",
        (None, "OR") => "any of",
        (None, "NOT") => "not",
        (_, text) => text,
    };
    let values = match clause.looked_at.as_slice() {
        [one] => format!("it {}", is(one)),
        several => {
            let each = several.iter().map(|look| format!("{} {}", look.attribute, is(look)));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    Row { of: clause, clause: format!("{indent}{name}"), values }
}

fn is(look: &LookedAt) -> String {
    match (look.state, &look.value) {
        (State::Missing, _) => "is missing".to_owned(),
        (State::Present, Some(value)) => format!("is {value}"),
        (State::Unusable | State::Present, _) => "is of another type, or given twice".to_owned(),
    }
}
