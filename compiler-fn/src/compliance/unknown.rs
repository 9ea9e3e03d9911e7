//! W080: a COMPLIANCE reference to a known framework that names none of its controls. Nothing depends on it but
//! reports, where the policy would be missing at the control that its author meant.

use super::{
    catalogue::{Control, Framework},
    reference::{Problem, Reference, resolve},
    tokens,
};
use crate::{
    findings::{Finding, Kind, code, suggested},
    language::ast::Text,
};

/// Reports what is unknown among a policy's references.
pub(crate) fn report_unknown(references: &[Text], findings: &mut Vec<Finding>) {
    for reference in references {
        let Reference::Unknown { framework, problem } = resolve(&reference.node) else { continue };
        let catalogue = framework.catalogue();
        let (name, edition) = (&catalogue.name, &catalogue.edition);
        let finding = |message: String| {
            Finding::warning(code::UNKNOWN_CONTROL, Kind::Unknown, reference.span, message)
        };
        let written = &reference.node;
        findings.push(match problem {
            Problem::NoControl => finding(format!("`{written:.80}` names no control of {name}"))
                .try_instead(format!("write `{}`", first(framework))),
            Problem::Several => finding(format!("`{written:.80}` is not one control of {name}"))
                .because("a reference names one control, and a title after it has no numbers")
                .try_instead("write each control as a text of its own"),
            Problem::Edition(other) => finding(format!(
                "`{written:.80}` is of {name} {other:.20}, whose controls are not known"
            ))
            .because(format!(
                "the catalogue is that of {name} {edition}, which numbers its controls anew"
            )),
            Problem::NotListed { id } => {
                let near = near(framework, &id);
                let canonical = |control: &Control| framework.canonical(&control.id);
                let (from, to) =
                    (near.first().map(|one| canonical(one)), near.last().map(|one| canonical(one)));
                let names: Vec<_> = near.iter().map(|control| canonical(control)).collect();
                let mut finding = finding(format!("{name} has no `{id:.80}`"));
                if let (Some(from), Some(to)) = (from, to) {
                    finding = finding.because(format!("the catalogue has `{from}` to `{to}` there"));
                }
                match suggested(&framework.canonical(&id), names.iter().map(String::as_str), findings) {
                    Some(name) => finding.try_instead(format!("did you mean `{name}`?")),
                    None => finding,
                }
            }
        });
    }
}

fn first(framework: Framework) -> String {
    framework.below(&[]).next().map_or_else(String::new, |control| framework.canonical(&control.id))
}

/// The controls that share the most components with an identifier.
fn near(framework: Framework, id: &str) -> Vec<&'static Control> {
    let components = tokens::components(id);
    let shared = (0..components.len()).rev().map(|count| framework.below(&components[..count]));
    shared.map(Iterator::collect).find(|below: &Vec<_>| !below.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::{
        check::check,
        source::{Source, Sources},
    };

    #[test]
    fn a_reference_that_names_nothing_is_underlined_with_the_nearest_that_does() {
        for (reference, message, help) in [
            ("GDPR Art. 100", "GDPR has no `100`", "did you mean `GDPR Art. 10`?"),
            (
                "HIPAA 164.312(a)(2)(vi)",
                "HIPAA has no `164.312(a)(2)(vi)`",
                "did you mean `HIPAA 164.312(a)(2)(i)`?",
            ),
            ("SOC2 CC6.9", "SOC 2 has no `CC6.9`", "did you mean `SOC 2 CC6.1`?"),
            ("PCI DSS 8.3.15", "PCI DSS has no `8.3.15`", "did you mean `PCI DSS 8.3.1`?"),
            ("GDPR lawfulness", "`GDPR lawfulness` names no control of GDPR", "write `GDPR Art. 1`"),
            (
                "GDPR Art. 44-49",
                "`GDPR Art. 44-49` is not one control of GDPR",
                "write each control as a text of its own",
            ),
        ] {
            let text = format!(
                "POLICY p {{\n  COMPLIANCE: [\"ISO 27001 A.5.1\", \"{reference}\"]\n  SCOPE: requests\n  \
                 CONSTRAINT: a == 1\n  ENFORCEMENT: BLOCKING\n}}\n"
            );
            let sources = Sources::new(vec![Source { path: "a.aecp".to_owned(), text }]);
            let checked = check(&sources);
            assert!(checked.set.is_some());
            let [finding] = &checked.findings[..] else { panic!("{reference}: {:?}", checked.findings) };
            assert_eq!(finding.code, "W080");
            assert_eq!(sources.text(finding.labels[0].span), format!("\"{reference}\""));
            assert_eq!((finding.message.as_str(), finding.suggestion.as_deref()), (message, Some(help)));
            assert_eq!(finding.policies, ["p"]);
        }
    }
}
