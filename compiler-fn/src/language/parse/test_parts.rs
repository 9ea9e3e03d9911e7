//! A TEST as its parts come in: GIVEN and EXPECT in either order, each exactly once.

use crate::{
    findings::{Finding, Kind, code},
    language::ast::{Expect, Given, Spanned, Test, Text},
    source::Span,
};

/// What has been read of a test.
#[derive(Debug, Default)]
pub(super) struct Draft {
    given: Option<(Span, Vec<Given>)>,
    expect: Option<(Span, Option<Spanned<Expect>>)>,
}

impl Draft {
    /// Takes a GIVEN; `head` is its keyword.
    pub(super) fn given(&mut self, head: Span, entries: Vec<Given>, findings: &mut Vec<Finding>) {
        match &self.given {
            Some((first, _)) => findings.push(twice("GIVEN", head, *first)),
            None => self.given = Some((head, entries)),
        }
    }

    /// Takes an EXPECT; `None` where it is broken, which has been reported.
    pub(super) fn expect(
        &mut self,
        place: Span,
        expect: Option<Spanned<Expect>>,
        findings: &mut Vec<Finding>,
    ) {
        match &self.expect {
            Some((first, _)) => findings.push(twice("EXPECT", place, *first)),
            None => self.expect = Some((place, expect)),
        }
    }

    /// The test, unless a part is missing or EXPECT is broken.
    pub(super) fn finish(self, name: Text, findings: &mut Vec<Finding>) -> Option<Test> {
        for (keyword, there) in [("GIVEN", self.given.is_some()), ("EXPECT", self.expect.is_some())] {
            if !there {
                let message = format!("test `{}` has no `{keyword}`", name.node);
                findings.push(Finding::error(code::MISSING_FIELD, Kind::Missing, name.span, message));
            }
        }
        let given = self.given?.1;
        Some(Test { name, given, expect: self.expect?.1? })
    }
}

fn twice(keyword: &str, place: Span, first: Span) -> Finding {
    let message = format!("`{keyword}` stands twice in one test");
    Finding::error(code::DUPLICATE_FIELD, Kind::Duplicate, place, message).also(first, "first here")
}
