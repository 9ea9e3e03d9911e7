//! Puts comments between and behind lines.
//!
//! A comment belongs to the last line whose first token stands before it. The first such comment stays behind
//! that line if it stood behind something; every other one gets a line of its own before the next. So no
//! comment is lost, their order stays, and laying out the result again changes nothing.

use super::{Gap, INDENT, Line};
use crate::language::tokens::Tokens;

/// The comments of one line.
#[derive(Default)]
struct Comments<'s> {
    /// On lines of their own before it.
    before: Vec<(&'s str, u32)>,
    /// Behind it.
    behind: Option<&'s str>,
}

/// The text of `lines`, with the comments of `source`.
pub(super) fn weave(lines: Vec<Line>, source: &Tokens<'_>) -> String {
    let mut placed: Vec<Comments<'_>> = (0..=lines.len()).map(|_| Comments::default()).collect();
    let mut last_host = None;
    for comment in &source.comments {
        let text = source.text.get(comment.start as usize..comment.end as usize).unwrap_or_default();
        let next = lines.partition_point(|line| line.anchor <= comment.start);
        let host = next.checked_sub(1);
        let is_first_of_host = last_host != Some(host);
        last_host = Some(host);
        match host.and_then(|host| placed.get_mut(host)) {
            Some(host) if is_first_of_host && !source.starts_line(comment.start) => {
                host.behind = Some(text);
            }
            _ => {
                if let Some(next) = placed.get_mut(next) {
                    next.before.push((text, comment.start));
                }
            }
        }
    }
    let mut page = Page { text: String::new(), fresh: true };
    for (line, comments) in lines.iter().zip(&placed) {
        let deeper = if line.closes { INDENT } else { 0 };
        let mut gap = line.gap;
        for (text, at) in &comments.before {
            let before = if gap == Gap::Blank { Gap::Blank } else { Gap::Keep };
            page.put(line.indent + deeper, text, before, source.follows_blank_line(*at));
            page.fresh = false;
            // The comments stand with the statement; the blank line stands before both.
            if gap == Gap::Blank {
                gap = Gap::Keep;
            }
        }
        page.put(line.indent, &line.text, gap, source.follows_blank_line(line.anchor));
        page.fresh = line.text.ends_with(['{', '(', '[']);
        if let Some(comment) = comments.behind {
            page.text.pop();
            page.text.push(' ');
            page.text.push_str(comment);
            page.text.push('\n');
        }
    }
    for (text, at) in placed.last().into_iter().flat_map(|last| &last.before) {
        page.put(0, text, Gap::Keep, source.follows_blank_line(*at));
        page.fresh = false;
    }
    page.text
}

struct Page {
    text: String,
    /// Whether nothing stands before the next line in its block, so that no blank line does.
    fresh: bool,
}

impl Page {
    fn put(&mut self, indent: usize, text: &str, gap: Gap, author_left_one: bool) {
        let blank = match gap {
            Gap::None => false,
            Gap::Keep => author_left_one,
            Gap::Blank => true,
        };
        if blank && !self.fresh {
            self.text.push('\n');
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(text);
        self.text.push('\n');
    }
}

impl Tokens<'_> {
    fn line_before(&self, at: u32) -> &str {
        self.text.get(..at as usize).unwrap_or_default()
    }

    /// Whether only white space stands before this byte on its line.
    fn starts_line(&self, at: u32) -> bool {
        let before = self.line_before(at).trim_end_matches([' ', '\t', '\r']);
        before.is_empty() || before.ends_with('\n')
    }

    /// Whether an empty line stands right before what starts at this byte.
    fn follows_blank_line(&self, at: u32) -> bool {
        let before = self.line_before(at);
        let space = before.len() - before.trim_end_matches([' ', '\t', '\r', '\n']).len();
        before[before.len() - space..].bytes().filter(|b| *b == b'\n').count() > 1
    }
}
