//! The places in these texts are marked with `|`.

mod completion;
mod names;

use super::*;
use crate::source::Source;

/// A set of the given files, `|` taken out, and where it stood in the first file that has one.
fn at(files: &[(&str, &str)]) -> (Snapshot, u32, u32) {
    let mut place = None;
    let sources = files.iter().zip(0..).map(|((path, text), file)| {
        if let (Some(byte), None) = (text.find('|'), place) {
            place = Some((file, byte as u32));
        }
        Source { path: (*path).to_owned(), text: text.replace('|', "") }
    });
    let snapshot = Snapshot::new(Sources::new(sources.collect()));
    let (file, byte) = place.unwrap_or_default();
    (snapshot, file, byte)
}

fn hover_at(files: &[(&str, &str)]) -> Option<String> {
    let (snapshot, file, byte) = at(files);
    hover(&snapshot, file, byte).map(|hover| hover.markdown)
}

#[test]
fn an_attribute_tells_its_type_where_it_comes_from_and_who_looks_at_it() {
    let policy = "POLICY p {\n  SCOPE: requests WHERE a.region == \"EU\"\n  CONSTRAINT: a.si|ze < 4\n  \
                  ENFORCEMENT: BLOCKING\n}\n";
    let declared = "SCHEMA {\n  a.size: INT\n  a.region: STRING\n}\n";
    let hovered = hover_at(&[("p.aecp", policy), ("schema.aecp", declared)]).unwrap();
    assert_eq!(hovered, "```aecp\na.size: INT\n```\n\ndeclared in `schema.aecp:2`\n\nused by `p`");
    let hovered = hover_at(&[("p.aecp", policy)]).unwrap();
    assert_eq!(
        hovered,
        "```aecp\na.size: INT\n```\n\nno SCHEMA declares it; its type follows from its uses in \
         `p.aecp:3`\n\nused by `p`"
    );
}

#[test]
fn a_policy_tells_what_it_is_for_where_a_test_names_it() {
    let policy = "POLICY p {\n  DESCRIPTION: \"keeps *all* data\"\n  VERSION: 3\n  COMPLIANCE: [\"GDPR Art. 44\"]\n  \
                  SCOPE: requests\n  CONSTRAINT: a == 1\n  ENFORCEMENT: ADVISORY\n}\n";
    let test = "TEST \"t\" {\n  GIVEN: { a: 2 }\n  EXPECT: ALLOW WITH ADVISORY |p\n}\n";
    assert_eq!(
        hover_at(&[("a.aecp", policy), ("t.aecp", test)]).unwrap(),
        "```aecp\nPOLICY p\n```\n\nkeeps \\*all\\* data\n\nVERSION 3 · COMPLIANCE GDPR Art\\. 44 · \
         ENFORCEMENT ADVISORY"
    );
}

#[test]
fn a_keyword_tells_what_it_means_and_a_short_scope_what_it_is_short_for() {
    let hovered = hover_at(&[("a.aecp", "POLICY p {\n  ENFORCE|MENT: BLOCKING")]).unwrap();
    assert!(hovered.starts_with("What happens when the policy is violated"), "{hovered}");
    assert!(hovered.ends_with("```aecp\nENFORCEMENT: BLOCKING\n```"), "{hovered}");
    let hovered = hover_at(&[("a.aecp", "POLICY p {\n  SCOPE: custo|mer_data")]).unwrap();
    assert_eq!(hovered, "requests with `resource.type == \"customer_data\"`");
    assert_eq!(hover_at(&[("a.aecp", "POLICY p {\n  VERSION: |3")]), None);
    assert_eq!(hover_at(&[("a.aecp", "|")]), None);
}

#[test]
fn a_changed_file_is_read_anew_and_the_others_stay() {
    let (before, ..) = at(&[("a.aecp", "POLICY p {"), ("b.aecp", "DEFAULT: DENY")]);
    assert!(!before.checked().findings.is_empty());
    let sound = "POLICY p { SCOPE: requests CONSTRAINT: a EXISTS ENFORCEMENT: BLOCKING }";
    let after = before.with(vec![(0, sound.to_owned()), (7, "no file has this number".to_owned())]);
    assert_eq!(after.checked().findings, []);
    assert_eq!(
        after.sources(),
        &Sources::new(vec![
            Source { path: "a.aecp".to_owned(), text: sound.to_owned() },
            Source { path: "b.aecp".to_owned(), text: "DEFAULT: DENY".to_owned() },
        ])
    );
    assert!(after.checked().set.as_ref().unwrap().modules[1].default_deny);
    assert_eq!((after.file("b.aecp"), after.file("c.aecp")), (Some(1), None));
}

#[test]
fn what_was_meant_can_be_put_in_place_of_what_was_written() {
    let (snapshot, ..) = at(&[(
        "a.aecp",
        "SCHEMA STRICT { a.region: ENUM(\"EU\", \"US\") }\nPOLICY p { SCOPE: requests WHERE a.regoin EXISTS\n \
         CONSTRAINT: a.region == \"EV\" and a.region EXISTS ENFORCEMENT: BLOKING }",
    )]);
    let fixes = |snapshot: &Snapshot| {
        let findings = snapshot.checked().findings.iter();
        let fixes = findings.filter_map(|finding| fix(snapshot, finding));
        fixes.map(|(span, text)| (snapshot.sources.text(span).to_owned(), text)).collect::<Vec<_>>()
    };
    let of = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    let found = fixes(&snapshot);
    assert!(found.contains(&of("BLOKING", "BLOCKING")), "{found:?}");
    assert!(found.contains(&of("and", "AND")), "{found:?}");
    let text = snapshot.sources.files()[0].text.replace("and", "AND").replace("BLOKING", "BLOCKING");
    let found = fixes(&snapshot.with(vec![(0, text)]));
    assert!(found.contains(&of("a.regoin", "a.region")), "{found:?}");
    assert!(found.contains(&of("\"EV\"", "\"EU\"")), "{found:?}");
}
