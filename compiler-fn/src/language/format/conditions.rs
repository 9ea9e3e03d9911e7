//! Where conditions break. On one line stands a single clause, or two with one connective that fit; all else
//! has one clause on a line. A chain within a chain is in parentheses, on lines of its own if it is long or
//! holds a chain itself. Lists break one entry on a line.

use super::{COLUMNS, CONDITION_COLUMNS, Gap, INDENT, Printer, fits, write};
use crate::{
    language::ast::{Atom, Condition, ConditionKind},
    source::Span,
};

impl Printer<'_> {
    /// `KEYWORD: condition`; `prefix` is all that stands before the condition and `anchor` where that starts.
    pub(super) fn condition(
        &mut self,
        indent: usize,
        gap: Gap,
        prefix: &str,
        condition: &Condition,
        anchor: u32,
    ) {
        let outer = self.with_brackets(condition.span);
        let flat = format!("{prefix}{}", write::condition(condition));
        let (_, core) = without_nots(condition);
        let is_clause = matches!(core.node, ConditionKind::Atom(_));
        let needs_braces = match breakable_list(core) {
            // Comments within a list, or carried into it, have their lines there.
            Some(list) => {
                let broken = !fits(indent, &flat, COLUMNS) || self.commented(list.start..list.end);
                self.commented(outer.start..condition.span.start)
                    || self.commented(list.end..outer.end)
                    || (!broken && self.commented(condition.span.start..list.start))
            }
            None => self.commented(outer.start..outer.end),
        };
        let fits_line = if is_clause {
            fits(indent, &flat, COLUMNS)
        } else {
            connectives(condition) <= 1 && fits(indent, &flat, CONDITION_COLUMNS)
        };
        if !needs_braces && is_clause {
            self.operand(indent, gap, prefix, condition, anchor);
        } else if !needs_braces && fits_line {
            self.line(indent, gap, flat, anchor);
        } else {
            self.line(indent, gap, format!("{prefix}{{"), anchor);
            self.operands(indent + INDENT, condition);
            self.close(indent, "}", outer);
        }
    }

    /// The operands of a chain, one on a line with its connective before it.
    fn operands(&mut self, indent: usize, condition: &Condition) {
        let (operands, word) = match &condition.node {
            ConditionKind::And(operands) => (operands, "AND "),
            ConditionKind::Or(operands) => (operands, "OR "),
            _ => return self.operand(indent, Gap::None, "", condition, condition.span.start),
        };
        for (number, operand) in operands.iter().enumerate() {
            let lead = if number == 0 { "" } else { word };
            self.operand(indent, Gap::None, lead, operand, operand.span.start);
        }
    }

    fn operand(&mut self, indent: usize, gap: Gap, lead: &str, operand: &Condition, anchor: u32) {
        let flat = format!("{lead}{}", write::clause(operand));
        let (nots, core) = without_nots(operand);
        let lead = format!("{lead}{}", "NOT ".repeat(nots));
        let long = !fits(indent, &flat, COLUMNS);
        match &core.node {
            ConditionKind::And(parts) | ConditionKind::Or(parts)
                if long
                    || parts.iter().any(|part| connectives(part) > 0)
                    || self.commented(core.span.start..core.span.end) =>
            {
                self.line(indent, gap, format!("{lead}("), anchor);
                self.operands(indent + INDENT, core);
                self.close(indent, ")", core.span);
            }
            ConditionKind::Atom(Atom::InList { path, negated, list })
                if long || self.commented(path.span.end..core.span.end) =>
            {
                let opening = write::list_opening(&path.node, *negated);
                let (before, behind) = if nots > 0 { ("(", "])") } else { ("", "]") };
                self.line(indent, gap, format!("{lead}{before}{opening}"), anchor);
                let entries = list.iter().map(|entry| (write::literal(&entry.node), entry.span));
                self.entries(indent + INDENT, entries);
                self.close(indent, behind, core.span);
            }
            _ => self.line(indent, gap, flat, anchor),
        }
    }

    /// One entry on a line, with commas between.
    pub(super) fn entries(
        &mut self,
        indent: usize,
        entries: impl ExactSizeIterator<Item = (String, Span)>,
    ) {
        let last = entries.len().saturating_sub(1);
        for (number, (mut entry, span)) in entries.enumerate() {
            if number < last {
                entry.push(',');
            }
            self.line(indent, Gap::None, entry, span.start);
        }
    }
}

/// How many NOTs stand before a condition, and the condition behind them.
fn without_nots(mut condition: &Condition) -> (usize, &Condition) {
    let mut nots = 0;
    while let ConditionKind::Not(inner) = &condition.node {
        condition = inner;
        nots += 1;
    }
    (nots, condition)
}

/// Where the list of a `path IN [..]` stands, from behind the path.
fn breakable_list(condition: &Condition) -> Option<Span> {
    match &condition.node {
        ConditionKind::Atom(Atom::InList { path, .. }) => {
            Some(Span { start: path.span.end, ..condition.span })
        }
        _ => None,
    }
}

/// How many ANDs and ORs a condition has.
fn connectives(condition: &Condition) -> usize {
    match &condition.node {
        ConditionKind::And(parts) | ConditionKind::Or(parts) => {
            parts.iter().map(connectives).sum::<usize>() + parts.len() - 1
        }
        ConditionKind::Not(inner) => connectives(inner),
        ConditionKind::Atom(_) => 0,
    }
}
