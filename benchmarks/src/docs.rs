//! Puts what was measured into `docs/benchmarks.md`, between the comments that mark its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Replaces each named part of the page.
pub(crate) fn update(parts: &[(&str, String)]) -> anyhow::Result<()> {
    let path = folder().join("benchmarks.md");
    let mut page =
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    for (name, text) in parts {
        page = replace(&page, name, text)
            .with_context(|| format!("`{}` has no place marked for `{name}`", path.display()))?;
    }
    fs::write(&path, page).with_context(|| format!("cannot write `{}`", path.display()))
}

fn replace(page: &str, name: &str, text: &str) -> Option<String> {
    let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- {name}: {edge} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n{end}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_part_of_the_page_changes() {
        let page = "a\n<!-- t: begin -->\nold\n<!-- t: end -->\nz\n";
        let new = "a\n<!-- t: begin -->\nnew\n<!-- t: end -->\nz\n";
        assert_eq!(replace(page, "t", "new\n").as_deref(), Some(new));
        assert_eq!(replace(page, "other", "new"), None);
    }
}
