//! Maps of small sets, and what their pages hold.

use super::*;
use crate::{
    check::check,
    compliance::{Framework, coverage_map},
    generate,
    interpret::Loaded,
    set::PolicySet,
    source::{Source, Sources},
    testing,
};

/// Calls `with` with the map of a set.
fn mapped(text: &str, frameworks: &[Framework], with: impl FnOnce(&CoverageMap<'_>)) {
    let source = Source { path: "<b>&.aecp".to_owned(), text: text.to_owned() };
    let sources = Sources::new(vec![source]);
    let checked = check(&sources);
    let set: PolicySet = checked.set.unwrap_or_else(|| panic!("{:?}", checked.findings));
    let module = generate::core_module(&set).unwrap();
    let results = testing::run(&set, &Loaded::new(&set, &module).unwrap()).unwrap();
    with(&coverage_map(&sources, &set, &results, frameworks).unwrap());
}

fn policy(name: &str, references: &str, scope: &str, enforcement: &str) -> String {
    format!(
        "POLICY {name} {{\n COMPLIANCE: [{references}]\n SCOPE: {scope}\n CONSTRAINT: b == 1\n \
         ENFORCEMENT: {enforcement}\n}}\n"
    )
}

fn test(name: &str, given: &str, expect: &str) -> String {
    format!("TEST \"{name}\" {{ GIVEN: {{ {given} }} EXPECT: {expect} }}\n")
}

fn small() -> String {
    [
        policy("both", r#""SOC2 CC6.1", "GDPR Art. 32(1)(b)", "SOC2 CC6""#, "x", "BLOCKING"),
        policy("good_only", r#""SOC 2 CC6.2", "SOC2 CC6.3""#, "y", "ADVISORY"),
        policy("open", r#""SOC 2 CC6.4""#, "z", "ADVISORY"),
        policy("never", r#""SOC2 CC6.3", "SOC2 CC6.5", "SOC2 CC6.99", "ISO 27001""#, "w", "BLOCKING"),
        policy("mixed", r#""SOC2 CC6.1.1""#, "x", "BLOCKING"),
        test("satisfies", r#"resource.type: "x", b: 1"#, "ALLOW"),
        test("violates", r#"resource.type: "x", b: 2"#, "DENY"),
        test("satisfies y", r#"resource.type: "y", b: 1"#, "ALLOW"),
        test("leaves z open", r#"resource.type: "z""#, "ALLOW"),
        test("fails", r#"resource.type: "w", b: 1"#, "DENY"),
    ]
    .concat()
}

fn state(map: &CoverageMap<'_>, name: &str) -> (State, Vec<String>) {
    let sections = map.frameworks.iter().flat_map(|framework| &framework.sections);
    let control = sections.flat_map(|section| &section.controls).find(|one| one.name == name).unwrap();
    (control.state, control.policies.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_control_is_tested_when_each_policy_that_names_it_is_both_satisfied_and_violated_in_tests() {
    mapped(&small(), &[], |map| {
        let names: Vec<_> = map.frameworks.iter().map(|framework| framework.name).collect();
        assert_eq!(names, ["GDPR", "SOC 2"]);
        for (control, expected, policies) in [
            ("SOC 2 CC6.1", State::Tested, &["both", "mixed"][..]),
            ("GDPR Art. 32", State::Tested, &["both"]),
            ("SOC 2 CC6.2", State::PartlyTested, &["good_only"]),
            ("SOC 2 CC6.3", State::PartlyTested, &["good_only", "never"]),
            ("SOC 2 CC6.4", State::PartlyTested, &["open"]),
            // Its only test fails, and counts for nothing.
            ("SOC 2 CC6.5", State::Untested, &["never"]),
            ("SOC 2 CC6.6", State::None, &[]),
        ] {
            let (state, found) = state(map, control);
            assert_eq!(
                (state, found.iter().map(String::as_str).collect::<Vec<_>>()),
                (expected, policies.to_vec())
            );
        }
        assert_eq!((map.passed_tests, map.failed_tests), (4, 1));
        let summary: Vec<_> = map.frameworks[1].summary.values().copied().collect();
        assert_eq!(summary, [1, 3, 1, 56]);
        assert_eq!(map.frameworks[1].parts["SOC 2 CC6"], ["both"]);
        assert_eq!(map.unknown["SOC2 CC6.99"], ["never"]);
        assert_eq!(map.other["ISO 27001"], ["never"]);
        let open = map.policies.iter().find(|policy| policy.name == "open").unwrap();
        assert_eq!(
            (open.line, open.undecided.count, &open.undecided.tests[..]),
            (13, 1, &["leaves z open"][..])
        );
        let both = map.policies.iter().find(|policy| policy.name == "both").unwrap();
        assert_eq!(
            (&both.satisfied.tests[..], &both.violated.tests[..]),
            (&["satisfies"][..], &["violates"][..])
        );
    });
}

#[test]
fn the_frameworks_asked_for_are_mapped_whether_or_not_the_set_names_them() {
    mapped(&small(), &[Framework::Hipaa, Framework::Gdpr], |map| {
        let names: Vec<_> = map.frameworks.iter().map(|framework| framework.name).collect();
        assert_eq!(names, ["GDPR", "HIPAA"]);
        assert_eq!(map.frameworks[1].summary[&State::None], 185);
        let policies: Vec<_> = map.policies.iter().map(|policy| policy.name).collect();
        assert_eq!(policies, ["both"]);
        assert!(map.unknown.is_empty());
    });
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "<script>alert('1')</script> & \\u001b[31m \\u202Egnp.exe";
    let references = format!("\"GDPR Art. 5\", \"{hostile}\", \"SOC2 {hostile}\"");
    let text = [
        policy("p", &references, "x", "BLOCKING"),
        test(hostile, r#"resource.type: "x", b: 1"#, "ALLOW"),
    ];
    mapped(&text.concat(), &[], |map| {
        let page = page(map, "\"><img src=x onerror=alert(1)>");
        // The page's own tags, and no other.
        let tags: std::collections::BTreeSet<_> = page
            .split('<')
            .skip(1)
            .map(|tag| {
                tag.split(|c: char| !c.is_ascii_alphanumeric() && !"/!".contains(c)).next().unwrap()
            })
            .map(|tag| tag.trim_start_matches('/'))
            .collect();
        let own = [
            "!DOCTYPE", "a", "article", "b", "body", "br", "caption", "code", "dd", "dl", "dt", "h1",
            "h2", "h3", "head", "html", "li", "main", "meta", "p", "section", "small", "span", "style",
            "table", "tbody", "td", "th", "thead", "title", "tr", "ul",
        ];
        let strange: Vec<_> = tags.iter().filter(|tag| !own.contains(tag)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(page.contains(
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; \u{fffd}[31m \u{fffd}gnp.exe"
        ));
        assert!(
            page.contains("<title>Coverage map of &quot;&gt;&lt;img src=x onerror=alert(1)&gt;</title>")
        );
        assert!(page.contains("<p>&lt;b&gt;&amp;.aecp, line 1; BLOCKING;"));
        assert!(!page.contains(['\u{1b}', '\u{202e}']));
    });
}

#[test]
fn a_page_is_whole_and_fetches_nothing() {
    mapped(&small(), &[], |map| {
        let page = page(map, "set");
        let mut open = Vec::new();
        for tag in page.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()) {
            let name = tag.split([' ', '\n']).next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
                None if ["!DOCTYPE", "meta", "br"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
        assert!(
            ["http://", "https://", "src=", "url(", "<script", "@import"]
                .iter()
                .all(|one| !page.contains(one))
        );
        // Every link leads somewhere on the page, and no place has another's name.
        let ids: Vec<_> =
            page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        for link in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(ids.contains(&link), "{link}");
        }
        assert!(page.contains(MEANING) && page.contains("Tests fail."));
    });
}
